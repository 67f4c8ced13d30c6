//! Sessions: what became of each request, so that a retry pays once.
//!
//! The memory is bounded. Forgetting must never turn a late retry into a payment, so whatever may have been
//! forgotten is answered *expired*:
//!
//! - within a session, numbers up to its `floor` that are not remembered;
//! - sessions that are not remembered and were opened before the `horizon`. All entries of a session come
//!   after the seq in its name, so entries of a later session can't have been forgotten.
//!
//! A session under which nothing was ever asked is forgotten without a trace: a late first request is new,
//! as it would have been anyway. Unused sessions go first, and whoever fills the memory loses its own. A
//! connection holds a bounded number of sessions. Beyond the bound for all, sessions go whose connection is
//! gone, then those of the connection that holds the most. Requests are forgotten where the most are; a session
//! whose connection is there loses its older numbers, not its life.
//!
//! A session that its client named is never forgotten once something was asked in it, and no horizon covers it.
//! So the number of such names is bounded (`names`); its older numbers are forgotten as in others.
//!
//! After a crash the memory is rebuilt from the entries of chain and log. Requests with an outcome other than
//! *accepted* are then unknown (DESIGN.md: "a new try is a new number").
//!
//! So that this doesn't take the whole chain, the store keeps each session's highest number in the chain. A
//! request up to it that isn't remembered has expired. When a session is forgotten, the next block's turn
//! deletes it from the store and raises the horizon past it. After that it is never stored again: a new record
//! would know only later numbers and take the older ones for new.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::ids::{ConnectionId, RequestId, SessionId, WaitId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::limits::Limits;
use crate::bank::request::{Instruction, Outcome};

mod content;
mod holders;
mod in_chain;
mod names;

pub use content::Content;
use holders::{Holders, Keep, Rank};
pub use in_chain::{SessionChanges, is_before, opened_at};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is under way.
    Waiting(WaitId),
    /// It happened, as this entry.
    Accepted(Position, Via),
    /// It got another outcome: it has not happened and will not.
    Rejected(Outcome),
}

/// What a session's request turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It was never seen.
    New,
    /// A retry.
    Known(Fate),
    /// It may have been seen and forgotten.
    Expired,
    /// It came on an older connection of its session: not to be done.
    Stale,
    /// Its number was used before, for another action.
    Reused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Remembered {
    /// What was asked, which has to be the same for the same number.
    content: Content,
    fate: Fate,
}

impl Remembered {
    fn is_decided(&self) -> bool {
        !matches!(self.fate, Fate::Waiting(_))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Session {
    /// The newest connection that used the session, whether it is there or gone.
    connection: Option<ConnectionId>,
    /// The newest connection that used the session, while it is there.
    holder: Option<ConnectionId>,
    /// The session's place: how long it is kept, and when it was last touched. The time counts up with each use
    /// of any session.
    place: Rank,
    /// The number up to which requests that are not in `requests` may have been forgotten.
    floor: u64,
    /// Its highest number in the chain, if the store knows of it.
    in_chain: Option<u64>,
    requests: BTreeMap<u64, Remembered>,
}

impl Session {
    /// True if something was asked under its name, as far as is known.
    fn is_used(&self) -> bool {
        if planted!(UsedLeavesNoTrace) {
            return false;
        }
        !self.requests.is_empty() || self.in_chain.is_some() || self.floor > 0
    }

    /// Returns how long it is kept.
    fn keep(&self, session: &SessionId) -> Keep {
        match self.is_used() {
            false => Keep::Unused,
            true if session.is_named() && !planted!(NameForgotten) => Keep::Always,
            true => Keep::Used,
        }
    }

    /// Forgets the older half of the decided requests, at least one; returns how many.
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
    /// The number of remembered requests of all sessions.
    remembered: usize,
    /// The position before which sessions were opened that may have been forgotten.
    horizon: Option<Position>,
    /// The horizon that the store has, or will have with the next block. It covers every session with
    /// entries in the chain that the store doesn't know.
    covered: Option<Position>,
    /// The sessions that were forgotten, and leave the store with the next block.
    forgotten: BTreeSet<SessionId>,
}

impl Sessions {
    /// Starts with nothing remembered.
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

    /// Begins to remember a session that was just opened.
    pub fn open(&mut self, session: &SessionId, connection: ConnectionId) {
        self.touch(session, Some(connection));
        // Its name is new, so nothing of it can have been forgotten, even if so many sessions were
        // forgotten since the last entry that the horizon is beyond them.
        self.change(session, |state| state.floor = 0);
    }

    /// Notes that a connection is gone. Its sessions are nobody's until they come back on another.
    pub fn closed(&mut self, connection: ConnectionId) {
        if planted!(GoneHoldsOn) {
            return;
        }
        let held: Vec<SessionId> = self.holders.of(Some(connection)).cloned().collect();
        for session in held {
            self.change(&session, |state| state.holder = None);
        }
    }

    /// True if a name is taken.
    pub fn is_known(&self, session: &SessionId) -> bool {
        self.sessions.contains_key(session)
    }

    /// Looks up a request that came on a connection, which may so become its session's newest.
    pub fn find(
        &mut self,
        request: &RequestId,
        instruction: &Instruction,
        connection: ConnectionId,
    ) -> Lookup {
        let session = &request.session;
        let known = self.sessions.contains_key(session);
        if !known && is_before(session, self.horizon) && !planted!(ForgottenIsNew) {
            return Lookup::Expired;
        }
        let newest = self.sessions.get(session).and_then(|state| state.connection);
        if newest > Some(connection) && !planted!(OldConnectionServed) {
            return Lookup::Stale;
        }
        let state = self.touch(session, Some(connection));
        match state.requests.get(&request.number) {
            Some(known) if !known.content.is_of(instruction) => Lookup::Reused,
            Some(Remembered { fate: Fate::Accepted(..), .. }) if planted!(RetryPaidAgain) => {
                Lookup::New
            }
            Some(Remembered { fate: Fate::Waiting(_), .. }) if planted!(WaitingPaidAgain) => {
                Lookup::New
            }
            Some(Remembered { content: Content { action: Action::Open { .. }, .. }, .. })
                if planted!(OpenedAgain) =>
            {
                Lookup::New
            }
            Some(Remembered { fate: Fate::Rejected(_), .. }) if planted!(RefusedPaidLater) => {
                Lookup::New
            }
            Some(known) => Lookup::Known(known.fate.clone()),
            None if request.number <= state.floor && !planted!(ForgottenNumberIsNew) => {
                Lookup::Expired
            }
            None => Lookup::New,
        }
    }

    /// Remembers what becomes, or became, of a request.
    pub fn remember(&mut self, request: &RequestId, content: Content, fate: Fate) {
        let most = self.limits.remembered;
        self.touch(&request.session, None);
        let remembered = Remembered { content, fate };
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

    /// Remembers the requests of this server's elements; `in_chain` tells whether they are in the stored chain.
    pub fn recall(&mut self, elements: &[Element], in_chain: bool) {
        for element in elements {
            for (place, record) in element.records().iter().enumerate() {
                self.recover(element.first().plus(place), record, in_chain);
            }
        }
    }

    /// Remembers an entry found in the log, or (`in_chain`) in the chain, when the store is loaded.
    pub fn recover(&mut self, at: Position, record: &Record, in_chain: bool) {
        let Record { request, via, .. } = record;
        // An expired session takes no place from another.
        let is_expired = |session: &SessionId| {
            !self.sessions.contains_key(session) && is_before(session, self.horizon)
        };
        if in_chain && request.as_ref().is_some_and(|request| is_expired(&request.session)) {
            return;
        }
        if let Some(request) = request.as_ref().filter(|_| !planted!(RetryPaidAfterCrash)) {
            self.remember(request, record.into(), Fate::Accepted(at, *via));
        }
    }

    /// Marks a session as used, by a connection if one uses it, and makes room for it.
    fn touch(&mut self, session: &SessionId, by: Option<ConnectionId>) -> &mut Session {
        if !self.sessions.contains_key(session) {
            if self.sessions.len() - self.holders.stay() >= self.limits.sessions
                && let Some(to_go) = self.holders.to_go(by)
            {
                self.forget(&to_go);
            }
            // A session may come back after it was forgotten, through a transfer that waited all the while.
            // It takes no number that it doesn't remember.
            let forgotten = is_before(session, self.horizon) && !planted!(ForgottenIsNew);
            let floor = if forgotten { u64::MAX } else { 0 };
            let state = Session { floor, ..Session::default() };
            self.holders.file(None, state.place, session.clone(), 0);
            self.sessions.insert(session.clone(), state);
        }
        let state = &self.sessions[session];
        // Most requests are of the session that was touched last.
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

    /// Has a connection that holds too many sessions lose others than this one.
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
        state.place.0 = state.keep(session);
        let after = state.requests.len();
        self.remembered = self.remembered + after - before;
        if (holder, place) == (state.holder, state.place) {
            return self.holders.count_requests(holder, before, after);
        }
        let name = self.holders.take(holder, place, before).unwrap_or_else(|| session.clone());
        self.holders.file(state.holder, state.place, name, after);
    }

    /// Forgets requests where the most are: a whole session that is nobody's, or the older half of the longest
    /// session of a connection, or of the newest one. False if nothing can be forgotten.
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
        let may_go = self.sessions[&session].place.0 < Keep::Always;
        if holder.is_none() && forgotten > 0 && !is_newest && may_go {
            self.forget(&session);
        }
        forgotten > 0
    }

    /// Forgets a session. If nothing was ever asked under its name, no trace is needed.
    fn forget(&mut self, session: &SessionId) {
        let Some(state) = self.sessions.remove(session) else { return };
        self.holders.take(state.holder, state.place, state.requests.len());
        self.remembered -= state.requests.len();
        if !state.is_used() {
            return;
        }
        // Sessions opened at the same position may be forgotten later, so the horizon covers them as well.
        let horizon = opened_at(session).map(Position::next);
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
