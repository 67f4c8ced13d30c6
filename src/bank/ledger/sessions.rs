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
//!
//! So that not all of the chain has to be read for that, the store knows the highest number of each
//! session in the chain: what is not remembered up to there has expired. A session that is forgotten
//! leaves the store with the next block, in the turn by which the store has a horizon that covers it.
//! One that the horizon covers never comes into the store again: lower numbers would be all that is
//! known of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::effects::WaitId;
use crate::bank::ids::{ConnectionId, RequestId, SessionId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::limits::Limits;
use crate::bank::request::{Instruction, Outcome};

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is under way.
    Waiting(WaitId),
    /// It happened, as this entry.
    Accepted(Position, Via),
    /// It was answered otherwise: it has not happened and will not.
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
    /// Its number was used before, for something else.
    Reused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Remembered {
    /// The same number must mean the same action.
    action: Action,
    /// …linked, or not, to the one after it.
    linked: bool,
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
    /// The highest number that is in the chain, if the store knows of it.
    in_chain: Option<u64>,
    requests: BTreeMap<u64, Remembered>,
}

/// The memory of all sessions of one server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sessions {
    limits: Limits,
    sessions: BTreeMap<SessionId, Session>,
    /// The sessions by `last_use`.
    by_use: BTreeMap<u64, SessionId>,
    uses: u64,
    /// The requests of all sessions.
    remembered: usize,
    /// A session that is not remembered and was opened before this position may have been forgotten.
    horizon: Option<Position>,
    /// The horizon that the store has, or is to have with the next block. It covers every session with
    /// entries in the chain that the store doesn't know.
    covered: Option<Position>,
    /// Forgotten, and to leave the store with the next block.
    forgotten: BTreeSet<SessionId>,
}

/// What changes in what a store knows of sessions, with a block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionChanges {
    /// Sessions of this server's entries in the block, each with its highest number in the chain.
    pub highest: BTreeMap<SessionId, u64>,
    /// Those that are to be known no more. None of them is among the former.
    pub forgotten: BTreeSet<SessionId>,
    /// Sessions that were opened before this and are not in the store have expired, if there is such
    /// a position.
    pub horizon: Option<Position>,
}

/// Where its server's log ended when a session was opened: all its entries come after that.
pub fn opened_at(session: &SessionId) -> Position {
    Position { epoch: session.epoch, seq: session.opened_at }
}

impl Sessions {
    /// Nothing is remembered.
    pub fn new(limits: &Limits) -> Sessions {
        Sessions {
            limits: limits.clone(),
            sessions: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            remembered: 0,
            horizon: None,
            covered: None,
            forgotten: BTreeSet::new(),
        }
    }

    /// Begins with what the store knows of the chain. Where all of the chain's entries are still to be
    /// told ([`Sessions::recover`]), what isn't among them was never there; otherwise it has expired.
    pub fn restore(
        limits: &Limits,
        in_chain: &BTreeMap<SessionId, u64>,
        horizon: Option<Position>,
        all_is_told: bool,
    ) -> Sessions {
        let covered = horizon;
        let mut sessions = Sessions { horizon, covered, ..Sessions::new(limits) };
        for (session, highest) in in_chain {
            let state = sessions.touch(session);
            state.in_chain = Some(*highest);
            state.floor = if all_is_told || planted!(FloorNotStored) { 0 } else { *highest };
        }
        sessions
    }

    /// Entries of these elements have come into the chain: what the store has to know of that.
    pub fn came_into_chain(&mut self, elements: &[Element]) -> SessionChanges {
        let mut highest = BTreeMap::new();
        let records = elements.iter().flat_map(Element::records);
        for RequestId { session, number } in records.filter_map(|record| record.request.as_ref()) {
            let opened = Some(opened_at(session));
            match self.sessions.get_mut(session) {
                Some(state) if state.in_chain.is_some() || opened >= self.covered => {
                    let highest_yet = state.in_chain.unwrap_or_default().max(*number);
                    state.in_chain = Some(highest_yet);
                    highest.insert(session.clone(), highest_yet);
                }
                // Forgotten before it came into the chain, or already beyond the horizon.
                _ => self.covered = self.covered.max(Some(opened_at(session).next())),
            }
        }
        let forgotten = std::mem::take(&mut self.forgotten);
        let late = planted!(HorizonLate) && !forgotten.is_empty();
        let horizon = if late { None } else { self.covered };
        SessionChanges { highest, forgotten, horizon }
    }

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
        instruction: &Instruction,
        connection: ConnectionId,
    ) -> Found {
        let same = |known: &Remembered| {
            known.action == instruction.action && known.linked == instruction.linked
        };
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
            Some(known) if !same(known) => Found::Reused,
            Some(Remembered { fate: Fate::Accepted(..), .. }) if planted!(RetryPaidAgain) => {
                Found::New
            }
            Some(Remembered { fate: Fate::Waiting(_), .. }) if planted!(WaitingPaidAgain) => {
                Found::New
            }
            Some(Remembered { action: Action::Open { .. }, .. }) if planted!(OpenedAgain) => {
                Found::New
            }
            Some(Remembered { fate: Fate::Rejected(_), .. }) if planted!(RefusedPaidLater) => {
                Found::New
            }
            Some(known) => Found::Known(known.fate.clone()),
            None if request.number <= state.floor && !planted!(ForgottenNumberIsNew) => {
                Found::Expired
            }
            None => Found::New,
        }
    }

    /// Remembers what becomes, or became, of a request.
    pub fn remember(&mut self, request: &RequestId, action: &Action, linked: bool, fate: Fate) {
        let (most, most_in_all) = (self.limits.remembered, self.limits.remembered_in_all);
        let state = self.touch(&request.session);
        let before = state.requests.len();
        let remembered = Remembered { action: action.clone(), linked, fate };
        state.requests.insert(request.number, remembered);
        while state.requests.len() > most {
            let decided = state.requests.iter().find(|(_, r)| !matches!(r.fate, Fate::Waiting(_)));
            let Some(forgotten) = decided.map(|(number, _)| *number) else { break };
            state.requests.remove(&forgotten);
            state.floor = state.floor.max(forgotten);
        }
        let after = state.requests.len();
        self.remembered = self.remembered + after - before;
        while self.remembered > most_in_all && self.sessions.len() > 1 {
            self.forget_oldest();
        }
    }

    /// Remembers what is found in the log, or (`in_chain`) in the chain, when the store is loaded.
    pub fn recover(&mut self, at: Position, record: &Record, in_chain: bool) {
        let Record { action, request, via, linked } = record;
        // What has expired takes no place of one that has not.
        let is_expired = |session: &SessionId| {
            !self.sessions.contains_key(session) && Some(opened_at(session)) < self.horizon
        };
        if in_chain && request.as_ref().is_some_and(|request| is_expired(&request.session)) {
            return;
        }
        if let Some(request) = request.as_ref().filter(|_| !planted!(RetryPaidAfterCrash)) {
            self.remember(request, action, *linked, Fate::Accepted(at, *via));
        }
    }

    /// Marks a session as used, forgetting the one that was unused for longest if there are too many.
    fn touch(&mut self, session: &SessionId) -> &mut Session {
        self.uses += 1;
        let mut name = None;
        if let Some(known) = self.sessions.get(session) {
            name = self.by_use.remove(&known.last_use);
        } else if self.sessions.len() >= self.limits.sessions {
            self.forget_oldest();
        }
        self.by_use.insert(self.uses, name.unwrap_or_else(|| session.clone()));
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
        let Some(state) = self.sessions.remove(&session) else { return };
        self.remembered -= state.requests.len();
        if state.in_chain.is_some() {
            self.covered = self.covered.max(Some(opened_at(&session).next()));
            self.forgotten.insert(session.clone());
        }
        // Sessions opened at the same position may be forgotten later, so those count as well.
        self.horizon = self.horizon.max(Some(opened_at(&session).next()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::amount::Amount;
    use crate::bank::ids::{LifeId, SessionName};

    const FIRST: ConnectionId = ConnectionId(1);
    const SECOND: ConnectionId = ConnectionId(2);

    fn session(opened_at: u64, count: u64) -> SessionId {
        SessionName { server: "A".parse().unwrap(), epoch: 1, opened_at, life: LifeId(1), count }
            .into()
    }

    fn request(session: &SessionId, number: u64) -> RequestId {
        RequestId { session: session.clone(), number }
    }

    fn pays(amount: u64) -> Instruction {
        let account = |id: &str| id.parse().unwrap();
        let amount = Amount::new(amount).unwrap();
        Instruction::plain(Action::Transfer { from: account("A"), to: account("B"), amount })
    }

    fn small() -> Sessions {
        Sessions::new(&Limits { sessions: 10, remembered: 10, ..Limits::default() })
    }

    fn accepted(seq: u64) -> Fate {
        Fate::Accepted(Position { epoch: 1, seq }, Via::Local)
    }

    #[test]
    fn a_retry_finds_the_first_fate_and_another_transfer_is_no_retry() {
        let (mut sessions, s) = (small(), session(0, 1));
        sessions.open(&s, FIRST);
        assert_eq!(sessions.find(&request(&s, 1), &pays(5), FIRST), Found::New);
        sessions.remember(&request(&s, 1), &pays(5).action, false, accepted(1));
        let retry = sessions.find(&request(&s, 1), &pays(5), FIRST);
        assert_eq!(retry, Found::Known(accepted(1)));
        assert_eq!(sessions.find(&request(&s, 1), &pays(6), FIRST), Found::Reused);
    }

    #[test]
    fn what_comes_on_an_older_connection_is_stale() {
        let (mut sessions, s) = (small(), session(0, 1));
        sessions.open(&s, FIRST);
        assert_eq!(sessions.find(&request(&s, 1), &pays(5), SECOND), Found::New);
        assert_eq!(sessions.find(&request(&s, 1), &pays(5), FIRST), Found::Stale);
    }

    #[test]
    fn forgetting_a_number_makes_it_expired_never_new() {
        let (mut sessions, s) = (small(), session(0, 1));
        sessions.open(&s, FIRST);
        for number in 1..=10 + 1 {
            sessions.remember(&request(&s, number), &pays(5).action, false, accepted(number));
        }
        assert_eq!(sessions.find(&request(&s, 1), &pays(5), FIRST), Found::Expired);
        assert_eq!(sessions.find(&request(&s, 2), &pays(5), FIRST), Found::Known(accepted(2)));
    }

    #[test]
    fn forgetting_a_session_makes_it_expired_but_not_later_ones() {
        let mut sessions = small();
        let old = session(7, 0);
        sessions.remember(&request(&old, 1), &pays(5).action, false, accepted(8));
        for count in 1..=10 {
            sessions.open(&session(8, count), FIRST);
        }
        assert_eq!(sessions.find(&request(&old, 1), &pays(5), SECOND), Found::Expired);
        assert_eq!(sessions.find(&request(&old, 2), &pays(5), SECOND), Found::Expired);
        let unseen = session(9, 10 + 1);
        assert_eq!(sessions.find(&request(&unseen, 1), &pays(5), SECOND), Found::New);
        sessions.remember(&request(&old, 2), &pays(5).action, false, accepted(9));
        assert_eq!(sessions.find(&request(&old, 1), &pays(5), SECOND), Found::Expired);
    }

    #[test]
    fn a_session_that_the_horizon_covers_never_comes_into_the_store_again() {
        let mut sessions = Sessions::new(&Limits { sessions: 1, ..Limits::default() });
        let (old, next) = (session(0, 1), session(1, 2));
        let element = |session: &SessionId, number, seq| {
            let Instruction { action, .. } = pays(5);
            let request = Some(request(session, number));
            let record = Record { action, request, via: Via::Local, linked: false };
            Element::seal(Position { epoch: 1, seq }, vec![record])
        };
        let log = [element(&old, 8, 1), element(&old, 6, 2), element(&next, 1, 3)];
        for element in &log {
            sessions.recover(element.first(), &element.records()[0], false);
        }
        // It was forgotten before it came into the chain.
        let changes = sessions.came_into_chain(&log[..1]);
        assert_eq!((changes.highest.len(), changes.horizon), (0, Some(opened_at(&next))));
        sessions.recover(log[1].first(), &log[1].records()[0], false);
        let changes = sessions.came_into_chain(&log[1..2]);
        assert_eq!(changes.highest.len(), 0, "6 is in the chain now, but so is 8");
        let stored =
            Sessions::restore(&Limits::default(), &changes.highest, changes.horizon, false);
        let find = |number| stored.clone().find(&request(&old, number), &pays(5), FIRST);
        assert_eq!([find(6), find(8), find(9)], [Found::Expired, Found::Expired, Found::Expired]);
    }

    #[test]
    fn a_new_session_works_however_many_were_opened_since_the_last_entry() {
        let mut sessions = small();
        for count in 1..=10 + 1 {
            sessions.open(&session(8, count), FIRST);
        }
        let newest = session(8, 10 + 1);
        assert_eq!(sessions.find(&request(&newest, 1), &pays(5), FIRST), Found::New);
        let oldest = session(8, 1);
        assert_eq!(sessions.find(&request(&oldest, 1), &pays(5), FIRST), Found::Expired);
    }
}
