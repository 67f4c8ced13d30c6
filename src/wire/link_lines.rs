//! Orders about a server's own links as lines: `{"kind":"link","fault":"cut","peer":"B"}`.
//!
//! The server's threads obey them, and the state machine never hears of them: they are no requests to the
//! bank. So they have lines of their own kind on the clients' port.

use serde::{Deserialize, Serialize};

use super::fields::{count, objects, present};
use super::orders::{Parsed, parse};
use crate::bank::ids::ServerId;
use crate::wire::link::{Fault, LinkFault, LinkFaults, LinkOrder};
use crate::wire::messages::Messages;
use crate::wire::reply::{Answer, answer, line_of, read};
use crate::wire::tag::Tag;
use crate::wire::to_line;

/// A good order, shown to whoever sent a bad one.
const RIGHT: &str = "an order is {\"kind\":\"link\"}, or with \"fault\" also: \"cut\" and \"peer\"; \
    \"delay\", \"peer\" and \"ms\"; \"drop\", \"peer\" and \"percent\"; \"lose\", \"peer\" and \"messages\"; \
    \"heal\", and \"peer\" if it is to be that link alone";

objects! {
    LinkLine {
        id: Tag = "present",
        version: u64 = "present",
        kind: String = "present",
        fault: String = "present",
        peer: ServerId = "present",
        ms: u64 = "count",
        percent: u64 = "count",
        messages: Messages = "present"
    }
}

/// Parses the order on a line; none if the line is no such order.
pub(super) fn parse_order(line: &[u8]) -> Option<Parsed<LinkOrder>> {
    parse(line, "link", RIGHT, order_of)
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

/// Writes an order as a line, with its newline.
pub fn encode_order(id: u64, order: &LinkOrder) -> String {
    let line =
        LinkLine { id: Some(Tag::Number(id)), kind: Some("link".into()), ..LinkLine::default() };
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

/// Writes the answer to an order as a line, with its newline.
pub fn encode_faults(id: Option<&Tag>, faults: &LinkFaults) -> String {
    line_of(id, faults)
}

/// Parses the answer to order `id`; none if the line answers another one.
///
/// # Errors
/// Says why the line is no answer to an order.
pub fn parse_faults(line: &[u8], id: u64) -> Result<Option<Answer>, String> {
    answer(line, id, |text| read(text).map(Answer::Links))
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
