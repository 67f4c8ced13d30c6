//! The way out to one connection: short replies at once, others through a bounded queue and its writer.

use std::convert::Infallible;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, select};

use crate::bank::paxos::message::Message;
use crate::bank::request::Reply;
use crate::node::owed::{MAX_OWED, Owed};
use crate::node::socket::{Sent, Socket};
use crate::wire::{encode_message, encode_reply};

/// The most that may be queued: every reply that is owed, and what closes the connection.
const QUEUE: usize = MAX_OWED + 8;
/// The length of a write, in bytes, from which on further text waits for the next write.
pub(crate) const MAX_WRITE: usize = 64 << 10;

/// An item to be written to a connection.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// A reply to a client. The writer turns it into text, so that the event loop needn't.
    Reply(Option<u64>, Reply),
    /// A reply to a client that is text already.
    Text(String),
    /// The answer to a peer's hello.
    Answer(Message),
    /// The rest of a reply whose beginning was written at once.
    Left,
    /// The end of the connection, when everything before it is written.
    End,
}

impl Outgoing {
    /// Returns how many outcomes it tells.
    fn outcomes(&self) -> usize {
        match self {
            Outgoing::Reply(_, Reply::Batch { outcomes }) => outcomes.len(),
            _ => 0,
        }
    }
}

/// A connection as the event loop and the block reader hold it.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    queue: Sender<Outgoing>,
    socket: Arc<Socket>,
    owed: Arc<Owed>,
}

impl Outlet {
    /// Makes the outlet to a socket, and the queue for [`write_out`].
    pub(crate) fn new(socket: Arc<TcpStream>) -> (Outlet, Receiver<Outgoing>) {
        // Not `bounded`, which would allocate all places from the beginning: most connections never need
        // one.
        let (queue, outgoing) = crossbeam_channel::unbounded();
        let socket = Arc::new(Socket::new(socket));
        (Outlet { queue, socket, owed: Arc::new(Owed::new()) }, outgoing)
    }

    /// Sends a reply. If nothing is queued before it and the client reads, a short reply is on its way
    /// when this returns, and no other thread has to wake up. Never blocks.
    pub(crate) fn reply(&self, id: Option<u64>, reply: Reply) {
        if !is_short(&reply) {
            return self.send(Outgoing::Reply(id, reply));
        }
        let text = encode_reply(id, &reply);
        match self.socket.send_at_once(text.as_bytes()) {
            Sent::All => self.owed.pay(1, 0),
            Sent::Beginning => self.send(Outgoing::Left),
            Sent::Nothing => self.send(Outgoing::Text(text)),
        }
    }

    /// Queues an item. Never blocks: a client that lets the queue fill up is disconnected.
    pub(crate) fn send(&self, outgoing: Outgoing) {
        if self.queue.len() >= QUEUE {
            log::warn!("disconnecting a client that has {QUEUE} replies unread");
            return self.disconnect();
        }
        self.socket.will_write();
        self.owed.queue(outgoing.outcomes());
        // If the writer has ended by now, it is as if the connection had ended on the way.
        let _ = self.queue.send(outgoing);
    }

    /// Says why the connection ends, if the client can still be told, and ends it.
    pub(crate) fn dismiss(&self, reply: Reply) {
        self.send(Outgoing::Reply(None, reply));
        self.send(Outgoing::End);
        // Its reader takes this for the client's last word.
        self.socket.shutdown(Shutdown::Read);
    }

    /// Returns the socket.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.socket.stream()
    }

    /// Returns how many items are queued.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Ends the connection now. Its reader notices and tells the event loop.
    pub(crate) fn disconnect(&self) {
        self.socket.shutdown(Shutdown::Both);
        self.owed.close();
    }

    /// Returns the count of replies that the client is owed.
    pub(crate) fn owed(&self) -> &Arc<Owed> {
        &self.owed
    }

    /// Returns the parts that the writer needs. The queue is not among them: the writer ends when nobody
    /// can queue anything more.
    pub(crate) fn for_writer(&self) -> (Arc<Socket>, Arc<Owed>) {
        (Arc::clone(&self.socket), Arc::clone(&self.owed))
    }
}

/// Writes queued items until nobody can queue more, or [`Outgoing::End`], an error or the node's end comes.
pub(crate) fn write_out(
    outgoing: &Receiver<Outgoing>,
    socket: &Socket,
    owed: &Owed,
    over: &Receiver<Infallible>,
) {
    let _closing = Closing(owed);
    loop {
        let first = select! {
            recv(outgoing) -> first => first,
            recv(over) -> _ => break,
        };
        let Ok(first) = first else { break };
        let batch = Batch::gather(first, outgoing);
        if let Err(error) = socket.write_all(batch.text.as_bytes(), batch.items) {
            log::debug!("a connection can't be written to: {error}");
            // The reader is to notice as well.
            return socket.shutdown(Shutdown::Both);
        }
        owed.pay(batch.replies, batch.outcomes);
        if batch.is_last {
            break;
        }
    }
    // Not the other direction: closing before all is read would destroy what was just written.
    socket.shutdown(Shutdown::Write);
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

/// The items that go out in one write.
#[derive(Default)]
struct Batch {
    text: String,
    items: usize,
    replies: usize,
    outcomes: usize,
    is_last: bool,
}

impl Batch {
    fn gather(first: Outgoing, outgoing: &Receiver<Outgoing>) -> Batch {
        let mut batch = Batch::default();
        batch.add(first);
        while batch.text.len() < MAX_WRITE
            && !batch.is_last
            && let Ok(next) = outgoing.try_recv()
        {
            batch.add(next);
        }
        batch
    }

    fn add(&mut self, outgoing: Outgoing) {
        self.items += 1;
        self.outcomes += outgoing.outcomes();
        let (text, replies) = match outgoing {
            Outgoing::Reply(id, reply) => (encode_reply(id, &reply), 1),
            Outgoing::Text(text) => (text, 1),
            Outgoing::Answer(message) => (encode_message(&message), 0),
            Outgoing::Left => (String::new(), 1),
            Outgoing::End => return self.is_last = true,
        };
        self.replies += replies;
        self.text.push_str(&text);
    }
}

/// Closes the count however the writer ends, so that nobody waits for it any more.
struct Closing<'a>(&'a Owed);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::bank::request::ErrorCode;

    /// Makes an outlet, its writer's queue, and the client's end.
    fn connection() -> (Outlet, Receiver<Outgoing>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (outlet, outgoing) = Outlet::new(Arc::new(listener.accept().unwrap().0));
        (outlet, outgoing, client)
    }

    /// True if one more reply can be owed.
    fn is_owed(owed: &Owed) -> bool {
        owed.owe(1, Instant::now(), Duration::from_secs(60)).is_some()
    }

    fn reply(length: usize) -> Reply {
        Reply::Error { error: ErrorCode::Store, message: "x".repeat(length) }
    }

    #[test]
    fn a_short_reply_needs_no_writer() {
        let (outlet, outgoing, client) = connection();
        outlet.reply(Some(7), reply(1));
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).unwrap();
        assert_eq!(line, encode_reply(Some(7), &reply(1)));
        assert!(outgoing.is_empty());
    }

    #[test]
    fn a_short_reply_does_not_overtake_what_is_queued() {
        let (outlet, outgoing, client) = connection();
        outlet.send(Outgoing::Text("first\n".to_owned()));
        outlet.reply(Some(2), reply(1));
        assert_eq!(outgoing.len(), 2, "both are the writer's");
        client.set_nonblocking(true).unwrap();
        assert!(client.peek(&mut [0]).is_err(), "nothing has left");
    }

    #[test]
    fn what_a_client_does_not_read_blocks_only_the_writer_and_comes_whole_and_in_order() {
        const LENGTH: usize = 200_000;
        let (outlet, outgoing, client) = connection();
        let mut sent = 0;
        // Until the socket is full, and some more.
        while outgoing.len() < 20 {
            outlet.reply(Some(sent), reply(LENGTH));
            sent += 1;
        }
        let (socket, owed) = outlet.for_writer();
        let (_running, over) = crossbeam_channel::bounded(0);
        std::thread::scope(|scope| {
            scope.spawn(|| write_out(&outgoing, &socket, &owed, &over));
            let mut lines = BufReader::new(client).lines();
            for id in 0..sent {
                let line = lines.next().unwrap().unwrap();
                assert_eq!(line, encode_reply(Some(id), &reply(LENGTH)).trim_end());
            }
            // When all is written, the way is free again.
            while !socket.is_idle() {
                std::thread::yield_now();
            }
            outlet.reply(Some(sent), reply(1));
            assert_eq!(
                lines.next().unwrap().unwrap(),
                encode_reply(Some(sent), &reply(1)).trim_end()
            );
            drop(outlet);
        });
    }

    /// Bug: a reply whose beginning alone was sent at once was taken for sent, and its end left with the
    /// next one, if there was one. Fix: its end is given to the writer.
    #[test]
    fn the_last_reply_comes_whole_though_nothing_follows_it() {
        let (outlet, outgoing, client) = connection();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (socket, owed) = outlet.for_writer();
        let mut sent = 0;
        while !socket.is_torn() && outgoing.is_empty() {
            assert!(is_owed(&owed));
            outlet.reply(Some(sent), reply(200_000));
            sent += 1;
        }
        let (_running, over) = crossbeam_channel::bounded(0);
        std::thread::scope(|scope| {
            scope.spawn(|| write_out(&outgoing, &socket, &owed, &over));
            let mut lines = BufReader::new(client).lines();
            for id in 0..sent {
                let line = lines.next().unwrap().unwrap();
                assert_eq!(line, encode_reply(Some(id), &reply(200_000)).trim_end());
            }
            drop(outlet);
        });
        assert!(!socket.is_torn() && socket.is_idle());
        assert_eq!(owed.replies(), 0, "all is paid");
        assert!(!is_owed(&owed), "nothing will be paid any more");
    }

    #[test]
    fn what_the_writer_writes_is_paid_as_well() {
        let (outlet, outgoing, client) = connection();
        let (socket, owed) = outlet.for_writer();
        let (_running, over) = crossbeam_channel::bounded(0);
        std::thread::scope(|scope| {
            scope.spawn(|| write_out(&outgoing, &socket, &owed, &over));
            assert!((0..3).all(|_| is_owed(&owed)));
            outlet.send(Outgoing::Text("1\n".to_owned()));
            outlet.send(Outgoing::Reply(Some(2), reply(1)));
            assert_eq!(BufReader::new(&client).lines().take(2).count(), 2);
            while owed.replies() > 1 {
                std::thread::yield_now();
            }
            outlet.disconnect();
            assert!(!is_owed(&owed), "nobody reads any more");
            drop(outlet);
        });
    }
}
