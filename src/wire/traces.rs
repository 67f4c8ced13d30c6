//! The order to be told a server's trace as it is written, `{"id":1,"kind":"trace"}`, and the lines that follow it.
//!
//! Like orders about links it is obeyed by the server's threads, and the state machine never hears of it. The first
//! line is the record of the present life's beginning; each further one is a record with the order's id, as in the file
//! of `--trace`, or `{"id":1,"missed":5}` where so many are left out. An error ends it.

use serde::{Deserialize, Serialize};

use super::entries::push;
use super::fields::{objects, present};
use super::orders::{Parsed, parse};
use super::reply::{Answer, answer};
use super::tag::Tag;
use crate::bank::ledger::quick::push_number;
use crate::bank::request::{ErrorCode, Reply};
use crate::explain::explain;
use crate::wire::to_line;

/// A good order, shown to whoever sent a bad one.
const RIGHT: &str = "the order is {\"kind\":\"trace\"}";

objects! {
    TraceLine { id: Tag = "present", version: u64 = "present", kind: String = "present" }
}

/// Writes the order as a line, with its newline.
pub fn encode_trace(id: u64) -> String {
    let kind = Some("trace".into());
    to_line(&TraceLine { id: Some(Tag::Number(id)), kind, ..TraceLine::default() })
}

/// Parses the order on a line; none if the line is no such order.
pub(super) fn parse_order(line: &[u8]) -> Option<Parsed<()>> {
    parse(line, "trace", RIGHT, |_: TraceLine| Ok(()))
}

/// Appends a record, which is a line of a trace with its newline.
pub fn push_note(text: &mut Vec<u8>, begin: &str, record: &[u8]) {
    push(text, begin);
    text.extend_from_slice(record.strip_prefix(b"{").unwrap_or(record));
}

/// Appends how many records are left out here. None at all are where there is nothing to tell for a while.
pub fn push_missed(text: &mut Vec<u8>, begin: &str, count: u64) {
    push(text, begin);
    push(text, "\"missed\":");
    push_number(text, count);
    push(text, "}\n");
}

/// Parses the first line, or the error in its place.
///
/// # Errors
/// Says why the line is no answer to such an order.
pub fn parse_first(line: &[u8], id: u64) -> Result<Option<Answer>, String> {
    answer(line, id, |text| Ok(Answer::Trace(text.to_owned())))
}

/// A line of a trace that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A record, as JSON that has the order's id beside its own fields.
    Record(String),
    /// So many are left out.
    Missed(u64),
    /// Nothing follows any more.
    Ended(ErrorCode, String),
}

/// Reads a line that follows the order `id`; none if it is of another request.
///
/// # Errors
/// Says why the line is none that may follow.
pub fn parse_noted(line: &[u8], id: u64) -> Result<Option<Noted>, String> {
    #[derive(Deserialize)]
    struct Head {
        missed: Option<u64>,
    }
    Ok(match parse_first(line, id)? {
        None => None,
        Some(Answer::Trace(text)) => {
            let head: Head = serde_json::from_str(&text).map_err(|error| explain(&error))?;
            Some(head.missed.map_or(Noted::Record(text), Noted::Missed))
        }
        Some(Answer::Reply(Reply::Error { error, message })) => Some(Noted::Ended(error, message)),
        Some(_) => return Err("it answers another question".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_only_its_kind() {
        let id = Some(Tag::Number(7));
        assert_eq!(parse_order(encode_trace(7).as_bytes()), Some(Ok((id.clone(), ()))));
        assert_eq!(parse_order(b"{\"kind\":\"trace\",\"version\":2}"), Some(Ok((None, ()))));
        for other in ["{\"kind\":\"link\"}", "{\"kind\":\"trace\",\"version\":3}", "7"] {
            assert_eq!(parse_order(other.as_bytes()), None, "{other}");
        }
        let wrong = parse_order(b"{\"id\":7,\"kind\":\"trace\",\"from\":1}");
        let Some(Err((told, Reply::Error { message, .. }))) = wrong else { panic!("{wrong:?}") };
        assert_eq!(told, id);
        assert!(message.contains("from") && message.contains("the order is"), "{message}");
    }

    #[test]
    fn lines_come_back_as_they_were_told() {
        let mut text = Vec::new();
        push_note(&mut text, "{\"id\":7,", b"{\"server\":\"A\"}\n");
        push_missed(&mut text, "{\"id\":7,", 3);
        push_missed(&mut text, "{\"id\":8,", 3);
        text.extend_from_slice(b"{\"id\":7,\"error\":\"forbidden\",\"message\":\"no\"}\n");
        let lines = text.split(|byte| *byte == b'\n').take(4);
        let read: Vec<_> = lines.map(|line| parse_noted(line, 7).unwrap()).collect();
        assert_eq!(
            read,
            [
                Some(Noted::Record("{\"id\":7,\"server\":\"A\"}".into())),
                Some(Noted::Missed(3)),
                None,
                Some(Noted::Ended(ErrorCode::Forbidden, "no".into())),
            ]
        );
    }
}
