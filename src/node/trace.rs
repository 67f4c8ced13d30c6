//! Notes down what happens at a server, a line each, for [`crate::trace`] to draw.
//!
//! Without `--trace` each call looks at a `None` and returns. With it, a thread that sends or takes in a
//! message writes a line to memory, and the event loop writes the lines to the file before replies leave and
//! at the end of each turn.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bank::effects::{Batch, Event, Write};
use crate::bank::ids::{AccountId, ConnectionId, LifeId, ServerId};
use crate::bank::ledger::entry::{Action, Via};
use crate::bank::paxos::message::Message;
use crate::bank::request::{Instruction, Outcome, Reply, Request};
use crate::clock;
use crate::trace::record::{Brief, Loss, Place, Queue, Record, What};

/// The length of text, in bytes, that is written before the turn ends.
const BUFFER: usize = 256 << 10;

/// A server's notes; without `--trace` none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Option<Arc<Tracer>>);

#[derive(Debug)]
struct Tracer {
    server: ServerId,
    notes: Mutex<Notes>,
}

#[derive(Debug)]
struct Notes {
    name: String,
    /// The file; none once it has failed.
    file: Option<BufWriter<File>>,
    clock: u64,
    /// The messages that came over each connection.
    arrived: BTreeMap<ConnectionId, Counts>,
}

/// How many messages went over a connection, by [`Queue`].
#[derive(Debug, Default)]
struct Counts {
    small: u64,
    bulky: u64,
}

impl Counts {
    fn next(&mut self, queue: Queue) -> u64 {
        let count = match queue {
            Queue::Small => &mut self.small,
            Queue::Bulky => &mut self.bulky,
            // A connection has only one answer.
            Queue::Answer => return 1,
        };
        *count += 1;
        *count
    }
}

impl Notes {
    fn write(&mut self, server: &ServerId, what: What) {
        let Some(file) = &mut self.file else { return };
        self.clock += 1;
        let record =
            Record { server: server.clone(), clock: self.clock, us: clock::micros(), what };
        let written = serde_json::to_writer(&mut *file, &record).map_err(io::Error::from);
        let written = written.and_then(|()| file.write_all(b"\n"));
        self.heed(written);
    }

    fn flush(&mut self) {
        if let Some(file) = &mut self.file {
            let flushed = file.flush();
            self.heed(flushed);
        }
    }

    /// Gives up the trace on an error: a bank must not stop for want of a picture.
    fn heed(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            log::warn!("no more is traced: {} can't be written: {error}", self.name);
            // The parts are taken, so dropping the writer doesn't try to write the rest.
            self.file.take().map(BufWriter::into_parts);
        }
    }
}

impl Tracer {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, what: What) {
        self.notes().write(&self.server, what);
    }
}

impl Trace {
    /// Opens a server's trace, if it is to have one; it goes on where an earlier life's ended. A file that
    /// can't be written gets a warning, and the server runs without.
    pub(crate) fn open(server: &ServerId, path: Option<&Path>) -> Trace {
        let Some(path) = path else { return Trace(None) };
        let name = path.display().to_string();
        match open_for_more(path) {
            Ok(file) => {
                let file = Some(BufWriter::with_capacity(BUFFER, file));
                let notes = Notes { name, file, clock: 0, arrived: BTreeMap::new() };
                Trace(Some(Arc::new(Tracer { server: server.clone(), notes: Mutex::new(notes) })))
            }
            Err(error) => {
                log::warn!("nothing is traced: {name} can't be written: {error}");
                Trace(None)
            }
        }
    }

    /// Notes that a life begins.
    pub(crate) fn begin(&self, life: LifeId) {
        if let Some(tracer) = &self.0 {
            let mut notes = tracer.notes();
            notes.clock = 0;
            notes.write(&tracer.server, What::Start { life });
        }
    }

    /// Writes the notes so far to the file, for readers.
    pub(crate) fn flush(&self) {
        if let Some(tracer) = &self.0 {
            tracer.notes().flush();
        }
    }

    /// Notes an event from a connection, which is a peer's if `peer` is known.
    pub(crate) fn came(&self, peer: Option<&ServerId>, socket: &TcpStream, event: &Event) {
        let Some(tracer) = &self.0 else { return };
        let (id, message) = match event {
            Event::Greeted(id, hello) => (id, Message::Hello(hello.clone())),
            Event::Received(id, message) => (id, message.clone()),
            Event::Request(_, _, request) => {
                return asked_for(request, &tracer.server).into_iter().for_each(|what| {
                    tracer.note(What::Asked { what });
                });
            }
            Event::Part(_, _, part) if part.before == 0 => {
                return tracer.note(What::Asked { what: "batch".into() });
            }
            Event::Closed(id) => {
                tracer.notes().arrived.remove(id);
                return;
            }
            _ => return,
        };
        let (Some(from), Some(connection)) = (peer.cloned(), dialled_by_them(socket)) else {
            return;
        };
        let (queue, brief) = (Queue::of(&message), Brief::of(&message));
        let mut notes = tracer.notes();
        let number = notes.arrived.entry(*id).or_default().next(queue);
        let place = Place { connection, queue, number };
        notes.write(&tracer.server, What::Received { from, place, message: brief });
    }

    /// Notes the answer to a peer's hello, over the connection on which it came.
    pub(crate) fn answered(&self, peer: Option<&ServerId>, socket: &TcpStream, answer: &Message) {
        let Some(tracer) = &self.0 else { return };
        let (Some(to), Some(connection)) = (peer.cloned(), dialled_by_them(socket)) else { return };
        let place = Place { connection, queue: Queue::Answer, number: 1 };
        tracer.note(What::Sent { to, place, message: Brief::of(answer) });
    }

    /// Notes that there was no link for a message.
    pub(crate) fn lost(&self, to: &ServerId, message: &Message) {
        if let Some(tracer) = &self.0 {
            let message = Brief::of(message);
            tracer.note(What::Lost { to: to.clone(), why: Loss::NoLink, message });
        }
    }

    /// Notes that a client is answered.
    pub(crate) fn replied(&self, reply: &Reply) {
        if let Some(tracer) = &self.0
            && let Some(what) = answer_in_short(reply)
        {
            tracer.note(What::Answered { what });
        }
    }

    /// Notes that a turn's writes are durable.
    pub(crate) fn durable(&self, batch: &Batch) {
        let Some(tracer) = self.0.as_ref().filter(|_| !batch.writes.is_empty()) else { return };
        let mut notes = tracer.notes();
        let mut note = |what| notes.write(&tracer.server, what);
        note(What::Durable { turn: batch.number.0, writes: batch.writes.len() });
        for write in &batch.writes {
            match write {
                Write::Promise(ballot) => note(What::Promised { ballot: ballot.to_string() }),
                Write::Accept { ballot, block } => note(What::Accepted {
                    height: block.height(),
                    ballot: ballot.to_string(),
                    hash: block.hash().short(),
                }),
                Write::Append { block, .. } => note(What::Appended {
                    height: block.height(),
                    hash: block.hash().short(),
                    proposer: block.block().proposer.clone(),
                    entries: block.block().len(),
                }),
                Write::Log(_) | Write::Activate => {}
            }
        }
    }

    /// Returns the trace of a connection that was dialled to a peer.
    pub(crate) fn of_link(&self, to: &ServerId, socket: &TcpStream) -> Option<Arc<LinkTrace>> {
        let (tracer, connection) = (Arc::clone(self.0.as_ref()?), dialled_by_us(socket)?);
        Some(Arc::new(LinkTrace { tracer, to: to.clone(), connection, sent: Mutex::default() }))
    }
}

/// The trace of one dialled connection.
#[derive(Debug)]
pub(crate) struct LinkTrace {
    tracer: Arc<Tracer>,
    to: ServerId,
    connection: String,
    sent: Mutex<Counts>,
}

impl LinkTrace {
    /// Notes what becomes of a message. Other senders wait meanwhile, so that messages are noted in the
    /// order in which they are queued.
    pub(crate) fn send(&self, message: Message, queue: impl FnOnce(Message) -> Option<Loss>) {
        let (brief, kind) = (Brief::of(&message), Queue::of(&message));
        let mut notes = self.tracer.notes();
        let to = self.to.clone();
        let what = match queue(message) {
            Some(why) => What::Lost { to, why, message: brief },
            None => {
                let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
                let (connection, number) = (self.connection.clone(), sent.next(kind));
                let place = Place { connection, queue: kind, number };
                What::Sent { to, place, message: brief }
            }
        };
        notes.write(&self.tracer.server, what);
    }

    /// Notes that the peer answered the hello.
    pub(crate) fn was_answered(&self, event: &Event) {
        if let Event::LinkAnswered(from, answer) = event {
            let connection = self.connection.clone();
            let place = Place { connection, queue: Queue::Answer, number: 1 };
            let (from, message) = (from.clone(), Brief::of(answer));
            self.tracer.note(What::Received { from, place, message });
        }
    }
}

/// Checks that a trace can be written to this file, which is there afterwards.
///
/// # Errors
/// Says why not.
pub fn check_trace(path: &Path) -> Result<(), String> {
    match open_for_more(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("--trace {}: it can't be written: {error}", path.display())),
    }
}

/// Opens a file to write after its content, beginning with a new line.
fn open_for_more(path: &Path) -> io::Result<File> {
    let mut file = File::options().read(true).append(true).create(true).open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

fn dialled_by_us(socket: &TcpStream) -> Option<String> {
    let (local, remote) = (socket.local_addr().ok()?, socket.peer_addr().ok()?);
    Some(format!("{}-{}", local.port(), remote.port()))
}

fn dialled_by_them(socket: &TcpStream) -> Option<String> {
    let (local, remote) = (socket.local_addr().ok()?, socket.peer_addr().ok()?);
    Some(format!("{}-{}", remote.port(), local.port()))
}

/// Says in short what a client asks for, if it changes accounts: `transfer B 90`.
fn asked_for(request: &Request, server: &ServerId) -> Option<String> {
    Some(match request {
        Request::One(Instruction { action, .. }) => match action {
            Action::Transfer { from, to, amount } if *from == AccountId::of(server) => {
                format!("transfer {to} {amount}")
            }
            Action::Transfer { from, to, amount } => format!("transfer {from} {to} {amount}"),
            Action::Mint { account, amount } => format!("mint {account} {amount}"),
            Action::Burn { account, amount } => format!("burn {account} {amount}"),
            Action::Open { account, .. } => format!("open {account}"),
            Action::Rekey { account, .. } => format!("rekey {account}"),
            // Servers alone do these.
            Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => return None,
        },
        Request::Batch(all) => format!("batch of {}", all.len()),
        Request::Settle => "settle".into(),
        _ => return None,
    })
}

/// Says in short what a client is answered, and why.
fn answer_in_short(reply: &Reply) -> Option<String> {
    let why = |word: &str, reason: &str| {
        // The word says it.
        let reason = reason.strip_prefix("insufficient funds: ").unwrap_or(reason);
        format!("{word}: {reason}")
    };
    Some(match reply {
        Reply::One(outcome) => match outcome {
            Outcome::Accepted { balance, via: Via::Local, .. } => {
                format!("accepted: balance {balance}")
            }
            Outcome::Accepted { balance, via: Via::Paxos, .. } => {
                format!("accepted after a run: balance {balance}")
            }
            Outcome::Refused { reason, .. } => why("refused", reason),
            Outcome::Unavailable { reason, .. } => why("unavailable", reason),
            Outcome::Invalid { reason, .. } => why("invalid", reason),
            Outcome::LinkedFailed { .. } => "linked failed".into(),
            Outcome::WrongServer { .. } => "wrong server".into(),
            Outcome::Expired { .. } => "expired".into(),
        },
        Reply::Batch { .. } => "batch".into(),
        Reply::Settled { .. } => "settled".into(),
        _ => return None,
    })
}
