//! New balances of some of many accounts.

use crate::bank::amount::Amount;
use crate::bank::ledger::directory::AccountNumber;

/// What becomes of an account's balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The new one.
    pub amount: Amount,
    /// How much of the difference this server's own log makes. By that alone a balance is never below
    /// zero nor above the total of all, so it fits.
    pub own: i64,
}

/// Balances by number, in the order in which their accounts came. A block may change tens of thousands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    balances: Vec<(AccountNumber, Change)>,
    /// Places in the list plus one; open addressing with linear probing, at most half full, its length a
    /// power of two.
    index: Vec<u32>,
}

impl Change {
    /// Sets the balance, of which the own log makes so much more.
    pub(super) fn set(&mut self, amount: Amount, own: i64) {
        self.amount = amount;
        self.own += own;
    }
}

impl Changed {
    /// What was set last.
    pub(super) fn get(&self, number: AccountNumber) -> Option<Change> {
        if self.index.is_empty() {
            return None;
        }
        let place = self.index[self.slot(number)].checked_sub(1)?;
        Some(self.balances[place as usize].1)
    }

    /// Sets a balance, of which the own log makes so much more.
    pub(super) fn set(&mut self, number: AccountNumber, amount: Amount, own: i64) {
        if 2 * (self.balances.len() + 1) > self.index.len() {
            self.grow();
        }
        let slot = self.slot(number);
        match self.index[slot].checked_sub(1) {
            Some(place) => self.balances[place as usize].1.set(amount, own),
            None => {
                self.balances.push((number, Change { amount, own }));
                self.index[slot] = self.balances.len() as u32;
            }
        }
    }

    fn grow(&mut self) {
        self.index = vec![0; (4 * self.index.len()).max(16)];
        for place in 0..self.balances.len() {
            let slot = self.slot(self.balances[place].0);
            self.index[slot] = place as u32 + 1;
        }
    }

    /// Where the index holds the number, or would. Numbers are dense, so to spread them is enough.
    fn slot(&self, number: AccountNumber) -> usize {
        let mask = self.index.len() - 1;
        let spread = (number.index() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let mut slot = spread as usize & mask;
        while let Some(place) = self.index[slot].checked_sub(1)
            && self.balances[place as usize].0 != number
        {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

impl IntoIterator for Changed {
    type Item = (AccountNumber, Change);
    type IntoIter = std::vec::IntoIter<(AccountNumber, Change)>;
    fn into_iter(self) -> Self::IntoIter {
        self.balances.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::bank::ledger::directory::Directory;

    #[test]
    fn it_holds_what_was_set_last() {
        let mut directory = Directory::<()>::new(7);
        let numbers: Vec<AccountNumber> =
            (0..5_000).map(|n| directory.add(&format!("A/{n}").parse().unwrap())).collect();
        let (mut changed, mut expected) = (Changed::default(), BTreeMap::new());
        assert_eq!(changed.get(numbers[0]), None);
        for step in 0..10_000u64 {
            let number = numbers[(step * step % 4_999) as usize];
            let amount = Amount::new(step).unwrap();
            changed.set(number, amount, -1);
            expected.entry(number).or_insert(Change::default()).set(amount, -1);
        }
        for number in &numbers {
            assert_eq!(changed.get(*number), expected.get(number).copied());
        }
        assert_eq!(changed.into_iter().collect::<BTreeMap<_, _>>(), expected);
    }
}
