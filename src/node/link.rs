//! A link to a peer: the way out to it, and the thread that writes to it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, TryRecvError, select};

use crate::bank::effects::Event;
use crate::bank::paxos::message::{Message, Vote};
use crate::node::faults::LinkConditions;
use crate::node::send_queue::{Full, MAX_WRITE, Queued, SendQueue};
use crate::node::socket::Socket;
use crate::node::trace::LinkTrace;
use crate::noise::Sealer;
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
    sender: PeerSender,
    /// True once this server has given the connection up.
    given_up: Arc<AtomicBool>,
}

/// The way out to a peer: short messages at once, others through two queues and their writer.
#[derive(Clone, Debug)]
pub(crate) struct PeerSender {
    protocol: SendQueue<Box<Message>>,
    bulk: SendQueue<Box<Message>>,
    conditions: Option<Arc<LinkConditions>>,
    trace: Option<Arc<LinkTrace>>,
}

/// Returns what is still to be written of a message, but for the rest that the socket holds.
fn text(queued: &Queued<Box<Message>>) -> String {
    match queued {
        Queued::Item(message) => encode_message(message),
        Queued::Rest => String::new(),
    }
}

impl Link {
    /// Makes the link of connection number `number`, and its writer.
    pub(crate) fn new(
        number: u64,
        socket: &Arc<TcpStream>,
        conditions: Option<Arc<LinkConditions>>,
        trace: Option<Arc<LinkTrace>>,
    ) -> (Link, Writer) {
        let socket = Arc::new(Socket::new(Arc::clone(socket)));
        let (to_protocol, protocol) = SendQueue::new(&socket, PROTOCOL_QUEUE);
        let (to_bulk, bulk) = SendQueue::new(&socket, BULK_QUEUE);
        let writer = Writer { protocol, bulk, socket, conditions: conditions.clone() };
        let sender = PeerSender { protocol: to_protocol, bulk: to_bulk, conditions, trace };
        (Link { number, sender, given_up: Arc::default() }, writer)
    }

    /// Has all that is sent from now on sealed.
    pub(crate) fn seal(&self, sealer: Sealer) {
        self.sender.protocol.socket().seal(sealer);
    }

    /// Returns the connection's number among those to this peer.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the way out.
    pub(crate) fn sender(&self) -> &PeerSender {
        &self.sender
    }

    /// Ends the connection, since this server doesn't want to speak over it.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.hang_up();
    }

    /// Returns the mark that is set if this server gives the connection up.
    pub(crate) fn given_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.given_up)
    }

    /// Ends the connection. Its threads notice, tell the event loop, and dial again.
    pub(crate) fn hang_up(&self) {
        self.sender.protocol.socket().shutdown(Shutdown::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl PeerSender {
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
        if let Some(conditions) = &self.conditions {
            if conditions.loses(message.name()) {
                log::debug!("lost, on order: {}", message.name());
                return Some(Loss::Fault);
            }
            is_late = conditions.delay().is_some();
        }
        let queue = if message.is_bulky() { &self.bulk } else { &self.protocol };
        let name = message.name();
        let sent = match !is_late && is_short(&message) {
            true => queue.send(encode_message(&message), |_| Box::new(message)).map(drop),
            false => queue.queue(Box::new(message)),
        };
        let Err(Full) = sent else { return None };
        log::debug!("a peer is too slow for a message: {name}");
        Some(Loss::QueueFull)
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
    protocol: Receiver<Queued<Box<Message>>>,
    bulk: Receiver<Queued<Box<Message>>>,
    socket: Arc<Socket>,
    conditions: Option<Arc<LinkConditions>>,
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
            match self.conditions.as_ref().filter(|conditions| conditions.delay().is_some()) {
                Some(conditions) => self.write_late(first, conditions, hung_up)?,
                None => self.write_batch(&first)?,
            }
        }
    }

    fn write_batch(&self, first: &Queued<Box<Message>>) -> io::Result<()> {
        let (mut lines, mut items) = (text(first), 1);
        while lines.len() < MAX_WRITE
            && let Ok(queued) = self.protocol.try_recv()
        {
            lines.push_str(&text(&queued));
            items += 1;
        }
        // One block message after each write, so that blocks get their turn however many small messages come.
        if let Ok(queued) = self.bulk.try_recv() {
            lines.push_str(&text(&queued));
            items += 1;
        }
        self.socket.write_all(lines.as_bytes(), items)
    }

    /// Writes queued messages in their order, each when its delay has passed, until none is late.
    fn write_late(
        &self,
        first: Queued<Box<Message>>,
        conditions: &LinkConditions,
        hung_up: &Receiver<Infallible>,
    ) -> io::Result<()> {
        let nothing = crossbeam_channel::never();
        let mut late = VecDeque::new();
        let mut taken = Some(first);
        loop {
            let now = Instant::now();
            let delay = conditions.delay();
            late.extend(taken.take().map(|queued| (now + delay.unwrap_or_default(), queued)));
            // Once the delay is ended by order, nothing waits for it.
            while late.front().is_some_and(|(due, _)| *due <= now || delay.is_none())
                && let Some((_, queued)) = late.pop_front()
            {
                self.socket.write_all(text(&queued).as_bytes(), 1)?;
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
    use super::*;
    use crate::node::send_queue::testing::{Arriving, connection, expect_all, next, send_until};

    /// Makes a link, its writer, and a reader of what arrives at the other end.
    fn link() -> (Link, Writer, Arriving) {
        let (socket, lines) = connection();
        let (link, writer) = Link::new(1, &socket, None, None);
        (link, writer, lines)
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
        let (link, writer, mut lines) = link();
        link.sender().send(ack(7));
        assert_eq!(next(&mut lines), line(&ack(7)));
        assert!(writer.protocol.is_empty());
    }

    /// Bug: a message whose beginning alone was sent at once was taken for sent, and its end left with the
    /// next one, if there was one. Fix: its end is given to the writer.
    #[test]
    fn what_a_peer_does_not_read_comes_whole_and_in_order() {
        for queued in [1, 20] {
            let (link, writer, mut lines) = link();
            let sent = send_until(queued, &writer.protocol, &writer.socket, |height| {
                link.sender().send(ack(height));
                line(&ack(height))
            });
            let (_running, hung_up) = crossbeam_channel::bounded(0);
            let write = || writer.run(&hung_up).expect("the peer reads");
            expect_all(&sent, &mut lines, write, |_| drop(link));
            assert!(!writer.socket.is_torn() && writer.socket.is_idle());
        }
    }

    #[test]
    fn what_finds_no_room_is_lost_and_nothing_waits_for_it() {
        let (link, writer, mut lines) = link();
        for _ in 0..=BULK_QUEUE {
            link.sender().send(blocks());
        }
        link.sender().send(ack(8));
        assert_eq!((writer.bulk.len(), writer.protocol.len()), (BULK_QUEUE, 1));
        let (hang_up, hung_up) = crossbeam_channel::bounded(0);
        std::thread::scope(|scope| {
            let written = scope.spawn(|| writer.run(&hung_up));
            assert_eq!(next(&mut lines), line(&ack(8)), "small ones go first");
            for _ in 0..BULK_QUEUE {
                assert_eq!(next(&mut lines), line(&blocks()));
            }
            drop(hang_up);
            written.join().unwrap().unwrap();
        });
        assert!(writer.socket.is_idle());
        // The writer is gone; the way is free all the same.
        link.sender().send(ack(9));
        assert_eq!(next(&mut lines), line(&ack(9)));
    }
}
