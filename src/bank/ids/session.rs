//! Names of sessions, and of the requests in them.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{BadName, LifeId, ServerId, bad};
use crate::bank::as_text::serde_as_text;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::short_text::ShortText;

/// The longest name that a client may give to a session, in characters.
pub const MAX_CLIENT_NAME: usize = 64;

/// What stands in a session's id before a client's name, in the place of a number.
const NAMED: &str = "named";

/// A client's session with its home server. As cheap to copy as a number.
///
/// As text it is `SERVER.EPOCH.OPENED_AT.BITS` if the server named it (an older program:
/// `SERVER.EPOCH.OPENED_AT.LIFE.COUNT`), and `SERVER.EPOCH.named.NAME` if its client did; then, in a bank with
/// keys, `.kOWNER`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Arc<SessionName>);

/// The parts of a session's id. Sessions that their clients named come first in the order of ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionName {
    /// By whom it was named, and how.
    pub naming: Naming,
    /// The home server.
    pub server: ServerId,
    /// That server's epoch. Of a session that its client named, the epoch in which the bank began: so it outlives
    /// a store that was lost, and is not taken for one of a bank that goes on where this one ended.
    pub epoch: u64,
    /// The key that opened it, in a bank with keys.
    pub owner: Option<Owner>,
}

/// By whom a session was named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Naming {
    /// By its client. Whoever opens the name again has the same session.
    ByClient(ClientName),
    /// By the home server, anew each time.
    ///
    /// `opened_at` is the seq of the server's last entry when the session was opened. All entries of the session
    /// come after it. So a server that has forgotten everything up to some seq can tell by the name whether it
    /// may have forgotten something of this session.
    ByServer {
        /// The seq of the server's last entry at the time.
        opened_at: u64,
        /// 64 bits that nobody can predict. In older names, the life in which the session was opened.
        bits: LifeId,
        /// In older names, the number of the session in its life, from 1. Otherwise 0, and not written.
        count: u64,
    },
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

/// A name that a client gives to a session: 1 to 64 letters, digits, `-` or `_`, such as `invoices`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientName(ShortText);

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl FromStr for ClientName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(1..=MAX_CLIENT_NAME).contains(&text.len()) || !text.bytes().all(good) {
            return bad("a name for a session (1 to 64 letters, digits, '-' or '_')", text);
        }
        Ok(ClientName(text.into()))
    }
}

/// A session that a client asks for by a name of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedSession {
    /// The name.
    pub name: ClientName,
    /// The highest number that the client may have used under it, if it says so; 0 if none.
    pub last: Option<u64>,
}

impl SessionName {
    /// True if its client named it.
    pub fn is_named(&self) -> bool {
        matches!(self.naming, Naming::ByClient(_))
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
        let SessionName { naming, server, epoch, owner } = &**self;
        write!(f, "{server}.{epoch}.")?;
        match naming {
            Naming::ByClient(name) => write!(f, "{NAMED}.{name}")?,
            Naming::ByServer { opened_at, bits, count: 0 } => write!(f, "{opened_at}.{bits}")?,
            Naming::ByServer { opened_at, bits, count } => {
                return write!(f, "{opened_at}.{bits}.{count}");
            }
        }
        match owner {
            None => Ok(()),
            Some(Owner(owner)) => write!(f, ".k{owner:016x}"),
        }
    }
}

/// Parses the parts of a session's id.
fn parse_session(text: &str) -> Option<SessionId> {
    let mut parts = text.split('.');
    let server = parts.next()?.parse().ok()?;
    let epoch = parse_count(parts.next()?)?;
    let mut naming = match parts.next()? {
        NAMED => Naming::ByClient(parts.next()?.parse().ok()?),
        opened_at => {
            let opened_at = parse_count(opened_at)?;
            Naming::ByServer { opened_at, bits: parts.next()?.parse().ok()?, count: 0 }
        }
    };
    let mut owner = None;
    match (parts.next().map(|last| last.strip_prefix('k').ok_or(last)), &mut naming) {
        (None, _) => {}
        // The bits are written as a life's are.
        (Some(Ok(bits)), _) => owner = Some(Owner(bits.parse::<LifeId>().ok()?.0)),
        (Some(Err(number)), Naming::ByServer { count, .. }) => {
            *count = parse_count(number).filter(|count| *count > 0)?;
        }
        (Some(Err(_)), Naming::ByClient(_)) => return None,
    }
    parts.next().is_none().then(|| SessionName { naming, server, epoch, owner }.into())
}

impl FromStr for SessionId {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        const EXPECTED: &str = "a session (SERVER.EPOCH.OPENED_AT.BITS or SERVER.EPOCH.named.NAME, as a server said it)";
        match parse_session(text) {
            Some(id) => Ok(id),
            None => bad(EXPECTED, text),
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

serde_as_text!(ClientName, SessionId, RequestId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_has_exactly_one_spelling() {
        // The second name is an older program's.
        let owned = "A.1.17.00000000000000ff.k0123456789abcdef#42";
        for text in ["A.1.17.00000000000000ff#42", "A.1.17.00000000000000ff.3#42", owned] {
            let id: RequestId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            let is_there = matches!(id.session.naming, Naming::ByServer { opened_at: 17, .. });
            assert!(is_there && id.number == 42);
        }
        let bad = ["A.1.17.00000000000000ff.3", "A.1.017.00000000000000ff.3#1", "A.1.17.FF.3#1"];
        for wrong in bad.into_iter().chain(["A.1.17.00000000000000ff.0#1"]) {
            assert!(wrong.parse::<RequestId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_client_s_name_stands_in_the_id_of_its_session() {
        let longest = format!("A.1.named.{}#7", "x".repeat(MAX_CLIENT_NAME));
        let owned = "north.1000001.named.k0123456789abcdef.k0123456789abcdef#1";
        for text in ["A.1.named.invoices#17", "A.1.named.17#1", owned, &longest] {
            let id: RequestId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert!(id.session.is_named(), "{text}");
        }
        let too_long = format!("A.1.named.{}", "x".repeat(MAX_CLIENT_NAME + 1));
        let wrong = ["A.1.named", "A.1.named.", "A.1.named.a.1", "A.1.named.a b", "A.01.named.a"];
        for wrong in wrong.into_iter().chain(["A.1.named.a.k12", &too_long]) {
            assert!(wrong.parse::<SessionId>().is_err(), "{wrong}");
        }
    }
}
