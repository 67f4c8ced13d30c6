//! What a home has accepted, as it stands in a local log and in a block.

use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, InstanceId, RequestId, ServerId};

/// How an entry came to be accepted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// What the home knew sufficed.
    #[default]
    Local,
    /// It had to wait: for a Paxos run, or for money, after a run had found none.
    Paxos,
}

impl Via {
    fn is_local(&self) -> bool {
        *self == Via::Local
    }
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Action {
    /// Moves money.
    Transfer {
        /// The account that pays.
        from: AccountId,
        /// The account that is paid.
        to: AccountId,
        /// How much; at least 1.
        amount: Amount,
    },
    /// Opens an account, with nothing in it.
    Open {
        /// Its name.
        #[serde(rename = "open")]
        account: AccountId,
    },
    /// Lets a new instance take the place of one whose store is lost for good (DESIGN.md, "Rejoin").
    /// Logged by another server. Void unless the old one is the server's instance when it comes into
    /// the chain.
    Rejoin {
        /// The server.
        #[serde(rename = "rejoin")]
        server: ServerId,
        /// The instance that is lost.
        old: InstanceId,
        /// The one that takes its place.
        new: InstanceId,
    },
}

impl Action {
    /// The account at whose home alone this may happen: the payer, or the one that is opened.
    pub fn subject(&self) -> Option<&AccountId> {
        match self {
            Action::Transfer { from, .. } => Some(from),
            Action::Open { account } => Some(account),
            Action::Rejoin { .. } => None,
        }
    }

    /// The account that pays, if one does.
    pub fn payer(&self) -> Option<&AccountId> {
        match self {
            Action::Transfer { from, .. } => Some(from),
            Action::Open { .. } | Action::Rejoin { .. } => None,
        }
    }

    /// The account that is paid, if one is.
    pub fn payee(&self) -> Option<&AccountId> {
        match self {
            Action::Transfer { to, .. } => Some(to),
            Action::Open { .. } | Action::Rejoin { .. } => None,
        }
    }

    /// Whether an account's balance changes by it, or begins.
    pub fn touches(&self, account: &AccountId) -> bool {
        self.subject() == Some(account) || self.payee() == Some(account)
    }
}

/// An entry without its name, which follows from its place in an
/// [`Element`](crate::bank::ledger::element::Element).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Record {
    /// What it does.
    #[serde(flatten)]
    pub action: Action,
    /// The client's name for it, by which a retry is known. None without a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// How it came to be accepted.
    #[serde(default, skip_serializing_if = "Via::is_local")]
    pub via: Via,
    /// It happened together with the one after it, or neither would have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub linked: bool,
}

/// What a home has accepted, under its name (server, epoch, seq).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The home that accepted it.
    pub server: ServerId,
    /// 1 until that server loses its store and rejoins.
    pub epoch: u64,
    /// 1, 2, 3… within the epoch, with no gap.
    pub seq: u64,
    /// The rest.
    #[serde(flatten)]
    pub record: Record,
}

impl Entry {
    /// Where it stands among its server's entries.
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, seq: self.seq }
    }
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

    /// The name of a server's entry at this position: `A.1.4`.
    pub fn name(self, server: &ServerId) -> String {
        let Position { epoch, seq } = self;
        format!("{server}.{epoch}.{seq}")
    }

    /// The position of the entry after this one.
    pub fn next(self) -> Position {
        self.plus(1)
    }

    /// The position of the `entries`-th entry after this one.
    pub fn plus(self, entries: usize) -> Position {
        Position { seq: self.seq + entries as u64, ..self }
    }
}
