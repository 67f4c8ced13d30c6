//! The keys of the accounts' owners.

use super::Balances;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::AccountId;
use crate::bank::ledger::directory::AccountNumber;

impl Balances {
    /// Returns the key of an account's owner, by the chain and the local log; none if the account has no key, or
    /// isn't known.
    pub fn key_of(&self, account: &AccountId) -> Option<Fingerprint> {
        self.owners.local(self.find(account)?)
    }

    /// Returns the key of an account's owner by the chain.
    pub fn committed_key(&self, account: &AccountId) -> Option<Fingerprint> {
        self.owners.committed(self.find(account)?)
    }

    /// Returns every account that has a key by the chain, with this key.
    pub fn all_committed_keys(&self) -> impl Iterator<Item = (&AccountId, Fingerprint)> {
        self.owners.all_committed().map(|(number, key)| (self.accounts.name(number), key))
    }

    /// Returns the accounts that a key owns, by the chain and the local log.
    pub fn owned_by(&self, key: Fingerprint) -> impl Iterator<Item = &AccountId> {
        self.owners.of(key).map(|number| self.accounts.name(number))
    }

    /// Sets the key of an account as its page has it.
    pub(in crate::bank::ledger) fn restore_key(&mut self, number: AccountNumber, key: Fingerprint) {
        self.owners.commit(number, key, 0);
    }

    /// Sets the key of an account in the chain after the block at this height. `own` entries of this server's
    /// own log that give the account a key are in that block.
    pub(in crate::bank::ledger) fn set_committed_key(
        &mut self,
        number: AccountNumber,
        key: Fingerprint,
        own: u32,
        height: u64,
    ) {
        self.owners.commit(number, key, own);
        self.pages.touch(self.accounts.at(number).place, height);
    }
}
