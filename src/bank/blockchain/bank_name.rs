//! The name of a bank: the hash of its block 0, or the hash's first digits.

use std::fmt;
use std::str::FromStr;

use crate::bank::blockchain::block::BlockHash;

/// The number of digits in a whole hash.
const ALL: usize = 64;
/// The fewest digits that name a bank: by chance no two banks share so many.
const FEWEST: usize = 16;

/// The name of a bank: the hash of its block 0 begins with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BankName(String);

impl BankName {
    /// Returns the shortest name of the bank with this block 0.
    pub fn of(genesis: &BlockHash) -> BankName {
        BankName(genesis.to_string()[..FEWEST].to_owned())
    }

    /// True if it names the bank with this block 0.
    pub fn names(&self, genesis: &BlockHash) -> bool {
        genesis.to_string().starts_with(&self.0)
    }
}

impl fmt::Display for BankName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error for a text that does not name a bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBankName;

impl fmt::Display for BadBankName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a bank is named by the hash of its block 0, of {ALL} hexadecimal digits, or by the first \
             {FEWEST} of them or more; a client's command status shows it"
        )
    }
}

impl std::error::Error for BadBankName {}

impl FromStr for BankName {
    type Err = BadBankName;
    fn from_str(text: &str) -> Result<Self, BadBankName> {
        let is_hash = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match text.len() {
            FEWEST..=ALL if is_hash => Ok(BankName(text.to_ascii_lowercase())),
            _ => Err(BadBankName),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_is_named_by_enough_digits_of_its_hash() {
        let (ours, other) = (BlockHash::of("ours"), BlockHash::of("other"));
        let digits = ours.to_string();
        for name in [&digits[..], &digits[..FEWEST], &digits[..40].to_ascii_uppercase()] {
            let name: BankName = name.parse().unwrap();
            assert!(name.names(&ours) && !name.names(&other), "{name}");
        }
        let longer = format!("{digits}0");
        for wrong in ["", "c8a5b2c8", &digits[..FEWEST - 1], &longer, "c8a5b2c8c8a5b2cg"] {
            assert_eq!(wrong.parse::<BankName>(), Err(BadBankName), "{wrong}");
        }
    }
}
