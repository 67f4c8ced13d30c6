//! Connections that say nothing, or never come to an end of it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::Ground;
use super::figures::Figures;
use super::waiting::is_served;
use crate::bench::Fallible;
use crate::bench::bank::Bank;
use crate::bench::report::{Bound, Unit};
use crate::bench::talk::Talk;

/// As many clients as a server takes.
pub const CLIENTS: usize = 800;
/// How long a line without end may go on.
const SOON: Duration = Duration::from_secs(60);

pub fn run(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    silent(ground, figures)?;
    without_end(ground, figures)
}

fn silent(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let bank = ground.bank(&[])?;
    let many = ground.size(CLIENTS, 20);
    let before = Process::look(&bank)?;
    let sockets = connect_many(&bank, many, b"{\"balance\":{}}\n")?;
    for mut socket in &sockets {
        let mut reply = [0; 256];
        socket.read(&mut reply).map_err(|error| format!("an idle client: {error}"))?;
    }
    let after = Process::look(&bank)?;
    let each = |value: fn(&Process) -> f64| (value(&after) - value(&before)) / many as f64;
    figures.measured("an idle connection: memory", Unit::Bytes, each(|seen| seen.memory));
    figures.measured("an idle connection: threads", Unit::Count, each(|seen| seen.threads));
    let took = time_to_serve(&bank, Duration::from_secs(5));
    figures.asked("800 idle: a new client is served after", Unit::Nanos, took, Bound::AtMost(1e9));
    Ok(())
}

fn without_end(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let bank = ground.bank(&[])?;
    let many = ground.size(CLIENTS, 20);
    let before = Process::look(&bank)?;
    let start = Instant::now();
    let mut sockets = connect_many(&bank, many, &vec![b'x'; 1_000_000])?;
    let after = Process::look(&bank)?;
    figures.measured("800 lines without end: memory", Unit::Bytes, after.memory - before.memory);
    let took = time_to_serve(&bank, Duration::from_secs(5));
    figures.asked("the same: a new client is served after", Unit::Nanos, took, Bound::AtMost(1e9));
    let patience = Duration::from_secs_f64(ground.seconds(SOON.as_secs_f64()));
    while !sockets.is_empty() && start.elapsed() < patience {
        sockets.retain_mut(|socket| !has_ended(socket));
        std::thread::sleep(Duration::from_millis(100));
    }
    let took = if sockets.is_empty() { start.elapsed().as_nanos() as f64 } else { f64::INFINITY };
    figures.asked("the same: all are ended after", Unit::Nanos, took, Bound::AtMost(60e9));
    let end = Process::look(&bank)?;
    figures.measured("the same: memory then", Unit::Bytes, end.memory - before.memory);
    Ok(())
}

/// Whether the server has hung up; takes what it said before.
fn has_ended(socket: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    let _ = socket.set_nonblocking(true);
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// So many connections to A, each of which says this.
pub fn connect_many(bank: &Bank, many: usize, words: &[u8]) -> Fallible<Vec<TcpStream>> {
    let connect = |_| {
        let address = &bank.addresses["A"];
        let wrong = |error: std::io::Error| format!("one of {many} connections: {error}");
        let mut socket = TcpStream::connect(address).map_err(wrong)?;
        let patience = Some(Duration::from_secs(5));
        socket.set_write_timeout(patience).map_err(wrong)?;
        socket.set_read_timeout(patience).map_err(wrong)?;
        // A server that ends it meanwhile does well.
        let _ = socket.write_all(words);
        Ok(socket)
    };
    (0..many).map(connect).collect()
}

/// Nanoseconds until a new client is answered; infinite if none is in time.
pub fn time_to_serve(bank: &Bank, patience: Duration) -> f64 {
    let start = Instant::now();
    while start.elapsed() < patience {
        if is_served(bank) {
            return start.elapsed().as_nanos() as f64;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    f64::INFINITY
}

/// What A's process has.
pub struct Process {
    pub memory: f64,
    /// The nanoseconds of a core that it has used.
    pub core: f64,
    pub threads: f64,
}

impl Process {
    /// As the system tells it.
    pub fn look(bank: &Bank) -> Fallible<Process> {
        let process = bank.process("A").ok_or("A doesn't run")?;
        let folder = format!("/proc/{}", process.pid());
        let wrong = |error: std::io::Error| format!("{folder}: {error} (this needs Linux)");
        let status = std::fs::read_to_string(format!("{folder}/status")).map_err(wrong)?;
        let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
        let threads =
            line.and_then(|line| line.trim().parse().ok()).ok_or("no count of threads")?;
        let stat = std::fs::read_to_string(format!("{folder}/stat")).map_err(wrong)?;
        // Behind the name, in hundredths of a second: its own, and the system's for it.
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        let ticks = behind.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        Ok(Process { memory: process.memory()? as f64, core: ticks * 1e7, threads })
    }
}

/// A client that is asked to wait: is it still served?
pub fn still_served(talk: &mut Talk) -> bool {
    talk.ask(&serde_json::json!({"balance": {}})).is_ok_and(|reply| reply["balance"].is_number())
}
