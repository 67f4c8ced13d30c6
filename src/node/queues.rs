//! The clients' requests that the state machine has not taken in: a queue for each connection, served in
//! turn.
//!
//! A client that asks for much holds up nobody else. A turn takes in a bounded number of items. Each
//! connection has a share of them; the rest of a longer batch waits for the next round. Clients that ask for
//! little go before the others, but not for ever: every other turn is for both. While any client asks for
//! little, turns are short.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::bank::effects::Event;
use crate::bank::ids::ConnectionId;
use crate::bank::request::{Instruction, Part, Request};
use crate::node::incoming::{Ask, Incoming};

/// The most items taken in within one turn. The more, the fewer writes.
pub(crate) const TURN: usize = 10_000;
/// The most items in a short turn, while a client that asks for little waits for the end of each turn.
pub(crate) const SHORT_TURN: usize = 3_000;
/// The most items of one connection before it is the next one's turn.
pub(crate) const SHARE: usize = 1_000;
/// How long turns stay short after a client has asked for little.
const SHORT_FOR: Duration = Duration::from_millis(200);

/// All connections' queues.
///
/// Reads no clock: the present is always given.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    queues: BTreeMap<ConnectionId, VecDeque<Waiting>>,
    /// The connections that ask for little and have something waiting, in the order of their turns.
    little: VecDeque<ConnectionId>,
    /// The other connections that have something waiting.
    much: VecDeque<ConnectionId>,
    short_until: Option<Instant>,
    /// True if the last turn was only for clients that ask for little, though others waited.
    was_apart: bool,
}

/// How much may still be taken in within the present turn.
#[derive(Debug)]
pub(crate) struct Allowance {
    items: usize,
    /// True if the turn is only for clients that ask for little.
    is_apart: bool,
    /// How much of it the first connection in a ring may still have.
    share: usize,
    now: Instant,
}

#[derive(Debug)]
enum Waiting {
    Asked(Ask),
    /// The rest of a batch, of which `before` items were taken in.
    Rest {
        ask: Ask,
        before: usize,
    },
    /// An opening or an end.
    Other(Incoming),
}

impl Waiting {
    fn is_little(&self) -> bool {
        match self {
            Waiting::Asked(ask) => ask.is_little,
            Waiting::Rest { .. } => false,
            Waiting::Other(_) => true,
        }
    }

    fn items(&self) -> usize {
        match self {
            Waiting::Asked(ask) => ask.weight,
            Waiting::Rest { ask, before } => ask.weight - before,
            Waiting::Other(_) => 0,
        }
    }
}

impl Queues {
    /// True if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Adds an event from a connection's reader.
    pub(crate) fn push(&mut self, incoming: Incoming) {
        let (id, waiting) = match incoming {
            Incoming::Asked(id, ask) => (id, Waiting::Asked(ask)),
            Incoming::Opened(id, _) | Incoming::Proved(id, _) | Incoming::Connection(id, _) => {
                (id, Waiting::Other(incoming))
            }
            // Clients' readers send nothing else.
            _ => return,
        };
        let queue = self.queues.entry(id).or_default();
        queue.push_back(waiting);
        if queue.len() == 1 {
            self.queue_up(id);
        }
    }

    /// Puts a connection at the end of its ring.
    fn queue_up(&mut self, id: ConnectionId) {
        match self.queues.get(&id).and_then(VecDeque::front) {
            None => drop(self.queues.remove(&id)),
            Some(first) if first.is_little() => self.little.push_back(id),
            Some(_) => self.much.push_back(id),
        }
    }

    /// Begins a turn.
    pub(crate) fn begin(&mut self, now: Instant) -> Allowance {
        let is_short = self.short_until.is_some_and(|until| now < until);
        let both_wait = !self.little.is_empty() && !self.much.is_empty();
        let is_apart = both_wait && !self.was_apart;
        self.was_apart = is_apart;
        let items = if is_short || both_wait { SHORT_TURN } else { TURN };
        Allowance { items, is_apart, share: SHARE, now }
    }

    /// Takes the next event out, if the turn has room for one.
    pub(crate) fn next(&mut self, allowance: &mut Allowance) -> Option<Incoming> {
        if allowance.items == 0 {
            return None;
        }
        let is_little = !self.little.is_empty();
        let ring = match is_little {
            true => &mut self.little,
            false if allowance.is_apart => return None,
            false => &mut self.much,
        };
        let id = *ring.front()?;
        let most = allowance.items.min(allowance.share);
        let (taken, items) = self.take(id, most);
        if is_little && items > 0 {
            self.short_until = Some(allowance.now + SHORT_FOR);
        }
        allowance.items = allowance.items.saturating_sub(items);
        allowance.share = allowance.share.saturating_sub(items);
        self.go_on(id, is_little, allowance);
        taken
    }

    /// Passes the turn on, if need be, after something of a ring's first connection was taken.
    fn go_on(&mut self, id: ConnectionId, was_little: bool, allowance: &mut Allowance) {
        let first = self.queues.get(&id).and_then(VecDeque::front);
        if allowance.share > 0 && first.is_some_and(|first| first.is_little() == was_little) {
            return;
        }
        allowance.share = SHARE;
        let ring = if was_little { &mut self.little } else { &mut self.much };
        ring.pop_front();
        self.queue_up(id);
    }

    /// Takes the first event of a queue, or at most `most` items of it; returns how many items it took.
    fn take(&mut self, id: ConnectionId, most: usize) -> (Option<Incoming>, usize) {
        let Some(queue) = self.queues.get_mut(&id) else { return (None, 0) };
        let Some(first) = queue.pop_front() else { return (None, 0) };
        let items = first.items();
        let (mut ask, before) = match first {
            Waiting::Other(incoming) => return (Some(incoming), 0),
            Waiting::Asked(ask) => (ask, 0),
            Waiting::Rest { ask, before } => (ask, before),
        };
        let (number, came) = (ask.number, ask.came);
        let event = match &mut ask.request {
            Request::Batch(rest) if before > 0 || (items > most && rest.len() > most) => {
                let instructions = cut(rest, most);
                let part = Part { before, after: rest.len(), instructions };
                let taken = part.instructions.len();
                if part.after > 0 {
                    queue.push_front(Waiting::Rest { before: before + taken, ask });
                }
                let event = Event::Part(id, number, part);
                return (Some(Incoming::Request(id, event, came)), taken);
            }
            _ => Event::Request(id, number, ask.request),
        };
        (Some(Incoming::Request(id, event, came)), items)
    }
}

/// Takes `most` items off the front, and those that the last one is linked to.
fn cut(rest: &mut Vec<Instruction>, most: usize) -> Vec<Instruction> {
    let mut count = most.clamp(1, rest.len());
    while count < rest.len() && rest[count - 1].linked {
        count += 1;
    }
    let after = rest.split_off(count);
    std::mem::replace(rest, after)
}

/// Returns what a request costs the event loop, in items of a batch.
pub(crate) fn weight(request: &Request) -> usize {
    const ENTRIES_AN_ITEM: usize = 4;
    match request {
        Request::Batch(instructions) => instructions.len().max(1),
        Request::Log { .. } => crate::bank::limits::MAX_LOG_PAGE / ENTRIES_AN_ITEM,
        Request::Accounts { limit, .. } => (limit / ENTRIES_AN_ITEM).max(1),
        Request::History { .. } | Request::Follow(_) => 16,
        Request::Status => 8,
        _ => 1,
    }
}

#[cfg(test)]
#[path = "queues_tests.rs"]
mod tests;
