//! The link to one peer: a thread that dials, redials with back-off, and writes; another that reads
//! the one answer and then waits for the end.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, select};

use crate::bank::effects::Event;
use crate::bank::ids::ServerId;
use crate::bank::paxos::message::Message;
use crate::node::config::Timings;
use crate::node::connection::is_time_out;
use crate::node::faults::Weather;
use crate::node::incoming::Incoming;
use crate::node::life::Life;
use crate::node::outlet::MAX_WRITE;
use crate::node::timers::jittered_pause;
use crate::node::trace::{LinkTrace, Trace};
use crate::trace::record::Loss;
use crate::wire::{LineRead, LineReader, MAX_CLIENT_LINE, encode_message, parse_message};

/// Small messages that may wait to be written to a peer.
const PROTOCOL_QUEUE: usize = 1024;
/// Messages with blocks that may wait; each can be megabytes.
const BULK_QUEUE: usize = 16;

/// Messages that a delayed link holds; beyond, they wait in the queues.
const MOST_LATE: usize = 4 * PROTOCOL_QUEUE;

/// The longest answer to a hello, in bytes: a hello, and perhaps words of refusal.
const MAX_ANSWER: usize = MAX_CLIENT_LINE;

/// As much of a peer's reason as is logged.
const LONGEST_REASON: usize = 500;

/// What the event loop holds of a link that is up. Dropping it hangs up.
///
/// Each connection has its own: what was queued for an earlier one can't come out of a later one,
/// where the hello has to be first.
#[derive(Debug)]
pub(crate) struct Link {
    number: u64,
    post: Post,
    socket: Arc<TcpStream>,
}

/// The way into a link's queues.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    protocol: Sender<Message>,
    bulk: Sender<Message>,
    weather: Option<Arc<Weather>>,
    trace: Option<Arc<LinkTrace>>,
}

/// The other ends of a link's queues.
struct Queues {
    protocol: Receiver<Message>,
    bulk: Receiver<Message>,
}

impl Post {
    /// Queues a message. Never blocks: if the queue is full, the message is lost, as it might be on
    /// the way; the protocol repeats what matters.
    pub(crate) fn send(&self, message: Message) {
        match &self.trace {
            Some(trace) => trace.send(message, |message| self.queue(message)),
            None => drop(self.queue(message)),
        }
    }

    fn queue(&self, message: Message) -> Option<Loss> {
        if self.weather.as_ref().is_some_and(|weather| weather.loses(message.name())) {
            log::debug!("lost, as was asked: {}", message.name());
            return Some(Loss::Fault);
        }
        let queue = if message.is_bulky() { &self.bulk } else { &self.protocol };
        match queue.try_send(message) {
            Err(TrySendError::Full(message)) => {
                log::debug!("a peer is too slow for a message: {}", message.name());
                Some(Loss::QueueFull)
            }
            // That the connection has ended by now is as if it ended on the way.
            Ok(()) | Err(TrySendError::Disconnected(_)) => None,
        }
    }

    /// Notes down the peer's answer to the hello, if that is what the event is.
    pub(crate) fn trace_answer(&self, event: &Event) {
        if let Some(trace) = &self.trace {
            trace.was_answered(event);
        }
    }
}

impl Link {
    fn new(
        number: u64,
        socket: &Arc<TcpStream>,
        weather: Option<Arc<Weather>>,
        trace: Option<Arc<LinkTrace>>,
    ) -> (Link, Queues) {
        let (to_protocol, protocol) = crossbeam_channel::bounded(PROTOCOL_QUEUE);
        let (to_bulk, bulk) = crossbeam_channel::bounded(BULK_QUEUE);
        let post = Post { protocol: to_protocol, bulk: to_bulk, weather, trace };
        (Link { number, post, socket: Arc::clone(socket) }, Queues { protocol, bulk })
    }

    /// Counts the connections to one peer.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The way into its queues.
    pub(crate) fn post(&self) -> &Post {
        &self.post
    }

    /// Ends the connection. Its threads notice, say so, and dial again.
    pub(crate) fn hang_up(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.hang_up();
    }
}

/// How a connection to a peer ended.
enum Ended {
    /// The peer had answered the hello with its own.
    AfterWelcome,
    /// The peer had refused, for this reason.
    AfterReject(String),
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
    /// What somebody asked to be wrong with the link, if that is allowed.
    pub(crate) weather: Option<Arc<Weather>>,
    /// Where what is sent is noted down.
    pub(crate) trace: Trace,
}

impl Dialler {
    /// Dials again and again, until the node ends.
    pub(crate) fn run(&self) {
        let mut failures = 0;
        let mut last_complaint = String::new();
        for number in 1.. {
            while self.weather.as_ref().is_some_and(|weather| weather.is_cut()) {
                if !self.life.sleep(self.timings.redial) {
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
            if !self.life.sleep(jittered_pause(pause)) {
                return;
            }
        }
    }

    /// Logs what is wrong with the peer, but not the same over and over.
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
        // A free port of this machine's can be given to the very connection that dials it.
        if socket.local_addr()? == socket.peer_addr()? {
            return Err(io::Error::other("nobody listens there"));
        }
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(self.timings.handshake))?;
        socket.set_write_timeout(Some(self.timings.unread))?;
        Ok(socket)
    }

    /// Serves one connection to its end.
    fn keep(&self, number: u64, socket: &Arc<TcpStream>) -> io::Result<Ended> {
        let Some(_adopted) = self.life.adopt(socket) else { return Ok(Ended::WithTheNode) };
        if self.weather.as_ref().is_some_and(|weather| !weather.connect(socket)) {
            return Err(io::Error::other("the link is cut, as was asked"));
        }
        let trace = self.trace.of_link(&self.peer, socket);
        let (link, queues) = Link::new(number, socket, self.weather.clone(), trace);
        if self.events.send(Incoming::Dialled(self.peer.clone(), link)).is_err() {
            return Ok(Ended::WithTheNode);
        }
        let (listening, hung_up) = crossbeam_channel::bounded::<Infallible>(0);
        let ended = self.life.scope(|scope| {
            let name = format!("{}:from-{}", self.id, self.peer);
            let reader = self.life.spawn_scoped(scope, name, move || {
                let _until_the_end = listening;
                self.listen(number, socket)
            });
            if reader.is_ok()
                && let Err(error) = self.write_queued(&queues, &hung_up, socket)
            {
                log::debug!("{} can't be written to: {error}", self.peer);
            }
            let _ = socket.shutdown(Shutdown::Both);
            // Should the reader have panicked, that has ended the node.
            reader.and_then(|reader| reader.join().unwrap_or(Ok(Ended::WithTheNode)))
        });
        match self.tell(number, Event::LinkDown(self.peer.clone())) {
            true => ended,
            false => Ok(Ended::WithTheNode),
        }
    }

    /// Tells the event loop; false if that is gone.
    fn tell(&self, number: u64, event: Event) -> bool {
        self.events.send(Incoming::Link(number, self.peer.clone(), event)).is_ok()
    }

    /// Reads the peer's answer, then waits for the end.
    fn listen(&self, number: u64, socket: &TcpStream) -> io::Result<Ended> {
        let mut lines = LineReader::new(socket);
        let answer = match lines.read_line(MAX_ANSWER) {
            Ok(LineRead::Line(line)) => parse_message(line).map_err(io::Error::other)?,
            Ok(LineRead::TooLong) => {
                return Err(io::Error::other(format!(
                    "its answer has more than {MAX_ANSWER} bytes"
                )));
            }
            Ok(LineRead::End | LineRead::Cut) => {
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
            // Nothing more is said in this direction: whatever comes, the connection has ended.
            match lines.read_line(0) {
                Ok(LineRead::End) | Err(_) => log::debug!("the link to {} is down", self.peer),
                Ok(_) => log::warn!("{} speaks where it is not its turn", self.peer),
            }
        }
        Ok(ended)
    }

    /// Writes what is queued, small messages before blocks, until the link ends.
    fn write_queued(
        &self,
        queues: &Queues,
        hung_up: &Receiver<Infallible>,
        mut socket: &TcpStream,
    ) -> io::Result<()> {
        loop {
            let first = match queues.protocol.try_recv() {
                Ok(message) => Ok(message),
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => select! {
                    recv(queues.protocol) -> message => message,
                    recv(queues.bulk) -> message => message,
                    recv(hung_up) -> _ => return Ok(()),
                },
            };
            // The event loop has let go of the link.
            let Ok(first) = first else { return Ok(()) };
            if let Some(weather) = self.weather.as_ref().filter(|weather| weather.delay().is_some())
            {
                write_late(first, weather, queues, hung_up, socket)?;
                continue;
            }
            let mut text = encode_message(&first);
            while text.len() < MAX_WRITE
                && let Ok(message) = queues.protocol.try_recv()
            {
                text.push_str(&encode_message(&message));
            }
            // One in each write, so that blocks get their turn however many small messages there are.
            if let Ok(message) = queues.bulk.try_recv() {
                text.push_str(&encode_message(&message));
            }
            socket.write_all(text.as_bytes())?;
        }
    }
}

/// Writes what is queued, in its order, each message when its delay has passed; until nothing is late.
fn write_late(
    first: Message,
    weather: &Weather,
    queues: &Queues,
    hung_up: &Receiver<Infallible>,
    mut socket: &TcpStream,
) -> io::Result<()> {
    let nothing = crossbeam_channel::never();
    let mut late = VecDeque::new();
    let mut taken = Some(first);
    loop {
        let now = Instant::now();
        let delay = weather.delay();
        late.extend(taken.take().map(|message| (now + delay.unwrap_or_default(), message)));
        // Once the delay is taken away, nothing waits for its end.
        while late.front().is_some_and(|(due, _)| *due <= now || delay.is_none())
            && let Some((_, message)) = late.pop_front()
        {
            socket.write_all(encode_message(&message).as_bytes())?;
        }
        let Some((due, _)) = late.front() else { return Ok(()) };
        let is_full = late.len() >= MOST_LATE;
        let protocol = if is_full { &nothing } else { &queues.protocol };
        let bulk = if is_full { &nothing } else { &queues.bulk };
        let next = select! {
            recv(protocol) -> message => message,
            recv(bulk) -> message => message,
            recv(hung_up) -> _ => return Ok(()),
            default(due.saturating_duration_since(now)) => continue,
        };
        // The event loop has let go of the link.
        let Ok(next) = next else { return Ok(()) };
        taken = Some(next);
    }
}
