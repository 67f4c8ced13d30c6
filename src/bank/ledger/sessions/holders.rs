//! Which sessions a connection holds, and which of them goes first when there are too many.

use std::collections::BTreeMap;

use crate::bank::ids::{ConnectionId, SessionId};

/// Where a session stands among those of its holder: the unused ones first, then by their last use.
pub(super) type Place = (bool, u64);

/// The sessions of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Held {
    places: BTreeMap<Place, SessionId>,
    /// The requests that are remembered of them.
    requests: usize,
}

/// All sessions by the connection that spoke of them last; those of connections that are gone, or that
/// came from the store, are nobody's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Holders {
    held: BTreeMap<Option<ConnectionId>, Held>,
}

impl Holders {
    /// Files a session that has so many requests.
    pub fn file(
        &mut self,
        holder: Option<ConnectionId>,
        place: Place,
        session: SessionId,
        requests: usize,
    ) {
        let held = self.held.entry(holder).or_default();
        held.places.insert(place, session);
        held.requests += requests;
    }

    /// Takes out a session, with its name.
    pub fn take(
        &mut self,
        holder: Option<ConnectionId>,
        place: Place,
        requests: usize,
    ) -> Option<SessionId> {
        let held = self.held.get_mut(&holder)?;
        let session = held.places.remove(&place);
        held.requests -= requests;
        if held.places.is_empty() {
            self.held.remove(&holder);
        }
        session
    }

    /// So many requests are remembered of one's sessions now that were so many before.
    pub fn count_requests(&mut self, holder: Option<ConnectionId>, before: usize, now: usize) {
        if let Some(held) = self.held.get_mut(&holder).filter(|_| before != now) {
            held.requests = held.requests + now - before;
        }
    }

    /// How many a holder has.
    pub fn count(&self, holder: Option<ConnectionId>) -> usize {
        self.held.get(&holder).map_or(0, |held| held.places.len())
    }

    /// All that one holds, in the order in which they go.
    pub fn of(&self, holder: Option<ConnectionId>) -> impl Iterator<Item = &SessionId> {
        self.held.get(&holder).into_iter().flat_map(|held| held.places.values())
    }

    /// The first of those that are nobody's; else of the connection that holds the most, which is the one
    /// that asks for room if no other holds more.
    pub fn to_go(&self, asks: Option<ConnectionId>) -> Option<SessionId> {
        let most = |(holder, held): &(&Option<ConnectionId>, &Held)| {
            (holder.is_none(), held.places.len(), **holder == asks)
        };
        let (holder, _) = self.held.iter().max_by_key(most)?;
        self.of(*holder).next().cloned()
    }

    /// Who has the most requests; those that are nobody's, if no connection has more.
    pub fn with_most_requests(&self) -> Option<Option<ConnectionId>> {
        let most =
            |(holder, held): &(&Option<ConnectionId>, &Held)| (held.requests, holder.is_none());
        self.held.iter().max_by_key(most).map(|(holder, _)| *holder)
    }
}
