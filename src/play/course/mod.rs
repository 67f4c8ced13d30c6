//! The courses' dialect: sets of transfers as a table. Pure.
//!
//! A row is a set's number, transfers and the live servers; a fourth column may name the servers to be contacted.
//! The set's further transfers follow in rows without a number, or with the same one. [`table`] cuts the rows,
//! [`columns`] tells which column is which, [`item`] reads transfers and failures, and [`homes`] finds each
//! account's home: in some years the accounts are the servers, in others not.

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::play::cast::Cast;
use crate::play::script::Step;
use crate::play::settings::settings;
use crate::play::words::Words;
use crate::play::wrong::Wrong;

mod columns;
pub(super) mod homes;
pub(super) mod item;
mod sets;
pub(super) mod table;

use columns::Columns;
use sets::Sets;
use table::{Places, is_silent, rows, separator};

/// True if a text is of this dialect: its first line that says something begins as a row does, or names the columns.
pub(super) fn is_table(text: &str) -> bool {
    let first = text.lines().find(|line| !is_silent(line) && !is_setting(line));
    let Some(first) = first else { return false };
    // Only the beginning of a cell with line breaks stands on the first line.
    let closed =
        if first.matches('"').count() % 2 == 0 { first.to_owned() } else { format!("{first}\"") };
    let (mut wrongs, places) = (Vec::new(), Places::of(&closed));
    let rows = rows(&closed, separator(first), &places, &mut wrongs);
    rows.first().is_some_and(|cells| columns::is_first_line(cells))
}

/// True if a line declares the servers or the opening balance, as in a plain file.
fn is_setting(line: &str) -> bool {
    let first = line
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"'))
        .find(|word| !word.is_empty());
    matches!(first, Some("servers" | "opening"))
}

/// Reads a table. Returns the steps, and the accounts that are no servers.
pub(super) fn parse(
    text: &str,
    cast: &mut Cast,
    opening: &mut Option<Amount>,
    wrongs: &mut Vec<Wrong>,
) -> (Vec<Step>, Vec<AccountId>) {
    let rest = without_settings(text, cast, opening, wrongs);
    let first = rest.lines().find(|line| !is_silent(line)).unwrap_or_default();
    let places = Places::of(&rest);
    let mut rows = rows(&rest, separator(first), &places, wrongs).into_iter().peekable();
    let header = rows.peek().and_then(|row| Columns::of_header(row));
    if header.is_some() {
        rows.next();
    }
    let mut sets = Sets::new(header.unwrap_or_default(), &places);
    for row in rows {
        sets.row(&row).unwrap_or_else(|wrong| wrongs.push(wrong));
    }
    homes::resolve(sets.happenings, cast, wrongs)
}

/// Takes the lines `servers …` and `opening …` out of a table, and leaves its places as they are.
fn without_settings(
    text: &str,
    cast: &mut Cast,
    opening: &mut Option<Amount>,
    wrongs: &mut Vec<Wrong>,
) -> String {
    let mut has_begun = false;
    let line = |(line, number): (&str, usize)| {
        if !is_setting(line) {
            has_begun |= !is_silent(line);
            return line.to_owned();
        }
        // A spreadsheet writes its separators there, too.
        let bare = line.replace([',', ';', '\t', '"', '[', ']'], " ");
        let mut words = Words::of(&bare, number, 1);
        let set = match has_begun {
            false => settings(&mut words, cast, opening),
            true => Err(Wrong::new(
                number,
                words.column(),
                "servers and opening come before the first row",
            )),
        };
        wrongs.extend(set.err());
        String::new()
    };
    text.split('\n').zip(1..).map(line).collect::<Vec<_>>().join("\n")
}
