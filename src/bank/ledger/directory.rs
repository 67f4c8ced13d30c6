//! The accounts' names, with a dense number for each: a bank may have millions of accounts.

use std::hash::{Hash, Hasher};

use crate::bank::ids::AccountId;
use crate::bank::ledger::name_order::NameOrder;

/// An account's number: 0, 1, 2… in the order in which this server came to know the accounts. It never
/// leaves the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountNumber(u32);

impl AccountNumber {
    /// Returns the number for use as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A slot of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    /// A part of the number to which the name is scattered. Two names' tags are hardly ever equal, so only the
    /// right account has to be fetched and compared.
    tag: u32,
    number: u32,
}

impl Slot {
    const FREE: Slot = Slot { tag: 0, number: u32::MAX };

    fn is_free(self) -> bool {
        self.number == u32::MAX
    }
}

/// An account, on a cache line of its own. With many accounts, fetching takes the time, so what is known
/// of an account comes with its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[repr(align(64))]
struct Account<T> {
    name: AccountId,
    known: T,
}

/// Names to numbers and back, with the facts known of each account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory<T = ()> {
    accounts: Vec<Account<T>>,
    /// Open addressing with linear probing, at most three quarters full; the length is a power of two.
    index: Vec<Slot>,
    /// Makes it hard to choose names from outside that meet in the index.
    salt: u64,
    /// The accounts in the order of their names' bytes.
    order: NameOrder,
}

impl<T: Hash> Hash for Directory<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The rest follows from the accounts.
        self.accounts.hash(state);
    }
}

impl<T: Default> Directory<T> {
    /// Creates a directory without accounts. `salt` is the server's own, and unknown outside.
    pub fn new(salt: u64) -> Directory<T> {
        const { assert!(size_of::<Account<T>>() == 64, "an account fits on a cache line") };
        Directory { accounts: Vec::new(), index: Vec::new(), salt, order: NameOrder::default() }
    }

    /// Returns how many accounts there are.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// True if there are no accounts.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Returns the name of an account.
    pub fn name(&self, number: AccountNumber) -> &AccountId {
        &self.accounts[number.index()].name
    }

    /// Returns what is known of an account.
    pub fn at(&self, number: AccountNumber) -> &T {
        &self.accounts[number.index()].known
    }

    /// Returns what is known of an account, to be changed.
    pub fn at_mut(&mut self, number: AccountNumber) -> &mut T {
        &mut self.accounts[number.index()].known
    }

    /// Returns all accounts, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&AccountId, &T)> {
        self.accounts.iter().map(|Account { name, known }| (name, known))
    }

    /// Returns the names that begin with `prefix`, from the first one after `after` on, in the order of
    /// their bytes.
    pub fn names_from<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&AccountId>,
    ) -> impl Iterator<Item = &'a AccountId> {
        let prefix = prefix.as_bytes();
        let (begin, strictly) = match after.map(AccountId::as_bytes) {
            Some(after) if after >= prefix => (after, true),
            _ => (prefix, false),
        };
        let is_before = |name: &AccountId| {
            let name = name.as_bytes();
            name < begin || (strictly && name == begin)
        };
        let name = |number: u32| &self.accounts[number as usize].name;
        let names = self.order.from(self.order.find(name, is_before)).map(name);
        names.take_while(move |name| name.as_bytes().starts_with(prefix))
    }

    /// Returns what is known of each account, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.accounts.iter_mut().map(|account| &mut account.known)
    }

    /// Returns the number of an account.
    pub fn find(&self, account: &AccountId) -> Option<AccountNumber> {
        if self.index.is_empty() {
            return None;
        }
        let is_it = |number| self.name(number) == account;
        self.held(self.slot(account, is_it).0)
    }

    /// Returns the number that an account most probably has, by its tag, without looking at its name. None
    /// if the account isn't there.
    ///
    /// For many accounts, guess all, then [confirm](Directory::confirm) all. Steps with little else between
    /// their fetches let the processor fetch more at a time.
    pub fn guess(&self, account: &AccountId) -> Option<AccountNumber> {
        if self.index.is_empty() {
            return None;
        }
        self.held(self.slot(account, |_| true).0)
    }

    /// Returns what [`Directory::find`] returns, given a guess made since the last account was added.
    pub fn confirm(&self, account: &AccountId, guess: AccountNumber) -> Option<AccountNumber> {
        match self.name(guess) == account {
            true => Some(guess),
            false => self.find(account),
        }
    }

    /// Adds an account of which nothing is known yet, or finds it.
    ///
    /// # Panics
    /// If there are 2^32 - 1 accounts: far more than [`Limits`](crate::bank::limits::Limits) let a bank
    /// have.
    pub fn add(&mut self, account: &AccountId) -> AccountNumber {
        if 4 * (self.accounts.len() + 1) > 3 * self.index.len() {
            self.grow();
        }
        let (slot, tag) = self.slot(account, |number| self.name(number) == account);
        if self.index[slot].is_free() {
            let number = u32::try_from(self.accounts.len()).expect("fewer accounts than numbers");
            self.index[slot] = Slot { tag, number };
            assert!(!self.index[slot].is_free(), "fewer accounts than numbers");
            self.accounts.push(Account { name: account.clone(), known: T::default() });
            let name = |number: u32| &self.accounts[number as usize].name;
            self.order.insert(number, name);
        }
        AccountNumber(self.index[slot].number)
    }

    fn grow(&mut self) {
        let length = (2 * self.index.len()).max(16);
        self.index = vec![Slot::FREE; length];
        for (number, Account { name, .. }) in (0..).zip(&self.accounts) {
            let (slot, tag) = self.slot(name, |number| self.name(number) == name);
            self.index[slot] = Slot { tag, number };
        }
    }

    /// Returns the account in a slot, if there is one.
    fn held(&self, slot: usize) -> Option<AccountNumber> {
        let slot = self.index[slot];
        (!slot.is_free()).then_some(AccountNumber(slot.number))
    }

    /// Returns the slot that holds the name, or would hold it; and the name's tag. `is_it` is asked about
    /// accounts with the same tag.
    fn slot(&self, account: &AccountId, is_it: impl Fn(AccountNumber) -> bool) -> (usize, u32) {
        let mask = self.index.len() - 1;
        let scattered = account.scatter(self.salt);
        let (mut slot, tag) = (scattered as usize & mask, (scattered >> 32) as u32);
        loop {
            let found = self.index[slot];
            if found.is_free() || (found.tag == tag && is_it(AccountNumber(found.number))) {
                return (slot, tag);
            }
            slot = (slot + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: u32) -> AccountId {
        format!("A/{number}").parse().unwrap()
    }

    #[test]
    fn every_account_has_one_number_and_keeps_it() {
        let mut directory = Directory::<()>::new(7);
        for number in 0..1_000 {
            assert_eq!(directory.find(&account(number)), None);
            assert_eq!(directory.add(&account(number)), AccountNumber(number));
            assert_eq!(directory.add(&account(number)), AccountNumber(number));
        }
        assert_eq!(directory.len(), 1_000);
        for number in 0..1_000 {
            assert_eq!(directory.find(&account(number)), Some(AccountNumber(number)));
            assert_eq!(*directory.name(AccountNumber(number)), account(number));
        }
    }

    #[test]
    fn a_guess_is_right_or_put_right() {
        let mut directory = Directory::<()>::new(7);
        assert_eq!(directory.guess(&account(0)), None);
        let numbers: Vec<_> = (0..100).map(|number| directory.add(&account(number))).collect();
        for (name, number) in (0..).map(account).zip(&numbers) {
            assert_eq!(directory.guess(&name), Some(*number));
            for guess in &numbers {
                assert_eq!(directory.confirm(&name, *guess), Some(*number));
            }
        }
        assert_eq!(directory.guess(&account(100)), None);
        assert_eq!(directory.confirm(&account(100), numbers[0]), None);
    }
}
