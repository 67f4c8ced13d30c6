//! Faults of links, as a scenario file writes them. Pure.

use crate::bank::ids::ServerId;
use crate::client::time::parse_time;
use crate::play::cast::Cast;
use crate::play::words::{Words, found};
use crate::play::wrong::Wrong;
use crate::wire::link::{Fault, LinkFault};
use crate::wire::messages::Messages;

/// Parses the faults of a line such as `cut A B` or `lose accept A -> B`, after its first word.
pub(super) fn parse(
    kind: &str,
    words: &mut Words<'_>,
    cast: &mut Cast,
) -> Result<Vec<(ServerId, LinkFault)>, Wrong> {
    let right = match kind {
        "cut" => "cut ID ID, both ways, or cut ID -> ID, such as: cut A -> B",
        "delay" => "delay ID ID TIME or delay ID -> ID TIME, such as: delay A -> B 200ms",
        "drop" => "drop ID ID PERCENT or drop ID -> ID PERCENT, such as: drop A -> B 30%",
        _ => "lose MESSAGE… ID ID or lose MESSAGE… ID -> ID, such as: lose accept A -> B",
    };
    let messages = if kind == "lose" { messages(words, right)? } else { Messages::default() };
    let (from, to, both_ways) = ends(words, cast, right)?;
    let fault = match kind {
        "cut" => Fault::Cut,
        "lose" => Fault::Lose { messages },
        "delay" => {
            let word = words.take().ok_or_else(|| words.missing(right))?;
            let fault =
                parse_time(word.text).and_then(|time| Fault::delay(time.as_millis() as u64));
            fault.map_err(|error| words.wrong(word, found(word.text, &error)))?
        }
        _ => {
            let word = words.take().ok_or_else(|| words.missing(right))?;
            let percent = word.text.strip_suffix('%').and_then(|digits| digits.parse().ok());
            let percent = percent.ok_or_else(|| format!("expected: {right}"));
            let fault = percent.and_then(Fault::drop);
            fault.map_err(|error| words.wrong(word, found(word.text, &error)))?
        }
    };
    words.end(right)?;
    let there = (from.clone(), LinkFault { peer: to.clone(), fault });
    let back = (to, LinkFault { peer: from, fault });
    Ok(if both_ways { vec![there, back] } else { vec![there] })
}

/// Parses the links of a line such as `heal A B` or `heal A -> B`, after its first word. None are all.
pub(super) fn healed(
    words: &mut Words<'_>,
    cast: &mut Cast,
) -> Result<Vec<(ServerId, ServerId)>, Wrong> {
    const RIGHT: &str =
        "heal, which ends all faults of links, or those of some: heal A B, heal A -> B";
    if words.peek().is_none() {
        return Ok(Vec::new());
    }
    let (from, to, both_ways) = ends(words, cast, RIGHT)?;
    words.end(RIGHT)?;
    let there = (from.clone(), to.clone());
    Ok(if both_ways { vec![there, (to, from)] } else { vec![there] })
}

/// Returns the faults of a link that carries nothing any more, either way.
pub(super) fn cut_both_ways(one: ServerId, other: ServerId) -> Vec<(ServerId, LinkFault)> {
    let there = (one.clone(), LinkFault { peer: other.clone(), fault: Fault::Cut });
    vec![there, (other, LinkFault { peer: one, fault: Fault::Cut })]
}

/// Parses `A B` or `A -> B`: from, to, and whether the way back gets the fault too.
pub(super) fn ends(
    words: &mut Words<'_>,
    cast: &mut Cast,
    right: &str,
) -> Result<(ServerId, ServerId, bool), Wrong> {
    let from = words.server(right, cast)?;
    let both_ways = !words.take_if("->");
    let column = words.column();
    let to = words.server(right, cast)?;
    if from == to {
        let what = format!("a link is between two servers, not from {from} to itself; expected: ");
        return Err(Wrong::new(words.line, column, what + right));
    }
    Ok((from, to, both_ways))
}

/// Parses the names of one or more messages.
fn messages(words: &mut Words<'_>, right: &str) -> Result<Messages, Wrong> {
    let mut messages = Messages::default();
    loop {
        let Some(word) = words.peek() else { return Err(words.missing(right)) };
        match word.parse::<Messages>() {
            Ok(message) => messages = messages.and(message),
            Err(_) if !messages.is_empty() => return Ok(messages),
            Err(_) => return message(words, right),
        }
        words.take();
    }
}

/// Parses the name of one message.
pub(super) fn message(words: &mut Words<'_>, right: &str) -> Result<Messages, Wrong> {
    words.value(right)
}
