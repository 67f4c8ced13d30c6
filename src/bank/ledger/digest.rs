//! A digest of balances that does not depend on their order.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::bank::amount::Amount;

/// The sum of the hashes of all accounts with their balances. It reveals damage, not malice: whoever can
/// choose balances at will can choose the store's other values as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u128);

impl Digest {
    /// Adds an account that is not in it yet.
    pub fn add(&mut self, account: &str, balance: Amount) {
        let half = |which: u8| {
            let mut hasher = DefaultHasher::new();
            (which, account, balance).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        self.0 = self.0.wrapping_add(half(0) << 64 | half(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_of_what_is_there_in_whatever_order() {
        let of = |accounts: &[(&str, u64)]| {
            let mut digest = Digest::default();
            accounts
                .iter()
                .for_each(|(name, units)| digest.add(name, Amount::new(*units).unwrap()));
            digest
        };
        let all = of(&[("A", 1), ("B", 2), ("A/x", 3)]);
        assert_eq!(of(&[("A/x", 3), ("B", 2), ("A", 1)]), all);
        assert_ne!(of(&[("A", 2), ("B", 1), ("A/x", 3)]), all, "the same sum, otherwise divided");
        assert_ne!(of(&[("A", 1), ("B", 2)]), all);
    }
}
