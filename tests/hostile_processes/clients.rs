//! Clients that want too much, at once, or for ever.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use paxos_banking::node::{MAX_CLIENTS, ROOM_FOR_PEERS};
use paxos_banking::wire::MAX_CLIENT_LINE;
use serde_json::{Value, json};

use crate::payer::Payer;
use crate::support::cluster::{Client, PATIENCE, wait_until};
use crate::support::process::{Bank, Setup};

/// By how much the server's memory may be larger after than before. Allocators keep what was used.
const MOST_MEMORY: u64 = 192 << 20;

/// The same while much is left unread: as much as all clients together may, and as it is turned into text.
const MOST_UNREAD: u64 = 240 << 20;

/// A bank in which who doesn't read is disconnected soon, the payer, and the memory that A had.
struct Hell {
    bank: Bank,
    payer: Payer,
    memory: u64,
}

impl Hell {
    fn begin() -> Hell {
        Hell::with_unread("3s")
    }

    /// One in which a client that takes nothing is disconnected after so long.
    fn with_unread(time: &str) -> Hell {
        let mut setup = Setup::default();
        setup.flags.extend(["--unread", time].map(str::to_owned));
        let mut bank = Bank::set_up(&["A", "B"], setup);
        bank.start_all();
        let payer = Payer::start(bank.address("A"));
        let memory = memory(&mut bank);
        Hell { bank, payer, memory }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.bank.address("A")).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
        stream
    }

    /// All is as it was: the payer was served, a new client is, memory is what it was.
    fn end(mut self, what: &str) {
        wait_until("a new client is served", || {
            let reply = self.bank.ask("A", &json!({"balance": {"account": "B"}}));
            reply.is_some_and(|reply| reply["balance"] == json!(100))
        });
        let (before, after) = (self.memory, memory(&mut self.bank));
        assert!(after < before + MOST_MEMORY, "{what}: memory went from {before} to {after}");
        let served = self.payer.stop();
        println!("{what}: {served}; memory {} to {} KiB", before >> 10, after >> 10);
    }
}

/// What A's process has in memory, in bytes.
fn memory(bank: &mut Bank) -> u64 {
    status_of(bank, "VmRSS:") << 10
}

/// A number that the system tells of A's process.
fn status_of(bank: &mut Bank, name: &str) -> u64 {
    let pid = bank.process("A").expect("it was started").pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("such a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn open_files_allowed() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("limits");
    let line =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("one of files");
    line.split_whitespace().next().expect("a number").parse().unwrap_or(usize::MAX)
}

/// What has come on a connection by now.
#[derive(Debug, PartialEq)]
enum Seen {
    Nothing,
    TurnedAway,
}

fn look(stream: &mut TcpStream) -> Seen {
    let mut text = [0; 512];
    match stream.read(&mut text) {
        Ok(count) => {
            let reply: Value = serde_json::from_slice(&text[..count]).expect("a reply, whole");
            assert_eq!(reply["error"], json!("unavailable"), "{reply}");
            stream.set_nonblocking(false).expect("it can block");
            assert_eq!(stream.read(&mut text).expect("the end"), 0, "and the connection ends");
            Seen::TurnedAway
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Seen::Nothing,
        Err(error) => panic!("turned away without a word: {error}"),
    }
}

#[test]
fn ten_thousand_idle_connections() {
    const WANTED: usize = 10_000;
    let hell = Hell::begin();
    let many = WANTED.min(open_files_allowed().saturating_sub(500));
    if many < WANTED {
        println!(
            "only {many} connections are opened: this system allows no more files (ulimit -n)"
        );
    }
    let connect = |_| {
        let stream = hell.connect();
        stream.set_nonblocking(true).expect("it needn't block");
        stream
    };
    let mut waiting: Vec<TcpStream> = (0..many).map(connect).collect();
    let mut turned_away = 0;
    wait_until("all beyond the bound are turned away", || {
        let before = waiting.len();
        waiting.retain_mut(|stream| look(stream) == Seen::Nothing);
        turned_away += before - waiting.len();
        waiting.len() < MAX_CLIENTS
    });
    // Those within it are served.
    let mut last = Client::over(waiting.swap_remove(0));
    last.socket().set_nonblocking(false).expect("it can block");
    assert_eq!(last.ask(&json!({"balance": {"account": "B"}}))["balance"], json!(100));
    if many == WANTED {
        assert!(turned_away >= WANTED - MAX_CLIENTS - ROOM_FOR_PEERS, "{turned_away}");
    }
    println!("{turned_away} of {many} connections were turned away");
    drop((waiting, last));
    hell.end("idle connections");
}

#[test]
fn lines_without_end() {
    let hell = Hell::begin();
    let chunk = vec![b'x'; 1 << 16];
    let mut streams: Vec<TcpStream> = (0..20).map(|_| hell.connect()).collect();
    // Until the server hangs up, having read more than it ever keeps.
    let mut sent = 0;
    while sent < 4 * MAX_CLIENT_LINE {
        streams.iter_mut().for_each(|stream| drop(stream.write_all(&chunk)));
        sent += chunk.len();
    }
    for stream in streams {
        let mut client = Client::over(stream);
        let reply = client.read().expect("a word");
        assert_eq!(reply["error"], json!("line_too_long"), "{reply}");
        assert_eq!(client.read(), None, "and the connection ends");
    }
    hell.end("lines without end");
}

#[test]
fn half_a_line_and_then_silence_or_a_byte_at_a_time() {
    let hell = Hell::begin();
    let halves: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = hell.connect();
            stream.write_all(b"{\"id\":1,\"transfer\":{\"to\":\"B\",\"amo").expect("sent");
            stream
        })
        .collect();
    let mut slow = Client::over(hell.connect());
    for byte in b"{\"id\":5,\"balance\":{\"account\":\"B\"}}\n" {
        slow.send(&[*byte]);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(slow.read().expect("an answer")["id"], json!(5));
    // What is cut off is no request, and nothing is done.
    for stream in halves {
        stream.shutdown(Shutdown::Write).expect("the end");
        let mut half = Client::over(stream);
        let reply = half.read().expect("a word");
        assert_eq!(reply["error"], json!("not_json"), "{reply}");
        assert_eq!(half.read(), None, "and the connection ends");
    }
    hell.end("half lines");
}

#[test]
fn who_never_reads() {
    let hell = Hell::begin();
    let asks = "{\"id\":1,\"status\":{}}\n".repeat(1_000);
    let mut deaf: Vec<TcpStream> = (0..20).map(|_| hell.connect()).collect();
    for stream in &mut deaf {
        stream.set_write_timeout(Some(Duration::from_millis(20))).expect("a time-out");
    }
    let until = Instant::now() + PATIENCE;
    while !deaf.is_empty() {
        assert!(Instant::now() < until, "{} that never read are still connected", deaf.len());
        deaf.retain_mut(|stream| match stream.write_all(asks.as_bytes()) {
            Ok(()) => true,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        });
    }
    hell.end("20 that never read");
}

/// Bug: 800 clients that never read could each have 90 MiB of pages in the server's memory, for ever if they
/// read a byte now and then. Cause: each was held back at a bound of its own, which counted outcomes alone.
/// Fix: a bound in bytes over all clients, at which the slowest of them are disconnected.
#[test]
fn all_who_do_not_read_together_take_no_more_than_is_allowed() {
    const MANY: u64 = 64;
    let mut hell = Hell::with_unread("60s");
    let opened = hell.bank.ask("A", &json!({"open": {"account": "A/long"}})).expect("an answer");
    assert_eq!(opened["outcome"], json!("accepted"));
    let fills = json!(["A", "A/long", 1]);
    let back = json!(["A/long", "A", 1]);
    let batch: Vec<Value> = (0..600).flat_map(|_| [fills.clone(), back.clone()]).collect();
    hell.bank.ask("A", &json!({"batch": {"items": batch}})).expect("an answer");
    let page = hell.bank.ask("A", &json!({"log": {}})).expect("an answer");
    assert_eq!(page["more"], json!(true), "a page is full");

    let asks = "{\"log\":{}}\n".repeat(256);
    let threads = status_of(&mut hell.bank, "Threads:");
    let deaf: Vec<TcpStream> = (0..MANY).map(|_| hell.connect()).collect();
    // Each has two; those of who asked before may end just now.
    let all = threads + 2 * MANY - 10;
    wait_until("all are connected", || status_of(&mut hell.bank, "Threads:") >= all);
    for mut stream in &deaf {
        stream.write_all(asks.as_bytes()).expect("sent");
    }
    let mut most = 0;
    let bank = &mut hell.bank;
    wait_until("the slowest are disconnected", || {
        most = most.max(memory(bank));
        assert!(most < hell.memory + MOST_UNREAD, "memory went from {} to {most}", hell.memory);
        status_of(bank, "Threads:") < threads + MANY
    });
    drop(deaf);
    println!("at most {} KiB", most >> 10);
    hell.end("64 that never read pages");
}

#[test]
fn a_hundred_thousand_requests_before_the_first_reply_is_read() {
    const MANY: usize = 100_000;
    let hell = Hell::begin();
    let stream = hell.connect();
    let mut writer = stream.try_clone().expect("the same connection");
    std::thread::scope(|threads| {
        let sender = threads.spawn(move || {
            for id in 0..MANY {
                writeln!(writer, "{{\"id\":{id},\"balance\":{{\"account\":\"B\"}}}}")
                    .expect("sent");
            }
        });
        // Longer than it takes to fill every buffer, shorter than the server is patient.
        std::thread::sleep(Duration::from_secs(1));
        let mut lines = BufReader::new(stream).lines();
        for id in 0..MANY {
            let line = lines.next().expect("a line").expect("a reply");
            assert!(line.starts_with(&format!("{{\"id\":{id},")), "{line}");
        }
        sender.join().expect("all is sent");
    });
    hell.end("100000 requests at once");
}

/// What is read from the store for a client that doesn't take it is bounded, too.
#[test]
fn pages_asked_for_faster_than_they_are_read() {
    const MANY: usize = 5_000;
    let hell = Hell::begin();
    let stream = hell.connect();
    let mut writer = stream.try_clone().expect("the same connection");
    let kinds = ["\"chain\":{}", "\"history\":{}", "\"accounts\":{}"];
    let mut declined = 0;
    std::thread::scope(|threads| {
        threads.spawn(move || {
            for id in 0..MANY {
                writeln!(writer, "{{\"id\":{id},{}}}", kinds[id % kinds.len()]).expect("sent");
            }
        });
        let mut lines = BufReader::new(stream).lines();
        let mut unanswered: BTreeSet<u64> = (0..MANY as u64).collect();
        while !unanswered.is_empty() {
            let line = lines.next().expect("a line").expect("a reply");
            let reply: Value = serde_json::from_str(&line).expect("JSON");
            assert!(unanswered.remove(&reply["id"].as_u64().expect("a number")), "{reply}");
            if reply["error"].is_string() {
                assert_eq!(reply["error"], json!("store"), "{reply}");
                declined += 1;
            }
        }
    });
    println!("{declined} of {MANY} pages were declined");
    hell.end("pages");
}
