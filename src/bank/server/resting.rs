//! A server whose store takes no writes: it only reads, and tells only what is durable already (DESIGN.md,
//! "The store").
//!
//! It goes on in its old life, of which it doesn't know which names it has used. So it uses no name of that
//! life: it begins no run, and opens no session.

use super::Server;
use crate::bank::effects::{Bound, Timer};
use crate::bank::ids::ConnectionId;
use crate::bank::paxos::message::Message;
use crate::bank::request::{ErrorCode, Order, Reply, Request};

impl Server {
    /// True if this server only reads.
    pub(super) fn rests(&self) -> bool {
        self.store.no_writes.is_some()
    }

    /// Declines what a server that only reads can't do. True if it did.
    pub(super) fn declines(
        &mut self,
        connection: ConnectionId,
        id: Option<u64>,
        request: &Request,
    ) -> bool {
        let declined = self.rests() && !reads_only(request);
        if declined {
            self.decline(connection, id);
        }
        declined
    }

    /// Says that nothing was done, and why, if this server only reads. Returns true if it only reads.
    pub(super) fn decline(&mut self, connection: ConnectionId, id: Option<u64>) -> bool {
        let Some(why) = &self.store.no_writes else { return false };
        let message = format!(
            "nothing was done about this request: the store of {} takes no writes ({why}); try again when \
             it does",
            self.config.id
        );
        let reply = Reply::Error { error: ErrorCode::Full, message };
        self.effects.bind(Bound::Reply(connection, id, reply));
        true
    }

    /// True if a server that only reads ignores this message.
    pub(super) fn is_deaf_to(&self, message: &Message) -> bool {
        let heard = matches!(
            message,
            Message::Heartbeat(_) | Message::ReconcileRequest | Message::BlocksRequest { .. }
        );
        self.rests() && !heard && !planted!(RestingVotes)
    }

    /// True if a server that only reads ignores this timer.
    pub(super) fn ignores(&self, timer: Timer) -> bool {
        self.rests() && timer != Timer::Heartbeat
    }
}

/// True if a request is answered without a write, and without a name of the present life.
fn reads_only(request: &Request) -> bool {
    match request {
        Request::Status
        | Request::Chain { .. }
        | Request::History { .. }
        | Request::Accounts { .. }
        | Request::Balance(_)
        | Request::Log { .. }
        | Request::Follow(_) => true,
        Request::One(_) | Request::Batch(_) | Request::Settle | Request::Session(_) => false,
        Request::Rejoin(confirmed) => confirmed.is_none(),
        Request::Members(order) => *order == Order::Show,
    }
}
