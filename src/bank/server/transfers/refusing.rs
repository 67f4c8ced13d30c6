//! Refusing what a run has shown not to be covered, and what a run has to ask for it (DESIGN.md, "A transfer"
//! and "Refusals while logs are long").

use std::collections::{BTreeMap, BTreeSet};

use super::super::Server;
use super::queue::{Member, Need, Wait};
use super::verdict::Verdict;
use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId, WaitId};
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::rule::LedgerError;
use crate::bank::paxos::rest::Rest;
use crate::bank::reason::{Code, Reason};
use crate::bank::request::Outcome;

/// The member of a group that can't happen, by its place, and why.
type Shortage = (usize, LedgerError);

impl Server {
    /// Returns the accounts for which a run that begins now asks what whole logs bring: accounts that may be
    /// too poor for what waits, and payees that are unknown here. The oldest groups come first.
    pub(in crate::bank::server) fn asks(&self) -> BTreeSet<AccountId> {
        let waits = self.waiting.waits().filter(|wait| wait.need != Need::Time);
        let mut asks = BTreeSet::new();
        for account in waits.flat_map(|wait| self.lacking(&wait.members)) {
            if asks.len() == self.config.limits.asked {
                break;
            }
            asks.insert(account.clone());
        }
        asks
    }

    /// Returns the accounts from which a group takes more than they hold, and the payees that are unknown.
    fn lacking<'a>(&self, group: &'a [Member]) -> Vec<&'a AccountId> {
        let mut debits: BTreeMap<&AccountId, u64> = BTreeMap::new();
        let mut lacking = Vec::new();
        for Member { instruction, .. } in group {
            let (from, amount) = match &instruction.action {
                Action::Transfer { from, amount, .. } => (from, amount),
                Action::Burn { account, amount } => (account, amount),
                _ => continue,
            };
            let debit = debits.entry(from).or_default();
            *debit = debit.saturating_add(amount.units());
            // An unknown account of this server is opened by the group itself.
            let to = instruction.action.payee();
            let is_unknown = |to: &AccountId| {
                !to.is_of(&self.config.id) && self.ledger.balances.local(to).is_none()
            };
            lacking.extend(to.filter(|to| is_unknown(to)));
        }
        let poor = |(account, debit): &(&AccountId, u64)| {
            self.ledger.balances.local(account).is_some_and(|holds| holds.units() < *debit)
        };
        lacking.extend(debits.into_iter().filter(poor).map(|(account, _)| account));
        lacking
    }

    /// Returns the refusal of a group that a run has shown not to be covered, with the place of its member.
    pub(in crate::bank::server) fn refusal(
        &self,
        id: WaitId,
        wait: &Wait,
        missing: &BTreeSet<ServerId>,
    ) -> Option<(usize, Outcome)> {
        let verdict = self.waiting.verdict.as_ref().filter(|verdict| {
            (verdict.eligible.contains(&id) || planted!(RefusedByEarlierRun))
                && missing.is_subset(&wait.unanswered)
        })?;
        let (place, error) = self.shortage(wait, verdict)?;
        let (consulted, not_consulted) = self.consultation(verdict);
        let (from, amount) = match &wait.members[place].instruction.action {
            Action::Transfer { from, amount, .. } => (from, amount),
            Action::Burn { account, amount } => (account, amount),
            _ => return None,
        };
        let (reason, balance) = match error {
            LedgerError::Overdraft { balance: left, .. } => {
                let rest = &verdict.consulted.rest;
                let (has, balance) = self.holdings(from, left, rest);
                let words = format!("insufficient funds: {has}, {amount} asked");
                (Reason::new(Code::InsufficientFunds, words), balance)
            }
            other => ((&other).into(), self.ledger.balances.local(from).unwrap_or_default()),
        };
        Some((place, Outcome::Refused { reason, balance, consulted, not_consulted }))
    }

    /// Returns the first member of a group that all logs consulted by a run don't cover. They count with the
    /// entries in the run's block, which the local balances have, and with what is left of them. None if all
    /// members are covered, or nobody knows.
    pub(in crate::bank::server) fn shortage(
        &self,
        wait: &Wait,
        verdict: &Verdict,
    ) -> Option<Shortage> {
        match &verdict.consulted.rest {
            Rest::Nothing => self.weigh(&wait.members).err(),
            Rest::Unknown => None,
            Rest::Brings(rest) => self.shortage_beyond(&wait.members, &verdict.asks, rest),
        }
    }

    /// True if a run has shown what there is to know of a group, except for servers that it did not hear.
    pub(in crate::bank::server) fn is_judged(&self, wait: &Wait, verdict: &Verdict) -> bool {
        verdict.consulted.rest == Rest::Nothing || self.shortage(wait, verdict).is_some()
    }

    fn shortage_beyond(
        &self,
        group: &[Member],
        asks: &BTreeSet<AccountId>,
        rest: &BTreeMap<AccountId, Amount>,
    ) -> Option<Shortage> {
        let is_asked = |account: &AccountId| asks.contains(account) || planted!(UnaskedIsPoor);
        let units = |amount: Option<Amount>| u128::from(amount.unwrap_or_default().units());
        let all = |account| {
            units(self.ledger.balances.local(account)) + units(rest.get(account).copied())
        };
        let mut holds: BTreeMap<&AccountId, u128> = BTreeMap::new();
        for (place, Member { instruction, .. }) in group.iter().enumerate() {
            let (from, to, amount) = match &instruction.action {
                Action::Transfer { from, to, amount } => (from, Some(to), amount),
                Action::Burn { account, amount } => (account, None, amount),
                Action::Mint { account, amount } => {
                    *holds.entry(account).or_insert_with(|| all(account)) +=
                        u128::from(amount.units());
                    continue;
                }
                Action::Open { account, .. } => {
                    holds.insert(account, 0);
                    continue;
                }
                Action::Rekey { .. }
                | Action::Pin { .. }
                | Action::Rejoin { .. }
                | Action::Member(_) => continue,
            };
            let amount = u128::from(amount.units());
            if let Some(to) = to
                && self.ledger.balances.local(to).is_none()
                && !holds.contains_key(to)
            {
                let is_left = rest.contains_key(to) && !planted!(RestOpensNothing);
                let nobody_knows = is_asked(to) && !is_left;
                return nobody_knows.then(|| (place, LedgerError::UnknownAccount(to.clone())));
            }
            let payer = *holds.entry(from).or_insert_with(|| all(from));
            let Some(left) = payer.checked_sub(amount) else {
                let balance = u64::try_from(payer).ok().and_then(Amount::new);
                let (account, balance) = (from.clone(), balance.unwrap_or(Amount::MAX));
                let error = LedgerError::Overdraft { account, balance };
                return is_asked(from).then_some((place, error));
            };
            holds.insert(from, left);
            if let Some(to) = to {
                *holds.entry(to).or_insert_with(|| all(to)) += amount;
            }
        }
        None
    }

    pub(in crate::bank::server) fn consultation(
        &self,
        verdict: &Verdict,
    ) -> (Vec<ServerId>, Vec<ServerId>) {
        self.members().cloned().partition(|server| verdict.consulted.ends.contains_key(server))
    }

    /// Describes what a payer has, of which some may be on its way, and returns how much it is in all. Nothing of a
    /// refused group has happened, so what its earlier members would have left of it is said apart.
    fn holdings(&self, payer: &AccountId, left: Amount, rest: &Rest) -> (String, Amount) {
        let here = self.ledger.balances.local(payer).unwrap_or_default();
        let coming = match rest {
            Rest::Brings(brings) => brings.get(payer).copied().unwrap_or_default(),
            Rest::Nothing | Rest::Unknown => Amount::ZERO,
        };
        let balance = here.plus(coming).unwrap_or(Amount::MAX);
        let mut has = format!("{payer} has {here}");
        if coming != Amount::ZERO {
            has.push_str(&format!(", and {coming} on the way"));
        }
        if left != balance {
            has.push_str(&format!(" ({left} after the earlier parts of its linked group)"));
        }
        (has, balance)
    }
}
