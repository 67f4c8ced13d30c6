//! Operators' orders about the members, and what is told of the members.

use serde::{Deserialize, Serialize};

use crate::bank::address::Address;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::ledger::member_change::MemberChange;

/// An operator's order about the members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Only tell.
    Show,
    /// Makes a server a member as soon as it greets.
    Admit {
        /// The server.
        server: ServerId,
        /// Where it is found.
        at: Address,
        /// The key by which it is to be known, in a bank with keys.
        key: Option<Fingerprint>,
        /// True if it gets no vote.
        branch: bool,
    },
    /// Any other change.
    Change(MemberChange),
}

/// A member of the bank.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemberStatus {
    /// The server.
    pub server: ServerId,
    /// Its store's instance.
    pub instance: InstanceId,
    /// Where it is found, as far as the server that answers knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// True if it has a vote.
    pub votes: bool,
    /// The key by which it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Fingerprint>,
    /// True if the server that answers hears it.
    pub connected: bool,
}

/// A store that asks to become a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AsksToJoin {
    /// The server.
    pub server: ServerId,
    /// The store's instance.
    pub instance: InstanceId,
    /// The key that speaks for the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Fingerprint>,
}
