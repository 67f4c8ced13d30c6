//! Looking again at what waits: after a block, a credit, a run that was concluded.

use std::collections::BTreeSet;

use super::Server;
use super::instructing::need_of;
use super::waiting::{Need, Wait};
use crate::bank::effects::{Timer, WaitId};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::balances::{LedgerError, View};
use crate::bank::ledger::entry::{Action, Via};
use crate::bank::request::Outcome;

/// What a run allows to refuse: one that this server prepared, that built its own block or found all
/// logs empty, and that cut nothing off.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Verdict {
    /// What had come in before it prepared, and whose accounts have not been debited since.
    pub eligible: BTreeSet<WaitId>,
    /// The servers whose logs were looked at.
    pub consulted: BTreeSet<ServerId>,
}

impl Server {
    /// Whether something waits for which a run is needed.
    pub(super) fn transfers_want_run(&self) -> bool {
        let look_up = !self.lookups_rest || self.run.is_some();
        self.waiting.count(Need::Money) > 0 || (look_up && self.waiting.count(Need::Payee) > 0)
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
            Some(verdict) => self.unheard(&verdict.consulted),
        };
        while let Some(account) = self.waiting.next_touched() {
            self.look_at_queue(&account, &missing);
            for id in self.waiting.patient(&account) {
                self.look_at_patient(id);
            }
        }
        let Some(verdict) = self.verdict.take() else { return };
        self.look_at_settling(&verdict, &missing);
        for id in &verdict.eligible {
            match self.waiting.get(*id) {
                // It goes on waiting, for what comes by itself.
                Some(wait) if wait.patient => self.waiting.set_need(*id, Need::Time),
                // It waits for one further run to hear those servers.
                _ => {
                    if let Some(unanswered) = self.waiting.unanswered_by(*id) {
                        unanswered.clone_from(&missing);
                    }
                }
            }
        }
    }

    fn look_at_queue(&mut self, account: &AccountId, missing: &BTreeSet<ServerId>) {
        loop {
            let first = self.waiting.queue(account).next();
            let Some(id) = first.filter(|id| self.waiting.is_first(*id)) else { return };
            let Some(wait) = self.waiting.get(id) else { return };
            let Err((place, error)) = self.weigh(&wait.members) else {
                self.serve_waiting(id);
                continue;
            };
            let outcome = match need_of(&error) {
                None => self.rejection(&error),
                Some(need) => match self.refusal(id, wait, place, &error, missing) {
                    Some(refusal) => refusal,
                    None => return self.waiting.set_need(id, need),
                },
            };
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
    fn look_at_patient(&mut self, id: WaitId) {
        let Some(wait) = self.waiting.get(id) else { return };
        match self.weigh(&wait.members) {
            Ok(()) => self.serve_waiting(id),
            Err((_, error)) if wait.need == Need::Turn => {
                self.waiting.set_need(id, need_of(&error).unwrap_or(Need::Time));
            }
            Err(_) => {}
        }
    }

    /// The refusal of one that a run has shown not to be covered, if it has.
    fn refusal(
        &self,
        id: WaitId,
        wait: &Wait,
        place: usize,
        error: &LedgerError,
        missing: &BTreeSet<ServerId>,
    ) -> Option<Outcome> {
        let verdict = self.verdict.as_ref().filter(|verdict| {
            (verdict.eligible.contains(&id) || planted!(RefusedByEarlierRun))
                && missing.is_subset(&wait.unanswered)
        })?;
        let (consulted, not_consulted) = self.consultation(verdict);
        let Action::Transfer { from, amount, .. } = &wait.members[place].instruction.action else {
            return None;
        };
        let (reason, balance) = match error {
            LedgerError::Overdraft { balance, .. } => {
                (format!("insufficient funds: {from} has {balance}, {amount} asked"), *balance)
            }
            other => (other.to_string(), self.balances.local(from).unwrap_or_default()),
        };
        Some(Outcome::Refused { reason, balance, consulted, not_consulted })
    }

    pub(super) fn consultation(&self, verdict: &Verdict) -> (Vec<ServerId>, Vec<ServerId>) {
        let servers = self.config.configuration.servers.iter().cloned();
        servers.partition(|server| verdict.consulted.contains(server))
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
