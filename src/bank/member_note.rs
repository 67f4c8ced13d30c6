//! What a server notes of members that come and go.

use std::fmt;

use crate::bank::address::Address;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ServerId;

/// What a server notes of members that come and go, for its log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MemberNote {
    /// A store asks to become a member; the key that it proves, if it proves one.
    Asks(ServerId, Option<Fingerprint>),
    /// An operator has ordered that a server is admitted, which is found there and is to be known by this key.
    Ordered(ServerId, Address, Option<Fingerprint>),
    /// The block at this height has dismissed this server.
    Dismissed(u64),
}

impl fmt::Display for MemberNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemberNote::Asks(server, key) => {
                let key = key.map(|key| format!(" {key}")).unwrap_or_default();
                write!(
                    f,
                    "{server} asks to become a member of this bank: if that is right, order it here or at another \
                     member (admit {server} HOST:PORT{key})"
                )
            }
            MemberNote::Ordered(server, at, key) => {
                write!(f, "an operator orders that {server} at {at} is admitted")?;
                key.map_or(Ok(()), |key| write!(f, ", known by {key}"))
            }
            MemberNote::Dismissed(height) => write!(
                f,
                "dismissed by block {height}: this server is no member any more, and ends when the others hold this \
                 block"
            ),
        }
    }
}
