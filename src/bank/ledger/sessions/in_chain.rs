//! What the store knows of sessions, by the chain: each session's highest number there, and the horizon.

use std::collections::{BTreeMap, BTreeSet};

use super::Sessions;
use crate::bank::blockchain::block::Block;
use crate::bank::blockchain::derived::SessionsInChain;
use crate::bank::ids::{Naming, RequestId, ServerId, SessionId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::bank::limits::Limits;

/// What a block changes in a store's sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionChanges {
    /// The sessions of this server's entries in the block, each with its highest number in the chain.
    pub highest: BTreeMap<SessionId, u64>,
    /// The sessions to be forgotten. None of them is among `highest`.
    pub forgotten: BTreeSet<SessionId>,
    /// The position, if any, before which sessions were opened that have expired, unless they are in the
    /// store.
    pub horizon: Option<Position>,
}

impl SessionChanges {
    /// Applies the changes to what a store keeps.
    pub fn change(&self, kept: &mut SessionsInChain) {
        kept.highest.retain(|session, _| !self.forgotten.contains(session));
        kept.highest.extend(self.highest.clone());
        kept.horizon = self.horizon.or(kept.horizon);
    }
}

/// Returns where its server's log ended when a session was opened. All its entries come after it. None for a
/// session that its client named: it may be opened again and again.
pub fn opened_at(session: &SessionId) -> Option<Position> {
    let Naming::ByServer { opened_at, .. } = session.naming else { return None };
    Some(Position { epoch: session.epoch, seq: opened_at })
}

/// True if a session was opened before a horizon, so that it may have been forgotten. One that its client named
/// never is.
pub fn is_before(session: &SessionId, horizon: Option<Position>) -> bool {
    opened_at(session).is_some_and(|opened| Some(opened) < horizon)
}

impl Sessions {
    /// Starts with what the store knows of the chain. If all entries of the chain will be told
    /// ([`Sessions::recover`]), a request that isn't among them never came; otherwise it has expired.
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

    /// Notes what a block of the chain tells of sessions with this server; returns the changes for the store.
    pub fn came_with(&mut self, block: &Block, server: &ServerId) -> SessionChanges {
        let mut changes = self.came_into_chain(block.log(server));
        if !planted!(CarriedNamesUnread) {
            let carried = self.carry_over(block, server);
            changes.highest.extend(carried);
        }
        changes
    }

    /// Notes the sessions that an opening block tells: in each of them all numbers up to its highest have expired.
    /// Returns them.
    pub fn carry_over(&mut self, block: &Block, server: &ServerId) -> BTreeMap<SessionId, u64> {
        let carried = block.carried(server).map(|(session, highest)| (session.clone(), highest));
        let carried: BTreeMap<SessionId, u64> = carried.collect();
        for (session, highest) in &carried {
            self.touch(session, None);
            self.change(session, |state| {
                state.in_chain = state.in_chain.max(Some(*highest));
                state.floor = state.floor.max(*highest);
            });
        }
        carried
    }

    /// Notes that these elements have come into the chain; returns the changes for the store.
    pub fn came_into_chain(&mut self, elements: &[Element]) -> SessionChanges {
        let mut highest = BTreeMap::new();
        let records = elements.iter().flat_map(Element::records);
        for RequestId { session, number } in records.filter_map(|record| record.request.as_ref()) {
            match self.sessions.get_mut(session) {
                Some(state) if state.in_chain.is_some() || !is_before(session, self.covered) => {
                    let highest_yet = state.in_chain.unwrap_or_default().max(*number);
                    state.in_chain = Some(highest_yet);
                    highest.insert(session.clone(), highest_yet);
                }
                // It was forgotten before it came into the chain, or is already beyond the horizon.
                _ => self.covered = self.covered.max(opened_at(session).map(Position::next)),
            }
        }
        let forgotten = std::mem::take(&mut self.forgotten);
        let late = planted!(HorizonLate) && !forgotten.is_empty();
        let horizon = if late { None } else { self.covered };
        SessionChanges { highest, forgotten, horizon }
    }
}
