//! Sessions: what became of each request, so that a retry pays once.
//!
//! What is remembered is bounded. Forgetting must never turn a late retry into a payment, so
//! whatever may have been forgotten is answered *expired*:
//!
//! - within a session, numbers up to its `floor` that are not remembered;
//! - sessions that are not remembered and were opened before the `horizon`. All entries of a session
//!   come after the seq in its name, so those of a later one can't have been forgotten.
//!
//! A session under which nothing was ever asked is forgotten without a trace: a late first request is
//! new, as it would have been. Of what has to go, the unused ones go first, and whoever fills the memory
//! loses its own: a connection holds so many sessions at the most, and beyond the bound for all those go
//! whose connection is gone, then those of the connection that holds the most. Requests are forgotten
//! where the most are; a session whose connection is there loses its older numbers, not its life.
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

use crate::bank::blockchain::derived::SessionsInChain;
use crate::bank::ids::{ConnectionId, RequestId, SessionId, WaitId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::limits::Limits;
use crate::bank::request::{Instruction, Outcome};

mod holders;

use holders::{Holders, Place};

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

impl Remembered {
    fn is_decided(&self) -> bool {
        !matches!(self.fate, Fate::Waiting(_))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Session {
    /// The newest connection that spoke of it.
    connection: Option<ConnectionId>,
    /// That connection, while it is there.
    holder: Option<ConnectionId>,
    /// Whether it was used, by when it was last touched; that counts up with each use of any session.
    place: Place,
    /// Numbers up to here that are not in `requests` may have been forgotten.
    floor: u64,
    /// The highest number that is in the chain, if the store knows of it.
    in_chain: Option<u64>,
    requests: BTreeMap<u64, Remembered>,
}

impl Session {
    /// Something was asked under its name, as far as is known.
    fn is_used(&self) -> bool {
        if planted!(UsedLeavesNoTrace) {
            return false;
        }
        !self.requests.is_empty() || self.in_chain.is_some() || self.floor > 0
    }

    /// Forgets the older half of the requests that are decided, at least one; says how many.
    fn forget_half(&mut self) -> usize {
        let is_decided = |(_, request): &(&u64, &Remembered)| request.is_decided();
        let decided: Vec<u64> = self.requests.iter().filter(is_decided).map(|(n, _)| *n).collect();
        let half = decided.len().div_ceil(2);
        for number in &decided[..half] {
            self.requests.remove(number);
            self.floor = self.floor.max(*number);
        }
        half
    }
}

/// The memory of all sessions of one server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sessions {
    limits: Limits,
    sessions: BTreeMap<SessionId, Session>,
    holders: Holders,
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

impl SessionChanges {
    /// Changes what a store keeps.
    pub fn change(&self, kept: &mut SessionsInChain) {
        kept.highest.retain(|session, _| !self.forgotten.contains(session));
        kept.highest.extend(self.highest.clone());
        kept.horizon = self.horizon.or(kept.horizon);
    }
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
            holders: Holders::default(),
            uses: 0,
            remembered: 0,
            horizon: None,
            covered: None,
            forgotten: BTreeSet::new(),
        }
    }

    /// Begins with what the store knows of the chain. Where all of the chain's entries are still to be
    /// told ([`Sessions::recover`]), what isn't among them was never there; otherwise it has expired.
    pub fn restore(limits: &Limits, in_chain: &SessionsInChain, all_is_told: bool) -> Sessions {
        let SessionsInChain { highest: in_chain, horizon } = in_chain;
        let (horizon, covered) = (*horizon, *horizon);
        let mut sessions = Sessions { horizon, covered, ..Sessions::new(limits) };
        for (session, highest) in in_chain {
            sessions.touch(session, None);
            sessions.change(session, |state| {
                state.in_chain = Some(*highest);
                state.floor = if all_is_told || planted!(FloorNotStored) { 0 } else { *highest };
            });
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
        self.touch(session, Some(connection));
        // Its name is new, so nothing of it can have been forgotten, even if so many sessions were
        // forgotten since the last entry that the horizon is beyond them.
        self.change(session, |state| state.floor = 0);
    }

    /// A connection is gone: its sessions are nobody's until they come back on another.
    pub fn closed(&mut self, connection: ConnectionId) {
        if planted!(GoneHoldsOn) {
            return;
        }
        let held: Vec<SessionId> = self.holders.of(Some(connection)).cloned().collect();
        for session in held {
            self.change(&session, |state| state.holder = None);
        }
    }

    /// Whether a name is taken.
    pub fn is_known(&self, session: &SessionId) -> bool {
        self.sessions.contains_key(session)
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
        let newest = self.sessions.get(session).and_then(|state| state.connection);
        if newest > Some(connection) && !planted!(OldConnectionServed) {
            return Found::Stale;
        }
        let state = self.touch(session, Some(connection));
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
        let most = self.limits.remembered;
        self.touch(&request.session, None);
        let remembered = Remembered { action: action.clone(), linked, fate };
        self.change(&request.session, |state| {
            state.requests.insert(request.number, remembered);
            while state.requests.len() > most {
                let decided = state.requests.iter().find(|(_, request)| request.is_decided());
                let Some(forgotten) = decided.map(|(number, _)| *number) else { break };
                state.requests.remove(&forgotten);
                state.floor = state.floor.max(forgotten);
            }
        });
        while self.remembered > self.limits.remembered_in_all && self.forget_requests() {}
    }

    /// Remembers the requests of this server's elements, which are in the stored chain or not.
    pub fn recall(&mut self, elements: &[Element], in_chain: bool) {
        for element in elements {
            for (place, record) in element.records().iter().enumerate() {
                self.recover(element.first().plus(place), record, in_chain);
            }
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

    /// Marks a session as used, by a connection if one speaks of it, and makes room for it.
    fn touch(&mut self, session: &SessionId, by: Option<ConnectionId>) -> &mut Session {
        if !self.sessions.contains_key(session) {
            if self.sessions.len() >= self.limits.sessions
                && let Some(to_go) = self.holders.to_go(by)
            {
                self.forget(&to_go);
            }
            // One that comes back after it was forgotten, by way of a transfer that waited all the
            // while, takes no number that it doesn't remember.
            let forgotten = Some(opened_at(session)) < self.horizon && !planted!(ForgottenIsNew);
            let floor = if forgotten { u64::MAX } else { 0 };
            let state = Session { floor, ..Session::default() };
            self.holders.file(None, state.place, session.clone(), 0);
            self.sessions.insert(session.clone(), state);
        }
        let state = &self.sessions[session];
        // Most of what comes is of the session that was touched last.
        self.uses += u64::from(state.place.1 < self.uses || self.uses == 0);
        let uses = self.uses;
        self.change(session, |state| {
            state.place.1 = uses;
            state.connection = by.or(state.connection);
            state.holder = by.or(state.holder);
        });
        if by.is_some() && !planted!(OneHoldsAll) {
            self.bound(session, by);
        }
        self.sessions.get_mut(session).expect("it was touched just now")
    }

    /// A connection that holds too many sessions loses others than this one.
    fn bound(&mut self, session: &SessionId, holder: Option<ConnectionId>) {
        if self.holders.count(holder) > self.limits.sessions_of_one {
            let others = self.holders.of(holder).find(|other| *other != session).cloned();
            others.iter().for_each(|other| self.forget(other));
        }
    }

    /// Changes what is known of a session, and files it where it then belongs.
    fn change(&mut self, session: &SessionId, change: impl FnOnce(&mut Session)) {
        let Some(state) = self.sessions.get_mut(session) else { return };
        let (holder, place, before) = (state.holder, state.place, state.requests.len());
        change(state);
        state.place.0 = state.is_used();
        let after = state.requests.len();
        self.remembered = self.remembered + after - before;
        if (holder, place) == (state.holder, state.place) {
            return self.holders.count_requests(holder, before, after);
        }
        let name = self.holders.take(holder, place, before).unwrap_or_else(|| session.clone());
        self.holders.file(state.holder, state.place, name, after);
    }

    /// Forgets requests where the most are: a session that is nobody's whole, or the older half of the
    /// longest one of a connection, or of the newest one. False if there is nothing that can be forgotten.
    fn forget_requests(&mut self) -> bool {
        let Some(holder) = self.holders.with_most_requests() else { return false };
        let requests = |session: &SessionId| self.sessions[session].requests.len();
        let longest = match holder {
            None => self.holders.of(None).find(|session| requests(session) > 0),
            Some(_) => self.holders.of(holder).max_by_key(|session| requests(session)),
        };
        let Some(session) = longest.filter(|session| requests(session) > 0).cloned() else {
            return false;
        };
        let mut forgotten = 0;
        self.change(&session, |state| forgotten = state.forget_half());
        let is_newest = self.sessions[&session].place.1 == self.uses;
        if holder.is_none() && forgotten > 0 && !is_newest {
            self.forget(&session);
        }
        forgotten > 0
    }

    /// Forgets a session. If nothing was ever asked under its name there is nothing to know of it.
    fn forget(&mut self, session: &SessionId) {
        let Some(state) = self.sessions.remove(session) else { return };
        self.holders.take(state.holder, state.place, state.requests.len());
        self.remembered -= state.requests.len();
        if !state.is_used() {
            return;
        }
        // Sessions opened at the same position may be forgotten later, so those count as well.
        let horizon = Some(opened_at(session).next());
        if state.in_chain.is_some() {
            self.covered = self.covered.max(horizon);
            self.forgotten.insert(session.clone());
        }
        self.horizon = self.horizon.max(horizon);
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
