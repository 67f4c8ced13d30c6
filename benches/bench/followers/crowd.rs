//! Those who look on: followers of all entries, a few of whom are slow, and browsers that have the page open.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::bench::bank::Bank;
use crate::bench::process::{Process, free_port, wait_for};
use crate::bench::report::{Report, Unit};
use crate::bench::stream::Stream;
use crate::bench::{Context, Fallible};

/// How many follow, over all servers.
const FOLLOWERS: usize = 50;
/// So many of them are slow.
const SLOW: usize = 5;
/// How many browsers look.
const BROWSERS: usize = 5;
/// What a slow one reads at a time, in bytes, and after which pauses.
const SIP: usize = 4 << 10;
const PAUSE: Duration = Duration::from_millis(100);
/// What a quick one, and a browser, reads at a time.
const GULP: usize = 64 << 10;

/// All who look on; they look on until they leave or this is dropped.
pub struct Crowd {
    followers: Vec<Looker>,
    browsers: Vec<Looker>,
    since: Instant,
    _page: Process,
}

/// Somebody who reads, and doesn't look at what it is: what reading costs is taken from the machine's other work.
struct Looker {
    socket: TcpStream,
    /// How many bytes came.
    reader: Option<JoinHandle<u64>>,
}

impl Looker {
    fn begin(mut stream: Stream, at_once: usize, pause: Duration) -> Fallible<Looker> {
        let socket = stream.socket().try_clone().map_err(|error| error.to_string())?;
        let read = move || {
            let (mut buffer, mut bytes) = (vec![0; at_once], 0);
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                bytes += count as u64;
                if !pause.is_zero() {
                    thread::sleep(pause);
                }
            }
            bytes
        };
        Ok(Looker { socket, reader: Some(thread::spawn(read)) })
    }

    fn leave(mut self) -> Fallible<u64> {
        let _ = self.socket.shutdown(Shutdown::Both);
        let bytes = self.reader.take().map(JoinHandle::join).transpose();
        bytes.map(Option::unwrap_or_default).map_err(|_| "who looks on has panicked".into())
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Crowd {
    /// Has all of them look at a bank.
    pub fn gather(context: &Context, bank: &Bank) -> Fallible<Crowd> {
        let ids = bank.ids();
        let follower = |number: usize| {
            let mut stream = Stream::open(&bank.addresses[&ids[number % ids.len()]], bank.key())?;
            begin(&mut stream, b"{\"id\":1,\"follow\":{}}\n", b"\"next\":{\"height\":")?;
            match number < SLOW {
                true => Looker::begin(stream, SIP, PAUSE),
                false => Looker::begin(stream, GULP, Duration::ZERO),
            }
        };
        let followers = (0..context.size(FOLLOWERS, 6)).map(follower).collect::<Fallible<_>>()?;
        let (page, at) = page_of(context, bank)?;
        let browser = |_| {
            let mut stream = Stream::open(&at, None)?;
            let ask = format!("GET /events HTTP/1.1\r\nHost: {at}\r\n\r\n");
            begin(&mut stream, ask.as_bytes(), b"HTTP/1.1 200 ")?;
            Looker::begin(stream, GULP, Duration::ZERO)
        };
        let browsers = (0..context.size(BROWSERS, 2)).map(browser).collect::<Fallible<_>>()?;
        Ok(Crowd { followers, browsers, since: Instant::now(), _page: page })
    }

    /// Ends it, and adds how much they were told a second.
    pub fn leave(self, report: &mut Report) -> Fallible<()> {
        let took = self.since.elapsed().as_secs_f64();
        for (name, lookers) in [("followers", self.followers), ("browsers", self.browsers)] {
            let bytes = lookers.into_iter().map(Looker::leave).sum::<Fallible<u64>>()?;
            report.add(&format!("told to all {name}, a second"), Unit::Bytes, bytes as f64 / took);
        }
        Ok(())
    }
}

/// Asks for what is to be read from then on; what comes first has to hold these words.
fn begin(stream: &mut Stream, ask: &[u8], words: &[u8]) -> Fallible<()> {
    let in_words = |error: std::io::Error| error.to_string();
    stream.write_all(ask).map_err(in_words)?;
    let mut buffer = vec![0; GULP];
    let count = stream.read(&mut buffer).map_err(in_words)?;
    let said = &buffer[..count];
    match said.windows(words.len()).any(|window| window == words) {
        true => Ok(()),
        false => Err(format!("who looks on is told: {}", String::from_utf8_lossy(said))),
    }
}

/// The page over a bank: its process, and where it is.
fn page_of(context: &Context, bank: &Bank) -> Fallible<(Process, String)> {
    let at = format!("127.0.0.1:{}", free_port());
    let servers: Vec<String> =
        bank.addresses.iter().map(|(id, address)| format!("{id}={address}")).collect();
    let servers = servers.join(",");
    let words = ["web", "--listen", &at, "--cluster", &servers].map(str::to_owned);
    let log = bank.folder().ok_or("this bank was not started here")?.join("web.log");
    let page = Process::start(&context.setting.program, &words, log)?;
    wait_for("the page is there", || TcpStream::connect(&at).ok())?;
    Ok((page, at))
}
