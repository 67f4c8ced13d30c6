//! Names: of servers, accounts, store instances, lives, sessions and connections.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bank::as_text::serde_as_text;
use crate::bank::short_text::ShortText;

mod session;

pub use session::{
    ClientName, MAX_CLIENT_NAME, NamedSession, Naming, Owner, RequestId, SessionId, SessionName,
};

/// The longest name of a server, in characters.
pub const MAX_SERVER_ID: usize = 16;
/// The longest name of an account within its home (the part after the slash), in characters.
pub const MAX_ACCOUNT_NAME: usize = 64;

/// The error for a text that is not the name it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName {
    /// What was expected, in words.
    expected: &'static str,
    /// What was found.
    found: String,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not {}", self.found, self.expected)
    }
}

impl std::error::Error for BadName {}

fn bad<T>(expected: &'static str, found: &str) -> Result<T, BadName> {
    // A hostile line may be long; the message about it must not be.
    let found = found.chars().take(80).collect();
    Err(BadName { expected, found })
}

/// The short name of a server: 1 to 16 letters, digits, `-` or `_`, such as `A`, `S1`, `north`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(ShortText);

impl ServerId {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_server_id(name: &[u8]) -> bool {
    let good = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_';
    !name.is_empty() && name.len() <= MAX_SERVER_ID && name.iter().all(good)
}

impl FromStr for ServerId {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        if !is_server_id(text.as_bytes()) {
            return bad("a server id (1 to 16 letters, digits, '-' or '_')", text);
        }
        Ok(ServerId(text.into()))
    }
}

fn is_account(name: &[u8]) -> bool {
    let good = |b: &u8| b.is_ascii_alphanumeric() || matches!(*b, b'-' | b'_' | b'.');
    match name.iter().position(|b| *b == b'/') {
        None => is_server_id(name),
        Some(slash) => {
            let (home, name) = (&name[..slash], &name[slash + 1..]);
            let fits = (1..=MAX_ACCOUNT_NAME).contains(&name.len());
            is_server_id(home) && fits && name.iter().all(good)
        }
    }
}

/// The name of an account: its home server's id (`A`), or `HOME/NAME` (`A/alice`).
///
/// Only the home may open and debit an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(ShortText);

impl AccountId {
    /// Returns the account of `home` itself.
    pub fn of(home: &ServerId) -> Self {
        AccountId(home.0.clone())
    }

    /// Returns the id of the only server that may debit this account.
    pub fn home(&self) -> &str {
        let name = self.as_str();
        let end = name.bytes().position(|b| b == b'/').unwrap_or(name.len());
        &name[..end]
    }

    /// True if `home` is its home.
    pub fn is_of(&self, home: &ServerId) -> bool {
        let rest = self.as_bytes().strip_prefix(home.0.as_bytes());
        rest.is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the name's bytes, which are ASCII.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Scatters the name to a number. Without the salt nobody can tell which names meet.
    pub(crate) fn scatter(&self, salt: u64) -> u64 {
        self.0.scatter(salt)
    }

    /// Appends the name to a text.
    pub(crate) fn append_to(&self, text: &mut Vec<u8>) {
        self.0.append_to(text);
    }

    /// Parses an account's name.
    pub(crate) fn from_bytes(name: &[u8]) -> Option<AccountId> {
        is_account(name).then(|| AccountId(ShortText::of_bytes(name)))
    }
}

impl Borrow<[u8]> for AccountId {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AccountId {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        const EXPECTED: &str = "an account (a server id such as A, or A/NAME with 1 to 64 letters, digits, '-', '_', '.')";
        if !is_account(text.as_bytes()) {
            return bad(EXPECTED, text);
        }
        Ok(AccountId(text.into()))
    }
}

/// Implements a random 64-bit id that is written as 16 hexadecimal digits.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                if text.len() != 16 || !text.bytes().all(lower_hex) {
                    return bad($expected, text);
                }
                match u64::from_str_radix(text, 16) {
                    Ok(number) => Ok($name(number)),
                    Err(_) => bad($expected, text),
                }
            }
        }
    };
}

random_id!(
    /// A random id made when a store is first used. Whoever speaks under it owns the store.
    InstanceId,
    "an instance id (16 hexadecimal digits)"
);
random_id!(
    /// A random id made at each load of a store. Ballots and unfinished runs never outlive it.
    LifeId,
    "a life id (16 hexadecimal digits)"
);

/// The number of one atomic durable write of a server: 1, 2, 3…
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TurnNumber(pub u64);

impl fmt::Display for TurnNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A connection of this server, numbered by the shell in the order of opening. No number is reused while
/// the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The name of something that waits, counted within one life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitId(pub u64);

serde_as_text!(ServerId, AccountId, InstanceId, LifeId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_ids_are_short_plain_words() {
        for good in ["A", "S1", "north", "a-b_c"] {
            assert_eq!(good.parse::<ServerId>().unwrap().as_str(), good);
        }
        for wrong in ["", "A/alice", "a b", "é", "12345678901234567"] {
            assert!(wrong.parse::<ServerId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_account_knows_its_home() {
        assert_eq!("A".parse::<AccountId>().unwrap().home(), "A");
        let of = |account: &str, home: &str| {
            let (account, home): (AccountId, ServerId) =
                (account.parse().unwrap(), home.parse().unwrap());
            account.is_of(&home)
        };
        assert!(of("A", "A") && of("A/x", "A") && of("north/alice.b", "north"));
        assert!(!of("A", "AB") && !of("AB", "A") && !of("AB/A", "A") && !of("B/A", "A"));
        assert_eq!("north/alice.b".parse::<AccountId>().unwrap().home(), "north");
        for wrong in ["", "/", "A/", "/x", "A/b/c", "A/b c"] {
            assert!(wrong.parse::<AccountId>().is_err(), "{wrong}");
        }
    }
}
