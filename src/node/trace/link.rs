//! The trace of one connection that was dialled to a peer.

use std::sync::{Mutex, PoisonError};

use super::quota::Sort;
use super::{Counts, Trace};
use crate::bank::effects::Event;
use crate::bank::ids::ServerId;
use crate::bank::paxos::message::Message;
use crate::trace::record::{Brief, Loss, Place, Queue, What};

/// The trace of one dialled connection.
#[derive(Debug)]
pub(crate) struct LinkTrace {
    trace: Trace,
    to: ServerId,
    connection: String,
    sent: Mutex<Counts>,
}

impl LinkTrace {
    pub(super) fn new(trace: Trace, to: ServerId, connection: String) -> LinkTrace {
        LinkTrace { trace, to, connection, sent: Mutex::default() }
    }

    /// Notes what becomes of a message, and counts it. Other senders over this link wait meanwhile, so that messages
    /// are counted in the order in which they are queued.
    pub(crate) fn send(&self, message: Message, queue: impl FnOnce(Message) -> Option<Loss>) {
        let kind = Queue::of(&message);
        let brief = self.trace.is_on().then(|| Brief::of(&message));
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = queue(message);
        let number = if lost.is_none() { sent.next(kind) } else { 0 };
        let Some(message) = brief else { return };
        let to = self.to.clone();
        self.trace.note(Sort::Protocol, || match lost {
            Some(why) => What::Lost { to, why, message },
            None => {
                let connection = self.connection.clone();
                What::Sent { to, place: Place { connection, queue: kind, number }, message }
            }
        });
    }

    /// Notes that the peer answered the hello.
    pub(crate) fn was_answered(&self, event: &Event) {
        if let Event::LinkAnswered(from, answer) = event {
            let connection = self.connection.clone();
            let place = Place { connection, queue: Queue::Answer, number: 1 };
            let received = |message| What::Received { from: from.clone(), place, message };
            self.trace.note(Sort::Protocol, || received(Brief::of(answer)));
        }
    }
}
