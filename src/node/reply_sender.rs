//! The way out to one connection: short replies at once, others through a bounded queue and its writer.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::bank::ledger::entry::Entry;
use crate::bank::paxos::message::Message;
use crate::bank::request::{ErrorCode, Listed, Outcome, Reply, StatementLine};
use crate::node::backlog::{Backlog, MAX_BACKLOG};
use crate::node::following::Follower;
use crate::node::send_queue::{Full, Queued, SendQueue};
use crate::node::socket::Socket;
use crate::node::streams::Stream;
use crate::node::tags::Tags;
use crate::node::unread::Unread;
use crate::noise::Sealer;
use crate::wire::{Tag, encode_reply};

/// The most words about sessions that are not read yet: as many as a connection may have sessions.
const WORDS: usize = 64;
/// The most that may be queued: every reply that is owed, words, and what closes the connection.
const QUEUE: usize = MAX_BACKLOG + WORDS + 8;

/// An item to be written to a connection.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// A reply to a client. The writer turns it into text, so that the event loop needn't.
    Reply(Option<Tag>, Reply),
    /// A word to a client that answers none of its requests.
    Word(Reply),
    /// A reply to a client that is text already.
    Text(String),
    /// The answer to a peer's hello.
    Answer(Message),
    /// The beginning of what the client follows from now on.
    Begin(Box<dyn Stream>),
    /// The end of what it follows.
    Unfollow,
    /// The end of the connection, when everything before it is written.
    End,
}

impl Outgoing {
    /// Returns about how many bytes of memory it takes until it is written.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Outgoing::Reply(_, reply) | Outgoing::Word(reply) => weight(reply),
            Outgoing::Text(text) => text.len(),
            // One answer to a hello for each connection, and beginnings and ends of next to nothing.
            Outgoing::Answer(_) | Outgoing::Begin(_) | Outgoing::Unfollow | Outgoing::End => 0,
        }
    }
}

/// A connection as the event loop and the block reader hold it.
#[derive(Clone, Debug)]
pub(crate) struct ReplySender {
    queue: SendQueue<Outgoing>,
    owed: Arc<Backlog>,
    tags: Arc<Tags>,
}

impl ReplySender {
    /// Makes the sender to a socket whose unread replies count alone.
    #[cfg(test)]
    pub(crate) fn new(socket: Arc<TcpStream>) -> (ReplySender, Receiver<Queued<Outgoing>>) {
        ReplySender::among(&Unread::of(usize::MAX), socket)
    }

    /// Makes the sender to a socket whose unread replies count in `unread`, and the queue for its writer.
    pub(crate) fn among(
        unread: &Arc<Unread>,
        socket: Arc<TcpStream>,
    ) -> (ReplySender, Receiver<Queued<Outgoing>>) {
        let socket = Arc::new(Socket::new(socket));
        let (queue, outgoing) = SendQueue::new(&socket, QUEUE);
        let owed = Arc::new(Backlog::new(unread.join(&socket)));
        (ReplySender { queue, owed, tags: Arc::default() }, outgoing)
    }

    /// Has all that is sent from now on sealed.
    pub(crate) fn seal(&self, sealer: Sealer) {
        self.queue.socket().seal(sealer);
    }

    /// Sends a reply. If nothing is queued before it and the client reads, a short reply is on its way
    /// when this returns, and no other thread has to wake up. Never blocks.
    pub(crate) fn reply(&self, number: Option<u64>, reply: Reply) {
        let id = self.tags.take(number);
        if !is_short(&reply) {
            return self.send(Outgoing::Reply(id, reply));
        }
        let queued = |text: String| {
            self.owed.queue(text.len());
            Outgoing::Text(text)
        };
        match self.queue.send(encode_reply(id.as_ref(), &reply), queued) {
            Ok(true) => self.owed.pay(1, 0),
            Ok(false) => {}
            Err(Full) => self.give_up(),
        }
    }

    /// Queues an item. Never blocks: a client that lets the queue fill up is disconnected.
    pub(crate) fn send(&self, outgoing: Outgoing) {
        self.owed.queue(outgoing.weight());
        if let Err(Full) = self.queue.queue(outgoing) {
            self.give_up();
        }
    }

    /// Has the client follow from now on, after the reply that says so.
    pub(crate) fn follow(&self, number: Option<u64>, follower: Result<Box<Follower>, Reply>) {
        let id = self.tags.take(number);
        let stream = follower.map(|follower| follower.named(id.as_ref()) as Box<dyn Stream>);
        self.begin(id, stream);
    }

    /// Has the client be told a stream from now on. If it is told one already, it hears that.
    pub(crate) fn begin(&self, id: Option<Tag>, stream: Result<Box<dyn Stream>, Reply>) {
        let message = "this connection follows already; open another one".to_owned();
        match stream {
            Err(reply) => self.send(Outgoing::Reply(id, reply)),
            Ok(_) if !self.owed.follow() => {
                let reply = Reply::Error { error: ErrorCode::BadRequest, message };
                self.send(Outgoing::Reply(id, reply));
            }
            Ok(stream) => self.send(Outgoing::Begin(stream)),
        }
    }

    /// Has it follow no more, if it does.
    pub(crate) fn unfollow(&self) {
        if self.owed.follows() {
            self.send(Outgoing::Unfollow);
        }
    }

    fn give_up(&self) {
        log::warn!("disconnecting a client that has {QUEUE} replies unread");
        self.disconnect();
    }

    /// Says why the connection ends, if the client can still be told, and ends it.
    pub(crate) fn dismiss(&self, reply: Reply) {
        self.send(Outgoing::Reply(None, reply));
        self.send(Outgoing::End);
        // Its reader takes this for the client's last word.
        self.queue.socket().shutdown(Shutdown::Read);
    }

    /// Returns the socket.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.queue.socket().stream()
    }

    /// Returns how many items are queued.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Ends the connection now. Its reader notices and tells the event loop.
    pub(crate) fn disconnect(&self) {
        self.queue.socket().shutdown(Shutdown::Both);
        self.owed.close();
    }

    /// Returns the clients' names for the requests that come on this connection.
    pub(crate) fn tags(&self) -> &Tags {
        &self.tags
    }

    /// Returns the count of replies that the client is owed.
    pub(crate) fn owed(&self) -> &Arc<Backlog> {
        &self.owed
    }

    /// Returns the parts that the writer needs. The queue is not among them: the writer ends when nobody
    /// can queue anything more.
    pub(crate) fn for_writer(&self) -> (Arc<Socket>, Arc<Backlog>) {
        (Arc::clone(self.queue.socket()), Arc::clone(&self.owed))
    }
}

/// True if writing the reply is faster than waking another thread.
fn is_short(reply: &Reply) -> bool {
    const FEW: usize = 16;
    match reply {
        Reply::Batch { outcomes } => outcomes.len() <= FEW,
        Reply::Log { entries, .. } => entries.len() <= FEW,
        // These replies come from the block reader, which has time.
        Reply::History { .. } | Reply::Accounts { .. } => false,
        _ => true,
    }
}

/// Returns about how many bytes of memory a reply takes, be it values or text.
fn weight(reply: &Reply) -> usize {
    /// The bytes of names and words that lie outside a value.
    const WORDS: usize = 128;
    let outcome = |outcome: &Outcome| match outcome {
        Outcome::Accepted { .. } => size_of::<Outcome>(),
        _ => size_of::<Outcome>() + WORDS,
    };
    match reply {
        Reply::Batch { outcomes } => outcomes.iter().map(outcome).sum(),
        Reply::Log { entries, .. } => entries.len() * (size_of::<Entry>() + WORDS),
        Reply::History { lines, .. } => lines.len() * (size_of::<StatementLine>() + WORDS),
        Reply::Accounts { accounts, .. } => accounts.len() * (size_of::<Listed>() + WORDS),
        _ => size_of::<Reply>() + WORDS,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::node::send_queue::testing::{Arriving, connection, expect_all, next, send_until};
    use crate::node::writer::write_out;

    /// Makes a reply sender, its writer's end, and the client's.
    fn reply_sender() -> (ReplySender, Receiver<Queued<Outgoing>>, Arriving) {
        let (socket, lines) = connection();
        let (reply_sender, outgoing) = ReplySender::new(socket);
        (reply_sender, outgoing, lines)
    }

    /// True if one more reply can be owed.
    fn is_owed(owed: &Backlog) -> bool {
        owed.owe(1, Instant::now(), Duration::from_secs(60)).is_some()
    }

    fn reply(length: usize) -> Reply {
        Reply::Error { error: ErrorCode::Store, message: "x".repeat(length) }
    }

    fn line(id: u64, length: usize) -> String {
        encode_reply(Some(&Tag::Number(id)), &reply(length)).trim_end().to_owned()
    }

    #[test]
    fn a_short_reply_needs_no_writer() {
        let (reply_sender, outgoing, mut lines) = reply_sender();
        reply_sender.reply(Some(7), reply(1));
        assert_eq!(next(&mut lines), line(7, 1));
        assert!(outgoing.is_empty());
    }

    #[test]
    fn a_short_reply_does_not_overtake_what_is_queued() {
        let (reply_sender, outgoing, mut lines) = reply_sender();
        reply_sender.send(Outgoing::Text("first\n".to_owned()));
        reply_sender.reply(Some(2), reply(1));
        assert_eq!(outgoing.len(), 2, "both are the writer's");
        reply_sender.disconnect();
        assert!(lines.next().is_none(), "nothing has left");
    }

    /// Bug: a reply whose beginning alone was sent at once was taken for sent, and its end left with the
    /// next one, if there was one. Fix: its end is given to the writer.
    #[test]
    fn what_a_client_does_not_read_blocks_only_the_writer_and_comes_whole_and_in_order() {
        const LENGTH: usize = 200_000;
        for queued in [1, 9] {
            let (reply_sender, outgoing, mut lines) = reply_sender();
            let (socket, owed) = reply_sender.for_writer();
            let sent = send_until(queued, &outgoing, &socket, |id| {
                assert!(is_owed(&owed));
                reply_sender.reply(Some(id), reply(LENGTH));
                line(id, LENGTH)
            });
            let (_running, over) = crossbeam_channel::bounded(0);
            let write = || write_out(&outgoing, &socket, &owed, &over);
            expect_all(&sent, &mut lines, write, |lines| {
                // All is written, so the way is free again.
                while !socket.is_idle() {
                    std::thread::yield_now();
                }
                assert!(is_owed(&owed));
                reply_sender.reply(Some(7), reply(1));
                assert_eq!(next(lines), line(7, 1));
                drop(reply_sender);
            });
            assert!(!socket.is_torn() && socket.is_idle());
            assert_eq!(owed.replies(), 0, "all is paid");
            assert!(!is_owed(&owed), "nothing will be paid any more");
        }
    }

    #[test]
    fn what_the_writer_writes_is_paid_as_well() {
        let (reply_sender, outgoing, mut lines) = reply_sender();
        let (socket, owed) = reply_sender.for_writer();
        let (_running, over) = crossbeam_channel::bounded(0);
        assert!((0..3).all(|_| is_owed(&owed)));
        reply_sender.send(Outgoing::Text("1\n".to_owned()));
        reply_sender.send(Outgoing::Reply(Some(Tag::Number(2)), reply(1)));
        let sent = ["1".to_owned(), line(2, 1)];
        let write = || write_out(&outgoing, &socket, &owed, &over);
        expect_all(&sent, &mut lines, write, |_| {
            while owed.replies() > 1 {
                std::thread::yield_now();
            }
            reply_sender.disconnect();
            assert!(!is_owed(&owed), "nobody reads any more");
            drop(reply_sender);
        });
    }
}
