//! Changes of the bank's members, on an operator's order (DESIGN.md, "Members").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bank::address::Address;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{InstanceId, ServerId};

/// A change of the bank's members. It takes effect with the block that holds it, from the next height on, or it
/// is void there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MemberChange {
    /// Makes a server a member. Another member logs it.
    Admit(Admission),
    /// Makes a server a member no more. The server itself logs it, as its last entry.
    Dismiss {
        /// The server.
        #[serde(rename = "dismiss")]
        server: ServerId,
    },
    /// Tells where a server is found from now on. Any member logs it.
    Move {
        /// The server.
        #[serde(rename = "move")]
        server: ServerId,
        /// Where it is found.
        at: Address,
    },
    /// Gives a branch a vote. Any member logs it.
    Promote {
        /// The branch.
        #[serde(rename = "promote")]
        server: ServerId,
    },
    /// Takes a member's vote, so that it is a branch. Any member logs it.
    Demote {
        /// The member.
        #[serde(rename = "demote")]
        server: ServerId,
    },
}

/// Who becomes a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Admission {
    /// The server.
    #[serde(rename = "admit")]
    pub server: ServerId,
    /// The instance of its store.
    pub instance: InstanceId,
    /// Where it is found.
    pub at: Address,
    /// The key by which it is known, in a bank with keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Fingerprint>,
    /// True if it gets no vote.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub branch: bool,
}

impl MemberChange {
    /// Returns the server whose membership it changes.
    pub fn server(&self) -> &ServerId {
        match self {
            MemberChange::Admit(Admission { server, .. })
            | MemberChange::Dismiss { server }
            | MemberChange::Move { server, .. }
            | MemberChange::Promote { server }
            | MemberChange::Demote { server } => server,
        }
    }

    /// Writes it as the fields of a JSON object, without braces.
    pub(super) fn write(&self, text: &mut Vec<u8>) {
        let written = match self {
            MemberChange::Admit(Admission { server, instance, at, key, branch }) => {
                let key = key.map(|key| format!(",\"key\":\"{key}\"")).unwrap_or_default();
                let branch = if *branch { ",\"branch\":true" } else { "" };
                format!(
                    "\"admit\":\"{server}\",\"instance\":\"{instance}\",\"at\":\"{at}\"{key}{branch}"
                )
            }
            MemberChange::Dismiss { server } => format!("\"dismiss\":\"{server}\""),
            MemberChange::Move { server, at } => format!("\"move\":\"{server}\",\"at\":\"{at}\""),
            MemberChange::Promote { server } => format!("\"promote\":\"{server}\""),
            MemberChange::Demote { server } => format!("\"demote\":\"{server}\""),
        };
        text.extend_from_slice(written.as_bytes());
    }
}

impl fmt::Display for MemberChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemberChange::Admit(Admission { server, instance, at, key, branch }) => {
                let what = if *branch { "a branch" } else { "a member" };
                write!(f, "{server} is admitted as {what}, instance {instance}, at {at}")?;
                key.map_or(Ok(()), |key| write!(f, ", known by {key}"))
            }
            MemberChange::Dismiss { server } => write!(f, "{server} is dismissed"),
            MemberChange::Move { server, at } => write!(f, "{server} moves to {at}"),
            MemberChange::Promote { server } => write!(f, "{server} gets a vote"),
            MemberChange::Demote { server } => write!(f, "{server} loses its vote"),
        }
    }
}
