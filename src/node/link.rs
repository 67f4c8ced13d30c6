//! A link to a peer: the way out to it, and the thread that writes to it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, select};

use crate::bank::effects::Event;
use crate::bank::paxos::message::{Message, Vote};
use crate::node::faults::Weather;
use crate::node::outlet::MAX_WRITE;
use crate::node::socket::{Sent, Socket};
use crate::node::trace::LinkTrace;
use crate::trace::record::Loss;
use crate::wire::encode_message;

/// The most small messages that may wait to be written to a peer.
const PROTOCOL_QUEUE: usize = 1024;
/// The most messages with blocks that may wait; each can be megabytes.
const BULK_QUEUE: usize = 16;

/// The most messages that a delayed link holds. Further ones wait in the queues.
const MOST_LATE: usize = 4 * PROTOCOL_QUEUE;

/// The event loop's end of a link that is up. Dropping it hangs up.
///
/// Each connection has a link of its own: messages queued for an earlier connection can't come out of a
/// later one, where the hello has to be first.
#[derive(Debug)]
pub(crate) struct Link {
    number: u64,
    post: Post,
}

/// The way out to a peer: short messages at once, others through two queues and their writer.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    protocol: Sender<Queued>,
    bulk: Sender<Queued>,
    socket: Arc<Socket>,
    weather: Option<Arc<Weather>>,
    trace: Option<Arc<LinkTrace>>,
}

/// Work for the writer.
#[derive(Debug)]
enum Queued {
    Message(Box<Message>),
    /// The rest of a message whose beginning was sent at once.
    Left,
}

impl Queued {
    fn text(&self) -> String {
        match self {
            Queued::Message(message) => encode_message(message),
            Queued::Left => String::new(),
        }
    }
}

impl Link {
    /// Makes the link of connection number `number`, and its writer.
    pub(crate) fn new(
        number: u64,
        socket: &Arc<TcpStream>,
        weather: Option<Arc<Weather>>,
        trace: Option<Arc<LinkTrace>>,
    ) -> (Link, Writer) {
        let (to_protocol, protocol) = crossbeam_channel::bounded(PROTOCOL_QUEUE);
        let (to_bulk, bulk) = crossbeam_channel::bounded(BULK_QUEUE);
        let socket = Arc::new(Socket::new(Arc::clone(socket)));
        let writer =
            Writer { protocol, bulk, socket: Arc::clone(&socket), weather: weather.clone() };
        let post = Post { protocol: to_protocol, bulk: to_bulk, socket, weather, trace };
        (Link { number, post }, writer)
    }

    /// Returns the connection's number among those to this peer.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the way out.
    pub(crate) fn post(&self) -> &Post {
        &self.post
    }

    /// Ends the connection. Its threads notice, tell the event loop, and dial again.
    pub(crate) fn hang_up(&self) {
        self.post.socket.shutdown(Shutdown::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl Post {
    /// Sends a message. If nothing is queued before it, a short message is on its way when this returns,
    /// and no other thread has to wake up. Never blocks: if the queue is full, the message is lost, as it
    /// might be on the way. The protocol repeats what matters.
    pub(crate) fn send(&self, message: Message) {
        match &self.trace {
            Some(trace) => trace.send(message, |message| self.send_or_queue(message)),
            None => drop(self.send_or_queue(message)),
        }
    }

    fn send_or_queue(&self, message: Message) -> Option<Loss> {
        let mut is_late = false;
        if let Some(weather) = &self.weather {
            if weather.loses(message.name()) {
                log::debug!("lost, on order: {}", message.name());
                return Some(Loss::Fault);
            }
            is_late = weather.delay().is_some();
        }
        if !is_late && is_short(&message) {
            match self.socket.send_at_once(encode_message(&message).as_bytes()) {
                Sent::All => return None,
                Sent::Beginning => return self.queue(&self.protocol, Queued::Left),
                Sent::Nothing => {}
            }
        }
        let queue = if message.is_bulky() { &self.bulk } else { &self.protocol };
        self.queue(queue, Queued::Message(Box::new(message)))
    }

    fn queue(&self, queue: &Sender<Queued>, queued: Queued) -> Option<Loss> {
        self.socket.will_write();
        match queue.try_send(queued) {
            Err(TrySendError::Full(Queued::Message(message))) => {
                self.socket.will_not_write();
                log::debug!("a peer is too slow for a message: {}", message.name());
                Some(Loss::QueueFull)
            }
            // Half a message can't be lost.
            Err(TrySendError::Full(Queued::Left)) => {
                self.socket.shutdown(Shutdown::Both);
                None
            }
            // If the connection has ended by now, the message is as good as lost on the way.
            Ok(()) | Err(TrySendError::Disconnected(_)) => None,
        }
    }

    /// Notes down the peer's answer to the hello, if the event is one.
    pub(crate) fn trace_answer(&self, event: &Event) {
        if let Some(trace) = &self.trace {
            trace.was_answered(event);
        }
    }
}

/// True if writing the message is faster than waking another thread.
fn is_short(message: &Message) -> bool {
    const FEW: usize = 16 << 10;
    let length = match message {
        Message::Accept { block, .. }
        | Message::Promise { vote: Vote::Accepted { block, .. }, .. } => block.text().len(),
        Message::Promise { vote: Vote::Log { elements, .. }, .. } => {
            elements.iter().map(|element| element.text().len()).sum()
        }
        // Blocks come from the block reader, which has time.
        Message::BlocksResponse { .. } => return false,
        _ => 0,
    };
    length <= FEW
}

/// Writes the messages queued for a peer.
pub(crate) struct Writer {
    protocol: Receiver<Queued>,
    bulk: Receiver<Queued>,
    socket: Arc<Socket>,
    weather: Option<Arc<Weather>>,
}

impl Writer {
    /// Writes small messages before blocks, until the link ends.
    pub(crate) fn run(&self, hung_up: &Receiver<Infallible>) -> io::Result<()> {
        loop {
            let first = match self.protocol.try_recv() {
                Ok(queued) => Ok(queued),
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => select! {
                    recv(self.protocol) -> queued => queued,
                    recv(self.bulk) -> queued => queued,
                    recv(hung_up) -> _ => return Ok(()),
                },
            };
            // The event loop has let go of the link.
            let Ok(first) = first else { return Ok(()) };
            match self.weather.as_ref().filter(|weather| weather.delay().is_some()) {
                Some(weather) => self.write_late(first, weather, hung_up)?,
                None => self.write_batch(&first)?,
            }
        }
    }

    fn write_batch(&self, first: &Queued) -> io::Result<()> {
        let (mut text, mut items) = (first.text(), 1);
        while text.len() < MAX_WRITE
            && let Ok(queued) = self.protocol.try_recv()
        {
            text.push_str(&queued.text());
            items += 1;
        }
        // One block message after each write, so that blocks get their turn however many small messages come.
        if let Ok(queued) = self.bulk.try_recv() {
            text.push_str(&queued.text());
            items += 1;
        }
        self.socket.write_all(text.as_bytes(), items)
    }

    /// Writes queued messages in their order, each when its delay has passed, until none is late.
    fn write_late(
        &self,
        first: Queued,
        weather: &Weather,
        hung_up: &Receiver<Infallible>,
    ) -> io::Result<()> {
        let nothing = crossbeam_channel::never();
        let mut late = VecDeque::new();
        let mut taken = Some(first);
        loop {
            let now = Instant::now();
            let delay = weather.delay();
            late.extend(taken.take().map(|queued| (now + delay.unwrap_or_default(), queued)));
            // Once the delay is ended by order, nothing waits for it.
            while late.front().is_some_and(|(due, _)| *due <= now || delay.is_none())
                && let Some((_, queued)) = late.pop_front()
            {
                self.socket.write_all(queued.text().as_bytes(), 1)?;
            }
            let Some((due, _)) = late.front() else { return Ok(()) };
            let is_full = late.len() >= MOST_LATE;
            let protocol = if is_full { &nothing } else { &self.protocol };
            let bulk = if is_full { &nothing } else { &self.bulk };
            let next = select! {
                recv(protocol) -> queued => queued,
                recv(bulk) -> queued => queued,
                recv(hung_up) -> _ => return Ok(()),
                default(due.saturating_duration_since(now)) => continue,
            };
            // The event loop has let go of the link.
            let Ok(next) = next else { return Ok(()) };
            taken = Some(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Lines};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    /// Makes a link, its writer, and a reader of what arrives at the other end.
    fn connection() -> (Link, Writer, Lines<BufReader<TcpStream>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let socket = Arc::new(listener.accept().unwrap().0);
        let (link, writer) = Link::new(1, &socket, None, None);
        (link, writer, BufReader::new(peer).lines())
    }

    fn ack(height: u64) -> Message {
        Message::ReconcileAck { height }
    }

    fn blocks() -> Message {
        Message::BlocksResponse { blocks: Vec::new() }
    }

    fn line(message: &Message) -> String {
        encode_message(message).trim_end().to_owned()
    }

    #[test]
    fn a_short_message_needs_no_writer() {
        let (link, writer, mut lines) = connection();
        link.post().send(ack(7));
        assert_eq!(lines.next().unwrap().unwrap(), line(&ack(7)));
        assert!(writer.protocol.is_empty());
    }

    #[test]
    fn what_a_peer_does_not_read_comes_whole_and_in_order() {
        let (link, writer, mut lines) = connection();
        let mut sent = 0;
        // Until the socket is full, and some more.
        while writer.protocol.len() < 20 {
            link.post().send(ack(sent));
            sent += 1;
        }
        let (_running, hung_up) = crossbeam_channel::bounded(0);
        std::thread::scope(|scope| {
            scope.spawn(|| writer.run(&hung_up));
            for height in 0..sent {
                assert_eq!(lines.next().unwrap().unwrap(), line(&ack(height)));
            }
            drop(link);
        });
    }

    #[test]
    fn what_finds_no_room_is_lost_and_nothing_waits_for_it() {
        let (link, writer, mut lines) = connection();
        for _ in 0..=BULK_QUEUE {
            link.post().send(blocks());
        }
        link.post().send(ack(8));
        assert_eq!((writer.bulk.len(), writer.protocol.len()), (BULK_QUEUE, 1));
        let (hang_up, hung_up) = crossbeam_channel::bounded(0);
        std::thread::scope(|scope| {
            let written = scope.spawn(|| writer.run(&hung_up));
            assert_eq!(lines.next().unwrap().unwrap(), line(&ack(8)), "small ones go first");
            for _ in 0..BULK_QUEUE {
                assert_eq!(lines.next().unwrap().unwrap(), line(&blocks()));
            }
            drop(hang_up);
            written.join().unwrap().unwrap();
        });
        assert!(writer.socket.is_idle());
        // The writer is gone; the way is free all the same.
        link.post().send(ack(9));
        assert_eq!(lines.next().unwrap().unwrap(), line(&ack(9)));
    }

    /// Bug: a message whose beginning alone was sent at once was taken for sent, and its end left with the
    /// next one, if there was one. Fix: its end is given to the writer.
    #[test]
    fn the_last_message_comes_whole_though_nothing_follows_it() {
        let (link, writer, mut lines) = connection();
        let mut sent = 0;
        while !writer.socket.is_torn() && writer.protocol.is_empty() {
            link.post().send(ack(sent));
            sent += 1;
        }
        let (_running, hung_up) = crossbeam_channel::bounded(0);
        std::thread::scope(|scope| {
            scope.spawn(|| writer.run(&hung_up));
            for height in 0..sent {
                assert_eq!(lines.next().unwrap().unwrap(), line(&ack(height)));
            }
            drop(link);
        });
        assert!(!writer.socket.is_torn() && writer.socket.is_idle());
    }
}
