//! Redis's replies, taken apart. An error names the key of what is wrong.
//!
//! A reply may hold millions of values, so a value's name is made only when something is wrong with it.

use std::fmt::Display;
use std::str::FromStr;

use redis::{Cmd, Value};
use serde::de::DeserializeOwned;

use crate::bank::ledger::element::Element;
use crate::explain::explain;
use crate::store::StoreError;
use crate::store::redis::words::refusal;

/// Makes a command with its arguments.
pub(super) fn command(name: &str, arguments: &[&str]) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(arguments);
    command
}

/// Says that a place holds something that this program doesn't write. A long text is cut short.
pub(super) fn corrupt(key: &str, what: impl Into<String>) -> StoreError {
    const LONGEST_KEY: usize = 200;
    const LONGEST: usize = 500;
    StoreError::Corrupt { key: cut(key, LONGEST_KEY), what: cut(&what.into(), LONGEST) }
}

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Returns the beginning of a stored text, for a message.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// Makes the error for a reply that doesn't fit the command: Redis's own error, or a wrong type.
pub(super) fn unexpected(key: &str, reply: &Value) -> StoreError {
    match reply {
        Value::ServerError(error) if error.code() == "WRONGTYPE" => corrupt(key, refusal(error)),
        Value::ServerError(error) => StoreError::Failed(format!("{key}: {}", refusal(error))),
        other => StoreError::Failed(format!("{key}: Redis answered {}", sketch(other))),
    }
}

/// Describes a reply in a few words; it may be as long as a block.
fn sketch(reply: &Value) -> String {
    match reply {
        Value::BulkString(bytes) => excerpt(&String::from_utf8_lossy(bytes)),
        Value::Array(replies) => format!("{} values", replies.len()),
        other => format!("{other:?}"),
    }
}

/// Takes a text, or nil.
pub(super) fn text(key: &str, reply: Value) -> Result<Option<String>, StoreError> {
    match reply {
        Value::Nil => Ok(None),
        reply => borrowed(&reply, || key.to_owned()).map(|text| Some(text.to_owned())),
    }
}

/// Borrows a text that must be there.
pub(super) fn borrowed(reply: &Value, place: impl FnOnce() -> String) -> Result<&str, StoreError> {
    match reply {
        Value::BulkString(bytes) => {
            str::from_utf8(bytes).map_err(|error| corrupt(&place(), error.to_string()))
        }
        other => Err(unexpected(&place(), other)),
    }
}

/// Takes the values of an array.
pub(super) fn values(key: &str, reply: Value) -> Result<Vec<Value>, StoreError> {
    match reply {
        Value::Array(values) => Ok(values),
        other => Err(unexpected(key, &other)),
    }
}

/// Takes a list's elements; the first has the index `first`. They may be long, and none is copied.
pub(super) fn elements(key: &str, first: u64, reply: Value) -> Result<Vec<String>, StoreError> {
    let element = |(index, reply): (u64, Value)| {
        let place = || format!("{key}[{index}]");
        match reply {
            Value::BulkString(bytes) => String::from_utf8(bytes)
                .map_err(|error| corrupt(&place(), error.utf8_error().to_string())),
            other => Err(unexpected(&place(), &other)),
        }
    };
    (first..).zip(values(key, reply)?).map(element).collect()
}

/// Takes a hash's fields with their values.
pub(super) fn fields(key: &str, reply: Value) -> Result<Vec<(String, String)>, StoreError> {
    let mut texts = elements(key, 0, reply)?.into_iter();
    let mut fields = Vec::with_capacity(texts.len() / 2);
    while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
        fields.push((field, value));
    }
    Ok(fields)
}

/// Takes a length.
pub(super) fn length(key: &str, reply: Value) -> Result<u64, StoreError> {
    match reply {
        Value::Int(number) if number >= 0 => Ok(number.unsigned_abs()),
        other => Err(unexpected(key, &other)),
    }
}

/// Parses the elements of a whole local log.
pub(super) fn local_log(key: &str, reply: Value) -> Result<Vec<Element>, StoreError> {
    let element = |(index, reply): (usize, &Value)| {
        let place = || format!("{key}[{index}]");
        let text = borrowed(reply, place)?;
        Element::open(text).map_err(|error| not_understood(&place(), explain(&error), text))
    };
    values(key, reply)?.iter().enumerate().map(element).collect()
}

/// Parses a text that is JSON.
pub(super) fn from_json<T: DeserializeOwned>(place: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| not_understood(place, explain(&error), text))
}

/// Parses a text that is not JSON.
pub(super) fn from_text<T: FromStr<Err: Display>>(
    text: &str,
    place: impl FnOnce() -> String,
) -> Result<T, StoreError> {
    text.parse().map_err(|error| not_understood(&place(), error, text))
}

fn not_understood(place: &str, error: impl Display, text: &str) -> StoreError {
    corrupt(place, format!("{error}, in {}", excerpt(text)))
}

/// Takes exactly as many replies as there were commands.
pub(super) fn exactly<const COUNT: usize>(
    replies: Vec<Value>,
) -> Result<[Value; COUNT], StoreError> {
    replies.try_into().map_err(|_| StoreError::Failed("replies are missing".into()))
}
