//! Entries: what a home has accepted, as it stands in a local log and in a block.

use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, InstanceId, RequestId, ServerId};
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::reference::Reference;
use crate::bank::wall_time::WallTime;

/// How an entry came to be accepted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// By the home's own knowledge, which sufficed.
    #[default]
    Local,
    /// After a wait: for a Paxos run, or for money after a run had found none.
    Paxos,
}

impl Via {
    fn is_local(&self) -> bool {
        *self == Via::Local
    }
}

/// The effect of an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Action {
    /// Moves money.
    Transfer {
        /// The account that pays.
        from: AccountId,
        /// The account that is paid.
        to: AccountId,
        /// The amount; at least 1.
        amount: Amount,
    },
    /// Issues money: an account's balance grows by it, and so does the sum of all (DESIGN.md, "Issuing").
    Mint {
        /// The account.
        #[serde(rename = "mint")]
        account: AccountId,
        /// The amount; at least 1.
        amount: Amount,
    },
    /// Takes money back: an account's balance shrinks by it, and so does the sum of all.
    Burn {
        /// The account.
        #[serde(rename = "burn")]
        account: AccountId,
        /// The amount; at least 1.
        amount: Amount,
    },
    /// Opens an account, with a balance of 0.
    Open {
        /// The account's name.
        #[serde(rename = "open")]
        account: AccountId,
        /// The owner's key. Accounts without a key are the operators'.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Box<Fingerprint>>,
    },
    /// Gives an account another key. The home obeys the new key from this entry on.
    Rekey {
        /// The account's name.
        #[serde(rename = "rekey")]
        account: AccountId,
        /// The new owner's key.
        key: Box<Fingerprint>,
    },
    /// Tells the key by which a server is known from now on (DESIGN.md, "Keys"). The server itself logs it. It
    /// is void unless the instance is the server's when it comes into the chain, and no key was told before.
    Pin {
        /// The server.
        #[serde(rename = "pin")]
        server: ServerId,
        /// The server's instance.
        instance: InstanceId,
        /// The server's key.
        key: Box<Fingerprint>,
    },
    /// Lets a new instance replace the instance of a store that is lost for good (DESIGN.md, "Rejoin").
    /// Another server logs it. It is void unless the old instance is the server's when it comes into the
    /// chain.
    Rejoin {
        /// The server that rejoins.
        #[serde(rename = "rejoin")]
        server: ServerId,
        /// The instance that is lost.
        old: InstanceId,
        /// The instance that replaces it.
        new: InstanceId,
        /// The key by which the server is known from then on, in a bank with keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Box<Fingerprint>>,
    },
    /// Changes the bank's members (DESIGN.md, "Members").
    Member(Box<MemberChange>),
}

impl Action {
    /// Makes the action that opens an account without a key.
    pub fn open(account: AccountId) -> Action {
        Action::Open { account, key: None }
    }

    /// Returns the account at whose home alone this may happen: the payer, or the account for which money is issued,
    /// or that is opened or gets another key.
    pub fn subject(&self) -> Option<&AccountId> {
        match self {
            Action::Transfer { from, .. } => Some(from),
            Action::Mint { account, .. }
            | Action::Burn { account, .. }
            | Action::Open { account, .. }
            | Action::Rekey { account, .. } => Some(account),
            Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => None,
        }
    }

    /// Returns the account that gets a key, and the key.
    pub fn gives_key(&self) -> Option<(&AccountId, Fingerprint)> {
        match self {
            Action::Open { account, key: Some(key) } | Action::Rekey { account, key } => {
                Some((account, **key))
            }
            _ => None,
        }
    }

    /// True if it concerns the servers, and no account.
    pub fn is_of_servers(&self) -> bool {
        matches!(self, Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_))
    }

    /// Returns the account that is debited, if one is.
    pub fn payer(&self) -> Option<&AccountId> {
        match self {
            Action::Transfer { from, .. } => Some(from),
            Action::Burn { account, .. } => Some(account),
            _ => None,
        }
    }

    /// Returns the account that is credited, if one is.
    pub fn payee(&self) -> Option<&AccountId> {
        match self {
            Action::Transfer { to, .. } => Some(to),
            Action::Mint { account, .. } => Some(account),
            _ => None,
        }
    }

    /// Returns by how much the sum of all balances grows, in units; below zero if it shrinks.
    pub fn issues(&self) -> i64 {
        match self {
            Action::Mint { amount, .. } => amount.units() as i64,
            Action::Burn { amount, .. } => -(amount.units() as i64),
            _ => 0,
        }
    }

    /// True if it changes an account's balance, or opens the account or gives it another key.
    pub fn touches(&self, account: &AccountId) -> bool {
        self.subject() == Some(account) || self.payee() == Some(account)
    }
}

/// An entry without its name. The name follows from its place in an
/// [`Element`](crate::bank::ledger::element::Element).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Record {
    /// The entry's effect.
    #[serde(flatten)]
    pub action: Action,
    /// The client's name for it, by which a retry is recognized. None without a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// How it came to be accepted.
    #[serde(default, skip_serializing_if = "Via::is_local")]
    pub via: Via,
    /// True if it happened together with the next entry, or neither would have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub linked: bool,
    /// What the client says it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

impl Record {
    /// Makes a record of the action alone, accepted by the home's own knowledge.
    pub fn plain(action: Action) -> Record {
        Record { action, request: None, via: Via::Local, linked: false, reference: None }
    }
}

/// A record under its name (server, epoch, seq).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The home that accepted it.
    pub server: ServerId,
    /// The server's epoch: 1 until it loses its store and rejoins.
    pub epoch: u64,
    /// The number in the epoch: 1, 2, 3… with no gap.
    pub seq: u64,
    /// The time of the turn in which it was accepted, by its home's clock; none if the home told none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<WallTime>,
    /// The record.
    #[serde(flatten)]
    pub record: Record,
}

impl Entry {
    /// Returns its position among its server's entries.
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, seq: self.seq }
    }
}

/// A position in a server's sequence of entries: the last entry up to which something holds.
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
    /// The position before the first entry of a server that never lost its store.
    pub const START: Position = Position { epoch: 1, seq: 0 };

    /// Returns the name of a server's entry at this position: `A.1.4`.
    pub fn name(self, server: &ServerId) -> String {
        let Position { epoch, seq } = self;
        format!("{server}.{epoch}.{seq}")
    }

    /// Returns the position of the next entry.
    pub fn next(self) -> Position {
        self.plus(1)
    }

    /// Returns the position of the `entries`-th entry after this one.
    pub fn plus(self, entries: usize) -> Position {
        Position { seq: self.seq + entries as u64, ..self }
    }
}
