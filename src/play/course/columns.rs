//! Which column of a table is which: by its header, or as courses usually have them. Pure.

use crate::play::course::item::{is_quote, reasons};
use crate::play::course::table::{Field, Places, is_silent};
use crate::play::words::found;
use crate::play::wrong::Wrong;

/// The columns' places in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub number: usize,
    pub transfers: usize,
    pub live: usize,
    pub contact: Option<usize>,
    /// Columns that can't be played if they say anything, and why.
    refused: Vec<(usize, &'static str)>,
    /// Columns that are for people alone.
    notes: Vec<usize>,
    /// The number of columns.
    count: usize,
}

/// What the columns' names have in them.
const NUMBER: &[&str] = &["set", "test", "case", "round", "number"];
const TRANSFERS: &[&str] =
    &["transact", "transfer", "payment", "txn", "event", "operation", "command"];
const LIVE: &[&str] = &["live", "active", "server", "node", "replica"];

/// What the names of columns have in them that are for people alone.
const NOTES: &[&str] = &["comment", "note", "descri", "remark", "expect"];

const UNKNOWN: &str = "a column that is not known here; expected: a set's number, transfers, the live servers, and \
    perhaps the servers to be contacted";

impl Default for Columns {
    fn default() -> Columns {
        let (refused, notes) = (Vec::new(), Vec::new());
        Columns { number: 0, transfers: 1, live: 2, contact: Some(3), refused, notes, count: 4 }
    }
}

impl Columns {
    /// Reads a header; none if the row is none.
    pub(super) fn of_header(row: &[Field<'_>]) -> Option<Columns> {
        let names: Vec<String> = row.iter().map(|field| field.to_lowercase()).collect();
        let is_name = |name: &String| !name.contains(['(', '[', ':']) && !is_number(name);
        let has = |name: &String, words: &[&str]| words.iter().any(|word| name.contains(word));
        let has_any = |words: &[&str]| names.iter().any(|name| has(name, words));
        let is_header = names.len() > 1
            && names.iter().all(is_name)
            && (has(&names[0], &["set"])
                || has_any(&["transact", "live"])
                || [NUMBER, TRANSFERS, LIVE].iter().all(|words| has_any(words)));
        if !is_header {
            return None;
        }
        let (mut columns, mut found) =
            (Columns { contact: None, ..Columns::default() }, [false; 3]);
        for (index, name) in names.iter().enumerate() {
            let mut take = |which: usize, column: &mut usize| {
                if !std::mem::replace(&mut found[which], true) {
                    *column = index;
                }
            };
            match name {
                name if has(name, &["byzantin", "malicious", "adversar", "faulty", "attack"]) => {
                    columns.refused.push((index, reasons::BYZANTINE));
                }
                name if has(name, &["view"]) => columns.refused.push((index, reasons::VIEWS)),
                name if has(name, &["shard", "cluster", "partition"]) => {
                    columns.refused.push((index, reasons::SHARDS));
                }
                name if has(name, &["contact", "entry"]) => columns.contact = Some(index),
                name if has(name, TRANSFERS) => {
                    take(1, &mut columns.transfers);
                }
                name if has(name, LIVE) => {
                    take(2, &mut columns.live);
                }
                name if has(name, NOTES) => columns.notes.push(index),
                name if has(name, NUMBER) => {
                    take(0, &mut columns.number);
                }
                _ => {}
            }
        }
        columns.count = row.len();
        Some(columns)
    }

    /// Checks that a row says nothing where nothing can be played.
    pub(super) fn check(&self, row: &[Field<'_>], places: &Places<'_>) -> Result<(), Wrong> {
        let mut known = vec![self.number, self.transfers, self.live];
        known.extend(self.contact);
        for (index, field) in row.iter().enumerate().filter(|(_, field)| says_something(field)) {
            let refused = self.refused.iter().find(|(refused, _)| *refused == index);
            let why = match refused {
                Some((_, why)) => why,
                None if known.contains(&index) || self.notes.contains(&index) => continue,
                None => UNKNOWN,
            };
            return Err(Wrong { place: places.of_part(field), what: found(field, why) });
        }
        Ok(())
    }
}

/// True if a field is not empty: neither by its text, nor as a list.
fn says_something(field: &str) -> bool {
    let is_empty = |c: char| c.is_whitespace() || matches!(c, '[' | ']' | '{' | '}' | '-');
    !field.chars().all(is_empty)
        && !matches!(&*field.to_lowercase(), "none" | "nil" | "null" | "0" | "no")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// True if this is the first line of a table: it names columns, or begins as a row of a set does.
pub(super) fn is_first_line(cells: &[Field<'_>]) -> bool {
    let [first, rest @ ..] = cells else { return false };
    let is_cell = |cell: &&str| {
        let bare = cell.trim_start_matches(is_quote);
        cell.starts_with('"') || bare.starts_with(['(', '[', '{']) || bare.to_lowercase() == "lf"
    };
    let is_words = first.contains(' ') && !first.to_lowercase().starts_with("set ");
    let is_row = !is_words && !first.contains(['(', ':']) && rest.iter().any(is_cell);
    let is_empty = !rest.is_empty() && rest.iter().all(|cell| is_silent(cell));
    let is_for_its_servers = is_number(first) && is_empty;
    is_row || is_for_its_servers || first.starts_with('"') || Columns::of_header(cells).is_some()
}
