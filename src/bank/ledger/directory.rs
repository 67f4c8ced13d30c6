//! The accounts' names, and a dense number for each.
//!
//! All names are in one text and the index holds numbers only, so that an account costs little more
//! than its name: a bank may have millions of them.

use std::hash::{Hash, Hasher};
use std::ops::Range;

use crate::bank::ids::AccountId;

/// An account's number: 0, 1, 2… in the order in which this server came to know them. Never leaves
/// the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountNumber(u32);

impl AccountNumber {
    /// For use as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A slot of the index that holds no number.
const FREE: u32 = u32::MAX;

/// Names to numbers and back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// All names, one after the other.
    names: String,
    /// Where each ends.
    ends: Vec<u32>,
    /// Open addressing with linear probing; at most three quarters full, its length a power of two.
    index: Vec<u32>,
    /// Makes names that meet in the index hard to choose from outside.
    salt: u64,
}

impl Hash for Directory {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The rest follows from these.
        self.names.hash(state);
        self.ends.hash(state);
    }
}

impl Directory {
    /// A directory without accounts. `salt` is the server's own and need not be known outside.
    pub fn new(salt: u64) -> Directory {
        Directory { salt, ..Directory::default() }
    }

    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The account's name.
    pub fn name(&self, number: AccountNumber) -> &str {
        &self.names[self.span(number)]
    }

    /// All names, in the order of their numbers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.numbers().map(|number| self.name(number))
    }

    fn bytes(&self, number: AccountNumber) -> &[u8] {
        &self.names.as_bytes()[self.span(number)]
    }

    fn span(&self, number: AccountNumber) -> Range<usize> {
        let index = number.index();
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        begin..self.ends[index] as usize
    }

    /// All numbers, in order.
    pub fn numbers(&self) -> impl Iterator<Item = AccountNumber> + use<> {
        (0..self.ends.len() as u32).map(AccountNumber)
    }

    /// The number of an account.
    pub fn find(&self, account: &AccountId) -> Option<AccountNumber> {
        if self.index.is_empty() {
            return None;
        }
        match self.index[self.slot(account.as_bytes())] {
            FREE => None,
            number => Some(AccountNumber(number)),
        }
    }

    /// Adds an account, or finds it.
    ///
    /// # Panics
    /// If there are 2^32 - 1 accounts, or their names have 4 GiB together: far more than
    /// [`Limits`](crate::bank::limits::Limits) let a bank have.
    pub fn add(&mut self, account: &AccountId) -> AccountNumber {
        if 4 * (self.ends.len() + 1) > 3 * self.index.len() {
            self.grow();
        }
        let slot = self.slot(account.as_bytes());
        if self.index[slot] == FREE {
            let number = u32::try_from(self.ends.len()).expect("fewer accounts than numbers");
            assert_ne!(number, FREE, "fewer accounts than numbers");
            self.index[slot] = number;
            self.names.push_str(account.as_str());
            let end = u32::try_from(self.names.len()).expect("the names have less than 4 GiB");
            self.ends.push(end);
        }
        AccountNumber(self.index[slot])
    }

    fn grow(&mut self) {
        let length = (2 * self.index.len()).max(16);
        self.index = vec![FREE; length];
        for number in self.numbers() {
            let slot = self.slot(self.bytes(number));
            self.index[slot] = number.0;
        }
    }

    /// Where the index holds the name, or would.
    fn slot(&self, name: &[u8]) -> usize {
        let mask = self.index.len() - 1;
        let mut slot = scatter(self.salt, name) as usize & mask;
        loop {
            match self.index[slot] {
                FREE => return slot,
                number if self.bytes(AccountNumber(number)) == name => return slot,
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

/// A number that a name is scattered to: eight bytes at a time are multiplied into what came before, and
/// both halves of the product are kept. Without the salt nobody can tell which names meet.
fn scatter(salt: u64, name: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from((ODD ^ salt.rotate_left(32)) | 1);
        product as u64 ^ (product >> 64) as u64
    };
    let mut state = fold(salt, name.len() as u64);
    let (words, rest) = name.as_chunks();
    for word in words {
        state = fold(state, u64::from_le_bytes(*word));
    }
    let rest = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    state = fold(state, rest);
    fold(state, ODD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: u32) -> AccountId {
        format!("A/{number}").parse().unwrap()
    }

    #[test]
    fn every_account_has_one_number_and_keeps_it() {
        let mut directory = Directory::new(7);
        for number in 0..1_000 {
            assert_eq!(directory.find(&account(number)), None);
            assert_eq!(directory.add(&account(number)), AccountNumber(number));
            assert_eq!(directory.add(&account(number)), AccountNumber(number));
        }
        assert_eq!(directory.len(), 1_000);
        for number in 0..1_000 {
            assert_eq!(directory.find(&account(number)), Some(AccountNumber(number)));
            assert_eq!(directory.name(AccountNumber(number)), account(number).as_str());
        }
    }
}
