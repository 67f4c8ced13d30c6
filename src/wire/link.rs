//! What can be wrong with a server's links, and the orders to break and mend them, for teachers and
//! testers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bank::ids::ServerId;
use crate::wire::messages::Messages;

/// The longest delay of a message that can be ordered, in milliseconds.
pub const MAX_DELAY_MS: u64 = 60_000;

/// A fault of the link from a server to one of its peers. The way back is not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "lowercase")]
pub enum Fault {
    /// There is no connection, and none can be made.
    Cut,
    /// Each message arrives later by a fixed time.
    Delay {
        /// The time in milliseconds; 1 to [`MAX_DELAY_MS`].
        ms: u64,
    },
    /// Messages are lost at random.
    Drop {
        /// How many of a hundred; 1 to 100.
        percent: u8,
    },
    /// All messages of certain names are lost.
    Lose {
        /// The names; at least one.
        messages: Messages,
    },
}

/// A link and its fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFault {
    /// The peer that the link leads to.
    pub peer: ServerId,
    /// The fault.
    #[serde(flatten)]
    pub fault: Fault,
}

/// The answer to every order: all faults of the server's links after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFaults {
    /// The faults by peer. A link may both delay and drop.
    pub faults: Vec<LinkFault>,
    /// How many messages were lost by order since the server started, by peer and by the message's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lost: BTreeMap<ServerId, BTreeMap<String, u64>>,
}

/// An order about a server's links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOrder {
    /// Only tell the present faults.
    Show,
    /// Give a link this fault.
    Break(LinkFault),
    /// Mend one link, or all.
    Heal(Option<ServerId>),
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LinkFault { peer, fault } = self;
        match fault {
            Fault::Cut => write!(f, "link to {peer}: cut"),
            Fault::Delay { ms } => write!(f, "link to {peer}: delays by {ms} ms"),
            Fault::Drop { percent } => write!(f, "link to {peer}: drops {percent}%"),
            Fault::Lose { messages } => write!(f, "link to {peer}: loses {messages}"),
        }
    }
}

impl Fault {
    /// Makes the fault that delays messages by `ms` milliseconds.
    ///
    /// # Errors
    /// If the delay is 0, or more than [`MAX_DELAY_MS`].
    pub fn delay(ms: u64) -> Result<Fault, String> {
        match ms {
            1..=MAX_DELAY_MS => Ok(Fault::Delay { ms }),
            _ => Err(format!("a delay is 1 to {MAX_DELAY_MS} milliseconds, not {ms}")),
        }
    }

    /// Makes the fault that drops `percent` of a hundred messages.
    ///
    /// # Errors
    /// If `percent` isn't 1 to 100.
    pub fn drop(percent: u64) -> Result<Fault, String> {
        match u8::try_from(percent) {
            Ok(percent @ 1..=100) => Ok(Fault::Drop { percent }),
            _ => Err(format!("percent must be 1 to 100, not {percent}")),
        }
    }

    /// Makes the fault that loses all messages of some names.
    ///
    /// # Errors
    /// If no name is given.
    pub fn lose(messages: Messages) -> Result<Fault, String> {
        match messages.is_empty() {
            false => Ok(Fault::Lose { messages }),
            true => Err("no message is named; name one, such as \"commit\"".into()),
        }
    }
}
