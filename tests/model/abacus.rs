//! Bookkeeping by plain counting, to hold against what the machine says.

use std::collections::BTreeMap;

use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::Action;

use crate::bounds::OPENING;

/// What each account holds.
#[derive(Clone, Default)]
pub struct Abacus(BTreeMap<AccountId, i64>);

impl Abacus {
    /// As the bank begins.
    pub fn opening(servers: &[&str]) -> Abacus {
        let account = |name: &&str| (name.parse().expect("an account"), OPENING as i64);
        Abacus(servers.iter().map(account).collect())
    }

    /// Moves the money, or opens the account, whatever was there before.
    pub fn note(&mut self, action: &Action) {
        match action {
            Action::Open { account, .. } => drop(self.0.entry(account.clone()).or_insert(0)),
            Action::Transfer { from, to, amount } => {
                let units = amount.units() as i64;
                *self.0.entry(from.clone()).or_insert(0) -= units;
                *self.0.entry(to.clone()).or_insert(0) += units;
            }
            Action::Mint { account, .. } | Action::Burn { account, .. } => {
                *self.0.entry(account.clone()).or_insert(0) += action.issues();
            }
            Action::Rekey { .. }
            | Action::Pin { .. }
            | Action::Rejoin { .. }
            | Action::Member(_) => {}
        }
    }

    /// The same, if that can be.
    pub fn follow(&mut self, action: &Action) -> bool {
        let can_be = match action {
            Action::Open { account, .. } => !self.0.contains_key(account),
            Action::Transfer { from, to, amount } => {
                let covered = self.0.get(from).is_some_and(|holds| *holds >= amount.units() as i64);
                covered && self.0.contains_key(to)
            }
            // No bank of the model issues money.
            Action::Mint { .. } | Action::Burn { .. } => false,
            Action::Rekey { account, .. } => self.0.contains_key(account),
            Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => true,
        };
        if can_be {
            self.note(action);
        }
        can_be
    }

    /// Whether an account of this server's holds anything.
    pub fn holds(&self, server: &ServerId) -> bool {
        self.0.iter().any(|(account, units)| account.home() == server.as_str() && *units > 0)
    }

    /// What all accounts hold together.
    pub fn total(&self) -> i64 {
        self.0.values().sum()
    }
}
