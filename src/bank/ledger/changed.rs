//! New balances of some of many accounts.

use std::collections::BTreeMap;

use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::AccountId;
use crate::bank::ledger::directory::AccountNumber;

/// The change of an account's balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The new balance.
    pub amount: Amount,
    /// The part of the difference that this server's own log makes. By this part alone a balance is never below
    /// zero nor above the total of all, so it fits.
    pub own: i64,
}

/// Balances by number, in the order in which their accounts came. A block may change tens of thousands.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    balances: Vec<(AccountNumber, Change)>,
    /// Indices in the list plus one. Open addressing with linear probing, at most half full; the length is a
    /// power of two.
    index: Vec<u32>,
}

impl Change {
    /// Sets the balance; `own` more of the difference is the own log's.
    pub(super) fn set(&mut self, amount: Amount, own: i64) {
        self.amount = amount;
        self.own += own;
    }
}

impl PartialEq for Changed {
    fn eq(&self, other: &Changed) -> bool {
        // The index follows from the balances.
        self.balances == other.balances
    }
}

impl Eq for Changed {}

impl Changed {
    /// Returns the slot where the index holds the number or would hold it, and what was set last. If there
    /// was [room](Changed::reserve), the slot is a good place for [`Changed::set`] to begin.
    pub(super) fn find(&self, number: AccountNumber) -> (usize, Option<Change>) {
        if self.index.is_empty() {
            return (0, None);
        }
        let slot = self.slot(number, self.begin(number));
        let place = self.index[slot].checked_sub(1);
        (slot, place.map(|place| self.balances[place as usize].1))
    }

    /// Makes room for `more` balances.
    pub(super) fn reserve(&mut self, more: usize) {
        let places = 2 * (self.balances.len() + more);
        if places > self.index.len() {
            self.balances.reserve(more);
            self.grow(places.next_power_of_two().max(16));
        }
    }

    /// Sets a balance; `own` more of the difference is the own log's. `slot` is where [`Changed::find`] looked
    /// since room was made.
    pub(super) fn set(&mut self, slot: usize, number: AccountNumber, amount: Amount, own: i64) {
        let slot = self.slot(number, slot);
        match self.index[slot].checked_sub(1) {
            Some(place) => self.balances[place as usize].1.set(amount, own),
            None => {
                self.balances.push((number, Change { amount, own }));
                self.index[slot] = self.balances.len() as u32;
            }
        }
    }

    fn grow(&mut self, places: usize) {
        self.index = vec![0; places];
        for place in 0..self.balances.len() {
            let number = self.balances[place].0;
            let slot = self.slot(number, self.begin(number));
            self.index[slot] = place as u32 + 1;
        }
    }

    /// Returns where to begin to look for a number. Numbers are dense, so spreading them is enough.
    fn begin(&self, number: AccountNumber) -> usize {
        let spread = (number.index() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        spread as usize & (self.index.len() - 1)
    }

    /// Returns the slot that holds the number, or would hold it, from this slot on.
    fn slot(&self, number: AccountNumber, mut slot: usize) -> usize {
        while let Some(place) = self.index[slot].checked_sub(1)
            && self.balances[place as usize].0 != number
        {
            slot = (slot + 1) & (self.index.len() - 1);
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

/// The accounts whose balance or key changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub(super) changed: Changed,
    pub(super) opened: BTreeMap<AccountId, Change>,
    pub(super) keys: BTreeMap<AccountId, KeyChange>,
}

/// The change of an account's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key after all entries.
    pub key: Fingerprint,
    /// How many entries of this server's own log gave the account a key.
    pub own: u32,
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
        assert_eq!(changed.find(numbers[0]).1, None);
        for step in 0..10_000u64 {
            let number = numbers[(step * step % 4_999) as usize];
            let amount = Amount::new(step).unwrap();
            changed.reserve(1);
            let (slot, _) = changed.find(number);
            changed.set(slot, number, amount, -1);
            expected.entry(number).or_insert(Change::default()).set(amount, -1);
        }
        for number in &numbers {
            assert_eq!(changed.find(*number).1, expected.get(number).copied());
        }
        assert_eq!(changed.into_iter().collect::<BTreeMap<_, _>>(), expected);
    }

    #[test]
    fn two_that_were_looked_for_in_one_place_are_both_there() {
        let mut directory = Directory::<()>::new(7);
        let mut changed = Changed::default();
        changed.reserve(2);
        let mut number = |n: u32| directory.add(&format!("A/{n}").parse().unwrap());
        let one = number(0);
        let meets = |other: &AccountNumber| changed.begin(*other) == changed.begin(one);
        let two = (1..).map(&mut number).find(meets).unwrap();
        let slots = [one, two].map(|number| changed.find(number).0);
        assert_eq!(slots[0], slots[1]);
        for (number, slot) in [one, two].into_iter().zip(slots) {
            changed.set(slot, number, Amount::ZERO, 5);
        }
        let own = [one, two].map(|number| changed.find(number).1.map(|change| change.own));
        assert_eq!(own, [Some(5), Some(5)]);
    }
}
