//! Sessions: what became of each request, so that a retry pays once.
//!
//! What is remembered is bounded. Forgetting must never turn a late retry into a payment, so
//! whatever may have been forgotten is answered *expired*:
//!
//! - within a session, numbers up to its `floor` that are not remembered;
//! - sessions that are not remembered and were opened before the `horizon`. All entries of a session
//!   come after the seq in its name, so those of a later one can't have been forgotten.
//!
//! After a crash the memory is rebuilt from the entries of chain and log. Requests that were answered
//! otherwise than *accepted* are then unknown; DESIGN: "a new try is a new number".

use std::collections::BTreeMap;

use crate::bank::effects::WaitId;
use crate::bank::ids::{ConnectionId, RequestId, SessionId};
use crate::bank::ledger::entry::{Entry, Position, Via};
use crate::bank::request::{Outcome, TransferRequest};

/// How many requests of one session are remembered.
pub const MAX_REMEMBERED: usize = 10_000;
/// How many sessions are remembered.
pub const MAX_SESSIONS: usize = 10_000;
/// How many requests of all sessions together are remembered, but for those of the newest session.
pub const MAX_REMEMBERED_IN_ALL: usize = 200_000;

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is under way.
    Waiting(WaitId),
    /// It was accepted, as this entry.
    Accepted(Position, Via),
    /// It was answered otherwise: refused, unavailable or invalid.
    Rejected(Outcome),
}

/// What a session's request turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was never seen.
    New,
    /// A retry.
    Known(Fate),
    /// It may have been seen and forgotten.
    Expired,
    /// It came on an older connection of its session: to be dropped.
    Stale,
    /// Its number was used before, for another transfer.
    Reused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Remembered {
    /// The transfer's content, without its name: the same number must mean the same transfer.
    transfer: TransferRequest,
    fate: Fate,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Session {
    /// The newest connection that spoke of it.
    connection: Option<ConnectionId>,
    /// Counts up with each use of any session.
    last_use: u64,
    /// Numbers up to here that are not in `requests` may have been forgotten.
    floor: u64,
    requests: BTreeMap<u64, Remembered>,
}

/// The memory of all sessions of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    /// The sessions by `last_use`.
    by_use: BTreeMap<u64, SessionId>,
    uses: u64,
    /// The requests of all sessions.
    remembered: usize,
    /// A session that is not remembered and was opened before this position may have been forgotten.
    horizon: Option<Position>,
}

fn opened_at(session: &SessionId) -> Position {
    Position { epoch: session.epoch, seq: session.opened_at }
}

fn content(transfer: &TransferRequest) -> TransferRequest {
    TransferRequest { request: None, ..transfer.clone() }
}

impl Sessions {
    /// Begins to remember a session that was just opened.
    pub fn open(&mut self, session: &SessionId, connection: ConnectionId) {
        let state = self.touch(session);
        state.connection = Some(connection);
        // Its name is new, so nothing of it can have been forgotten, even if so many sessions were
        // opened since the last entry that the horizon is beyond them.
        state.floor = 0;
    }

    /// Looks up a request that came on a connection, which thereby may become its session's newest.
    pub fn find(
        &mut self,
        request: &RequestId,
        transfer: &TransferRequest,
        connection: ConnectionId,
    ) -> Found {
        let session = &request.session;
        let known = self.sessions.contains_key(session);
        if !known && Some(opened_at(session)) < self.horizon && !planted!(ForgottenIsNew) {
            return Found::Expired;
        }
        let state = self.touch(session);
        if state.connection > Some(connection) && !planted!(OldConnectionServed) {
            return Found::Stale;
        }
        state.connection = Some(connection);
        match state.requests.get(&request.number) {
            Some(known) if known.transfer != content(transfer) => Found::Reused,
            Some(Remembered { fate: Fate::Accepted(..), .. }) if planted!(RetryPaidAgain) => {
                Found::New
            }
            Some(Remembered { fate: Fate::Waiting(_), .. }) if planted!(WaitingPaidAgain) => {
                Found::New
            }
            Some(Remembered { fate: Fate::Rejected(_), .. }) if planted!(RefusedPaidLater) => {
                Found::New
            }
            Some(known) => Found::Known(known.fate.clone()),
            None if request.number <= state.floor => Found::Expired,
            None => Found::New,
        }
    }

    /// Remembers what becomes, or became, of a request.
    pub fn remember(&mut self, request: &RequestId, transfer: &TransferRequest, fate: Fate) {
        let state = self.touch(&request.session);
        let before = state.requests.len();
        let remembered = Remembered { transfer: content(transfer), fate };
        state.requests.insert(request.number, remembered);
        while state.requests.len() > MAX_REMEMBERED {
            let decided = state.requests.iter().find(|(_, r)| !matches!(r.fate, Fate::Waiting(_)));
            let Some(forgotten) = decided.map(|(number, _)| *number) else { break };
            state.requests.remove(&forgotten);
            state.floor = state.floor.max(forgotten);
        }
        let after = state.requests.len();
        self.remembered = self.remembered + after - before;
        while self.remembered > MAX_REMEMBERED_IN_ALL && self.sessions.len() > 1 {
            self.forget_oldest();
        }
    }

    /// Remembers an entry that is found in the chain or the log when the store is loaded.
    pub fn recover(&mut self, entry: &Entry) {
        if let Some(request) = entry.request.as_ref().filter(|_| !planted!(RetryPaidAfterCrash)) {
            let transfer = TransferRequest {
                from: Some(entry.from.clone()),
                to: entry.to.clone(),
                amount: entry.amount,
                request: None,
            };
            self.remember(request, &transfer, Fate::Accepted(entry.position(), entry.via));
        }
    }

    /// Marks a session as used, forgetting the one that was unused for longest if there are too many.
    fn touch(&mut self, session: &SessionId) -> &mut Session {
        self.uses += 1;
        if let Some(known) = self.sessions.get(session) {
            self.by_use.remove(&known.last_use);
        } else if self.sessions.len() >= MAX_SESSIONS {
            self.forget_oldest();
        }
        self.by_use.insert(self.uses, session.clone());
        // One that comes back after it was forgotten, by way of a transfer that waited all the
        // while, takes no number that it doesn't remember.
        let forgotten = Some(opened_at(session)) < self.horizon && !planted!(ForgottenIsNew);
        let floor = if forgotten { u64::MAX } else { 0 };
        let state = (self.sessions.entry(session.clone()))
            .or_insert_with(|| Session { floor, ..Session::default() });
        state.last_use = self.uses;
        state
    }

    fn forget_oldest(&mut self) {
        let Some((_, session)) = self.by_use.pop_first() else { return };
        let forgotten = self.sessions.remove(&session);
        self.remembered -= forgotten.map_or(0, |session| session.requests.len());
        // Sessions opened at the same position may be forgotten later, so those count as well.
        self.horizon = self.horizon.max(Some(opened_at(&session).next()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::amount::Amount;
    use crate::bank::ids::LifeId;

    const FIRST: ConnectionId = ConnectionId(1);
    const SECOND: ConnectionId = ConnectionId(2);

    fn session(opened_at: u64, count: u64) -> SessionId {
        SessionId { server: "A".parse().unwrap(), epoch: 1, opened_at, life: LifeId(1), count }
    }

    fn request(session: &SessionId, number: u64) -> RequestId {
        RequestId { session: session.clone(), number }
    }

    fn transfer(amount: u64) -> TransferRequest {
        let account = |id: &str| id.parse().unwrap();
        let amount = Amount::new(amount).unwrap();
        TransferRequest { from: Some(account("A")), to: account("B"), amount, request: None }
    }

    fn accepted(seq: u64) -> Fate {
        Fate::Accepted(Position { epoch: 1, seq }, Via::Local)
    }

    #[test]
    fn a_retry_finds_the_first_fate_and_another_transfer_is_no_retry() {
        let (mut sessions, s) = (Sessions::default(), session(0, 1));
        sessions.open(&s, FIRST);
        assert_eq!(sessions.find(&request(&s, 1), &transfer(5), FIRST), Found::New);
        sessions.remember(&request(&s, 1), &transfer(5), accepted(1));
        let retry = sessions.find(&request(&s, 1), &transfer(5), FIRST);
        assert_eq!(retry, Found::Known(accepted(1)));
        assert_eq!(sessions.find(&request(&s, 1), &transfer(6), FIRST), Found::Reused);
    }

    #[test]
    fn what_comes_on_an_older_connection_is_stale() {
        let (mut sessions, s) = (Sessions::default(), session(0, 1));
        sessions.open(&s, FIRST);
        assert_eq!(sessions.find(&request(&s, 1), &transfer(5), SECOND), Found::New);
        assert_eq!(sessions.find(&request(&s, 1), &transfer(5), FIRST), Found::Stale);
    }

    #[test]
    fn forgetting_a_number_makes_it_expired_never_new() {
        let (mut sessions, s) = (Sessions::default(), session(0, 1));
        sessions.open(&s, FIRST);
        for number in 1..=MAX_REMEMBERED as u64 + 1 {
            sessions.remember(&request(&s, number), &transfer(5), accepted(number));
        }
        assert_eq!(sessions.find(&request(&s, 1), &transfer(5), FIRST), Found::Expired);
        assert_eq!(sessions.find(&request(&s, 2), &transfer(5), FIRST), Found::Known(accepted(2)));
    }

    #[test]
    fn forgetting_a_session_makes_it_expired_but_not_later_ones() {
        let mut sessions = Sessions::default();
        let old = session(7, 0);
        sessions.remember(&request(&old, 1), &transfer(5), accepted(8));
        for count in 1..=MAX_SESSIONS as u64 {
            sessions.open(&session(8, count), FIRST);
        }
        assert_eq!(sessions.find(&request(&old, 1), &transfer(5), SECOND), Found::Expired);
        assert_eq!(sessions.find(&request(&old, 2), &transfer(5), SECOND), Found::Expired);
        let unseen = session(9, MAX_SESSIONS as u64 + 1);
        assert_eq!(sessions.find(&request(&unseen, 1), &transfer(5), SECOND), Found::New);
        sessions.remember(&request(&old, 2), &transfer(5), accepted(9));
        assert_eq!(sessions.find(&request(&old, 1), &transfer(5), SECOND), Found::Expired);
    }

    #[test]
    fn a_new_session_works_however_many_were_opened_since_the_last_entry() {
        let mut sessions = Sessions::default();
        for count in 1..=MAX_SESSIONS as u64 + 1 {
            sessions.open(&session(8, count), FIRST);
        }
        let newest = session(8, MAX_SESSIONS as u64 + 1);
        assert_eq!(sessions.find(&request(&newest, 1), &transfer(5), FIRST), Found::New);
        let oldest = session(8, 1);
        assert_eq!(sessions.find(&request(&oldest, 1), &transfer(5), FIRST), Found::Expired);
    }
}
