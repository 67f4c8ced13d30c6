//! The keys of the accounts' owners: by the chain, and by what this server's own log adds.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::fingerprint::Fingerprint;
use crate::bank::ledger::directory::AccountNumber;

/// The key of each account that has one.
///
/// As with balances there are two views. The home decides by its log as well: a key takes effect at its
/// entry's place there. Everybody else knows a key from the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Owners {
    committed: BTreeMap<AccountNumber, Fingerprint>,
    /// The accounts to which entries of the own log give keys.
    logged: BTreeMap<AccountNumber, Logged>,
    /// The accounts of each key, by the local view.
    held: BTreeMap<Fingerprint, BTreeSet<AccountNumber>>,
}

/// A key given by the own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Logged {
    key: Fingerprint,
    /// How many entries of the log give the account a key. The last one gives it this one.
    entries: u32,
}

impl Owners {
    /// Returns an account's key by the chain and the own log.
    pub(super) fn local(&self, account: AccountNumber) -> Option<Fingerprint> {
        let logged = self.logged.get(&account).map(|logged| logged.key);
        logged.or_else(|| self.committed(account))
    }

    /// Returns an account's key by the chain.
    pub(super) fn committed(&self, account: AccountNumber) -> Option<Fingerprint> {
        self.committed.get(&account).copied()
    }

    /// Returns all accounts that have a key by the chain.
    pub(super) fn all_committed(&self) -> impl Iterator<Item = (AccountNumber, Fingerprint)> {
        self.committed.iter().map(|(account, key)| (*account, *key))
    }

    /// Returns the accounts of a key, by the local view.
    pub(super) fn of(&self, key: Fingerprint) -> impl Iterator<Item = AccountNumber> {
        self.held.get(&key).into_iter().flatten().copied()
    }

    /// Notes an entry of the own log that gives an account a key.
    pub(super) fn log(&mut self, account: AccountNumber, key: Fingerprint) {
        self.change(account, |owners| {
            let entries = owners.logged.get(&account).map_or(0, |logged| logged.entries) + 1;
            owners.logged.insert(account, Logged { key, entries });
        });
    }

    /// Notes the key that an account has after a block. `own` entries of the own log that give it a key are in
    /// that block.
    pub(super) fn commit(&mut self, account: AccountNumber, key: Fingerprint, own: u32) {
        self.change(account, |owners| {
            owners.committed.insert(account, key);
            if let Some(logged) = owners.logged.get_mut(&account) {
                logged.entries = logged.entries.saturating_sub(own);
                if logged.entries == 0 {
                    owners.logged.remove(&account);
                }
            }
        });
    }

    /// Forgets what the own log adds.
    pub(super) fn forget_log(&mut self) {
        while let Some(account) = self.logged.first_entry().map(|logged| *logged.key()) {
            self.change(account, |owners| {
                owners.logged.remove(&account);
            });
        }
    }

    /// Changes what is known of an account, and keeps the list of each key's accounts right.
    fn change(&mut self, account: AccountNumber, change: impl FnOnce(&mut Owners)) {
        let before = self.local(account);
        change(self);
        let after = self.local(account);
        if before == after {
            return;
        }
        if let Some(key) = before
            && let Some(accounts) = self.held.get_mut(&key)
        {
            accounts.remove(&account);
            if accounts.is_empty() {
                self.held.remove(&key);
            }
        }
        if let Some(key) = after {
            self.held.entry(key).or_default().insert(account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::ledger::directory::Directory;

    fn key(name: &str) -> Fingerprint {
        Fingerprint::of(name.as_bytes())
    }

    fn account() -> AccountNumber {
        Directory::<()>::new(1).add(&"A/x".parse().unwrap())
    }

    #[test]
    fn the_log_goes_before_the_chain_until_its_last_entry_is_there() {
        let (mut owners, x) = (Owners::default(), account());
        owners.log(x, key("one"));
        owners.log(x, key("two"));
        assert_eq!((owners.committed(x), owners.local(x)), (None, Some(key("two"))));
        owners.commit(x, key("one"), 1);
        assert_eq!((owners.committed(x), owners.local(x)), (Some(key("one")), Some(key("two"))));
        owners.commit(x, key("two"), 1);
        assert_eq!(owners.local(x), Some(key("two")));
        // From now on the chain alone decides.
        owners.commit(x, key("three"), 0);
        assert_eq!(owners.local(x), Some(key("three")));
    }

    #[test]
    fn a_key_is_found_by_its_accounts_and_no_longer_than_it_has_them() {
        let (mut owners, x) = (Owners::default(), account());
        owners.commit(x, key("one"), 0);
        owners.log(x, key("two"));
        assert_eq!(owners.of(key("one")).count(), 0);
        assert_eq!(owners.of(key("two")).collect::<Vec<_>>(), [x]);
        owners.forget_log();
        assert_eq!(owners.of(key("one")).collect::<Vec<_>>(), [x]);
        assert_eq!(owners.held.len(), 1);
    }
}
