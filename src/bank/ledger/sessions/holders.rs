//! The sessions that each connection holds, and which of them go first when there are too many.

use std::collections::BTreeMap;

use super::Sessions;
use crate::bank::ids::{ConnectionId, SessionId};

/// How long a session is kept when there are too many: those that go first come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Keep {
    /// Nothing was ever asked in it.
    #[default]
    Unused,
    /// Something was.
    Used,
    /// Its client named it, and something was asked in it: it never goes, and takes no place from the others.
    Always,
}

/// A session's place among those of its holder, in the order in which they go.
pub(super) type Rank = (Keep, u64);

/// The sessions of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Held {
    places: BTreeMap<Rank, SessionId>,
    /// The number of those that never go.
    stay: usize,
    /// The number of remembered requests of these sessions.
    requests: usize,
}

impl Held {
    /// Returns how many of the sessions may go.
    fn may_go(&self) -> usize {
        self.places.len() - self.stay
    }
}

/// All sessions by the connection that used them last. Sessions whose connection is gone, or that came from
/// the store, are nobody's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Holders {
    held: BTreeMap<Option<ConnectionId>, Held>,
    /// The number of all that never go.
    stay: usize,
}

impl Holders {
    /// Files a session with its number of requests.
    pub fn file(
        &mut self,
        holder: Option<ConnectionId>,
        place: Rank,
        session: SessionId,
        requests: usize,
    ) {
        let held = self.held.entry(holder).or_default();
        held.places.insert(place, session);
        let stays = usize::from(place.0 == Keep::Always);
        held.stay += stays;
        self.stay += stays;
        held.requests += requests;
    }

    /// Takes a session out, and returns its name.
    pub fn take(
        &mut self,
        holder: Option<ConnectionId>,
        place: Rank,
        requests: usize,
    ) -> Option<SessionId> {
        let held = self.held.get_mut(&holder)?;
        let session = held.places.remove(&place);
        let stays = usize::from(place.0 == Keep::Always);
        held.stay -= stays;
        self.stay -= stays;
        held.requests -= requests;
        if held.places.is_empty() {
            self.held.remove(&holder);
        }
        session
    }

    /// Returns how many sessions there are that never go.
    pub fn stay(&self) -> usize {
        self.stay
    }

    /// Notes that the remembered requests of a holder's session went from `before` to `now`.
    pub fn count_requests(&mut self, holder: Option<ConnectionId>, before: usize, now: usize) {
        if let Some(held) = self.held.get_mut(&holder).filter(|_| before != now) {
            held.requests = held.requests + now - before;
        }
    }

    /// Returns how many sessions a holder has that may go.
    pub fn count(&self, holder: Option<ConnectionId>) -> usize {
        self.held.get(&holder).map_or(0, Held::may_go)
    }

    /// Returns a holder's sessions, in the order in which they go.
    pub fn of(&self, holder: Option<ConnectionId>) -> impl Iterator<Item = &SessionId> {
        self.held.get(&holder).into_iter().flat_map(|held| held.places.values())
    }

    /// Returns the session to forget: the first one that is nobody's, else the first of the connection that
    /// holds the most. If no other holds more, that is the connection that asks for room. None if none may go.
    pub fn to_go(&self, asks: Option<ConnectionId>) -> Option<SessionId> {
        let most = |(holder, held): &(&Option<ConnectionId>, &Held)| {
            (holder.is_none(), held.may_go(), **holder == asks)
        };
        let some_may_go = |(_, held): &(_, &Held)| held.may_go() > 0;
        let (holder, _) = self.held.iter().filter(some_may_go).max_by_key(most)?;
        self.of(*holder).next().cloned()
    }

    /// Returns the holder with the most requests: nobody, if no connection has more.
    pub fn with_most_requests(&self) -> Option<Option<ConnectionId>> {
        let most =
            |(holder, held): &(&Option<ConnectionId>, &Held)| (held.requests, holder.is_none());
        self.held.iter().max_by_key(most).map(|(holder, _)| *holder)
    }
}

impl Sessions {
    /// Returns the newest connection that used a session, while it is there.
    pub fn holder(&self, session: &SessionId) -> Option<ConnectionId> {
        self.sessions.get(session).and_then(|state| state.holder)
    }
}
