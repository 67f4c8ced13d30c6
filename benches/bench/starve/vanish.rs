//! Clients that are gone with their network, without a word: they live in a network of their own, whose
//! link is taken down.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use super::Ground;
use super::figures::Figures;
use super::idle::{CLIENTS, time_to_serve};
use crate::bench::Fallible;
use crate::bench::bank::Bank;
use crate::bench::place::Folder;
use crate::bench::process::{Process, wait_for};
use crate::bench::report::{Bound, Unit};

/// In which time places have to be free.
const SOON: Duration = Duration::from_secs(60);
/// What a client's process says when all its clients are connected.
const READY: &str = "all are connected";

pub fn run(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let folder = Folder::new(&ground.setting.folder)?;
    let network = match Network::new(&folder) {
        Ok(network) => network,
        Err(error) => {
            figures.seen("left out", &format!("this needs network namespaces: {error}"));
            return Ok(());
        }
    };
    let setting =
        crate::bench::bank::Setting { listen: Some("0.0.0.0".into()), ..ground.setting.clone() };
    let bank = Bank::start(&setting, flags_beyond_loopback(&setting.program)?)?;
    let port = bank.addresses["A"].rsplit_once(':').map_or("", |(_, port)| port);
    let address = format!("{}:{port}", network.here());
    let clients = network.clients(&folder, &address, ground.size(CLIENTS, 20))?;
    network.cut()?;
    let start = Instant::now();
    drop(clients);
    let took = time_to_serve(&bank, SOON + Duration::from_secs(10));
    figures.asked("a new client is served after", Unit::Nanos, took, Bound::AtMost(60e9));
    while start.elapsed() < SOON && connections_from_afar(&bank, port)? > 0 {
        std::thread::sleep(Duration::from_millis(100));
    }
    let held = connections_from_afar(&bank, port)? as f64;
    figures.asked("connections of theirs still there then", Unit::Count, held, Bound::AtMost(0.0));
    figures.measured("looked at after", Unit::Nanos, start.elapsed().as_nanos() as f64);
    Ok(())
}

/// What a build has to be told so that its servers listen beyond loopback without keys; earlier ones do so
/// unasked, and know no such flag.
fn flags_beyond_loopback(program: &Path) -> Fallible<&'static [&'static str]> {
    const FLAG: &str = "--let-everybody-debit";
    let help = Command::new(program).args(["server", "--help"]).output();
    let help = help.map_err(|error| format!("{}: {error}", program.display()))?;
    let knows = String::from_utf8_lossy(&help.stdout).contains(FLAG);
    Ok(if knows { &[FLAG] } else { &[] })
}

/// How many connections A holds, on its port, to another address than this machine's own.
fn connections_from_afar(bank: &Bank, port: &str) -> Fallible<usize> {
    const ESTABLISHED: &str = "01";
    const LOOPBACK: &str = "0100007F";
    let process = bank.process("A").ok_or("A doesn't run")?;
    let name = format!("/proc/{}/net/tcp", process.pid());
    let table = std::fs::read_to_string(&name).map_err(|error| format!("{name}: {error}"))?;
    let port: u16 = port.parse().map_err(|_| format!("{port} is no port"))?;
    let port = format!(":{port:04X}");
    let is_of_theirs = |line: &&str| {
        let mut columns = line.split_whitespace().skip(1);
        let (Some(local), Some(remote)) = (columns.next(), columns.next()) else { return false };
        let state = columns.next();
        local.ends_with(&port) && !remote.starts_with(LOOPBACK) && state == Some(ESTABLISHED)
    };
    Ok(table.lines().filter(is_of_theirs).count())
}

/// A network that lives as long as its process, and a link to it.
struct Network {
    process: Process,
    /// The third number of its addresses, of the range for benchmarks (RFC 2544).
    number: u8,
}

impl Network {
    fn new(folder: &Folder) -> Fallible<Network> {
        let words = ["-n", "sleep", "1000"].map(str::to_owned);
        let log = folder.path().join("network.log");
        let mut process = Process::start("unshare".as_ref(), &words, log)?;
        let pid = process.pid().to_string();
        let number = (process.pid() % 250) as u8;
        let own = std::fs::read_link("/proc/self/ns/net");
        let name = format!("/proc/{pid}/ns/net");
        wait_for("a network of its own", || {
            let other = std::fs::read_link(&name);
            let is_other = other.is_ok_and(|other| own.as_ref().is_ok_and(|own| *own != other));
            (is_other || process.has_ended()).then_some(())
        })?;
        if process.has_ended() {
            return Err(process.last_words());
        }
        let network = Network { process, number };
        let (link, here, there) = (network.link(), network.here(), network.there());
        run_all(&[
            &format!("ip link add {link} type veth peer name far netns {pid}"),
            &format!("ip address add {here}/30 dev {link}"),
            &format!("ip link set {link} up"),
            &format!("nsenter -t {pid} -n ip address add {there}/30 dev far"),
            &format!("nsenter -t {pid} -n ip link set far up"),
        ])?;
        Ok(network)
    }

    fn link(&self) -> String {
        format!("bench{}", self.process.pid())
    }

    fn here(&self) -> String {
        format!("198.18.{}.1", self.number)
    }

    fn there(&self) -> String {
        format!("198.18.{}.2", self.number)
    }

    /// Starts so many clients in it, and waits until all are served.
    fn clients(&self, folder: &Folder, address: &str, many: usize) -> Fallible<Process> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let pid = self.process.pid().to_string();
        let program = program.display().to_string();
        let words =
            ["-t", &pid, "-n", &program, "clients", address, &many.to_string()].map(str::to_owned);
        let log = folder.path().join("clients.log");
        let mut clients = Process::start("nsenter".as_ref(), &words, log)?;
        wait_for("clients in another network are served", || {
            let failed = clients.has_ended();
            (failed || clients.said().contains(READY)).then_some(())
        })?;
        match clients.has_ended() {
            true => Err(clients.last_words()),
            false => Ok(clients),
        }
    }

    /// From now on nothing leaves it.
    fn cut(&self) -> Fallible<()> {
        run_all(&[&format!("nsenter -t {} -n ip link set far down", self.process.pid())])
    }
}

fn run_all(commands: &[&str]) -> Fallible<()> {
    for command in commands {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap_or_default()).args(words).output();
        let output = output.map_err(|error| format!("{command}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{command}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
    }
    Ok(())
}

/// Is so many clients of a server, each of which is served once and then says nothing more, until it
/// is killed.
pub fn clients(address: &str, many: &str) -> ExitCode {
    let connect = || -> std::io::Result<TcpStream> {
        let mut socket = TcpStream::connect(address)?;
        socket.write_all(b"{\"balance\":{}}\n")?;
        BufReader::new(&socket).read_line(&mut String::new())?;
        Ok(socket)
    };
    let all: std::io::Result<Vec<TcpStream>> =
        (0..many.parse().unwrap_or(0)).map(|_| connect()).collect();
    match all {
        Ok(_all) => {
            eprintln!("{READY}");
            std::thread::sleep(Duration::from_secs(1_000));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{address}: {error}");
            ExitCode::FAILURE
        }
    }
}
