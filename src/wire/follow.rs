//! The request `follow`, and the lines that follow it: entries with their places, and marks.
//!
//! Each line has the request's id. A line of an entry is `{"id":1,"height":7,"number":3,"server":"A",…}`, or
//! `{"id":1,"log":true,"server":"A",…}` while it is in the local log. A mark, `{"id":1,"next":{"height":8,"number":0}}`,
//! says that all entries before this place were told. An error ends it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::entries::{push, push_entry};
use super::fields::{Object, count, objects, prefix_of, present};
use super::tag::Tag;
use crate::bank::blockchain::block::Block;
use crate::bank::follow::{Follow, Place, Wanted};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Position, Record};
use crate::bank::ledger::quick::push_number;
use crate::bank::limits::MAX_FOLLOWED;
use crate::bank::request::ErrorCode;
use crate::bank::wall_time::WallTime;
use crate::explain::explain;

objects! {
    Fields {
        from: Object<PlaceFields> = "present",
        accounts: Vec<AccountId> = "present",
        prefix: String = "present",
        log: bool = "present"
    }
    PlaceFields { height: u64 = "count", number: u64 = "count" }
}

/// Takes what is wanted from its fields.
///
/// # Errors
/// Says what is wrong and what would be right.
pub(super) fn follow_of(fields: Fields) -> Result<Follow, String> {
    let Fields { from, accounts, prefix, log } = fields;
    let from = match from {
        None => None,
        Some(Object(PlaceFields { height: Some(height), number })) => {
            Some(Place { height, number: number.unwrap_or(0) })
        }
        Some(_) => {
            return Err(
                "\"from\" is {\"height\":7} or {\"height\":7,\"number\":3}, the first place \
                wanted"
                    .into(),
            );
        }
    };
    let accounts = accounts.unwrap_or_default();
    if accounts.len() > MAX_FOLLOWED {
        let many = accounts.len();
        return Err(format!(
            "\"accounts\" are at most {MAX_FOLLOWED}, not {many}; \"prefix\" may name more"
        ));
    }
    let wanted = Wanted::new(accounts, prefix_of(prefix)?);
    Ok(Follow { from, wanted, log: log.unwrap_or(false) })
}

/// Writes what is wanted as its fields.
pub(super) fn fields_of(follow: &Follow) -> Fields {
    let Follow { from, wanted, log } = follow;
    let place = |Place { height, number }: &Place| {
        Object(PlaceFields { height: Some(*height), number: Some(*number) })
    };
    let (accounts, prefix) = (wanted.accounts().to_vec(), wanted.prefix().to_owned());
    Fields {
        from: from.as_ref().map(place),
        accounts: Some(accounts).filter(|accounts| !accounts.is_empty()),
        prefix: Some(prefix).filter(|prefix| !prefix.is_empty()),
        log: log.then_some(true),
    }
}

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────

/// The lines of a block's entries, without what names the request: the same for all who follow.
#[derive(Debug)]
pub struct BlockLines {
    text: Vec<u8>,
    /// Where each line ends in the text.
    ends: Vec<u32>,
}

impl BlockLines {
    /// Writes the lines of all entries of a block.
    pub fn of(block: &Block) -> BlockLines {
        let entries = block.len();
        let mut lines = BlockLines {
            text: Vec::with_capacity(entries * 140),
            ends: Vec::with_capacity(entries),
        };
        for (server, element) in elements_of(block) {
            for (position, record) in named(element.first(), element.records()) {
                lines.push(block.height, server, (position, element.time()), record);
            }
        }
        lines
    }

    fn push(
        &mut self,
        height: u64,
        server: &ServerId,
        when: (Position, Option<WallTime>),
        record: &Record,
    ) {
        let text = &mut self.text;
        push(text, "\"height\":");
        push_number(text, height);
        push(text, ",\"number\":");
        push_number(text, self.ends.len() as u64);
        push(text, ",");
        push_entry(text, server, when, record);
        push(text, "}\n");
        self.ends.push(text.len() as u32);
    }

    /// Returns the number of lines.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the line of the entry with this number, from its first field on.
    pub fn line(&self, number: usize) -> &[u8] {
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[begin..self.ends[number] as usize]
    }
}

fn elements_of(block: &Block) -> impl Iterator<Item = (&ServerId, &Element)> {
    block.logs.iter().flat_map(|(server, log)| log.iter().map(move |element| (server, element)))
}

/// Names records; the first has the position `first`.
fn named(first: Position, records: &[Record]) -> impl Iterator<Item = (Position, &Record)> {
    records.iter().enumerate().map(move |(index, record)| (first.plus(index), record))
}

/// Appends the lines of those entries of an element of a local log that come after a position and are wanted.
pub fn push_logged(
    text: &mut Vec<u8>,
    begin: &str,
    (server, element): (&ServerId, &Element),
    after: Position,
    wanted: &Wanted,
) {
    for (position, record) in named(element.first(), element.records()) {
        if position > after && wanted.takes(&record.action) {
            push(text, begin);
            push(text, "\"log\":true,");
            push_entry(text, server, (position, element.time()), record);
            push(text, "}\n");
        }
    }
}

/// Returns the beginning of each line for the request of this id.
pub fn beginning(id: Option<&Tag>) -> String {
    id.map_or_else(|| "{".to_owned(), |id| format!("{{\"id\":{id},"))
}

/// Appends the mark that all entries before a place were told.
pub fn push_mark(text: &mut Vec<u8>, begin: &str, next: Place) {
    let Place { height, number } = next;
    push(text, begin);
    push(text, "\"next\":{\"height\":");
    push_number(text, height);
    push(text, ",\"number\":");
    push_number(text, number);
    push(text, "}}\n");
}

/// Appends the error that ends the lines.
pub fn push_end(text: &mut Vec<u8>, begin: &str, error: ErrorCode, message: &str) {
    let line = super::to_line(&Ending { error, message: message.into() });
    push(text, begin);
    push(text, line.strip_prefix('{').unwrap_or(&line));
}

#[derive(Serialize, Deserialize)]
struct Ending<'a> {
    error: ErrorCode,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────

/// A line that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// An entry of the chain.
    Entry {
        /// Its place.
        place: Place,
        /// Its fields, `height` and `number` first, as an object without the opening brace.
        fields: &'a str,
        /// The same without the two.
        entry: &'a str,
    },
    /// An entry of the local log.
    Logged {
        /// Its fields, `log` first, as an object without the opening brace.
        fields: &'a str,
    },
    /// All entries before this place were told.
    Mark(Place),
    /// Nothing follows any more.
    Ended(ErrorCode, String),
}

impl Told<'_> {
    /// True if this, and all that comes after it, is behind the last block that is wanted.
    pub fn is_beyond(&self, last: Option<u64>) -> bool {
        match self {
            Told::Entry { place, .. } | Told::Mark(place) => place.is_beyond(last),
            Told::Logged { .. } | Told::Ended(..) => false,
        }
    }
}

/// Reads a line that follows the request `id`; none if it is of another request.
///
/// # Errors
/// Says why the line is none that may follow.
pub fn parse_told(line: &[u8], id: u64) -> Result<Option<Told<'_>>, String> {
    #[derive(Deserialize)]
    struct Marked {
        next: Place,
    }
    let text = std::str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    let Some((own, fields)) = split_id(text) else {
        return Err(format!(
            "no line that follows: {}",
            text.chars().take(200).collect::<String>()
        ));
    };
    if own != id {
        return Ok(None);
    }
    let object = || format!("{{{fields}");
    Ok(Some(match fields.as_bytes() {
        [b'"', b'h', ..] => {
            let (place, entry) = place_of(fields)?;
            Told::Entry { place, fields, entry }
        }
        [b'"', b'l', ..] => Told::Logged { fields },
        [b'"', b'n', ..] => {
            let Marked { next } =
                serde_json::from_str(&object()).map_err(|error| explain(&error))?;
            Told::Mark(next)
        }
        _ => {
            let object = object();
            let Ending { error, message } =
                serde_json::from_str(&object).map_err(|error| explain(&error))?;
            Told::Ended(error, message.into_owned())
        }
    }))
}

/// Takes the id off a line, and what stands around it.
fn split_id(text: &str) -> Option<(u64, &str)> {
    let rest = text.strip_prefix("{\"id\":")?;
    let (id, fields) = rest.split_once(',')?;
    Some((id.parse().ok()?, fields))
}

/// Reads the place with which an entry's fields begin, and returns the others.
fn place_of(fields: &str) -> Result<(Place, &str), String> {
    let parse = || {
        let rest = fields.strip_prefix("\"height\":")?;
        let (height, rest) = rest.split_once(',')?;
        let rest = rest.strip_prefix("\"number\":")?;
        let (number, entry) = rest.split_once(',')?;
        Some((Place { height: height.parse().ok()?, number: number.parse().ok()? }, entry))
    };
    let what =
        || format!("an entry without its place: {}", fields.chars().take(200).collect::<String>());
    parse().ok_or_else(what)
}
