//! Clients of the rows: one that behaves, and those that don't.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::bench::Fallible;
use crate::bench::lines::{Line, Said, read_reply};
use crate::bench::load::Wire;
use crate::bench::tally::new_histogram;

/// Pays one unit at a time for so long; how long each took. All has to be accepted.
pub fn pay_one_at_a_time(address: &str, line: &Line, seconds: f64) -> Fallible<Histogram<u64>> {
    let mut wire = Wire::open(address)?;
    let mut times = new_histogram();
    let mut out = Vec::new();
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < until {
        out.clear();
        line.put(&mut out, 0);
        let start = Instant::now();
        wire.send(&out)?;
        let said = read_reply(wire.line()?, 1)?;
        times.saturating_record(start.elapsed().as_nanos() as u64);
        if let Said::Mixed(outcomes) = said
            && let Some(Err(reason)) = outcomes.first()
        {
            return Err(format!("the client that behaves was told: {reason}"));
        }
    }
    Ok(times)
}

/// Connections that send the same bytes over and over, as fast as they are taken, and throw away what
/// they hear.
pub struct Flood {
    sockets: Vec<TcpStream>,
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    /// Begins.
    pub fn start(address: &str, connections: usize, lines: &str) -> Fallible<Flood> {
        let lines: Arc<str> = lines.into();
        let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut flood = Flood { sockets: Vec::new(), over, answered, threads: Vec::new() };
        for _ in 0..connections {
            let wrong = |error: std::io::Error| format!("{address}: {error}");
            let socket = TcpStream::connect(address).map_err(wrong)?;
            let (mut from, mut to) =
                (socket.try_clone().map_err(wrong)?, socket.try_clone().map_err(wrong)?);
            flood.sockets.push(socket);
            let (lines, over) = (Arc::clone(&lines), Arc::clone(&flood.over));
            flood.threads.push(thread::spawn(move || {
                while !over.load(Ordering::Relaxed) && to.write_all(lines.as_bytes()).is_ok() {}
            }));
            let answered = Arc::clone(&flood.answered);
            flood.threads.push(thread::spawn(move || {
                let mut buffer = vec![0; 256 << 10];
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    let lines = buffer[..count].iter().filter(|byte| **byte == b'\n').count();
                    answered.fetch_add(lines as u64, Ordering::Relaxed);
                }
            }));
        }
        Ok(flood)
    }

    /// How many lines were answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for socket in &self.sockets {
            let _ = socket.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Connections that each send some lines once, and what they are answered.
pub struct Senders {
    sockets: Vec<TcpStream>,
    heard: Arc<Heard>,
    threads: Vec<JoinHandle<()>>,
}

/// What was answered.
#[derive(Default)]
struct Heard {
    lines: AtomicU64,
    /// Of these, how many hold the words that are looked for.
    with_words: AtomicU64,
    ended: AtomicU64,
}

impl Senders {
    /// Each of so many connections sends these lines, all of them at once.
    pub fn start(address: &str, lines: Vec<Vec<u8>>, words: &'static str) -> Fallible<Senders> {
        let heard = Arc::new(Heard::default());
        let mut senders = Senders { sockets: Vec::new(), heard, threads: Vec::new() };
        for bytes in lines {
            let wrong = |error: std::io::Error| format!("{address}: {error}");
            let socket = TcpStream::connect(address).map_err(wrong)?;
            let (from, mut to) =
                (socket.try_clone().map_err(wrong)?, socket.try_clone().map_err(wrong)?);
            senders.sockets.push(socket);
            senders.threads.push(thread::spawn(move || drop(to.write_all(&bytes))));
            let heard = Arc::clone(&senders.heard);
            senders.threads.push(thread::spawn(move || heard.listen(from, words)));
        }
        Ok(senders)
    }

    /// Lines answered, those with the words, and connections that the server has ended.
    pub fn heard(&self) -> (u64, u64, u64) {
        let Heard { lines, with_words, ended } = &*self.heard;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (get(lines), get(with_words), get(ended))
    }
}

impl Heard {
    fn listen(&self, mut from: TcpStream, words: &str) {
        let (mut buffer, mut line) = (vec![0; 64 << 10], Vec::new());
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut rest = &buffer[..count];
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                line.extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
                let has = line.windows(words.len()).any(|window| window == words.as_bytes());
                self.with_words.fetch_add(u64::from(has), Ordering::Relaxed);
                self.lines.fetch_add(1, Ordering::Relaxed);
                line.clear();
            }
            line.extend_from_slice(rest);
        }
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        for socket in &self.sockets {
            let _ = socket.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
