//! Names: of servers, accounts, store instances, lives, sessions and connections.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bank::as_text::serde_as_text;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::short_text::ShortText;

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

/// A client's session, as its home server named it: `SERVER.EPOCH.OPENED_AT.BITS`, then `.kOWNER` in a bank
/// with keys; or, by an older program, `SERVER.EPOCH.OPENED_AT.LIFE.COUNT`. As cheap to copy as a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Arc<SessionName>);

/// The parts of a session's name.
///
/// `opened_at` is the seq of the server's last entry when the session was opened. All entries of the session
/// come after it. So a server that has forgotten everything up to some seq can tell by the name whether it
/// may have forgotten something of this session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionName {
    /// The home server that named it.
    pub server: ServerId,
    /// That server's epoch.
    pub epoch: u64,
    /// The seq of the server's last entry at the time.
    pub opened_at: u64,
    /// 64 bits that nobody can predict. In older names, the life in which the session was opened.
    pub bits: LifeId,
    /// In older names, the number of the session in its life, from 1. Otherwise 0, and not written.
    pub count: u64,
    /// The key that opened it, in a bank with keys.
    pub owner: Option<Owner>,
}

/// The first 64 bits of a key's fingerprint. They bind a session to its key, after any restart, and tell
/// nobody the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(u64);

impl Owner {
    /// Returns the bits that stand for a key.
    pub fn of(Fingerprint(bytes): Fingerprint) -> Owner {
        let (first, _) = bytes.split_first_chunk().expect("a fingerprint has 32 bytes");
        Owner(u64::from_be_bytes(*first))
    }
}

impl From<SessionName> for SessionId {
    fn from(name: SessionName) -> SessionId {
        SessionId(Arc::new(name))
    }
}

impl Deref for SessionId {
    type Target = SessionName;
    fn deref(&self) -> &SessionName {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SessionName { server, epoch, opened_at, bits, count, owner } = &**self;
        write!(f, "{server}.{epoch}.{opened_at}.{bits}")?;
        match (count, owner) {
            (0, None) => Ok(()),
            (0, Some(Owner(owner))) => write!(f, ".k{owner:016x}"),
            (count, _) => write!(f, ".{count}"),
        }
    }
}

impl FromStr for SessionId {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let parse = || {
            let mut parts = text.split('.');
            let mut name = SessionName {
                server: parts.next()?.parse().ok()?,
                epoch: parse_count(parts.next()?)?,
                opened_at: parse_count(parts.next()?)?,
                bits: parts.next()?.parse().ok()?,
                count: 0,
                owner: None,
            };
            match parts.next().map(|last| last.strip_prefix('k').ok_or(last)) {
                None => {}
                // The bits are written as a life's are.
                Some(Ok(owner)) => name.owner = Some(Owner(owner.parse::<LifeId>().ok()?.0)),
                Some(Err(count)) => {
                    name.count = parse_count(count).filter(|count| *count > 0)?;
                }
            }
            parts.next().is_none().then(|| name.into())
        };
        match parse() {
            Some(id) => Ok(id),
            None => bad("a session (SERVER.EPOCH.OPENED_AT.BITS, as a server named it)", text),
        }
    }
}

/// Parses a decimal number in its only spelling (no sign, no leading zero), so that a session has one name.
fn parse_count(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// One request of a session: `SESSION#NUMBER`. The same pair again is a retry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    /// The session.
    pub session: SessionId,
    /// The client's number for the request, from 1.
    pub number: u64,
}

impl RequestId {
    /// Returns the name of the request that is `more` numbers later.
    pub fn plus(&self, more: u64) -> RequestId {
        RequestId { session: self.session.clone(), number: self.number + more }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.session, self.number)
    }
}

impl FromStr for RequestId {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let parse = || {
            let (session, number) = text.split_once('#')?;
            Some(RequestId { session: session.parse().ok()?, number: parse_count(number)? })
        };
        match parse() {
            Some(id) => Ok(id),
            None => bad("a request id (SESSION#NUMBER)", text),
        }
    }
}

serde_as_text!(ServerId, AccountId, InstanceId, LifeId, SessionId, RequestId);

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

    #[test]
    fn a_request_id_has_exactly_one_spelling() {
        // The second name is an older program's.
        let owned = "A.1.17.00000000000000ff.k0123456789abcdef#42";
        for text in ["A.1.17.00000000000000ff#42", "A.1.17.00000000000000ff.3#42", owned] {
            let id: RequestId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!((id.number, id.session.opened_at), (42, 17));
        }
        let bad = ["A.1.17.00000000000000ff.3", "A.1.017.00000000000000ff.3#1", "A.1.17.FF.3#1"];
        for wrong in bad.into_iter().chain(["A.1.17.00000000000000ff.0#1"]) {
            assert!(wrong.parse::<RequestId>().is_err(), "{wrong}");
        }
    }
}
