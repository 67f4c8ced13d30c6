//! What can be wrong with a server's links, and the orders to break and mend them, for who teaches or
//! tests.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bank::ids::ServerId;
use crate::wire::messages::Messages;

/// The longest that a link can be told to delay a message, in milliseconds.
pub const MAX_DELAY_MS: u64 = 60_000;

/// What can be wrong with the link from a server to one of its peers. The way back is not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "lowercase")]
pub enum Fault {
    /// There is no connection, and none can be made.
    Cut,
    /// Each message arrives so much later.
    Delay {
        /// In milliseconds; 1 to [`MAX_DELAY_MS`].
        ms: u64,
    },
    /// So many messages of a hundred, at random, are lost.
    Drop {
        /// 1 to 100.
        percent: u8,
    },
    /// Messages of these names are lost, all of them.
    Lose {
        /// At least one.
        messages: Messages,
    },
}

/// A link and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFault {
    /// To whom it leads.
    pub peer: ServerId,
    /// What is wrong.
    #[serde(flatten)]
    pub fault: Fault,
}

/// The answer to every order: all that is wrong with the server's links then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFaults {
    /// By peer. A link may both delay and drop.
    pub faults: Vec<LinkFault>,
    /// By peer and by the message's name: how many were lost, as was asked, since the server started.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lost: BTreeMap<ServerId, BTreeMap<String, u64>>,
}

/// What a server is to do about its links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOrder {
    /// Nothing: only say how they are.
    Show,
    /// Let this be wrong with one.
    Break(LinkFault),
    /// Mend one, or all.
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
    /// A delay of so many milliseconds.
    ///
    /// # Errors
    /// If that is nothing, or too long.
    pub fn delay(ms: u64) -> Result<Fault, String> {
        match ms {
            1..=MAX_DELAY_MS => Ok(Fault::Delay { ms }),
            _ => Err(format!("a delay is 1 to {MAX_DELAY_MS} milliseconds, not {ms}")),
        }
    }

    /// The loss of so many messages of a hundred.
    ///
    /// # Errors
    /// If that is none, or more than all.
    pub fn drop(percent: u64) -> Result<Fault, String> {
        match u8::try_from(percent) {
            Ok(percent @ 1..=100) => Ok(Fault::Drop { percent }),
            _ => Err(format!("of messages 1 to 100 percent can be dropped, not {percent}")),
        }
    }

    /// The loss of all messages of some names.
    ///
    /// # Errors
    /// If no name is given.
    pub fn lose(messages: Messages) -> Result<Fault, String> {
        match messages.is_empty() {
            false => Ok(Fault::Lose { messages }),
            true => Err("of no message nothing can be lost; name one, such as \"commit\"".into()),
        }
    }
}
