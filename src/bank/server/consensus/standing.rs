//! A run that begins with phase 2, since the promises of a majority stand (DESIGN.md, "A standing promise").

use std::collections::BTreeSet;

use super::super::Server;
use crate::bank::ids::{LifeId, ServerId};
use crate::bank::paxos::run::Origin;

impl Server {
    /// Begins a run with phase 2, if it may. It hears nobody after what waits had come, so it refuses nothing.
    pub(super) fn goes_on(&mut self, height: u64, as_whom: (ServerId, LifeId)) -> bool {
        let may = self.may_go_on();
        if may {
            self.proposer.begin(height, as_whom, BTreeSet::new(), BTreeSet::new());
            match self.waiting.just_told && !self.waiting.has_transfers() {
                true => {
                    let timer = self.proposer.wait_for_clients();
                    self.set_all(timer);
                }
                false => self.go_on_with_what_is_known(),
            }
        }
        may
    }

    /// True if a run may begin with phase 2: a majority has promised the ballot for this height too, and what is known of
    /// the others' logs brings everything that waits what it needs (DESIGN.md, "A standing promise").
    fn may_go_on(&self) -> bool {
        if self.pace.finishing || !self.proposer.may_accept_at_once(self.chain()) {
            return false;
        }
        if !self.waiting.has_transfers() {
            return self.only_its_own_entries_wait();
        }
        let members: BTreeSet<ServerId> = self.members().cloned().collect();
        let (known, me) = (&self.proposer.knowledge, &self.config.id);
        members.iter().any(|server| !known.log(server).is_empty())
            && self.waiting.is_covered_by(&self.ledger, known, &members, me)
    }

    /// Proposes a block of what is known, once this is all that clients wait for.
    pub(super) fn go_on_with_what_is_known(&mut self) {
        if self.waits_for_its_own_log() && self.proposer.ask_itself() {
            let me = self.config.id.clone();
            return self.repeat_to(&me);
        }
        let members = self.members().cloned().collect();
        match self.build(self.chain().height() + 1, &members) {
            Some(block) => self.fix(block, Origin::Known),
            None => self.drop_run(),
        }
    }

    /// True if a client waits until its entries are in a block, and the end of the own log is not known to be durable.
    fn waits_for_its_own_log(&self) -> bool {
        let known = self.proposer.knowledge.end(self.chain(), &self.config.id);
        let waits = !self.waiting.unsettled.is_empty() && !planted!(OwnLogUnasked);
        waits && known < self.ledger.log.last()
    }

    /// Goes on after clients that were answered have had the time to come again.
    pub(in crate::bank::server) fn on_comeback_over(&mut self) {
        if self.proposer.goes_on() {
            self.go_on_with_what_is_known();
        }
    }
}
