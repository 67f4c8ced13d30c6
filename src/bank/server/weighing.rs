//! Looking again at what waits: after a block, a credit, a run that was concluded.

use std::collections::BTreeSet;

use super::Server;
use super::instructing::need_of;
use super::vain_runs::Harvest;
use super::waiting::Need;
use crate::bank::effects::{Timer, WaitId};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::balances::View;
use crate::bank::ledger::entry::Via;

impl Server {
    /// Whether something waits for which a run is needed.
    pub(super) fn transfers_want_run(&self) -> bool {
        let look_up = !self.lookups_rest || self.run.is_some();
        (self.waiting.count(Need::Money) > 0 && !self.may_not_run_yet())
            || (look_up && self.waiting.count(Need::Payee) > 0)
    }

    /// Looks at all that something happened to: serves what is covered now, and refuses what the run
    /// that was just concluded, if any, has shown not to be.
    pub(super) fn look_at_waiting(&mut self) {
        if std::mem::take(&mut self.look_again) {
            self.waiting.touch_all();
        }
        let missing = match &self.verdict {
            None => BTreeSet::new(),
            Some(_) if planted!(RefusedUnheard) => BTreeSet::new(),
            Some(verdict) => self.unheard(&verdict.consulted.servers()),
        };
        let mut harvest = Harvest::default();
        while let Some(account) = self.waiting.next_touched() {
            self.look_at_queue(&account, &missing, &mut harvest);
            for id in self.waiting.patient(&account) {
                self.look_at_patient(id, &mut harvest);
            }
        }
        let Some(verdict) = self.verdict.take() else { return };
        harvest.turned_away += self.look_at_settling(&verdict, &missing);
        for id in &verdict.eligible {
            match self.waiting.get(*id) {
                // What it needs is on its way, or may be: the next runs bring it.
                Some(wait) if !self.is_judged(wait, &verdict) => harvest.kept += 1,
                // It goes on waiting, for what comes by itself.
                Some(wait) if wait.patient => {
                    harvest.turned_away += 1;
                    self.waiting.set_need(*id, Need::Time);
                }
                // It waits for one further run to hear those servers.
                Some(_) => {
                    harvest.kept += 1;
                    self.waiting.is_unanswered_by(*id, &missing);
                }
                None => harvest.kept += usize::from(self.waiting.settling.contains_key(id)),
            }
        }
        if !verdict.eligible.is_empty() {
            self.harvest(harvest);
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
            let Err((place, error)) = self.weigh(&wait.members) else {
                harvest.serve(wait);
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
            self.cancel(Timer::Deadline(id));
            if let Some(wait) = self.waiting.take(id) {
                self.reject(wait.members, (place, outcome));
            }
        }
    }

    fn serve_waiting(&mut self, id: WaitId) {
        let Some(wait) = self.waiting.get(id).cloned() else { return };
        if !(wait.patient && planted!(PatientPaidTwice)) {
            self.waiting.take(id);
        }
        match wait.members.iter().filter_map(|member| member.instruction.wait_ms).max() {
            Some(ms) if wait.patient => self.cancel(Timer::Patience { wait: id, ms }),
            _ => self.cancel(Timer::Deadline(id)),
        }
        self.accept_group(wait.members, Via::Paxos);
    }

    /// What may wait for money is served when there is some, and otherwise left alone.
    fn look_at_patient(&mut self, id: WaitId, harvest: &mut Harvest) {
        let Some(wait) = self.waiting.get(id) else { return };
        match self.weigh(&wait.members) {
            Ok(()) => {
                harvest.serve(wait);
                self.serve_waiting(id);
            }
            Err((_, error)) if wait.need == Need::Turn => {
                self.waiting.set_need(id, need_of(&error).unwrap_or(Need::Time));
            }
            Err(_) => {}
        }
    }

    /// Whether transfers wait, nobody settles, and the logs of these servers bring what all of them
    /// need.
    pub(super) fn promises_cover_all(&self, servers: &BTreeSet<ServerId>) -> bool {
        if !self.waiting.has_transfers() || !self.waiting.settling.is_empty() {
            return false;
        }
        let mut trial = self.balances.try_out(View::Local);
        let others = servers.iter().filter(|server| **server != self.config.id);
        let logs = others.flat_map(|server| self.knowledge.log(server));
        let records = logs.flat_map(|element| element.records());
        let waits = self.waiting.waits().filter(|wait| wait.need != Need::Time);
        let members = waits.flat_map(|wait| &wait.members);
        records
            .map(|record| &record.action)
            .chain(members.map(|member| &member.instruction.action))
            .all(|action| trial.apply(action).is_ok())
    }
}
