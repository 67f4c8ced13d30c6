//! Money: whole units, checked arithmetic only.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A whole number of units, from 0 to [`Amount::MAX`]. All arithmetic on it is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Amount(u64);

/// The error for a number or a text that is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAmount;

impl fmt::Display for BadAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an amount is a whole number of units from 0 to {}", Amount::MAX)
    }
}

impl std::error::Error for BadAmount {}

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount(0);
    /// The most money in one bank: 2^53 - 1 units, which is exact as a JSON number in every language.
    pub const MAX: Amount = Amount((1 << 53) - 1);

    /// Makes an amount of `units` units, unless they exceed [`Amount::MAX`].
    pub const fn new(units: u64) -> Option<Amount> {
        if units <= Amount::MAX.0 { Some(Amount(units)) } else { None }
    }

    /// Returns the number of units.
    pub const fn units(self) -> u64 {
        self.0
    }

    /// Adds, unless the sum exceeds [`Amount::MAX`].
    pub fn plus(self, other: Amount) -> Option<Amount> {
        Amount::new(self.0.checked_add(other.0)?)
    }

    /// Subtracts, unless the rest is below zero.
    pub fn minus(self, other: Amount) -> Option<Amount> {
        self.0.checked_sub(other.0).map(Amount)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Amount {
    type Err = BadAmount;
    fn from_str(text: &str) -> Result<Self, BadAmount> {
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadAmount);
        }
        text.parse().ok().and_then(Amount::new).ok_or(BadAmount)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let units = u64::deserialize(from)
            .map_err(|error| de::Error::custom(format_args!("{BadAmount} ({error})")))?;
        Amount::new(units).ok_or_else(|| de::Error::custom(BadAmount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_checked_at_both_ends() {
        let one = Amount::new(1).unwrap();
        assert_eq!(Amount::ZERO.minus(one), None);
        assert_eq!(Amount::MAX.plus(one), None);
        assert_eq!(Amount::MAX.minus(one).unwrap().plus(one), Some(Amount::MAX));
    }

    #[test]
    fn only_whole_numbers_in_range_are_amounts() {
        for wrong in ["-1", "1.5", "1e3", "", "+1", "9007199254740992", "18446744073709551616"] {
            assert!(wrong.parse::<Amount>().is_err(), "{wrong}");
            assert!(serde_json::from_str::<Amount>(wrong).is_err(), "{wrong}");
        }
        assert_eq!("30".parse::<Amount>(), Ok(Amount(30)));
        assert_eq!(serde_json::from_str::<Amount>("30").unwrap(), Amount(30));
    }
}
