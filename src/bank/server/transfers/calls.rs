//! Requests with several transfers: each has its own outcome, and one reply tells them all.

use std::collections::BTreeMap;

use super::held::{Bounds, Held};
use crate::bank::effects::Bound;
use crate::bank::ids::ConnectionId;
use crate::bank::limits::Limits;
use crate::bank::request::{Outcome, Reply};

/// A place in a reply for one transfer's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Ticket {
    /// The request.
    pub call: u64,
    /// The transfer's place in the request.
    pub place: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Call {
    connection: ConnectionId,
    id: Option<u64>,
    /// True if it came as one transfer, not as a list.
    single: bool,
    /// The outcomes, up to the last one known.
    outcomes: Vec<Option<Outcome>>,
    missing: usize,
    /// The number of its transfers. All their outcomes are kept until the last one is known.
    items: usize,
    /// True if one of them waits, so that they count.
    waits: bool,
}

/// The requests with transfers whose outcome isn't known yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Calls {
    open: BTreeMap<u64, Call>,
    opened: u64,
    /// For each connection, the call whose remaining parts are still to come.
    unfinished: BTreeMap<ConnectionId, u64>,
    /// The items of waiting requests.
    items: Held,
}

impl Calls {
    /// Notes a request with `transfers` transfers, and names it.
    pub fn open(
        &mut self,
        connection: ConnectionId,
        id: Option<u64>,
        transfers: usize,
        single: bool,
    ) -> u64 {
        self.opened += 1;
        let outcomes = Vec::with_capacity(transfers);
        let (missing, items) = (transfers, transfers);
        let call = Call { connection, id, single, outcomes, missing, items, waits: false };
        self.open.insert(self.opened, call);
        self.opened
    }

    /// Returns the call that the next part on this connection belongs to; none if it is answered already.
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

    /// True if a request may wait for one of its outcomes, because there is room for all of them. Room is
    /// allocated only as they come.
    pub fn may_wait(&mut self, call: u64, limits: &Limits) -> bool {
        let Some(call) = self.open.get_mut(&call).filter(|call| !call.waits) else { return true };
        let bounds = Bounds {
            all: limits.items_that_wait,
            of_one: limits.items_of_one,
            anyway: limits.items_anyway,
        };
        let has_room = self.items.has_room(call.connection, call.items, bounds);
        if has_room.is_err() && !planted!(AnyNumberWaits) {
            return false;
        }
        call.waits = true;
        call.outcomes.shrink_to_fit();
        self.items.take(call.connection, call.items);
        true
    }

    fn close(&mut self, call: u64) -> Option<Call> {
        let call = self.open.remove(&call)?;
        if call.waits {
            self.items.give_back(call.connection, call.items);
        }
        Some(call)
    }

    /// Closes a request that can't be answered item by item; returns whose it was.
    pub fn give_up(&mut self, call: u64) -> Option<(ConnectionId, Option<u64>)> {
        self.close(call).map(|call| (call.connection, call.id))
    }

    /// Forgets the requests of a connection that is gone.
    pub fn forget_connection(&mut self, connection: ConnectionId) {
        self.open.retain(|_, call| call.connection != connection);
        self.unfinished.remove(&connection);
        self.items.give_all_back(connection);
    }

    /// Notes an outcome; returns the reply if it was the last one.
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
        let Call { connection, id, single, outcomes, .. } = self.close(ticket.call)?;
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
    use crate::bank::reason::{Code, Reason};

    #[test]
    fn a_request_that_is_given_up_is_not_kept() {
        let mut calls = Calls::default();
        let expired = || Outcome::Expired { reason: Reason::new(Code::TooLate, "") };
        let call = calls.open(ConnectionId(1), None, 1, true);
        calls.give_up(call);
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
        let outcome =
            |reason: &str| Outcome::Invalid { reason: Reason::new(Code::AmountZero, reason) };
        let call = calls.open(ConnectionId(1), Some(4), 2, false);
        assert_eq!(calls.resolve(Ticket { call, place: 1 }, outcome("b")), None);
        assert_eq!(calls.resolve(Ticket { call, place: 1 }, outcome("c")), None);
        let outcomes = vec![outcome("a"), outcome("c")];
        let reply = Bound::Reply(ConnectionId(1), Some(4), Reply::Batch { outcomes });
        assert_eq!(calls.resolve(Ticket { call, place: 0 }, outcome("a")), Some(reply));
    }

    #[test]
    fn what_waits_is_bounded_in_items_but_a_few_of_each_may_always() {
        let (first, second, third) = (ConnectionId(1), ConnectionId(2), ConnectionId(3));
        let limits =
            Limits { items_that_wait: 10, items_of_one: 6, items_anyway: 2, ..Limits::default() };
        let mut calls = Calls::default();
        let waits = |calls: &mut Calls, connection, items| {
            let call = calls.open(connection, None, items, false);
            (call, calls.may_wait(call, &limits))
        };
        let (call, may) = waits(&mut calls, first, 5);
        assert!(may && calls.open[&call].outcomes.capacity() == 0, "room as it is needed");
        assert!(calls.may_wait(call, &limits), "all that it needs is there");
        assert!(!waits(&mut calls, first, 2).1, "7 of one");
        assert!(waits(&mut calls, second, 5).1, "10 in all");
        assert!(waits(&mut calls, third, 2).1, "2 anyway");
        assert!(!waits(&mut calls, third, 1).1, "3 of one");
        calls.give_up(call);
        assert!(waits(&mut calls, third, 1).1, "8 in all");
        calls.forget_connection(second);
        calls.forget_connection(third);
        calls.forget_connection(first);
        assert_eq!(calls.items, Held::default());
    }
}
