//! Orders to a server to break or mend its own links, for who teaches or tests:
//! `{"kind":"link","fault":"cut","peer":"B"}`.
//!
//! They are no requests to the bank, whose state machine never hears of them: the server's threads
//! obey them. So they have a line of their own kind on the clients' port.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::fields::{Object, count, objects, present};
use super::request::VERSION;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::request::{ErrorCode, Reply, Request};
use crate::wire::messages::Messages;
use crate::wire::reply::{Answer, answer, line_of, read};
use crate::wire::{explain, parse_request, to_line};

/// The longest that a link can be told to delay a message, in milliseconds.
pub const MAX_DELAY_MS: u64 = 60_000;

/// What a good order looks like, for those who sent another.
const RIGHT: &str = "right is {\"kind\":\"link\"}, or with \"fault\" also: \"cut\" and \"peer\"; \
    \"delay\", \"peer\" and \"ms\"; \"drop\", \"peer\" and \"percent\"; \"lose\", \"peer\" and \"messages\"; \
    \"heal\", and \"peer\" if it is to be that link alone";

objects! {
    LinkLine {
        id: u64 = "present",
        version: u64 = "present",
        kind: String = "present",
        fault: String = "present",
        peer: ServerId = "present",
        ms: u64 = "count",
        percent: u64 = "count",
        messages: Messages = "present"
    }
}

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

/// What a client's line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Something of the bank.
    Request(Request),
    /// Something of the server's links.
    Link(LinkOrder),
}

/// What a client's line asks for, with the client's id for it; `home` as in [`parse_request`].
///
/// # Errors
/// The reply that says what is wrong and what would be right; with the id, where one can be made out.
pub fn parse_asked(
    line: &[u8],
    home: &AccountId,
) -> Result<(Option<u64>, Asked), (Option<u64>, Reply)> {
    // Orders are rare, so the many requests don't pay for them.
    parse_request(line, home)
        .map(|(id, request)| (id, Asked::Request(request)))
        .or_else(|wrong| parse_order(line).unwrap_or(Err(wrong)))
}

/// None if the line is no order at all.
#[allow(clippy::type_complexity, reason = "as parse_request has it")]
fn parse_order(line: &[u8]) -> Option<Result<(Option<u64>, Asked), (Option<u64>, Reply)>> {
    #[derive(Deserialize)]
    struct Header {
        kind: String,
        id: Option<u64>,
        version: Option<u64>,
    }
    let Object(Header { kind, id, version }) = serde_json::from_slice(line).ok()?;
    // Another version's orders may well have other fields.
    if kind != "link" || version.is_some_and(|version| version != VERSION) {
        return None;
    }
    let order = serde_json::from_slice::<Object<LinkLine>>(line)
        .map_err(|error| explain(&error))
        .and_then(|Object(line)| order_of(line));
    Some(match order {
        Ok(order) => Ok((id, Asked::Link(order))),
        Err(what) => {
            let message = format!("{what}; {RIGHT}");
            Err((id, Reply::Error { error: ErrorCode::BadRequest, message }))
        }
    })
}

fn order_of(line: LinkLine) -> Result<LinkOrder, String> {
    let LinkLine { fault, peer, ms, percent, messages, .. } = line;
    if let Some(messages) = messages {
        return match (fault.as_deref(), peer, ms, percent) {
            (Some("lose"), Some(peer), None, None) => {
                Ok(LinkOrder::Break(LinkFault { peer, fault: Fault::lose(messages)? }))
            }
            _ => Err("\"messages\" goes with \"lose\" and \"peer\" alone".into()),
        };
    }
    let broken = |peer, fault| Ok(LinkOrder::Break(LinkFault { peer, fault }));
    match (fault.as_deref(), peer, ms, percent) {
        (None, None, None, None) => Ok(LinkOrder::Show),
        (Some("heal"), peer, None, None) => Ok(LinkOrder::Heal(peer)),
        (Some("cut"), Some(peer), None, None) => broken(peer, Fault::Cut),
        (Some("delay"), Some(peer), Some(ms), None) => broken(peer, Fault::delay(ms)?),
        (Some("drop"), Some(peer), None, Some(percent)) => broken(peer, Fault::drop(percent)?),
        (Some("heal" | "cut" | "delay" | "drop" | "lose") | None, ..) => {
            Err("these fields don't belong together, or one is missing".into())
        }
        (Some(other), ..) => {
            let other: String = other.chars().take(80).collect();
            Err(format!("{other:?} is no fault of a link"))
        }
    }
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

/// An order as a line, with its newline.
pub fn encode_order(id: u64, order: &LinkOrder) -> String {
    let line = LinkLine { id: Some(id), kind: Some("link".into()), ..LinkLine::default() };
    to_line(&match order.clone() {
        LinkOrder::Show => line,
        LinkOrder::Heal(peer) => LinkLine { fault: Some("heal".into()), peer, ..line },
        LinkOrder::Break(LinkFault { peer, fault }) => {
            let line = LinkLine { peer: Some(peer), ..line };
            let word = |word: &str| Some(word.into());
            match fault {
                Fault::Cut => LinkLine { fault: word("cut"), ..line },
                Fault::Delay { ms } => LinkLine { fault: word("delay"), ms: Some(ms), ..line },
                Fault::Drop { percent } => {
                    LinkLine { fault: word("drop"), percent: Some(percent.into()), ..line }
                }
                Fault::Lose { messages } => {
                    LinkLine { fault: word("lose"), messages: Some(messages), ..line }
                }
            }
        }
    })
}

/// The answer to an order as a line, with its newline.
pub fn encode_faults(id: Option<u64>, faults: &LinkFaults) -> String {
    line_of(id, faults)
}

/// The answer to order number `id` that a line is; none if it answers another one.
///
/// # Errors
/// Says why the line is no answer to an order.
pub fn parse_faults(line: &[u8], id: u64) -> Result<Option<Answer>, String> {
    answer(line, id, |text| read(text).map(Answer::Links))
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
