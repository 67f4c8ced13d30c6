//! Load on all servers at once, in one of several manners.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use paxos_banking::noise::SecretKey;

use super::Fallible;
use super::lines::{Line, id_of, read_reply};
use super::stream::Stream;
use super::tally::{Ran, Tally, nanos};

/// How requests are sent.
#[derive(Clone, Copy)]
pub enum Manner {
    /// Each server has so many connections; on each, so many requests are under way at any time.
    Pipelined { connections: usize, window: usize },
    /// Each line once, so many under way on one connection to each server.
    Once { window: usize },
    /// So many clients, spread over the servers, each with one request under way.
    Single { clients: usize },
    /// So many transfers a second, spread over the servers, each request sent when its time has come
    /// however late the replies are.
    Paced { rate: f64 },
}

/// A load.
pub struct Load<'a> {
    /// Where the servers are.
    pub addresses: &'a BTreeMap<String, String>,
    /// The clients' key, if they are to prove one.
    pub key: Option<&'a SecretKey>,
    /// What is sent to each, over and over.
    pub lines: &'a BTreeMap<String, Vec<Line>>,
    /// How.
    pub manner: Manner,
    /// From when on.
    pub start: Instant,
    /// For how long.
    pub seconds: f64,
    /// How long of that doesn't count.
    pub warm: f64,
    /// A server that has accepted so many is sent no more.
    pub most: u64,
}

impl Load<'_> {
    /// Sends it, and returns when every reply is there.
    pub fn run(&self) -> Fallible<Ran> {
        let mut jobs = Vec::new();
        for (place, (id, lines)) in self.lines.iter().enumerate() {
            let address =
                self.addresses.get(id).ok_or_else(|| format!("there is no server {id}"))?;
            let accepted = AtomicU64::new(0);
            let one = OneServer { load: self, address, lines, accepted };
            jobs.push((id.clone(), place, one));
        }
        let tallies = thread::scope(|scope| {
            let threads = jobs
                .iter()
                .map(|(id, place, one)| (id.clone(), scope.spawn(move || one.run(*place))));
            let threads: Vec<_> = threads.collect();
            let ended = threads.into_iter().map(|(id, thread)| {
                let tally = thread.join().map_err(|_| "a client has panicked".to_owned())?;
                Ok((id.clone(), tally.map_err(|error| format!("server {id}: {error}"))?))
            });
            ended.collect::<Fallible<BTreeMap<String, Tally>>>()
        })?;
        Ok(Ran::new(tallies, self.warm, self.seconds))
    }
}

/// The load of one server.
struct OneServer<'a> {
    load: &'a Load<'a>,
    address: &'a str,
    lines: &'a [Line],
    accepted: AtomicU64,
}

impl OneServer<'_> {
    fn run(&self, place: usize) -> Fallible<Tally> {
        let servers = self.load.lines.len();
        match self.load.manner {
            Manner::Pipelined { connections, window } => thread::scope(|scope| {
                let one = |number| scope.spawn(move || self.pipelined(number, connections, window));
                let threads: Vec<_> = (0..connections).map(one).collect();
                let mut all = Tally::new();
                for thread in threads {
                    all.add(thread.join().map_err(|_| "a client has panicked")??);
                }
                Ok(all)
            }),
            Manner::Once { window } => self.pipelined(0, 1, window),
            Manner::Single { clients } => {
                // The first servers have one more if it doesn't come out even.
                let own = (clients + servers - 1 - place) / servers;
                if own == 0 { Ok(Tally::new()) } else { self.rotating(own) }
            }
            Manner::Paced { rate } => {
                let end = self.load.start + Duration::from_secs_f64(self.load.seconds);
                let pace = Pace { rate: rate / servers as f64, start: self.load.start, end };
                paced(self.address, self.lines, &pace, &AtomicU64::new(0), Broken::IsAnError)
            }
        }
    }

    fn now(&self) -> u64 {
        self.load.start.elapsed().as_nanos() as u64
    }

    fn may_send(&self, now: u64) -> bool {
        now < nanos(self.load.seconds) && self.accepted.load(Ordering::Relaxed) < self.load.most
    }

    /// What a request counts as, if it was sent while it counts.
    fn took(&self, sent: u64, now: u64) -> Option<u64> {
        (sent >= nanos(self.load.warm)).then_some(now - sent)
    }

    /// Keeps `window` requests under way. As many replies as have come are read at once, and the
    /// requests that take their places sent at once.
    fn pipelined(&self, number: usize, connections: usize, window: usize) -> Fallible<Tally> {
        let mut wire = Wire::open_with(self.address, self.load.key)?;
        let first = number * self.lines.len() / connections;
        let mut lines = self.lines.iter().cycle().skip(first);
        let mut left = match self.load.manner {
            Manner::Once { .. } => self.lines.len(),
            _ => usize::MAX,
        };
        let window = window.min(left);
        let mut tally = Tally::new();
        let mut out = Vec::new();
        let mut slots: Vec<(u64, &Line)> = Vec::new();
        for (slot, line) in lines.by_ref().take(window).enumerate() {
            line.put(&mut out, slot as u64);
            slots.push((self.now(), line));
        }
        left -= window;
        wire.send(&out)?;
        let mut under_way = window;
        while under_way > 0 {
            out.clear();
            wire.fill()?;
            let now = self.now();
            let goes_on = self.may_send(now);
            if !goes_on {
                tally.until = tally.until.min(now);
            }
            while let Some(reply) = wire.next_line() {
                let id = id_of(reply)?;
                let slot = slots.get_mut(id as usize).ok_or("a reply to nothing that was asked")?;
                let (sent, asked) = *slot;
                let said = read_reply(reply, asked.items)?;
                tally.take_down(said, asked.items, now, self.took(sent, now));
                self.accepted.fetch_add(asked.items, Ordering::Relaxed);
                if goes_on && left > 0 {
                    let line = lines.next().ok_or("there are no lines")?;
                    line.put(&mut out, id);
                    *slot = (now, line);
                    left -= 1;
                } else {
                    under_way -= 1;
                }
            }
            wire.send(&out)?;
        }
        Ok(tally)
    }

    /// One thread for all clients of a server: it goes round, and whose reply is there sends its next
    /// request. A server answers about in the order of the requests, so that hardly one waits.
    fn rotating(&self, clients: usize) -> Fallible<Tally> {
        let open = |_| Wire::open_with(self.address, self.load.key);
        let mut wires: Vec<Wire> = (0..clients).map(open).collect::<Fallible<_>>()?;
        let mut tally = Tally::new();
        let mut out = Vec::new();
        let mut sent = vec![0; clients];
        let mut lines = self.lines.iter().cycle();
        let mut next = move |out: &mut Vec<u8>| {
            out.clear();
            lines.next().expect("there are lines").put(out, 0);
        };
        for (client, wire) in wires.iter_mut().enumerate() {
            next(&mut out);
            sent[client] = self.now();
            wire.send(&out)?;
        }
        let mut goes_on = true;
        while goes_on {
            goes_on = self.may_send(self.now());
            if !goes_on {
                tally.until = self.now();
            }
            for (client, wire) in wires.iter_mut().enumerate() {
                let reply = wire.line()?;
                let said = read_reply(reply, 1)?;
                let now = self.now();
                tally.take_down(said, 1, now, self.took(sent[client], now));
                self.accepted.fetch_add(1, Ordering::Relaxed);
                if goes_on {
                    next(&mut out);
                    sent[client] = now;
                    wire.send(&out)?;
                }
            }
        }
        Ok(tally)
    }
}

/// Transfers a second from `start` to `end`.
pub struct Pace {
    pub rate: f64,
    pub start: Instant,
    pub end: Instant,
}

/// What to make of a connection that ends too early.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// It must not happen.
    IsAnError,
    /// It ends the load; what is under way is unknown.
    Ends,
}

/// Sends each request when its time has come; latency counts from that time, however late the
/// request could be sent. Request number n, counted on in `sent`, is due n intervals after the start.
pub fn paced(
    address: &str,
    lines: &[Line],
    pace: &Pace,
    sent: &AtomicU64,
    broken: Broken,
) -> Fallible<Tally> {
    let interval = Duration::from_secs_f64(lines[0].items as f64 / pace.rate);
    let due = |number: u64| Duration::from_nanos(interval.as_nanos() as u64 * number);
    let line = |number: u64| &lines[number as usize % lines.len()];
    let wire = Wire::open(address)?;
    let socket = wire.stream.socket().try_clone().map_err(|error| error.to_string())?;
    let mut reader = Wire::over(Stream::Plain(socket));
    let first = sent.load(Ordering::Relaxed);
    let (done, mut writer) = (AtomicU64::new(u64::MAX), wire);
    let send = || {
        let mut out = Vec::new();
        let mut number = first;
        while pace.start + due(number) < pace.end && done.load(Ordering::Relaxed) == u64::MAX {
            wait_until(pace.start + due(number));
            out.clear();
            line(number).put(&mut out, number);
            // Counted first: what was begun to be sent may arrive.
            number += 1;
            sent.store(number, Ordering::Relaxed);
            if writer.send(&out).is_err() {
                break;
            }
        }
        done.store(number, Ordering::Relaxed);
        // The reader may wait for a reply that is there already.
        let _ = writer.stream.socket().shutdown(std::net::Shutdown::Write);
    };
    thread::scope(|scope| {
        scope.spawn(send);
        let mut tally = Tally::new();
        let mut replies = first;
        loop {
            while let Some(reply) = reader.next_line() {
                let number = id_of(reply)?;
                let now = pace.start.elapsed();
                let said = read_reply(reply, line(number).items)?;
                let took = now.saturating_sub(due(number)).as_nanos() as u64;
                tally.take_down(said, line(number).items, now.as_nanos() as u64, Some(took));
                replies += 1;
            }
            if replies == done.load(Ordering::Relaxed) {
                return Ok(tally);
            }
            if let Err(error) = reader.fill() {
                if replies == done.load(Ordering::Relaxed) {
                    return Ok(tally);
                }
                let _ = reader.stream.socket().shutdown(std::net::Shutdown::Both);
                let _ = done.compare_exchange(u64::MAX, 0, Ordering::Relaxed, Ordering::Relaxed);
                if broken == Broken::IsAnError {
                    return Err(error);
                }
                break;
            }
        }
        Ok(tally)
    })
    .map(|tally| {
        let sent: u64 =
            (first..sent.load(Ordering::Relaxed)).map(|number| line(number).items).sum();
        let told = tally.accepted() + tally.others.values().sum::<u64>();
        Tally { unknown: sent.saturating_sub(told), ..tally }
    })
}

/// Sleeps until then.
pub fn wait_until(then: Instant) {
    let rest = then.saturating_duration_since(Instant::now());
    if !rest.is_zero() {
        thread::sleep(rest);
    }
}

/// A connection, and what was read from it.
pub struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

impl Wire {
    /// Connects.
    pub fn open(address: &str) -> Fallible<Wire> {
        Wire::open_with(address, None)
    }

    /// Connects, and proves a key if there is one.
    pub fn open_with(address: &str, key: Option<&SecretKey>) -> Fallible<Wire> {
        Stream::open(address, key).map(Wire::over)
    }

    fn over(stream: Stream) -> Wire {
        Wire { stream, buffer: vec![0; 64 << 10], from: 0, to: 0 }
    }

    /// Sends bytes, if there are any.
    pub fn send(&mut self, bytes: &[u8]) -> Fallible<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.stream.write_all(bytes).map_err(|error| format!("a request can't be sent: {error}"))
    }

    /// Reads what is there, and waits if nothing is.
    pub fn fill(&mut self) -> Fallible<()> {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.to == self.buffer.len() {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
            if self.to == self.buffer.len() {
                self.buffer.resize(2 * self.to, 0);
            }
        }
        match self.stream.read(&mut self.buffer[self.to..]) {
            Ok(0) => Err("the server hung up".into()),
            Ok(count) => {
                self.to += count;
                Ok(())
            }
            Err(error) => Err(format!("no reply: {error}")),
        }
    }

    /// The next line of what was read, if all of it is there, without its newline.
    pub fn next_line(&mut self) -> Option<&[u8]> {
        let read = &self.buffer[self.from..self.to];
        let length = read.iter().position(|byte| *byte == b'\n')?;
        let start = self.from;
        self.from += length + 1;
        Some(&self.buffer[start..start + length])
    }

    /// The next line, waited for.
    pub fn line(&mut self) -> Fallible<&[u8]> {
        while !self.buffer[self.from..self.to].contains(&b'\n') {
            self.fill()?;
        }
        self.next_line().ok_or_else(|| "no line".into())
    }
}
