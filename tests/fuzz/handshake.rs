//! Handshakes: what a stranger says, to a server and as one; and a conversation in which somebody on the way
//! changes, leaves out or adds bytes. Nobody may hear anything that the other end did not say.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use paxos_banking::bank::blockchain::block::BlockHash;
use paxos_banking::noise::{
    HandshakeError, Introduction, Preamble, SecretKey, Secured, Timed, answer, initiate,
    read_preamble,
};

use crate::target::{Heard, Target};

/// The lines that are said after the handshake, by who calls and by who answers.
const SAID: [&[u8]; 2] = [b"{\"transfer\":{\"to\":\"B\"}}\n", b"{\"outcome\":\"accepted\"}\n"];
/// How long an end waits if it waits in vain, since a length was changed.
const IN_VAIN: Duration = Duration::from_millis(20);
/// How long it may take where nothing is changed.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Handshakes;

impl Target for Handshakes {
    fn name(&self) -> &'static str {
        "handshake"
    }

    fn executions(&self) -> usize {
        1_000
    }

    /// A conversation without a change, with each of its bytes changed once, and with some cut; then what
    /// strangers say.
    fn samples(&self) -> Vec<Vec<u8>> {
        let lengths = converse(&[]).written.map(|bytes| bytes.len());
        let mut samples = vec![b"~\n".to_vec()];
        for (side, length) in ["c", "s"].into_iter().zip(lengths) {
            let changes = (0..length).map(|at| format!("~{side} x {at} {}\n", 1 << (at % 8)));
            let cuts = (0..length).step_by(7).map(|at| format!("~{side} d {at} 3\n"));
            let more = (0..length).step_by(7).map(|at| format!("~{side} i {at} 0\n"));
            samples.extend(changes.chain(cuts).chain(more).map(String::into_bytes));
        }
        let opening = preamble().to_string();
        let frame = |length: u16| [&length.to_be_bytes()[..], &vec![9; length.into()]].concat();
        let strangers = [
            opening.clone().into_bytes(),
            [opening.as_bytes(), &frame(32)].concat(),
            [opening.as_bytes(), &frame(32), &frame(64)].concat(),
            [opening.as_bytes(), &frame(1025)].concat(),
            b"NOISE {\"format\":4}\n".to_vec(),
            b"NOISE {\"format\":7,\"fr\":\"B\"}\n".to_vec(),
            b"{\"error\":\"unavailable\",\"message\":\"not \\u001b[2J now\"}\n".to_vec(),
            frame(96),
            [b'N'; 1100].to_vec(),
        ];
        samples.extend(strangers);
        samples
    }

    fn read(&self, input: &[u8], heard: &Heard) {
        match input.strip_prefix(b"~") {
            Some(_) => disturbed(&String::from_utf8_lossy(input), heard),
            None => stranger(input, heard),
        }
    }

    fn marks(&self) -> &'static [&'static str] {
        &[
            "a conversation",
            "a preamble",
            "does not begin with",
            "is of format",
            "can't be read",
            "has no end in its first",
            "is forged",
            "hung up",
            "took too long",
            "where a handshake should be",
            "was changed, repeated or left",
            "nobody has proved these words",
        ]
    }
}

fn preamble() -> Preamble {
    let id = |text: &str| Some(text.parse().expect("an id"));
    Preamble::new(id("B"), id("A"), Some(BlockHash::of("a bank")))
}

fn introduction() -> Introduction {
    Introduction { id: "A".parse().expect("an id"), bank: None, keyed: true }
}

fn key(of: usize) -> SecretKey {
    SecretKey::of([of as u8 + 1; 32]).expect("a key")
}

/// A change on the way.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// Who says what is changed: 0 calls, 1 answers.
    by: usize,
    /// The place of the byte, among all that this end says.
    at: usize,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Flip(u8),
    Drop(usize),
    Insert(u8),
}

/// Reads changes, such as `~c x 17 128`. What is none is left out.
fn changes(text: &str) -> Vec<Change> {
    let change = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [side, what, at, number] = words[..] else { return None };
        let number: usize = number.parse().ok()?;
        let by = ["~c", "~s"].iter().position(|name| *name == side)?;
        let what = match what {
            "x" => What::Flip(u8::try_from(number).ok().filter(|bits| *bits > 0)?),
            "d" => What::Drop(Some(number).filter(|count| *count > 0)?),
            "i" => What::Insert(u8::try_from(number).ok()?),
            _ => return None,
        };
        Some(Change { by, at: at.parse().ok()?, what })
    };
    text.lines().filter_map(change).collect()
}

/// One end of a connection on which somebody is on the way.
#[derive(Debug)]
struct Pipe {
    incoming: Receiver<Vec<u8>>,
    outgoing: Sender<Vec<u8>>,
    came: RefCell<VecDeque<u8>>,
    time: Cell<Option<Duration>>,
    /// All that was said here, before it was changed.
    written: RefCell<Vec<u8>>,
    changes: Vec<Change>,
    /// True once anything was changed.
    was_changed: Cell<bool>,
}

impl Pipe {
    /// Both ends of a connection: who calls, and who answers.
    fn pair(changes: &[Change]) -> [Pipe; 2] {
        let ((to_far, far), (to_near, near)) = (channel(), channel());
        let end = |by: usize, incoming, outgoing| Pipe {
            incoming,
            outgoing,
            came: RefCell::default(),
            time: Cell::new(None),
            written: RefCell::default(),
            changes: changes.iter().filter(|change| change.by == by).copied().collect(),
            was_changed: Cell::new(false),
        };
        [end(0, near, to_far), end(1, far, to_near)]
    }
}

impl Read for &Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut came = self.came.borrow_mut();
        while came.is_empty() {
            let time = self.time.get().unwrap_or(PATIENCE);
            match self.incoming.recv_timeout(time) {
                Ok(bytes) => came.extend(bytes),
                Err(RecvTimeoutError::Timeout) => return Err(ErrorKind::WouldBlock.into()),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
        came.read(buffer)
    }
}

impl Write for &Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.written.borrow_mut();
        let mut sent = Vec::new();
        let mut dropped = 0;
        for (at, byte) in (written.len()..).zip(bytes) {
            let mut byte = *byte;
            for change in self.changes.iter().filter(|change| change.at == at) {
                self.was_changed.set(true);
                match change.what {
                    What::Flip(bits) => byte ^= bits,
                    What::Drop(count) => dropped = count,
                    What::Insert(more) => sent.push(more),
                }
            }
            match dropped {
                0 => sent.push(byte),
                _ => dropped -= 1,
            }
        }
        written.extend_from_slice(bytes);
        // As over a network: whether it arrives, nobody knows.
        let _ = self.outgoing.send(sent);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Timed for &Pipe {
    fn read_time(&self) -> io::Result<Option<Duration>> {
        Ok(self.time.get())
    }

    fn set_read_time(&self, time: Option<Duration>) -> io::Result<()> {
        self.time.set(time);
        Ok(())
    }
}

/// What became of a conversation: what each end heard or why it heard nothing, and what it said.
struct Course {
    heard: [Result<Vec<u8>, String>; 2],
    written: [Vec<u8>; 2],
    was_changed: [bool; 2],
}

/// Shakes hands, says a line, and hears one: who answers hears first.
fn speak(pipe: &Pipe, side: usize, until: Instant) -> Result<Vec<u8>, String> {
    let words = |error: HandshakeError| error.to_string();
    let secured = match side {
        0 => {
            let judge = |_, _: &Introduction| Ok(());
            initiate(pipe, until, &key(0), &preamble(), judge).map_err(words)?.0
        }
        _ => {
            let caller = read_preamble(pipe, until).map_err(words)?;
            answer(caller, &key(1), &introduction()).map_err(words)?
        }
    };
    assert_eq!(secured.key, key(1 - side).fingerprint(), "another key was proved");
    let Secured { mut sealer, mut opener, .. } = secured;
    let mut sealed = Vec::new();
    sealer.seal(SAID[side], &mut sealed);
    let mut heard = vec![0; SAID[1 - side].len()];
    let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    opener.get_ref().set_read_time(Some(left)).expect("a time");
    let mut way_out = *opener.get_ref();
    // Who calls speaks first.
    if side == 0 {
        way_out.write_all(&sealed).expect("a pipe takes all");
    }
    opener.read_exact(&mut heard).map_err(|error| error.to_string())?;
    if side == 1 {
        way_out.write_all(&sealed).expect("a pipe takes all");
    }
    Ok(heard)
}

fn converse(changes: &[Change]) -> Course {
    let time = if changes.is_empty() { PATIENCE } else { IN_VAIN };
    let until = Instant::now() + time;
    let [near, far] = Pipe::pair(changes);
    let answering = thread::spawn(move || {
        let heard = speak(&far, 1, until);
        (heard, far.written.take(), far.was_changed.get())
    });
    let heard = speak(&near, 0, until);
    let (written, was_changed) = (near.written.take(), near.was_changed.get());
    drop(near);
    let (theirs, their_written, they_changed) = match answering.join() {
        Ok(course) => course,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    Course {
        heard: [heard, theirs],
        written: [written, their_written],
        was_changed: [was_changed, they_changed],
    }
}

/// Holds a conversation that somebody disturbs.
fn disturbed(text: &str, heard: &Heard) {
    let changes = changes(text);
    let Course { heard: both, was_changed, .. } = converse(&changes);
    for (side, what) in both.iter().enumerate() {
        match what {
            Ok(line) => {
                assert_eq!(line, SAID[1 - side], "nobody said so");
                let passed = was_changed[1 - side] && is_one_flip(&changes);
                assert!(!passed, "a changed byte was not noticed");
            }
            Err(words) => heard.refused(words),
        }
    }
    if both.iter().all(Result::is_ok) {
        heard.accepted("a conversation");
    } else {
        assert!(!changes.is_empty(), "nothing was changed: {both:?}");
    }
}

/// True if one byte was changed, and no other change can have undone it.
fn is_one_flip(changes: &[Change]) -> bool {
    matches!(changes, [Change { what: What::Flip(_), .. }])
}

/// Hears a stranger, as a server and as a client.
fn stranger(input: &[u8], heard: &Heard) {
    let until = || Instant::now() + IN_VAIN;
    let [near, far] = Pipe::pair(&[]);
    (&near).write_all(input).expect("a pipe takes all");
    match read_preamble(&far, until()) {
        Ok(caller) => {
            heard.accepted("a preamble");
            drop(near);
            let error = answer(caller, &key(1), &introduction()).expect_err("nobody is there");
            heard.refused(&error.to_string());
        }
        Err(error) => heard.refused(&error.to_string()),
    }
    let [near, far] = Pipe::pair(&[]);
    (&far).write_all(input).expect("a pipe takes all");
    drop(far);
    let judge = |_, _: &Introduction| panic!("a stranger proved a key");
    let error = initiate(&near, until(), &key(0), &preamble(), judge).expect_err("nobody");
    let words = error.to_string();
    assert!(words.chars().all(|character| !character.is_control()), "{words:?}");
    heard.refused(&words);
}
