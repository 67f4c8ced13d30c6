//! Rows into sets: who is live from where on, and what happens. Pure.

use std::collections::BTreeSet;

use crate::play::course::columns::Columns;
use crate::play::course::item::{Item, Name, is_quote, of_cell, reasons, whole};
use crate::play::course::table::{Field, Places};
use crate::play::words::found;
use crate::play::wrong::{Place, Wrong};

const ROW: &str = "expected: a set's number, transfers, the live servers, such as \
    1,\"(S1, S3, 45)\",\"[S1, S2, S3]\"; or, for the set's next transfer: ,\"(S3, S2, 55)\",";

/// Something that happens, with its text and place in the file.
#[derive(Debug)]
pub(super) struct Happening {
    pub place: Place,
    pub text: String,
    pub what: What,
}

/// What happens.
#[derive(Debug)]
pub(super) enum What {
    /// A set begins, or goes on with other servers: exactly these are live.
    Set { number: u64, live: Vec<Name> },
    /// From here on these servers are to be contacted.
    Contact(Vec<Name>),
    /// A transfer, a failure, something to be printed.
    Item(Item),
}

/// The sets that are read so far.
pub(super) struct Sets<'a> {
    columns: Columns,
    places: &'a Places<'a>,
    pub happenings: Vec<Happening>,
    /// The present set's number and live servers.
    present: Option<(u64, BTreeSet<String>)>,
}

impl<'a> Sets<'a> {
    pub(super) fn new(columns: Columns, places: &'a Places<'a>) -> Sets<'a> {
        Sets { columns, places, happenings: Vec::new(), present: None }
    }

    pub(super) fn row(&mut self, row: &[Field<'_>]) -> Result<(), Wrong> {
        self.columns.check(row, self.places)?;
        // A row may end early; and a transfer may stand alone, where nothing separates it from others.
        let alone = row.len() == 1 && row[0].starts_with(|c: char| c == '(' || c.is_alphabetic());
        let end = row.last().map_or("", |last| &last[last.len()..]);
        let field = |index: usize| row.get(index).copied().unwrap_or(end);
        let (number, transfers, live) = match alone {
            true => (end, row[0], end),
            false => {
                let Columns { number, transfers, live, .. } = self.columns;
                (field(number), field(transfers), field(live))
            }
        };
        self.set(number, live)?;
        let contact = self.columns.contact.map_or(end, field);
        if !contact.is_empty() {
            let servers = self.servers(contact)?;
            self.happens(contact, "", What::Contact(servers));
        }
        for (text, place, item) in of_cell(transfers, self.places)? {
            self.happenings.push(Happening { place, text, what: What::Item(item) });
        }
        Ok(())
    }

    fn happens(&mut self, field: Field<'_>, text: &str, what: What) {
        let place = self.places.of_part(field);
        self.happenings.push(Happening { place, text: text.to_owned(), what });
    }

    /// Begins a set, goes on with it, or goes on with other servers.
    fn set(&mut self, number: Field<'_>, live: Field<'_>) -> Result<(), Wrong> {
        let wrong =
            |field: Field<'_>, what: String| Wrong { place: self.places.of_part(field), what };
        let next = match (number, &self.present) {
            ("", None) if live.is_empty() => {
                return Err(wrong(number, format!("no set has begun yet; {ROW}")));
            }
            ("", None) => 1,
            ("", Some((present, _))) => *present,
            (text, present) => {
                let next = set_number(text).ok_or_else(|| {
                    wrong(number, found(text, "expected a set's number, a whole number such as 1"))
                })?;
                if let Some((last, _)) = present.as_ref().filter(|(last, _)| next < *last) {
                    let what = format!(
                        "expected a number from {last} on, which is that of the set before"
                    );
                    return Err(wrong(number, found(text, &what)));
                }
                next
            }
        };
        let present = self.present.as_ref();
        let is_present = present.is_some_and(|(present, _)| *present == next);
        if live.is_empty() && is_present {
            return Ok(());
        }
        if live.is_empty() {
            // What follows belongs to this set, whatever is wrong with it.
            self.present = Some((next, BTreeSet::new()));
            let what = "the live servers of this set are missing; expected them in the third column, such as \
                        \"[S1, S2, S3]\"";
            return Err(Wrong { place: self.places.of_part(live), what: what.into() });
        }
        let servers = self.servers(live);
        let names: BTreeSet<String> =
            servers.iter().flatten().map(|name| name.text.clone()).collect();
        let goes_on = is_present && present.is_some_and(|(_, before)| *before == names);
        self.present = Some((next, names));
        let servers = servers?;
        if !goes_on {
            let at = if number.is_empty() { live } else { number };
            self.happens(at, &format!("set {next}"), What::Set { number: next, live: servers });
        }
        Ok(())
    }

    /// Reads `[S1, S2, S3]`, with or without the brackets.
    fn servers(&self, list: Field<'_>) -> Result<Vec<Name>, Wrong> {
        let list = list.trim_matches(is_quote);
        let wrong = |part: &str, what: &str| Wrong {
            place: self.places.of_part(part),
            what: found(part, what),
        };
        let inside = ["[]", "{}", "()"].iter().find_map(|pair| {
            list.strip_prefix(&pair[..1]).and_then(|rest| rest.strip_suffix(&pair[1..]))
        });
        let brackets = ['[', ']', '(', ')', '{', '}'];
        let inside = match inside {
            Some(inside) => inside,
            None if list.contains(brackets) => {
                let right = "expected the live servers in brackets, such as [S1, S2, S3]";
                return Err(wrong(list, right));
            }
            None => list,
        };
        if let Some(at) = inside.find(brackets) {
            return Err(wrong(&inside[at..], reasons::SHARDS));
        }
        if inside.trim().is_empty() {
            return Ok(Vec::new());
        }
        let parts: Vec<&str> = match inside.contains([',', ';']) {
            true => inside.split([',', ';']).map(str::trim).collect(),
            false => inside.split_whitespace().collect(),
        };
        let name = |part: &str| match part {
            "" => Err(wrong(
                list,
                "a server's name is missing; expected servers such as [S1, S2, S3]",
            )),
            part => Ok(Name { text: part.to_owned(), place: self.places.of_part(part) }),
        };
        parts.into_iter().map(|part| name(part.trim_matches(is_quote))).collect()
    }
}

/// Reads `1`, `1.0` or `Set 1`.
fn set_number(text: &str) -> Option<u64> {
    let lower = text.to_lowercase();
    let digits = lower.trim_start_matches(['#']).trim_start_matches("set").trim();
    let starts = digits.starts_with(|c: char| c.is_ascii_digit());
    whole(digits).ok().filter(|_| starts).map(|number| number.units())
}
