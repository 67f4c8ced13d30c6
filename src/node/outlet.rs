//! The way out to one connection: a bounded queue and the thread that writes what is in it.

use std::convert::Infallible;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, select};

use crate::bank::paxos::message::Message;
use crate::bank::request::Reply;
use crate::wire::{encode_message, encode_reply};

/// How many replies a client may be owed before nothing more is read from it.
pub(crate) const MAX_OWED: usize = 256;
/// Every reply that is owed fits, and what closes the connection.
const QUEUE: usize = MAX_OWED + 8;
/// Text beyond this waits for the next write.
pub(crate) const MAX_WRITE: usize = 64 << 10;

/// Something to be written to a connection.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// To a client; written as text by the writer, so that the event loop needn't.
    Reply(Option<u64>, Reply),
    /// To a client: a reply that is text already.
    Text(String),
    /// To a peer: the answer to its hello.
    Answer(Message),
    /// Nothing follows: the connection is to end when all before this is written.
    End,
}

/// What the event loop and the block reader hold of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    queue: Sender<Outgoing>,
    socket: Arc<TcpStream>,
    owed: Arc<Owed>,
}

impl Outlet {
    /// The outlet to a socket, and what [`write_out`] needs.
    pub(crate) fn new(socket: Arc<TcpStream>) -> (Outlet, Receiver<Outgoing>) {
        let (queue, outgoing) = crossbeam_channel::bounded(QUEUE);
        (Outlet { queue, socket, owed: Arc::default() }, outgoing)
    }

    /// Queues this. Never blocks: who lets the queue fill up is disconnected.
    pub(crate) fn send(&self, outgoing: Outgoing) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(outgoing) {
            log::warn!("disconnecting a client that has {QUEUE} replies unread");
            self.disconnect();
        }
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// How much is queued.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Ends the connection now. Its reader notices and says so.
    pub(crate) fn disconnect(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        self.owed.close();
    }

    /// The replies that the client is owed.
    pub(crate) fn owed(&self) -> &Owed {
        &self.owed
    }

    /// As much of this outlet as its writer needs. The queue is not in it, for the writer ends
    /// when nobody can queue anything any more.
    pub(crate) fn for_writer(&self) -> (Arc<TcpStream>, Arc<Owed>) {
        (Arc::clone(&self.socket), Arc::clone(&self.owed))
    }
}

/// Writes what is queued until nobody can queue more, or to [`Outgoing::End`], or until it fails or
/// the node is over.
pub(crate) fn write_out(
    outgoing: &Receiver<Outgoing>,
    socket: &TcpStream,
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
        let mut writer: &TcpStream = socket;
        if let Err(error) = writer.write_all(batch.text.as_bytes()) {
            log::debug!("a connection can't be written to: {error}");
            // The reader is to notice as well.
            let _ = socket.shutdown(Shutdown::Both);
            return;
        }
        owed.pay(batch.replies);
        if batch.is_last {
            break;
        }
    }
    // Not the other direction: closing before all is read would destroy what was just written.
    let _ = socket.shutdown(Shutdown::Write);
}

/// What goes out in one write.
#[derive(Default)]
struct Batch {
    text: String,
    replies: usize,
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
        let (text, replies) = match outgoing {
            Outgoing::Reply(id, reply) => (encode_reply(id, &reply), 1),
            Outgoing::Text(text) => (text, 1),
            Outgoing::Answer(message) => (encode_message(&message), 0),
            Outgoing::End => return self.is_last = true,
        };
        self.replies += replies;
        self.text.push_str(&text);
    }
}

/// Counts the replies that a client is owed.
///
/// It holds a client back that asks faster than it reads, without holding anybody else; and it
/// tells when a client that has said its last word has been answered.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    debt: Mutex<Debt>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Debt {
    replies: usize,
    /// The writer has ended: nothing will be paid any more.
    closed: bool,
}

impl Owed {
    fn debt(&self) -> MutexGuard<'_, Debt> {
        self.debt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one reply more, once that is not too many. False if the connection ended meanwhile.
    ///
    /// Some requests are never answered: a retry that comes after a later one, for instance. What
    /// was not paid in the time that any request may take is one of these, and is written off.
    pub(crate) fn owe(&self, most: Duration) -> bool {
        let too_many = |debt: &mut Debt| debt.replies >= MAX_OWED && !debt.closed;
        let (mut debt, waited) = self
            .changed
            .wait_timeout_while(self.debt(), most, too_many)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            debt.replies = 0;
        }
        debt.replies += 1;
        !debt.closed
    }

    fn pay(&self, replies: usize) {
        let mut debt = self.debt();
        debt.replies = debt.replies.saturating_sub(replies);
        self.changed.notify_all();
    }

    fn close(&self) {
        self.debt().closed = true;
        self.changed.notify_all();
    }

    /// Waits until nothing is owed or nothing will be paid any more, or for this long.
    pub(crate) fn wait_until_paid(&self, most: Duration) {
        let unpaid = |debt: &mut Debt| debt.replies > 0 && !debt.closed;
        drop(self.changed.wait_timeout_while(self.debt(), most, unpaid));
    }
}

/// However the writer ends, nobody is to wait for it any more.
struct Closing<'a>(&'a Owed);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn with_all_owed() -> Owed {
        let owed = Owed::default();
        assert!((0..MAX_OWED).all(|_| owed.owe(LONG)));
        owed
    }

    #[test]
    fn a_client_that_is_owed_much_is_held_back_until_some_is_paid() {
        let owed = with_all_owed();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| owed.owe(LONG));
            owed.pay(1);
            assert!(reader.join().unwrap());
        });
        assert_eq!(owed.debt().replies, MAX_OWED);
    }

    #[test]
    fn what_is_never_answered_does_not_hold_it_back_for_ever() {
        let owed = with_all_owed();
        assert!(owed.owe(Duration::from_millis(1)));
        assert_eq!(owed.debt().replies, 1);
    }

    #[test]
    fn nobody_waits_for_a_connection_that_has_ended() {
        let owed = with_all_owed();
        owed.close();
        assert!(!owed.owe(LONG));
        owed.wait_until_paid(LONG);
    }
}
