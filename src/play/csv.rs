//! The courses' dialect: sets of transfers as CSV. Pure.
//!
//! A row is a set's number, a transfer and the live servers. The set's further transfers follow in rows
//! whose first and third columns are empty.

use std::collections::BTreeSet;

use crate::bank::ids::ServerId;
use crate::play::cast::Cast;
use crate::play::plain::triplet;
use crate::play::script::{Act, Step};
use crate::play::words::found;
use crate::play::wrong::{Place, Wrong};

const ROW: &str = "a row of three columns: a set's number, a transfer, the live servers, such as \
    1,\"(S1, S3, 45)\",\"[S1, S2, S3]\"; or, for the set's next transfer: ,\"(S3, S5, 55)\",";

/// A column of a row.
struct Field<'a> {
    /// The content, without surrounding spaces and quotes.
    text: &'a str,
    place: Place,
}

/// True if a text is of this dialect: its first line with content begins as a row does, or names the
/// columns.
pub(super) fn is_csv(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let Some(first) = lines.find(|line| !is_silent(line)) else { return false };
    let begins_row = first.starts_with('"')
        || first.starts_with(',')
        || (first.starts_with(|c: char| c.is_ascii_digit()) && first.contains(','));
    begins_row || is_header(first)
}

/// True if a line says nothing.
fn is_silent(line: &str) -> bool {
    line.starts_with('#') || line.chars().all(|c| c == ',' || c.is_whitespace())
}

/// True if a line names columns: it has commas, no colon as after a client, and no digit in the first.
fn is_header(line: &str) -> bool {
    let mut columns = line.split(',');
    let first = columns.next().unwrap_or_default().to_lowercase();
    columns.next().is_some() && first.contains("set") && !first.contains([':', '('])
}

pub(super) fn parse(text: &str, cast: &mut Cast, wrongs: &mut Vec<Wrong>) -> Vec<Step> {
    let mut sets = Sets { cast, steps: Vec::new(), number: None };
    let mut may_be_header = true;
    for (whole, line) in text.split('\n').zip(1..) {
        if is_silent(whole.trim()) {
            continue;
        }
        let is_header = may_be_header && is_header(&whole.trim().replace('"', ""));
        may_be_header = false;
        if is_header {
            continue;
        }
        if let Err(wrong) = columns(whole, line).and_then(|row| sets.row(line, &row)) {
            wrongs.push(wrong);
        }
    }
    sets.steps
}

/// Cuts a row at the commas outside of quotes, parentheses and brackets.
fn columns(row: &str, line: usize) -> Result<Vec<Field<'_>>, Wrong> {
    let mut fields = Vec::new();
    let (mut start, mut start_column) = (0, 1);
    let (mut quoted, mut depth) = (None, 0_usize);
    for ((index, character), column) in row.char_indices().chain([(row.len(), ',')]).zip(1..) {
        let is_end = index == row.len();
        match character {
            '"' => quoted = if quoted.is_some() { None } else { Some(column) },
            '(' | '[' if quoted.is_none() => depth += 1,
            ')' | ']' if quoted.is_none() => depth = depth.saturating_sub(1),
            ',' if is_end || (quoted.is_none() && depth == 0) => {
                fields.push(field(&row[start..index], line, start_column));
                (start, start_column) = (index + 1, column + 1);
            }
            _ => {}
        }
    }
    match quoted {
        Some(column) => {
            let what = "this quotation mark is not closed on its line; expected: ";
            Err(Wrong::new(line, column, format!("{what}{ROW}")))
        }
        None => Ok(fields),
    }
}

fn field(text: &str, line: usize, column: usize) -> Field<'_> {
    let outer = text.trim();
    let inner = outer.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(outer);
    let inner = inner.trim();
    // An empty field is found at the field's beginning.
    let before = text.find(inner).unwrap_or(0);
    let column = column + text[..before].chars().count();
    Field { text: inner, place: Place { line, column } }
}

/// The sets that are read so far.
struct Sets<'a> {
    cast: &'a mut Cast,
    steps: Vec<Step>,
    /// The present set's number.
    number: Option<u64>,
}

impl Sets<'_> {
    fn row(&mut self, line: usize, row: &[Field<'_>]) -> Result<(), Wrong> {
        let (first, rest) = match row {
            [number, transfer, live] => ([number, transfer, live], &[][..]),
            [number, transfer, live, rest @ ..] => ([number, transfer, live], rest),
            _ => {
                let what = format!("{} columns; expected: {ROW}", row.len());
                return Err(Wrong::new(line, 1, what));
            }
        };
        if let Some(more) = rest.iter().find(|field| !field.text.is_empty()) {
            let what = found(more.text, &format!("a fourth column; expected: {ROW}"));
            return Err(Wrong { place: more.place, what });
        }
        let [number, transfer, live] = first;
        match (number.text.is_empty(), live.text.is_empty()) {
            (false, false) => self.begin(number, live)?,
            (true, true) if self.number.is_some() => {}
            (true, true) => {
                let what = format!("no set has begun yet; expected: {ROW}");
                return Err(Wrong { place: number.place, what });
            }
            (false, true) => {
                let what = "the live servers of this set are missing; expected them in the third \
                            column, such as \"[S1, S2, S3]\"";
                return Err(Wrong { place: live.place, what: what.into() });
            }
            (true, false) => {
                let what =
                    "live servers without a set's number; expected the number in the first column";
                return Err(Wrong { place: live.place, what: what.into() });
            }
        }
        // A set may exist for its servers alone.
        if transfer.text.is_empty() {
            return Ok(());
        }
        let (server, command) = triplet(transfer.text, transfer.place, self.cast)?;
        let act = Act::Say { server, command, behind: false };
        let (place, text) = (transfer.place, transfer.text.to_owned());
        self.steps.push(Step { place, text, act });
        Ok(())
    }

    fn begin(&mut self, number: &Field<'_>, live: &Field<'_>) -> Result<(), Wrong> {
        let wrong = |field: &Field<'_>, what: &str| Wrong {
            place: field.place,
            what: found(field.text, what),
        };
        let digits = number.text.bytes().all(|byte| byte.is_ascii_digit());
        let next: u64 =
            number.text.parse().ok().filter(|_| digits).ok_or_else(|| {
                wrong(number, "expected a set's number, a whole number such as 1")
            })?;
        if let Some(last) = self.number.filter(|last| next <= *last) {
            let what = format!("expected a number above that of the set before, which is {last}");
            return Err(wrong(number, &what));
        }
        // What follows belongs to this set, whatever else is wrong with the set.
        self.number = Some(next);
        let live = self.live(live)?;
        let (place, text) = (number.place, format!("set {next}"));
        self.steps.push(Step { place, text, act: Act::Set { number: next, live } });
        Ok(())
    }

    /// Parses `[S1, S2, S3]`.
    fn live(&mut self, field: &Field<'_>) -> Result<BTreeSet<ServerId>, Wrong> {
        let inside = field.text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let Some(inside) = inside else {
            let right = "expected the live servers in brackets, such as [S1, S2, S3]";
            return Err(Wrong { place: field.place, what: found(field.text, right) });
        };
        let mut live = BTreeSet::new();
        let mut column = field.place.column + 1;
        for part in inside.split(',') {
            let name = part.trim();
            let before = part.len() - part.trim_start().len();
            let place = Place { column: column + part[..before].chars().count(), ..field.place };
            column += part.chars().count() + 1;
            // The list may be empty: no server is live.
            if name.is_empty() && inside.trim().is_empty() {
                break;
            }
            let server: ServerId = name.parse().map_err(|error| {
                let what = format!("{error}; expected servers such as [S1, S2, S3]");
                Wrong { place, what }
            })?;
            self.cast.acts(&server, place);
            live.insert(server);
        }
        Ok(live)
    }
}
