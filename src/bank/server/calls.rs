//! Requests with several transfers: each has its own outcome, and one reply tells them all.

use std::collections::BTreeMap;

use crate::bank::effects::Bound;
use crate::bank::ids::ConnectionId;
use crate::bank::request::{Outcome, Reply};

/// A place in a reply for one transfer's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket {
    /// The request.
    pub call: u64,
    /// The transfer's place in it.
    pub place: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Call {
    connection: ConnectionId,
    id: Option<u64>,
    /// It came as one transfer, not as a list.
    single: bool,
    /// Up to the last one that is known.
    outcomes: Vec<Option<Outcome>>,
    missing: usize,
}

/// Requests with transfers whose outcome isn't known yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Calls {
    open: BTreeMap<u64, Call>,
    opened: u64,
    /// For each connection, the call of which the remaining parts are still to come.
    unfinished: BTreeMap<ConnectionId, u64>,
}

impl Calls {
    /// Takes note of a request with so many transfers, and names it.
    pub fn open(
        &mut self,
        connection: ConnectionId,
        id: Option<u64>,
        transfers: usize,
        single: bool,
    ) -> u64 {
        self.opened += 1;
        let outcomes = Vec::with_capacity(transfers);
        let call = Call { connection, id, single, outcomes, missing: transfers };
        self.open.insert(self.opened, call);
        self.opened
    }

    /// The call that the next part on this connection belongs to; none if that is answered already.
    pub fn unfinished(&self, connection: ConnectionId) -> Option<u64> {
        self.unfinished.get(&connection).copied()
    }

    /// Notes whether further parts of the call are to come on this connection.
    pub fn expect_more(&mut self, connection: ConnectionId, call: u64, more: bool) {
        match more {
            true => drop(self.unfinished.insert(connection, call)),
            false => drop(self.unfinished.remove(&connection)),
        }
    }

    /// Nobody waits for this reply any more.
    pub fn forget(&mut self, call: u64) {
        self.open.remove(&call);
    }

    /// Forgets the requests of a connection that is gone.
    pub fn forget_connection(&mut self, connection: ConnectionId) {
        self.open.retain(|_, call| call.connection != connection);
        self.unfinished.remove(&connection);
    }

    /// Notes an outcome; the reply, if it was the last one.
    pub fn resolve(&mut self, ticket: Ticket, outcome: Outcome) -> Option<Bound> {
        let call = self.open.get_mut(&ticket.call)?;
        if call.outcomes.len() <= ticket.place {
            call.outcomes.resize_with(ticket.place, || None);
            call.outcomes.push(Some(outcome));
            call.missing -= 1;
        } else if call.outcomes[ticket.place].replace(outcome).is_none() {
            call.missing -= 1;
        }
        if call.missing > 0 {
            return None;
        }
        let Call { connection, id, single, outcomes, .. } = self.open.remove(&ticket.call)?;
        let known = outcomes.into_iter().map(|outcome| outcome.expect("none is missing"));
        let mut outcomes: Vec<Outcome> = known.collect();
        let reply = match outcomes.pop() {
            Some(only) if single => Reply::One(only),
            last => {
                outcomes.extend(last);
                Reply::Batch { outcomes }
            }
        };
        Some(Bound::Reply(connection, id, reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_nobody_waits_for_is_not_kept() {
        let mut calls = Calls::default();
        let expired = || Outcome::Expired { reason: String::new() };
        let call = calls.open(ConnectionId(1), None, 1, true);
        calls.forget(call);
        assert_eq!(calls.resolve(Ticket { call, place: 0 }, expired()), None);
        let call = calls.open(ConnectionId(1), None, 1, true);
        calls.forget_connection(ConnectionId(2));
        let reply = Bound::Reply(ConnectionId(1), None, Reply::One(expired()));
        assert_eq!(calls.resolve(Ticket { call, place: 0 }, expired()), Some(reply));
        calls.open(ConnectionId(1), None, 1, true);
        calls.forget_connection(ConnectionId(1));
        assert!(calls.open.is_empty());
    }

    #[test]
    fn a_place_is_filled_once() {
        let mut calls = Calls::default();
        let outcome = |reason: &str| Outcome::Invalid { reason: reason.into() };
        let call = calls.open(ConnectionId(1), Some(4), 2, false);
        assert_eq!(calls.resolve(Ticket { call, place: 1 }, outcome("b")), None);
        assert_eq!(calls.resolve(Ticket { call, place: 1 }, outcome("c")), None);
        let outcomes = vec![outcome("a"), outcome("c")];
        let reply = Bound::Reply(ConnectionId(1), Some(4), Reply::Batch { outcomes });
        assert_eq!(calls.resolve(Ticket { call, place: 0 }, outcome("a")), Some(reply));
    }
}
