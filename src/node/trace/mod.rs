//! Notes down what happens at a server, a line each, for [`crate::trace`] to draw.
//!
//! Notes go to a file, with `--trace`, and to whoever looks on: a client that asks for the [`onlooker`]'s stream. While
//! there is neither, each call looks at a flag and returns. Otherwise a thread that sends or takes in a message writes
//! a line to memory, and the event loop writes the lines to the file before replies leave and at the end of each turn.

use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::bank::effects::{Batch, Event, Write};
use crate::bank::ids::{LifeId, ServerId};
use crate::bank::paxos::message::Message;
use crate::bank::request::{ErrorCode, Reply};
use crate::trace::record::{Brief, Loss, Place, Queue, What};
use crate::wire::Tag;

mod link;
mod notes;
mod onlooker;
mod quota;
mod reel;
mod words;

pub(crate) use link::LinkTrace;
use notes::Notes;
pub use notes::check_trace;
pub(crate) use onlooker::Onlooker;
use onlooker::{MAX_ONLOOKERS, Seat};
use quota::{Quota, Sort};
use reel::Reel;
use words::{answer_in_short, asked_for};

/// A server's notes.
#[derive(Clone, Debug)]
pub(crate) struct Trace(Arc<Tracer>);

#[derive(Debug)]
struct Tracer {
    server: ServerId,
    /// True if notes are wanted.
    is_on: AtomicBool,
    /// True if all notes are wanted, however many.
    is_whole: AtomicBool,
    /// How many those who look on are told.
    quota: Quota,
    notes: Mutex<(Notes, usize)>,
}

/// How many messages went over a connection, by [`Queue`]. They are counted whether notes are wanted or not: both ends
/// have to give a message the same number, whenever somebody begins to look on.
#[derive(Debug, Default)]
pub(crate) struct Counts {
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

impl Trace {
    /// Opens a server's trace; with a file it goes on where an earlier life's ended. A file that can't be written
    /// gets a warning, and the server runs without.
    pub(crate) fn open(server: &ServerId, path: Option<&Path>) -> Trace {
        let notes = Notes::of(path);
        let is_on = AtomicBool::new(notes.is_wanted());
        let is_whole = AtomicBool::new(notes.wants_all());
        let (server, quota, notes) = (server.clone(), Quota::new(), Mutex::new((notes, 0)));
        Trace(Arc::new(Tracer { server, is_on, is_whole, quota, notes }))
    }

    /// The notes, and how many look on.
    fn notes(&self) -> MutexGuard<'_, (Notes, usize)> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::Relaxed)
    }

    /// True if a note of this sort would be taken now.
    fn wants(&self, sort: Sort) -> bool {
        let Tracer { is_whole, quota, .. } = &*self.0;
        self.is_on() && (is_whole.load(Ordering::Relaxed) || quota.has_room(sort, Instant::now()))
    }

    fn note(&self, sort: Sort, what: impl FnOnce() -> What) {
        if !self.is_on() {
            return;
        }
        let Tracer { server, is_on, is_whole, quota, .. } = &*self.0;
        let is_shown = quota.take(sort, Instant::now());
        let was_whole = is_whole.load(Ordering::Relaxed);
        if !is_shown && !was_whole {
            return;
        }
        let what = what();
        let notes = &mut self.notes().0;
        notes.put(server, what, is_shown.then(|| quota.passed_over()));
        if was_whole && !notes.wants_all() {
            // The file has failed.
            is_whole.store(false, Ordering::Relaxed);
            is_on.store(notes.is_wanted(), Ordering::Relaxed);
        }
    }

    /// Notes that a life begins.
    pub(crate) fn begin(&self, life: LifeId) {
        self.notes().0.begin(&self.0.server, What::Start { life });
    }

    /// Writes the notes so far to the file, for readers.
    pub(crate) fn flush(&self) {
        if self.0.is_whole.load(Ordering::Relaxed) {
            self.notes().0.flush();
        }
    }

    /// Lets somebody look on from now on, who calls the request so.
    ///
    /// # Errors
    /// The answer if too many do already.
    pub(crate) fn admit(&self, id: Option<&Tag>) -> Result<Onlooker, Reply> {
        let mut guard = self.notes();
        let (notes, onlookers) = &mut *guard;
        if *onlookers >= MAX_ONLOOKERS {
            let message = format!(
                "{MAX_ONLOOKERS} clients are told this server's trace already, and no more may; try again later"
            );
            return Err(Reply::Error { error: ErrorCode::Unavailable, message });
        }
        *onlookers += 1;
        if notes.reel.is_none() {
            // What nobody looked for is not missed.
            self.0.quota.passed_over();
        }
        let next = notes.reel.get_or_insert_with(Reel::default).next();
        let start = notes.start();
        self.0.is_on.store(true, Ordering::Relaxed);
        drop(guard);
        Ok(Onlooker::new(Seat(self.clone()), start, next, id))
    }

    /// Notes that somebody looks on no more.
    fn leave(&self) {
        let mut guard = self.notes();
        let (notes, onlookers) = &mut *guard;
        *onlookers -= 1;
        if *onlookers == 0 {
            notes.reel = None;
        }
        self.0.is_on.store(notes.is_wanted(), Ordering::Relaxed);
    }

    /// Tells notes from the one of a number on, as [`Reel::tell`] does.
    fn tell(&self, text: &mut Vec<u8>, begin: &str, from: u64, most: usize) -> u64 {
        self.notes().0.reel.as_ref().map_or(from, |reel| reel.tell(text, begin, from, most))
    }

    /// Notes an event from a connection, which is a peer's if `peer` is known, and counts the peer's messages.
    pub(crate) fn came(
        &self,
        peer: Option<&ServerId>,
        socket: &TcpStream,
        event: &Event,
        arrived: &mut Counts,
    ) {
        let is_on = self.is_on();
        let (queue, brief) = match event {
            Event::Greeted(_, hello) => {
                (Queue::Small, is_on.then(|| Brief::of(&Message::Hello(hello.clone()))))
            }
            Event::Received(_, message) => (Queue::of(message), is_on.then(|| Brief::of(message))),
            _ => return,
        };
        let number = arrived.next(queue);
        let Some(message) = brief else { return };
        let (Some(from), Some(connection)) = (peer.cloned(), dialled_by_them(socket)) else {
            return;
        };
        let place = Place { connection, queue, number };
        self.note(Sort::Protocol, || What::Received { from, place, message });
    }

    /// Notes what a client asks for.
    pub(crate) fn asked(&self, event: &Event) {
        match event {
            Event::Request(_, _, request) if self.wants(Sort::Clients) => {
                if let Some(what) = asked_for(request, &self.0.server) {
                    self.note(Sort::Clients, || What::Asked { what });
                }
            }
            Event::Part(_, _, part) if part.before == 0 => {
                self.note(Sort::Clients, || What::Asked { what: "batch".into() });
            }
            _ => {}
        }
    }

    /// Notes the answer to a peer's hello, over the connection on which it came.
    pub(crate) fn answered(&self, peer: Option<&ServerId>, socket: &TcpStream, answer: &Message) {
        if !self.is_on() {
            return;
        }
        let (Some(to), Some(connection)) = (peer.cloned(), dialled_by_them(socket)) else { return };
        let place = Place { connection, queue: Queue::Answer, number: 1 };
        self.note(Sort::Protocol, || What::Sent { to, place, message: Brief::of(answer) });
    }

    /// Notes that there was no link for a message.
    pub(crate) fn lost(&self, to: &ServerId, message: &Message) {
        let lost = |message| What::Lost { to: to.clone(), why: Loss::NoLink, message };
        self.note(Sort::Protocol, || lost(Brief::of(message)));
    }

    /// Notes that a client is answered.
    pub(crate) fn replied(&self, reply: &Reply) {
        if self.wants(Sort::Clients)
            && let Some(what) = answer_in_short(reply)
        {
            self.note(Sort::Clients, || What::Answered { what });
        }
    }

    /// Notes that a turn's writes are durable.
    pub(crate) fn durable(&self, batch: &Batch) {
        if batch.writes.is_empty() || !self.is_on() {
            return;
        }
        let note = |what| self.note(Sort::Protocol, || what);
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
        let connection = dialled_by_us(socket)?;
        Some(Arc::new(LinkTrace::new(self.clone(), to.clone(), connection)))
    }
}

fn dialled_by_us(socket: &TcpStream) -> Option<String> {
    let (local, remote) = (socket.local_addr().ok()?, socket.peer_addr().ok()?);
    Some(format!("{}-{}", local.port(), remote.port()))
}

fn dialled_by_them(socket: &TcpStream) -> Option<String> {
    let (local, remote) = (socket.local_addr().ok()?, socket.peer_addr().ok()?);
    Some(format!("{}-{}", remote.port(), local.port()))
}
