//! One accepted connection: its reader, and the decision whether a peer or a client is speaking.
//!
//! All parsing and hashing is done here, in as many threads as there are connections; the event loop gets
//! only well-formed events. A reader that can't hand over what it has read stops reading, which holds back
//! this connection and no other.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::bank::effects::Event;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, ConnectionId, ServerId};
use crate::bank::paxos::message::Message;
use crate::bank::request::{ErrorCode, Reply};
use crate::keepalive::keep_alive;
use crate::node::backlog::Untaken;
use crate::node::config::Timings;
use crate::node::doors::Doors;
use crate::node::faults::Faults;
use crate::node::guests::{Guests, Seat};
use crate::node::incoming::{Ask, Incoming};
use crate::node::inlet::{Inlet, first_byte};
use crate::node::life::Life;
use crate::node::loading::Loading;
use crate::node::queues::weight;
use crate::node::reply_sender::{Outgoing, ReplySender};
use crate::node::room::{Room, Taken};
use crate::node::socket::{is_time_out, refuse};
use crate::node::trace::Trace;
use crate::node::unread::Unread;
use crate::node::writer::write_out;
use crate::noise::BEGINS_PREAMBLE;
use crate::wire::asked::Asked;
use crate::wire::{
    LineRead, LineReader, MAX_CLIENT_LINE, NOTHING_DONE, Step, is_peer_line, parse_asked,
    parse_message,
};

mod handshake;
mod orders;
mod peer;

/// How many bytes are read and thrown away after a line that was too long. Were the connection closed with
/// bytes unread, the system would destroy the reply on its way.
const MAX_DISCARDED: usize = 64 << 20;

/// What all accepted connections share.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    pub(crate) id: ServerId,
    /// The server's own account, which pays where no other is named.
    pub(crate) home: AccountId,
    pub(crate) life: Arc<Life>,
    pub(crate) timings: Timings,
    pub(crate) peers: Sender<Incoming>,
    pub(crate) clients: Sender<Incoming>,
    /// The state of loading: while the store is being loaded again, there is no state machine to ask.
    pub(crate) loading: Arc<Loading>,
    /// The clients' places.
    pub(crate) guests: Arc<Guests>,
    /// How many connections beyond those places are opened, to see who speaks.
    pub(crate) to_look_at: usize,
    /// Room for long lines, in bytes, while they are read and handed in.
    pub(crate) long_lines: Arc<Room>,
    /// Room for items of heavy requests that wait for their turn.
    pub(crate) untaken: Arc<Room>,
    /// The count of the replies that all clients leave unread.
    pub(crate) unread: Arc<Unread>,
    /// The links' faults, if clients may order any.
    pub(crate) faults: Option<Arc<Faults>>,
    /// The handshakes, and what keys may do.
    pub(crate) doors: Arc<Doors>,
    /// The server's notes, for who looks on.
    pub(crate) trace: Trace,
}

/// The length in bytes up to which a line needs no part of the room for long lines.
const FREE_LINE: usize = 16 << 10;
/// The room for long lines of all connections, in bytes. Each takes as much as a line may have.
pub(crate) const LONG_LINES: usize = 64 << 20;
/// The room, in items, for heavy requests of all connections that wait for their turn.
pub(crate) const UNTAKEN: usize = 200_000;

/// The stack of a reader's thread, enough for values nested as deep as the parser goes, in bytes.
pub(crate) const READER_STACK: usize = 512 << 10;
/// The stack of a writer's thread, in bytes.
const WRITER_STACK: usize = 256 << 10;
/// The stacks that a connection's threads reserve, in bytes.
pub(crate) const STACKS: usize = READER_STACK + WRITER_STACK;

/// The connection is to end, and nothing is left to say about it.
struct Ended;

/// Serves a connection to its end. If all clients' places are taken, it lets in a peer, or a client that
/// asks at once while another client is idle.
pub(crate) fn serve(
    admission: &Admission,
    id: ConnectionId,
    socket: Arc<TcpStream>,
    from: SocketAddr,
) {
    let Some(_adopted) = admission.life.adopt(&socket) else { return };
    let (reply_sender, outgoing) = ReplySender::among(&admission.unread, Arc::clone(&socket));
    let seat = admission.guests.seat(id, &reply_sender);
    let patience = seat.is_none().then_some(admission.timings.handshake);
    let prepared = socket
        .set_nodelay(true)
        .and_then(|()| keep_alive(&socket))
        .and_then(|()| socket.set_write_timeout(Some(admission.timings.unread)))
        .and_then(|()| socket.set_read_timeout(patience));
    if let Err(error) = prepared {
        return log::debug!("connection {}: {error}", id.0);
    }
    let (for_writer, owed) = reply_sender.for_writer();
    admission.life.scope(|scope| {
        let name = format!("{}:{}-out", admission.id, id.0);
        let writer = move || write_out(&outgoing, &for_writer, &owed, admission.life.over());
        if let Err(error) = admission.life.spawn_small(scope, (name, WRITER_STACK), writer) {
            log::warn!("no thread for connection {}: {error}", id.0);
            return refuse(&socket, "this server can't start another thread; try again later");
        }
        // The reader takes the reply sender and the seat with it, so the writer ends once the event loop has
        // dropped its own sender.
        Reader { admission, id, from, reply_sender, patience, seat, proved: None, long: None }
            .run(&socket);
    });
}

struct Reader<'a> {
    admission: &'a Admission,
    id: ConnectionId,
    /// Who dialled.
    from: SocketAddr,
    reply_sender: ReplySender,
    /// How long to wait for the first line, if all places are taken.
    patience: Option<Duration>,
    /// The connection's place among the clients.
    seat: Option<Seat>,
    /// The key that the other end has proved.
    proved: Option<Fingerprint>,
    /// The connection's part of the room for long lines, while it reads or hands in a long line.
    long: Option<Taken>,
}

impl Reader<'_> {
    fn run(mut self, socket: &Arc<TcpStream>) {
        let ended = match first_byte(socket) {
            Ok(Some(BEGINS_PREAMBLE)) => self.shake_hands(socket),
            Err(error) if is_time_out(&error) => self.turn_away(socket).and(Err(Ended)),
            _ => Ok(Inlet::Plain(socket)),
        }
        .and_then(|inlet| self.converse(socket, &mut LineReader::new(inlet)));
        // The end of the connection is news to the event loop alone.
        if ended.is_err() {
            self.reply_sender.disconnect();
        }
    }

    /// Sees by the first line who speaks, and serves them.
    fn converse(
        &mut self,
        socket: &TcpStream,
        lines: &mut LineReader<Inlet<'_>>,
    ) -> Result<(), Ended> {
        match self.next_line(lines) {
            Ok(Step::Whole) if is_peer_line(whole(lines)) => match parse_message(whole(lines)) {
                Ok(Message::Hello(hello)) => {
                    self.seat = None;
                    self.serve_peer(hello, lines)
                }
                Ok(other) => self.refuse(&format!("it opens with a {}", other.name())),
                Err(reason) => self.refuse(&reason),
            },
            Ok(Step::Whole | Step::Cut) if !self.has_place(socket) => self.turn_away(socket),
            // An idle client on a crowded server gets the same answer.
            Ok(_) if self.patience.is_some() => self.turn_away(socket),
            Err(error) if self.patience.is_some() && is_time_out(&error) => self.turn_away(socket),
            Err(error) if is_time_out(&error) => self.is_late(socket).map(drop),
            Ok(first) => match self.tell_opened(&self.admission.clients) {
                Ok(()) => self.serve_client(first, socket, lines),
                Err(ended) => Err(ended),
            },
            Err(error) => self.give_up(&error.to_string()),
        }
    }

    /// True if the client has a place. If need be, takes the place of a client that has been idle for long.
    fn has_place(&mut self, socket: &TcpStream) -> bool {
        if self.seat.is_none() {
            let (guests, least) = (&self.admission.guests, self.admission.timings.handshake);
            self.seat = guests.seat_or_replace(self.id, &self.reply_sender, least);
            if self.seat.is_some() && socket.set_read_timeout(None).is_ok() {
                self.patience = None;
            }
        }
        self.patience.is_none()
    }

    /// Reads the next line. It may come at any time, but has to end in time once it has begun.
    fn next_line(&mut self, lines: &mut LineReader<Inlet<'_>>) -> io::Result<Step> {
        self.long = None;
        let mut until = None;
        let step = loop {
            match lines.step(MAX_CLIENT_LINE)? {
                Step::Part => {}
                step => break step,
            }
            let time = self.patience.unwrap_or(self.admission.timings.line);
            let end = *until.get_or_insert_with(|| Instant::now() + time);
            if lines.held() > FREE_LINE && self.long.is_none() {
                let is_pointless = || Instant::now() >= end || self.admission.life.is_over();
                self.long = self.admission.long_lines.take(MAX_CLIENT_LINE, is_pointless);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            lines.get_ref().socket().set_read_timeout(Some(left))?;
        };
        if until.is_some() {
            lines.get_ref().socket().set_read_timeout(self.patience)?;
        }
        Ok(step)
    }

    fn give_up(&self, reason: &str) -> Result<(), Ended> {
        log::debug!("connection {}: {reason}", self.id.0);
        Err(Ended)
    }

    /// Hangs up with a warning: it may be a peer of another version, which needs a person's care.
    fn refuse(&self, reason: &str) -> Result<(), Ended> {
        log::warn!("closing connection {}, whose hello can't be read: {reason}", self.id.0);
        Err(Ended)
    }

    fn turn_away(&self, socket: &TcpStream) -> Result<(), Ended> {
        let message = "too many clients are connected here; try again later".to_owned();
        self.say_last(ErrorCode::Unavailable, message, socket)
    }

    /// Tells a client why its connection ends, and ends it.
    fn say_last(&self, error: ErrorCode, message: String, socket: &TcpStream) -> Result<(), Ended> {
        self.reply_sender.send(Outgoing::Reply(None, Reply::Error { error, message }));
        self.reply_sender.send(Outgoing::End);
        self.discard(socket);
        Err(Ended)
    }

    /// Tells a client that its line has not ended in time.
    fn is_late(&self, socket: &TcpStream) -> Result<bool, Ended> {
        let time = self.admission.timings.line;
        let message = format!("a line has to end within {time:?} of its first byte");
        self.say_last(ErrorCode::LineTooLong, message, socket).map(|()| false)
    }

    fn discard(&self, mut socket: &TcpStream) {
        // A place that is reserved for peers must not be occupied for long.
        let patience = self.patience.unwrap_or(self.admission.timings.unread);
        let until = Instant::now() + patience;
        let (mut buffer, mut discarded) = ([0; 16 << 10], 0);
        if socket.set_read_timeout(Some(patience)).is_err() {
            return;
        }
        while discarded < MAX_DISCARDED && Instant::now() < until {
            match socket.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => discarded += count,
            }
        }
    }

    /// Tells the event loop, over the clients' or the peers' channel.
    fn tell(&self, channel: &Sender<Incoming>, event: Event) -> Result<(), Ended> {
        channel.send(Incoming::Connection(self.id, event)).map_err(|_| Ended)
    }

    fn tell_opened(&self, channel: &Sender<Incoming>) -> Result<(), Ended> {
        channel.send(Incoming::Opened(self.id, self.reply_sender.clone())).map_err(|_| Ended)?;
        match self.proved {
            Some(key) => channel.send(Incoming::Proved(self.id, key)).map_err(|_| Ended),
            None => Ok(()),
        }
    }

    /// Serves a client whose first line has come.
    fn serve_client(
        &mut self,
        first: Step,
        socket: &TcpStream,
        lines: &mut LineReader<Inlet<'_>>,
    ) -> Result<(), Ended> {
        let mut step = self.client_step(lines.after(first), socket);
        while let Ok(true) = step {
            step = match self.next_line(lines) {
                Ok(read) => self.client_step(lines.after(read), socket),
                Err(error) if is_time_out(&error) => self.is_late(socket),
                Err(_) => Err(Ended),
            };
        }
        self.tell(&self.admission.clients, Event::Closed(self.id))?;
        step.map(|_| ())
    }

    /// Handles one line. False if it was the last.
    fn client_step(&self, read: LineRead<'_>, socket: &TcpStream) -> Result<bool, Ended> {
        match read {
            LineRead::Line(line) => self.client_line(line).map(|()| true),
            LineRead::TooLong => {
                let message = format!("a line may have at most {MAX_CLIENT_LINE} bytes");
                self.say_last(ErrorCode::LineTooLong, message, socket).map(|()| false)
            }
            // A client that has sent its last word may still listen: `printf … | nc` does. Its last line needs no
            // newline: what is cut within an object is no JSON.
            LineRead::End | LineRead::Cut(_) => {
                if let LineRead::Cut(line) = read {
                    self.client_line(line)?;
                }
                let owed = self.reply_sender.owed();
                owed.wait_until_paid(self.longest());
                // Who follows keeps its end open: a client that has vanished is not to be told more.
                if owed.follows() { Err(Ended) } else { Ok(false) }
            }
        }
    }

    /// Returns the longest time that any request takes that is answered at all.
    fn longest(&self) -> Duration {
        2 * self.admission.timings.deadline
    }

    fn client_line(&self, line: &[u8]) -> Result<(), Ended> {
        let came = Instant::now();
        let parsed = parse_asked(line, &self.admission.home);
        let weight = match &parsed {
            Ok((_, Asked::Request(request))) => weight(request),
            _ => 1,
        };
        let owed = self.reply_sender.owed();
        let is_little = owed.owe(weight, came, self.longest()).ok_or(Ended)?;
        let loading = self.admission.loading.why();
        let (id, reply) = match (parsed, loading) {
            (Ok((id, Asked::Link(order))), _) => {
                self.order(id.as_ref(), &order);
                return Ok(());
            }
            (Ok((id, Asked::Trace)), _) => {
                self.look_on(id);
                return Ok(());
            }
            (Ok((id, _)), Some(why)) => (id, out_of_order(&why)),
            (Ok((id, Asked::Request(request))), None) => {
                let number = self.reply_sender.tags().number(id);
                let untaken = match is_little {
                    true => None,
                    false => Some(self.wait_for_room(weight)?),
                };
                let ask = Ask { number, request, came, weight, is_little, _untaken: untaken };
                let asked = Incoming::Asked(self.id, ask);
                return self.admission.clients.send(asked).map_err(|_| Ended);
            }
            (Err(wrong), _) => wrong,
        };
        self.reply_sender.send(Outgoing::Reply(id, reply));
        Ok(())
    }

    /// Waits until there is room for a heavy request among those that wait for their turn.
    fn wait_for_room(&self, weight: usize) -> Result<Untaken, Ended> {
        let taken =
            self.admission.untaken.take(weight, || self.admission.life.is_over()).ok_or(Ended)?;
        Ok(self.reply_sender.owed().hand_in(weight, taken))
    }
}

/// Returns the line that was just read.
fn whole<'a>(lines: &'a LineReader<Inlet<'_>>) -> &'a [u8] {
    match lines.after(Step::Whole) {
        LineRead::Line(line) => line,
        _ => &[],
    }
}

/// Returns the answer to a client while the store is being loaded again, for this reason.
fn out_of_order(why: &str) -> Reply {
    let message = format!(
        "{NOTHING_DONE}this server's store has failed and is being loaded again ({why}); try again"
    );
    Reply::Error { error: ErrorCode::Store, message }
}
