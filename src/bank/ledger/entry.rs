//! A transfer that its home has accepted, as it stands in a local log and in a block.

use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, RequestId, ServerId};

/// How a transfer came to be accepted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The home's local balance covered it at once.
    #[default]
    Local,
    /// It had to wait for a Paxos run.
    Paxos,
}

impl Via {
    fn is_local(&self) -> bool {
        *self == Via::Local
    }
}

/// A transfer accepted by its home, named (server, epoch, seq).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The home that accepted it.
    pub server: ServerId,
    /// 1 until that server loses its store and rejoins.
    pub epoch: u64,
    /// 1, 2, 3… within the epoch, with no gap.
    pub seq: u64,
    /// The account that pays; its home is `server`.
    pub from: AccountId,
    /// The account that is paid.
    pub to: AccountId,
    /// How much; at least 1.
    pub amount: Amount,
    /// The client's name for it, by which a retry is known. None for a transfer without a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// How it came to be accepted.
    #[serde(default, skip_serializing_if = "Via::is_local")]
    pub via: Via,
}

/// A place in a server's sequence of entries: the last entry up to which something holds.
///
/// Epochs are ordered before seqs: a server that rejoined counts from 1 again, in the next epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The server's epoch.
    pub epoch: u64,
    /// The seq of the last entry; 0 if there is none.
    pub seq: u64,
}

impl Position {
    /// Before the first entry of a server that never lost its store.
    pub const START: Position = Position { epoch: 1, seq: 0 };

    /// The position of the entry after this one.
    pub fn next(self) -> Position {
        Position { seq: self.seq + 1, ..self }
    }
}

impl Entry {
    /// Where it stands among its server's entries.
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, seq: self.seq }
    }
}
