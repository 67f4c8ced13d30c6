//! Following: where in the chain a follower is, and which entries it wants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::bank::ids::AccountId;
use crate::bank::ledger::entry::Action;

/// A place in the chain: the height of a block, and an entry's number among all entries of the block, from 0.
/// It is written `7-3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The block's height.
    pub height: u64,
    /// The entry's number within the block.
    pub number: u64,
}

impl Place {
    /// Returns the place of a block's first entry.
    pub fn first_of(height: u64) -> Place {
        Place { height, number: 0 }
    }

    /// Returns the place after this one. It may be beyond the end of its block, and stands for the next block then.
    pub fn next(self) -> Place {
        Place { number: self.number.saturating_add(1), ..self }
    }

    /// True if the place is behind the last block that is wanted, if one is named.
    pub fn is_beyond(self, last: Option<u64>) -> bool {
        last.is_some_and(|last| self.height > last)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.height, self.number)
    }
}

/// The error for a text that is not a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPlace(String);

impl fmt::Display for BadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a place in the chain (a height such as 7, or HEIGHT-NUMBER such as 7-3)",
            self.0
        )
    }
}

impl std::error::Error for BadPlace {}

impl FromStr for Place {
    type Err = BadPlace;

    /// Parses `7-3`, or `7` for the first entry of block 7.
    fn from_str(text: &str) -> Result<Place, BadPlace> {
        let parse = |part: &str| {
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| is_number)
        };
        let place = match text.split_once('-') {
            None => parse(text).map(Place::first_of),
            Some((height, number)) => {
                parse(height).zip(parse(number)).map(|(height, number)| Place { height, number })
            }
        };
        // What was typed may be long; the message must not be.
        place.ok_or_else(|| BadPlace(text.chars().take(80).collect()))
    }
}

/// What a follower asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Follow {
    /// The place of the first entry wanted; none for all blocks that are still to come.
    pub from: Option<Place>,
    /// The entries wanted.
    pub wanted: Wanted,
    /// True if the entries of the server's local log are wanted, too.
    pub log: bool,
}

/// A selection of entries by the accounts that they touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Accounts, in the order of their names.
    accounts: Vec<AccountId>,
    /// The beginning of further accounts' names; empty for none.
    prefix: String,
}

impl Wanted {
    /// Selects the entries that touch one of these accounts, or an account whose name begins with this prefix.
    /// Without either, selects all entries.
    pub fn new(mut accounts: Vec<AccountId>, prefix: String) -> Wanted {
        accounts.sort_unstable();
        accounts.dedup();
        Wanted { accounts, prefix }
    }

    /// Returns the accounts, in the order of their names.
    pub fn accounts(&self) -> &[AccountId] {
        &self.accounts
    }

    /// Returns the prefix; empty if there is none.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// True if all entries are selected, those that concern no account too.
    pub fn is_all(&self) -> bool {
        self.accounts.is_empty() && self.prefix.is_empty()
    }

    /// True if an entry with this effect is selected.
    pub fn takes(&self, action: &Action) -> bool {
        let has = |account: &AccountId| {
            let begins = !self.prefix.is_empty() && account.as_str().starts_with(&self.prefix);
            begins || self.accounts.binary_search(account).is_ok()
        };
        self.is_all() || action.subject().is_some_and(has) || action.payee().is_some_and(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::amount::Amount;

    #[test]
    fn a_place_has_one_spelling_and_a_height_is_its_first() {
        let place = |text: &str| text.parse::<Place>();
        assert_eq!(place("7-3"), Ok(Place { height: 7, number: 3 }));
        assert_eq!(place("7"), Ok(Place::first_of(7)));
        assert_eq!(place("7-3").unwrap().next().to_string(), "7-4");
        for bad in ["", "-", "7-", "-3", "+7", "7-3-1", "7/3", " 7", "99999999999999999999"] {
            let said = place(bad).unwrap_err().to_string();
            assert!(said.ends_with("(a height such as 7, or HEIGHT-NUMBER such as 7-3)"), "{said}");
        }
    }

    #[test]
    fn what_is_beyond_the_last_block_wanted_is_known() {
        let is_beyond = |height, last| Place { height, number: 3 }.is_beyond(last);
        assert_eq!(
            [is_beyond(7, Some(6)), is_beyond(7, Some(7)), is_beyond(7, None)],
            [true, false, false]
        );
    }

    #[test]
    fn whoever_is_wanted_is_found_as_payer_as_payee_and_at_the_opening() {
        let account = |name: &str| name.parse::<AccountId>().unwrap();
        let pays = |from: &str, to: &str| Action::Transfer {
            from: account(from),
            to: account(to),
            amount: Amount::new(1).unwrap(),
        };
        let wanted = Wanted::new(vec![account("C"), account("A"), account("C")], "B/".into());
        assert_eq!(wanted.accounts(), [account("A"), account("C")]);
        for (action, takes) in [
            (pays("A", "D"), true),
            (pays("D", "C"), true),
            (pays("D", "B/x"), true),
            (pays("D", "B"), false),
            (pays("D", "A/x"), false),
            (Action::open(account("B/y")), true),
            (Action::open(account("A/y")), false),
        ] {
            assert_eq!(wanted.takes(&action), takes, "{action:?}");
            assert!(Wanted::default().takes(&action));
        }
    }
}
