//! A connection's writer: what is queued for the client, and what it follows.

use std::convert::Infallible;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError, never, select};

use crate::bank::request::ErrorCode;
use crate::courtesy::give_way;
use crate::keepalive::{UNACKNOWLEDGED, set_unacknowledged};
use crate::node::backlog::Backlog;
use crate::node::reply_sender::Outgoing;
use crate::node::send_queue::{MAX_WRITE, Queued};
use crate::node::socket::Socket;
use crate::node::streams::{Pace, Stream};
use crate::wire::{encode_message, encode_reply};

/// The time after which a follower that doesn't read holds no more than what it is told just now.
const STUCK: Duration = Duration::from_secs(1);
/// The time that bytes for a follower may stay unacknowledged. It may be stopped for a while; but whoever has vanished is
/// not to keep a place for ever.
const STOPPED: Duration = Duration::from_secs(600);

/// Writes queued items until nobody can queue more, or [`Outgoing::End`], an error or the node's end comes.
pub(crate) fn write_out(
    outgoing: &Receiver<Queued<Outgoing>>,
    socket: &Socket,
    owed: &Backlog,
    over: &Receiver<Infallible>,
) {
    let _closing = Closing(owed);
    let mut teller: Option<Teller> = None;
    while let Some(first) = next(outgoing, over, teller.as_ref()) {
        let mut batch = first.map(|first| Batch::gather(first, outgoing)).unwrap_or_default();
        if let Some(stream) = batch.begins.take() {
            teller = Some(Teller::begin(stream, socket));
        }
        let sent = match &mut teller {
            None => socket.write_all(&batch.text, batch.items),
            Some(teller) => teller.tell(&mut batch, socket),
        };
        if let Err(error) = sent {
            log::debug!("a connection can't be written to: {error}");
            // The reader is to notice as well.
            return socket.shutdown(Shutdown::Both);
        }
        if teller.as_ref().is_some_and(|teller| teller.pace == Pace::Over) {
            teller = None;
            owed.follow_no_more();
        }
        owed.pay(batch.replies, batch.weight);
        if batch.is_last {
            break;
        }
    }
    // Not the other direction: closing before all is read would destroy what was just written.
    socket.shutdown(Shutdown::Write);
}

/// Waits for a queued item, or until there is something to tell of the stream: the inner none. None if it is time to end.
fn next(
    outgoing: &Receiver<Queued<Outgoing>>,
    over: &Receiver<Infallible>,
    teller: Option<&Teller<'_>>,
) -> Option<Option<Queued<Outgoing>>> {
    let (woken, at) = match teller.map(|teller| (teller.pace, teller.told.woken())) {
        None | Some((Pace::Over, _)) => (&never(), never()),
        Some((Pace::Until(moment), woken)) => (woken, crossbeam_channel::at(moment)),
        Some((Pace::More, _)) => {
            let is_over = over.try_recv() == Err(TryRecvError::Disconnected);
            return match outgoing.try_recv() {
                Ok(first) => Some(Some(first)),
                Err(TryRecvError::Empty) if !is_over => Some(None),
                Err(_) => None,
            };
        }
    };
    select! {
        recv(outgoing) -> first => first.ok().map(Some),
        recv(over) -> _ => None,
        recv(woken) -> _ => Some(None),
        recv(at) -> _ => Some(None),
    }
}

/// What a writer does for a stream.
struct Teller<'a> {
    told: Box<dyn Stream>,
    pace: Pace,
    stream: &'a TcpStream,
    /// How long bytes may stay unread when nobody follows.
    usual: Option<Duration>,
}

impl<'a> Teller<'a> {
    fn begin(told: Box<dyn Stream>, socket: &'a Socket) -> Teller<'a> {
        let stream = socket.stream();
        let usual = stream.write_timeout().ok().flatten();
        // A follower may be slow: nobody waits for it. If the system refuses, it has less time.
        let _ = stream.set_write_timeout(Some(STUCK));
        let _ = set_unacknowledged(stream, STOPPED);
        if told.gives_way() {
            give_way();
        }
        Teller { told, pace: Pace::More, stream, usual }
    }

    /// Writes what is queued, and what is told next.
    fn tell(&mut self, batch: &mut Batch, socket: &Socket) -> io::Result<()> {
        let Teller { told, pace, .. } = self;
        *pace = match (batch.is_last, batch.unfollows) {
            (true, _) => {
                told.end(&mut batch.text, ErrorCode::Unavailable, "this connection ends");
                Pace::Over
            }
            (false, true) => {
                let why = "what keys may do has changed: ask again";
                told.end(&mut batch.text, ErrorCode::Forbidden, why);
                Pace::Over
            }
            (false, false) => told.tell(&mut batch.text),
        };
        if batch.text.is_empty() && batch.items == 0 {
            return Ok(());
        }
        socket.write_patiently(&batch.text, batch.items, || told.rest())
    }
}

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        let _ = self.stream.set_write_timeout(self.usual);
        let _ = set_unacknowledged(self.stream, UNACKNOWLEDGED);
    }
}

/// The items that go out in one write.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    items: usize,
    replies: usize,
    weight: usize,
    is_last: bool,
    begins: Option<Box<dyn Stream>>,
    unfollows: bool,
}

impl Batch {
    fn gather(first: Queued<Outgoing>, outgoing: &Receiver<Queued<Outgoing>>) -> Batch {
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

    fn add(&mut self, queued: Queued<Outgoing>) {
        self.items += 1;
        let Queued::Item(outgoing) = queued else { return self.replies += 1 };
        self.weight += outgoing.weight();
        let (text, replies) = match outgoing {
            Outgoing::Reply(id, reply) => (encode_reply(id.as_ref(), &reply), 1),
            Outgoing::Word(word) => (encode_reply(None, &word), 0),
            Outgoing::Text(text) => (text, 1),
            Outgoing::Answer(message) => (encode_message(&message), 0),
            Outgoing::Begin(stream) => {
                self.begins = Some(stream);
                (String::new(), 1)
            }
            Outgoing::Unfollow => return self.unfollows = true,
            Outgoing::End => return self.is_last = true,
        };
        self.replies += replies;
        self.text.extend_from_slice(text.as_bytes());
    }
}

/// Closes the count however the writer ends, so that nobody waits for it any more.
struct Closing<'a>(&'a Backlog);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
