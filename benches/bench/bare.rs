//! What is compared with: loops that do nothing but write durably.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Fallible;
use super::bank::Bank;
use super::place::Folder;
use super::process::{Process, free_port, wait_for};
use super::redis::pack;
use super::tally::new_histogram;

/// The turns of a server, as they went to Redis.
pub struct Turns {
    turns: Vec<Turn>,
}

struct Turn {
    bytes: Vec<u8>,
    lines: usize,
    entries: u64,
}

/// The most elements that are kept for a loop to repeat.
const KEPT: isize = 4_000;

impl Turns {
    /// The turns that servers at rest have made since they were founded: the elements in their logs,
    /// as many a turn as there were on average.
    pub fn of(bank: &Bank) -> Fallible<Vec<Turns>> {
        let one = |(place, id): (usize, String)| {
            let mut store = bank.store_of(&id)?.ok_or("the store may not be looked at")?;
            let get = |name: &str, words: &[&str], store: &mut redis::Connection| {
                redis::cmd(name).arg(words).query::<i64>(store).map_err(|error| error.to_string())
            };
            let log = format!("SERVER-LOG-{id}");
            let turns = get("GET", &[&format!("SERVER-TURN-{id}")], &mut store)?;
            let length = get("LLEN", &[&log], &mut store)?;
            let read = redis::cmd("LRANGE").arg(&log).arg(0).arg(KEPT - 1).query(&mut store);
            let elements: Vec<Vec<u8>> = read.map_err(|error| error.to_string())?;
            Ok(Turns::group(place, &elements, length as f64 / turns.max(1) as f64))
        };
        bank.ids().into_iter().enumerate().map(one).collect()
    }

    /// Turns of the same kind, made up: so many elements each, with so many entries each.
    pub fn like(place: usize, elements: usize, entries: usize) -> Turns {
        let element = |number: usize| {
            let items = vec!["[\"A\",\"B\",1]"; entries].join(",");
            let seq = 1 + number * entries;
            format!("{{\"epoch\":1,\"seq\":{seq},\"entries\":[{items}]}}").into_bytes()
        };
        let made: Vec<Vec<u8>> = (0..elements * 16).map(element).collect();
        Turns::group(place, &made, elements as f64)
    }

    fn group(place: usize, elements: &[Vec<u8>], each: f64) -> Turns {
        let each = each.max(1.0);
        let mut turns = Vec::new();
        let (mut from, mut due) = (0, 0.0);
        while from < elements.len() {
            due += each;
            let to = (due.round() as usize).clamp(from + 1, elements.len());
            turns.push(Turn::pack(place, &elements[from..to]));
            from = to;
        }
        Turns { turns }
    }

    /// Entries of a turn, on average.
    pub fn entries(&self) -> f64 {
        let entries: u64 = self.turns.iter().map(|turn| turn.entries).sum();
        entries as f64 / self.turns.len().max(1) as f64
    }
}

impl Turn {
    /// What the store sends in one turn, and how many lines Redis answers.
    fn pack(place: usize, elements: &[Vec<u8>]) -> Turn {
        let (turn, log, owner) = (
            format!("BARE-TURN-{place}"),
            format!("BARE-LOG-{place}"),
            format!("BARE-OWNER-{place}"),
        );
        let mut bytes = Vec::new();
        pack(&mut bytes, &[b"MULTI"]);
        pack(&mut bytes, &[b"INCR", turn.as_bytes()]);
        for element in elements {
            pack(&mut bytes, &[b"RPUSH", log.as_bytes(), element]);
        }
        pack(&mut bytes, &[b"EXEC"]);
        pack(&mut bytes, &[b"WATCH", owner.as_bytes()]);
        pack(&mut bytes, &[b"GET", owner.as_bytes()]);
        let commands = 1 + elements.len();
        // OK, QUEUED each, the array and what is in it, OK, and the owner in two lines.
        let lines = 1 + commands + 1 + commands + 1 + 2;
        let pairs = |element: &Vec<u8>| element.windows(2).filter(|two| two == b"[\"").count();
        let entries = elements.iter().map(|element| pairs(element) as u64).sum();
        Turn { bytes, lines, entries }
    }
}

/// Entries a second that Redis takes from as many loops as there are servers, each with one turn under
/// way, and nothing else.
pub fn same_bytes(redis: &str, servers: &[Turns], seconds: f64) -> Fallible<f64> {
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let run = |place: usize, turns: &Turns| -> Fallible<u64> {
        let mut wire = Bare::open(redis)?;
        let mut set = Vec::new();
        let owner = format!("BARE-OWNER-{place}");
        pack(&mut set, &[b"SET", owner.as_bytes(), b"0123456789abcdef-0123456789abcdef"]);
        wire.ask(&set, 1)?;
        let mut entries = 0;
        for turn in turns.turns.iter().cycle() {
            wire.ask(&turn.bytes, turn.lines)?;
            entries += turn.entries;
            if Instant::now() >= end {
                break;
            }
        }
        Ok(entries)
    };
    let entries = in_parallel(servers.iter().enumerate(), |(place, turns)| run(place, turns))?;
    Ok(entries.iter().sum::<u64>() as f64 / start.elapsed().as_secs_f64())
}

fn in_parallel<I: Send, T: Send>(
    items: impl Iterator<Item = I>,
    job: impl Fn(I) -> Fallible<T> + Sync,
) -> Fallible<Vec<T>> {
    let job = &job;
    thread::scope(|scope| {
        let threads: Vec<_> = items.map(|item| scope.spawn(move || job(item))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Fallible<T>>| {
            thread.join().map_err(|_| "a loop has panicked".to_owned())?
        };
        threads.into_iter().map(join).collect()
    })
}

/// An `RPUSH` of a transfer's element, of about 100 bytes with its command.
fn small_write() -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(
        &mut bytes,
        &[b"RPUSH", b"BARE-SMALL", b"{\"epoch\":1,\"seq\":100000,\"entries\":[[\"A\",\"B\",1]]}"],
    );
    bytes
}

/// How long one small durable write takes, from sending it to its answer; nanoseconds.
pub fn round_trip(redis: &str, seconds: f64) -> Fallible<Histogram<u64>> {
    let (mut wire, write) = (Bare::open(redis)?, small_write());
    repeat(seconds, || wire.ask(&write, 1))
}

fn repeat(seconds: f64, mut once: impl FnMut() -> Fallible<()>) -> Fallible<Histogram<u64>> {
    let mut latency = new_histogram();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut now = Instant::now();
    while now < end {
        once()?;
        let after = Instant::now();
        latency.saturating_record((after - now).as_nanos() as u64);
        now = after;
    }
    Ok(latency)
}

/// Small durable writes a second, by so many clients with one under way each. They are served like
/// the clients of the servers: three threads, each of which goes round its own.
pub fn many_clients(redis: &str, clients: usize, seconds: f64) -> Fallible<f64> {
    let write = small_write();
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let threads = clients.min(3);
    let run = |place: usize| -> Fallible<u64> {
        let own = (clients + threads - 1 - place) / threads;
        let mut wires: Vec<Bare> = (0..own).map(|_| Bare::open(redis)).collect::<Fallible<_>>()?;
        wires.iter_mut().try_for_each(|wire| wire.send(&write))?;
        let mut done = 0;
        loop {
            let goes_on = Instant::now() < end;
            for wire in &mut wires {
                wire.read(1)?;
                done += 1;
                if goes_on {
                    wire.send(&write)?;
                }
            }
            if !goes_on {
                return Ok(done);
            }
        }
    };
    let done = in_parallel(0..threads, run)?;
    Ok(done.iter().sum::<u64>() as f64 / start.elapsed().as_secs_f64())
}

/// A process that reads a line, does one `RPUSH`, answers: this very program, told to be one.
pub struct Relay {
    _process: Process,
    address: String,
}

impl Relay {
    /// Starts one.
    pub fn start(folder: &Folder, redis: &str) -> Fallible<Relay> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let address = format!("127.0.0.1:{}", free_port());
        let arguments = ["relay".to_owned(), address.clone(), redis.to_owned()];
        let process = Process::start(&program, &arguments, folder.path().join("relay.log"))?;
        wait_for("the relay answers", || TcpStream::connect(&address).ok())?;
        Ok(Relay { _process: process, address })
    }

    /// How long a line takes to its answer; nanoseconds.
    pub fn latency(&self, seconds: f64) -> Fallible<Histogram<u64>> {
        let mut wire = Bare::open(&self.address)?;
        let line = b"{\"id\":1000000000,\"transfer\":{\"from\":\"A\",\"to\":\"B\",\"amount\":1}}\n";
        repeat(seconds, || wire.ask(line, 1))
    }
}

/// Is a relay, for as long as it lives.
pub fn relay(address: &str, redis: &str) -> ExitCode {
    let serve = |client: TcpStream| -> Fallible<()> {
        let wrong = |error: std::io::Error| error.to_string();
        client.set_nodelay(true).map_err(wrong)?;
        let (mut store, write) = (Bare::open(redis)?, small_write());
        let mut lines = BufReader::new(&client);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).map_err(wrong)? > 0 {
            line.clear();
            store.ask(&write, 1)?;
            (&client)
                .write_all(b"{\"id\":1000000000,\"outcome\":\"accepted\"}\n")
                .map_err(wrong)?;
        }
        Ok(())
    };
    let served = TcpListener::bind(address).map_err(|error| error.to_string()).map(|listener| {
        for client in listener.incoming().flatten() {
            thread::scope(|scope| drop(scope.spawn(|| serve(client))));
        }
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A connection that counts the lines of what comes back.
struct Bare {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Bare {
    fn open(address: &str) -> Fallible<Bare> {
        let stream = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Bare { stream, buffer: vec![0; 16 << 10] })
    }

    fn send(&mut self, bytes: &[u8]) -> Fallible<()> {
        self.stream.write_all(bytes).map_err(|error| error.to_string())
    }

    fn read(&mut self, mut lines: usize) -> Fallible<()> {
        while lines > 0 {
            let count = self.stream.read(&mut self.buffer).map_err(|error| error.to_string())?;
            let read = &self.buffer[..count];
            let ended = read.iter().filter(|byte| **byte == b'\n').count();
            if count == 0 || read.starts_with(b"-") || ended > lines {
                return Err(format!("Redis answers: {}", String::from_utf8_lossy(read)));
            }
            lines -= ended;
        }
        Ok(())
    }

    fn ask(&mut self, bytes: &[u8], lines: usize) -> Fallible<()> {
        self.send(bytes)?;
        self.read(lines)
    }
}
