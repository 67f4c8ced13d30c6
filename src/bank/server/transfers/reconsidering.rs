//! Reconsidering waiting groups: after a block, a credit, a run that was concluded.

use std::collections::BTreeSet;

use super::super::Server;
use super::queue::{Culprit, Need, Wait, need_of};
use crate::bank::effects::Timer;
use crate::bank::ids::{AccountId, ServerId, WaitId};
use crate::bank::ledger::entry::Via;
use crate::bank::paxos::pace::Harvest;

impl Server {
    /// True if something waits that needs a run.
    pub(in crate::bank::server) fn transfers_want_run(&self) -> bool {
        let look_up = self.pace.may_look_up() || self.proposer.run.is_some();
        (self.waiting.count(Need::Money) > 0 && !self.rests_between_runs())
            || (look_up && self.waiting.count(Need::Payee) > 0)
    }

    /// True if runs rest that would mostly turn transfers away. A run that is under way, for whatever reason,
    /// serves these transfers too.
    pub(in crate::bank::server) fn rests_between_runs(&self) -> bool {
        self.pace.rests() && self.proposer.run.is_none()
    }

    /// Looks at every waiting group that something happened to. Serves what is covered now, and refuses what
    /// the run just concluded, if any, has shown not to be covered.
    pub(in crate::bank::server) fn look_at_waiting(&mut self) {
        if std::mem::take(&mut self.waiting.look_again) {
            self.waiting.touch_all();
        }
        let missing = match &self.waiting.verdict {
            None => BTreeSet::new(),
            Some(_) if planted!(RefusedUnheard) => BTreeSet::new(),
            Some(verdict) => &self.expected() - &verdict.consulted.servers(),
        };
        let mut harvest = Harvest::default();
        while let Some(account) = self.waiting.next_touched() {
            self.look_at_queue(&account, &missing, &mut harvest);
            for id in self.waiting.patient(&account) {
                self.look_at_patient(id, &mut harvest);
            }
        }
        let Some(verdict) = self.waiting.verdict.take() else { return };
        harvest.turned_away += self.look_at_settling(&verdict, &missing);
        for id in &verdict.eligible {
            match self.waiting.get(*id) {
                // What it needs is on its way, or may be: the next runs bring it.
                Some(wait) if !self.is_judged(wait, &verdict) => harvest.kept += 1,
                // It goes on waiting, for money that comes by itself.
                Some(wait) if wait.patient => {
                    harvest.turned_away += 1;
                    self.waiting.set_need(*id, Need::Time);
                }
                // It waits for one further run to hear these servers.
                Some(_) => {
                    harvest.kept += 1;
                    self.waiting.is_unanswered_by(*id, &missing);
                }
                None => harvest.kept += usize::from(self.waiting.settling.contains_key(id)),
            }
        }
        if !verdict.eligible.is_empty() {
            let timer = self.pace.on_harvest(harvest, self.config.limits.vain_runs);
            self.set_all(timer);
        }
    }

    fn look_at_queue(
        &mut self,
        account: &AccountId,
        missing: &BTreeSet<ServerId>,
        harvest: &mut Harvest,
    ) {
        loop {
            let first = self.waiting.queue(account).next();
            let Some(id) = first.filter(|id| self.waiting.is_first(*id)) else { return };
            let Some(wait) = self.waiting.get(id) else { return };
            if let Err(culprit) = self.is_still_allowed(wait) {
                self.turn_away(id, culprit);
                continue;
            }
            let Err((place, error)) = self.weigh(&wait.members) else {
                harvest.served += wait.is_due_to_a_run();
                self.serve_waiting(id);
                continue;
            };
            let (place, outcome) = match need_of(&error) {
                None => (place, self.rejection(&error)),
                Some(need) => match self.refusal(id, wait, missing) {
                    Some(refusal) => refusal,
                    None => return self.waiting.set_need(id, need),
                },
            };
            harvest.turned_away += 1;
            self.turn_away(id, (place, outcome));
        }
    }

    /// Checks that what was allowed when a group came still is: an account may have another key by now.
    fn is_still_allowed(&self, wait: &Wait) -> Result<(), Culprit> {
        match planted!(WaitsByTheOldKey) {
            true => Ok(()),
            false => self.is_allowed(wait.right, &wait.members),
        }
    }

    fn turn_away(&mut self, id: WaitId, culprit: Culprit) {
        let Some(wait) = self.waiting.take(id) else { return };
        self.cancel(self.timer_of(id, &wait));
        self.reject(wait.members, culprit);
    }

    /// Returns the timer that ends a group's wait.
    fn timer_of(&self, id: WaitId, wait: &Wait) -> Timer {
        match wait.members.iter().filter_map(|member| member.instruction.wait_ms).max() {
            Some(ms) if wait.patient => Timer::Patience { wait: id, ms },
            _ => Timer::Deadline(id),
        }
    }

    fn serve_waiting(&mut self, id: WaitId) {
        let Some(wait) = self.waiting.get(id).cloned() else { return };
        if !(wait.patient && planted!(PatientPaidTwice)) {
            self.waiting.take(id);
        }
        self.cancel(self.timer_of(id, &wait));
        self.log_group(wait.members, Via::Paxos);
    }

    /// Serves a group that may wait for money if the money is there, and otherwise leaves it alone.
    fn look_at_patient(&mut self, id: WaitId, harvest: &mut Harvest) {
        let Some(wait) = self.waiting.get(id) else { return };
        if let Err(culprit) = self.is_still_allowed(wait) {
            return self.turn_away(id, culprit);
        }
        match self.weigh(&wait.members) {
            Ok(()) => {
                harvest.served += wait.is_due_to_a_run();
                self.serve_waiting(id);
            }
            Err((_, error)) if wait.need == Need::Turn => {
                self.waiting.set_need(id, need_of(&error).unwrap_or(Need::Time));
            }
            Err(_) => {}
        }
    }
}
