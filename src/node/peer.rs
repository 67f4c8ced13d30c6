//! The link to one peer: one thread dials, redials with back-off, and writes; another reads the one answer
//! and then waits for the end.

use std::convert::Infallible;
use std::io;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::bank::effects::Event;
use crate::bank::ids::ServerId;
use crate::bank::paxos::message::Message;
use crate::keepalive::keep_alive;
use crate::node::config::Timings;
use crate::node::doors::Doors;
use crate::node::faults::LinkConditions;
use crate::node::incoming::Incoming;
use crate::node::inlet::Inlet;
use crate::node::life::Life;
use crate::node::link::Link;
use crate::node::socket::is_time_out;
use crate::node::timers::jittered_pause;
use crate::node::trace::Trace;
use crate::noise::Secured;
use crate::wire::{LineRead, LineReader, MAX_CLIENT_LINE, parse_message};

/// The longest answer to a hello, in bytes: a hello, or words of refusal with it.
const MAX_ANSWER: usize = MAX_CLIENT_LINE;

/// The longest part of a peer's reason that is logged, in bytes.
const LONGEST_REASON: usize = 500;

/// How a connection to a peer ended.
enum Ended {
    /// The peer had answered the hello with its own.
    AfterWelcome,
    /// The peer had refused, for this reason.
    AfterReject(String),
    /// This server did not want to speak to the peer.
    GivenUp,
    /// The node is over.
    WithTheNode,
}

/// Keeps a link to one peer.
#[derive(Debug)]
pub(crate) struct Dialler {
    pub(crate) id: ServerId,
    pub(crate) peer: ServerId,
    pub(crate) address: String,
    pub(crate) timings: Timings,
    pub(crate) life: Arc<Life>,
    pub(crate) events: Sender<Incoming>,
    pub(crate) doors: Arc<Doors>,
    /// The link's faults made on order, if orders are allowed.
    pub(crate) conditions: Option<Arc<LinkConditions>>,
    /// The trace of what is sent.
    pub(crate) trace: Trace,
    /// The number of the first connection. Those of two diallers to one peer differ.
    pub(crate) first: u64,
    /// True once nobody is to be dialled here any more.
    pub(crate) parted: Arc<AtomicBool>,
}

impl Dialler {
    /// Dials again and again, until the node ends or nobody is to be dialled here any more.
    pub(crate) fn run(&self) {
        let mut failures = 0;
        let mut last_complaint = String::new();
        for number in self.first.. {
            while self.conditions.as_ref().is_some_and(|conditions| conditions.is_cut()) {
                if !self.pause(self.timings.redial) {
                    return;
                }
            }
            let ended = self.dial().and_then(|socket| self.keep(number, &Arc::new(socket)));
            let pause = match ended {
                Ok(Ended::WithTheNode) => return,
                Ok(Ended::AfterReject(reason)) => {
                    self.complain(&mut last_complaint, format!("refuses this server: {reason}"));
                    self.timings.redial_most
                }
                // The state machine has said why.
                Ok(Ended::GivenUp) => self.timings.redial_most,
                Ok(Ended::AfterWelcome) => {
                    (failures, last_complaint) = (0, String::new());
                    self.timings.redial
                }
                Err(error) => {
                    failures += 1;
                    self.complain(&mut last_complaint, format!("can't be reached: {error}"));
                    self.timings.redial_after(failures)
                }
            };
            if !self.pause(jittered_pause(pause)) {
                return;
            }
        }
    }

    /// Pauses. False if nobody is to be dialled any more.
    fn pause(&self, pause: Duration) -> bool {
        self.life.sleep(pause) && !self.parted.load(Ordering::Relaxed)
    }

    /// Logs what is wrong with the peer, but not the same thing over and over.
    fn complain(&self, last: &mut String, complaint: String) {
        if complaint != *last {
            log::warn!("{} at {} {complaint}", self.peer, self.address);
            *last = complaint;
        }
    }

    fn dial(&self) -> io::Result<TcpStream> {
        let mut result = Err(io::Error::other("the name has no address"));
        for address in self.address.to_socket_addrs()? {
            result = TcpStream::connect_timeout(&address, self.timings.handshake);
            if result.is_ok() {
                break;
            }
        }
        let socket = result?;
        // The system can give a free port of this machine to the very connection that dials it.
        if socket.local_addr()? == socket.peer_addr()? {
            return Err(io::Error::other("nobody listens there"));
        }
        socket.set_nodelay(true)?;
        keep_alive(&socket)?;
        socket.set_read_timeout(Some(self.timings.handshake))?;
        socket.set_write_timeout(Some(self.timings.unread))?;
        Ok(socket)
    }

    /// Serves one connection to its end.
    fn keep(&self, number: u64, socket: &Arc<TcpStream>) -> io::Result<Ended> {
        let Some(_adopted) = self.life.adopt(socket) else { return Ok(Ended::WithTheNode) };
        if self.conditions.as_ref().is_some_and(|conditions| !conditions.connect(socket)) {
            return Err(io::Error::other("the link is cut, on order"));
        }
        let until = Instant::now() + self.timings.handshake;
        let secured = self.doors.call(&self.peer, socket, until).map_err(io::Error::other)?;
        let trace = self.trace.of_link(&self.peer, socket);
        let (link, writer) = Link::new(number, socket, self.conditions.clone(), trace);
        let (inlet, key) = match secured {
            None => (Inlet::Plain(socket), None),
            Some(Secured { sealer, opener, key }) => {
                link.seal(sealer);
                (Inlet::Sealed(Box::new(opener.within(self.timings.silence))), Some(key))
            }
        };
        let given_up = link.given_up();
        if self.events.send(Incoming::Dialled(self.peer.clone(), link, key)).is_err() {
            return Ok(Ended::WithTheNode);
        }
        let (listening, hung_up) = crossbeam_channel::bounded::<Infallible>(0);
        let ended = self.life.scope(|scope| {
            let name = format!("{}:from-{}", self.id, self.peer);
            let reader = self.life.spawn_scoped(scope, name, move || {
                let _until_the_end = listening;
                self.listen(number, inlet)
            });
            if reader.is_ok()
                && let Err(error) = writer.run(&hung_up)
            {
                log::debug!("{} can't be written to: {error}", self.peer);
            }
            let _ = socket.shutdown(Shutdown::Both);
            // A reader that panicked has ended the node.
            reader.and_then(|reader| reader.join().unwrap_or(Ok(Ended::WithTheNode)))
        });
        match self.tell(number, Event::LinkDown(self.peer.clone())) {
            true if given_up.load(Ordering::Relaxed) => Ok(Ended::GivenUp),
            true => ended,
            false => Ok(Ended::WithTheNode),
        }
    }

    /// Tells the event loop. False if it is gone.
    fn tell(&self, number: u64, event: Event) -> bool {
        self.events.send(Incoming::Link(number, self.peer.clone(), event)).is_ok()
    }

    /// Reads the peer's answer, then waits for the end.
    fn listen(&self, number: u64, inlet: Inlet<'_>) -> io::Result<Ended> {
        let socket = inlet.socket();
        let mut lines = LineReader::new(inlet);
        let answer = match lines.read_line(MAX_ANSWER) {
            Ok(LineRead::Line(line)) => parse_message(line).map_err(io::Error::other)?,
            Ok(LineRead::TooLong) => {
                return Err(io::Error::other(format!(
                    "its answer has more than {MAX_ANSWER} bytes"
                )));
            }
            Ok(LineRead::End | LineRead::Cut(_)) => {
                return Err(io::Error::other("it hangs up without an answer"));
            }
            Err(error) if is_time_out(&error) => {
                return Err(io::Error::other("it does not answer the hello in time"));
            }
            Err(error) => return Err(error),
        };
        let ended = match &answer {
            Message::Hello(_) => Ended::AfterWelcome,
            Message::Reject { reason, .. } => {
                Ended::AfterReject(reason.chars().take(LONGEST_REASON).collect())
            }
            other => {
                let what = format!("it answers the hello with: {}", other.name());
                return Err(io::Error::other(what));
            }
        };
        if !self.tell(number, Event::LinkAnswered(self.peer.clone(), answer)) {
            return Ok(Ended::WithTheNode);
        }
        if matches!(ended, Ended::AfterWelcome) && socket.set_read_timeout(None).is_ok() {
            // The peer says nothing more in this direction: anything that comes ends the connection.
            match lines.read_line(0) {
                Ok(LineRead::End) | Err(_) => log::debug!("the link to {} is down", self.peer),
                Ok(_) => log::warn!("{} speaks where it is not its turn", self.peer),
            }
        }
        Ok(ended)
    }
}
