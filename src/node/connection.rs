//! One accepted connection: its reader, and the decision who is speaking.
//!
//! All parsing and hashing is done here, in as many threads as there are connections; the event
//! loop gets only what is well formed. A reader that can't get rid of what it has read stops
//! reading, which holds back that connection and no other.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::bank::effects::Event;
use crate::bank::ids::{AccountId, ConnectionId, ServerId};
use crate::bank::paxos::message::{Hello, Message};
use crate::bank::request::{ErrorCode, Reply};
use crate::node::config::Timings;
use crate::node::faults::Faults;
use crate::node::incoming::Incoming;
use crate::node::life::Life;
use crate::node::outlet::{Outgoing, Outlet, write_out};
use crate::wire::asked::Asked;
use crate::wire::link::LinkOrder;
use crate::wire::{
    LineRead, LineReader, MAX_CLIENT_LINE, MAX_PEER_LINE, encode_faults, encode_reply,
    is_peer_line, parse_asked, parse_message,
};

/// How much is read and thrown away after a line that was too long. Were the connection closed with
/// something unread, the system would destroy the reply on its way.
const MAX_DISCARDED: usize = 64 << 20;

/// What all accepted connections share.
#[derive(Clone, Debug)]
pub(crate) struct Lobby {
    pub(crate) id: ServerId,
    /// Its own account, which pays where no other is named.
    pub(crate) home: AccountId,
    pub(crate) life: Arc<Life>,
    pub(crate) timings: Timings,
    pub(crate) peers: Sender<Incoming>,
    pub(crate) clients: Sender<Incoming>,
    /// The store is being loaded again: there is no state machine to ask.
    pub(crate) loading: Arc<AtomicBool>,
    /// The links' faults, if clients may ask for any.
    pub(crate) faults: Option<Arc<Faults>>,
}

/// A connection is to end, and there is nothing more to say about it.
struct Ended;

/// Serves a connection to its end. On a crowded server only a peer is let in.
pub(crate) fn serve(lobby: &Lobby, id: ConnectionId, socket: TcpStream, crowded: bool) {
    let socket = Arc::new(socket);
    let Some(_adopted) = lobby.life.adopt(&socket) else { return };
    let patience = crowded.then_some(lobby.timings.handshake);
    let prepared = socket
        .set_nodelay(true)
        .and_then(|()| socket.set_write_timeout(Some(lobby.timings.unread)))
        .and_then(|()| socket.set_read_timeout(patience));
    if let Err(error) = prepared {
        return log::debug!("connection {}: {error}", id.0);
    }
    let (outlet, outgoing) = Outlet::new(Arc::clone(&socket));
    let (for_writer, owed) = outlet.for_writer();
    lobby.life.scope(|scope| {
        let name = format!("{}:{}-out", lobby.id, id.0);
        let writer = move || write_out(&outgoing, &for_writer, &owed, lobby.life.over());
        if let Err(error) = lobby.life.spawn_scoped(scope, name, writer) {
            return log::warn!("no thread for connection {}: {error}", id.0);
        }
        // The reader takes the outlet with it, so that the writer ends once the event loop has
        // let go of its own.
        Reader { lobby, id, outlet, crowded }.run(&socket);
    });
}

struct Reader<'a> {
    lobby: &'a Lobby,
    id: ConnectionId,
    outlet: Outlet,
    crowded: bool,
}

impl Reader<'_> {
    fn run(self, socket: &TcpStream) {
        let mut lines = LineReader::new(socket);
        let ended = match lines.read_line(MAX_CLIENT_LINE) {
            Ok(LineRead::Line(line)) if is_peer_line(line) => match parse_message(line) {
                Ok(Message::Hello(hello)) => self.serve_peer(hello, &mut lines),
                Ok(other) => self.refuse(&format!("it opens with a {}", other.name())),
                Err(reason) => self.refuse(&reason),
            },
            // An idle client on a crowded server gets the same answer.
            Ok(_) if self.crowded => self.turn_away(socket),
            Err(error) if self.crowded && is_time_out(&error) => self.turn_away(socket),
            Ok(first) => match self.tell_opened(&self.lobby.clients) {
                Ok(()) => {
                    let first = self.client_step(first, socket);
                    self.serve_client(first, socket, &mut lines)
                }
                Err(ended) => Err(ended),
            },
            Err(error) => self.give_up(&error.to_string()),
        };
        // That the other side hangs up is no news to anybody but the event loop.
        if ended.is_err() {
            self.outlet.disconnect();
        }
    }

    fn give_up(&self, reason: &str) -> Result<(), Ended> {
        log::debug!("connection {}: {reason}", self.id.0);
        Err(Ended)
    }

    /// A peer of another version, perhaps, about which a person has to do something.
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
        self.outlet.send(Outgoing::Reply(None, Reply::Error { error, message }));
        self.outlet.send(Outgoing::End);
        self.discard(socket);
        Err(Ended)
    }

    fn discard(&self, mut socket: &TcpStream) {
        let Timings { handshake, unread, .. } = self.lobby.timings;
        // A place that is reserved for peers is not to be taken for long.
        let patience = if self.crowded { handshake } else { unread };
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

    /// Tells the event loop, by way of the clients' or the peers' channel.
    fn tell(&self, channel: &Sender<Incoming>, event: Event) -> Result<(), Ended> {
        channel.send(Incoming::Connection(self.id, event)).map_err(|_| Ended)
    }

    fn tell_opened(&self, channel: &Sender<Incoming>) -> Result<(), Ended> {
        channel.send(Incoming::Opened(self.id, self.outlet.clone())).map_err(|_| Ended)
    }

    /// Goes on after the first step.
    fn serve_client(
        &self,
        mut step: Result<bool, Ended>,
        socket: &TcpStream,
        lines: &mut LineReader<&TcpStream>,
    ) -> Result<(), Ended> {
        while let Ok(true) = step {
            step = match lines.read_line(MAX_CLIENT_LINE) {
                Ok(line) => self.client_step(line, socket),
                Err(_) => Err(Ended),
            };
        }
        self.tell(&self.lobby.clients, Event::Closed(self.id))?;
        step.map(|_| ())
    }

    /// Whether there may be more.
    fn client_step(&self, read: LineRead<'_>, socket: &TcpStream) -> Result<bool, Ended> {
        match read {
            LineRead::Line(line) => self.client_line(line).map(|()| true),
            LineRead::TooLong => {
                let message = format!("a line has {MAX_CLIENT_LINE} bytes at the most");
                self.say_last(ErrorCode::LineTooLong, message, socket).map(|()| false)
            }
            // Who has said its last word may still be listening: `printf … | nc` does that.
            LineRead::End | LineRead::Cut => {
                self.outlet.owed().wait_until_paid(self.longest());
                Ok(false)
            }
        }
    }

    /// No request takes longer than this, unless it is never answered.
    fn longest(&self) -> Duration {
        2 * self.lobby.timings.deadline
    }

    fn client_line(&self, line: &[u8]) -> Result<(), Ended> {
        let came = Instant::now();
        let parsed = parse_asked(line, &self.lobby.home);
        if !self.outlet.owed().owe(self.longest()) {
            return Err(Ended);
        }
        let (id, reply) = match parsed {
            Ok((id, Asked::Link(order))) => {
                self.outlet.send(Outgoing::Text(obey(self.lobby, id, &order)));
                return Ok(());
            }
            Ok((id, _)) if self.lobby.loading.load(Ordering::Relaxed) => (id, out_of_order()),
            Ok((id, Asked::Request(request))) => {
                let event = Event::Request(self.id, id, request);
                let request = Incoming::Request(self.id, event, came);
                return self.lobby.clients.send(request).map_err(|_| Ended);
            }
            Err(wrong) => wrong,
        };
        self.outlet.send(Outgoing::Reply(id, reply));
        Ok(())
    }

    fn serve_peer(&self, hello: Hello, lines: &mut LineReader<&TcpStream>) -> Result<(), Ended> {
        let peers = &self.lobby.peers;
        let name = hello.id.clone();
        if let Err(error) = lines.get_ref().set_read_timeout(Some(self.lobby.timings.silence)) {
            return self.give_up(&error.to_string());
        }
        self.tell_opened(peers)?;
        self.tell(peers, Event::Greeted(self.id, hello))?;
        let ended = self.serve_messages(&name, lines);
        self.tell(peers, Event::Closed(self.id))?;
        ended
    }

    fn serve_messages(
        &self,
        peer: &ServerId,
        lines: &mut LineReader<&TcpStream>,
    ) -> Result<(), Ended> {
        let peers = &self.lobby.peers;
        loop {
            let message = match lines.read_line(MAX_PEER_LINE) {
                Ok(LineRead::Line(line)) => parse_message(line),
                Ok(LineRead::TooLong) => Err(format!("a line of more than {MAX_PEER_LINE} bytes")),
                Ok(LineRead::End | LineRead::Cut) => return Err(Ended),
                Err(error) if is_time_out(&error) => {
                    peers.send(Incoming::Silent(self.id)).map_err(|_| Ended)?;
                    Err("it says nothing".to_owned())
                }
                Err(error) => return self.give_up(&error.to_string()),
            };
            match message {
                Ok(message) => self.tell(peers, Event::Received(self.id, message))?,
                Err(reason) => {
                    log::warn!("closing the connection that {peer} dialled: {reason}");
                    return Err(Ended);
                }
            }
        }
    }
}

/// Breaks or mends links; returns the line that answers.
fn obey(lobby: &Lobby, id: Option<u64>, order: &LinkOrder) -> String {
    let result = match &lobby.faults {
        Some(faults) => faults.obey(order),
        None => Err("links are not to be touched here: this server was started without \
            --allow-fault-injection"
            .into()),
    };
    match result {
        Ok(faults) => encode_faults(id, &faults),
        Err(message) => encode_reply(id, &Reply::Error { error: ErrorCode::BadRequest, message }),
    }
}

/// What a client hears while the store is being loaded again.
fn out_of_order() -> Reply {
    let message = "this server's store has failed and is being loaded again; \
        nothing was done about this request; try again"
        .to_owned();
    Reply::Error { error: ErrorCode::Store, message }
}

/// A read that took too long; which of the two kinds it is depends on the system.
pub(crate) fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
