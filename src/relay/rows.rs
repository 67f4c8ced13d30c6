//! Entries as lines on the standard output.

use std::io::Write;

use super::{End, Form, Options, Sink, follow, unwritten};
use crate::audit::csv;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ledger::entry::Entry;
use crate::bank::request::Place;

/// The length of what is written at once, in bytes.
const MUCH: usize = 64 << 10;

/// Relays what comes after a place; all, and the table's first row, if none is named.
pub(super) fn relay(
    options: &Options,
    form: Form,
    after: Option<Place>,
    out: &mut dyn Write,
) -> End {
    let mut rows = Rows { form, out, text: String::new() };
    if form == Form::Csv && after.is_none() {
        rows.text = format!("place,{}", csv::HEADER);
    }
    let from = after.map_or(Place::first_of(0), Place::next);
    follow(options, from, &mut rows)
}

struct Rows<'a> {
    form: Form,
    out: &'a mut dyn Write,
    text: String,
}

impl Sink for Rows<'_> {
    fn bank(&mut self, _: BlockHash) -> Result<(), End> {
        Ok(())
    }

    fn entry(&mut self, place: Place, fields: &str, entry: &str) -> Result<(), End> {
        match self.form {
            Form::Json => {
                self.text.push('{');
                self.text.push_str(fields);
                self.text.push('\n');
            }
            Form::Csv => {
                let entry: Entry =
                    serde_json::from_str(&format!("{{{entry}")).map_err(|error| {
                        End::Failed(format!("the entry at {place} makes no sense: {error}"))
                    })?;
                self.text.push_str(&format!("{place},"));
                self.text.push_str(&csv::of_entry(&place.height.to_string(), &entry));
            }
        }
        if self.text.len() < MUCH { Ok(()) } else { self.pause() }
    }

    fn pause(&mut self) -> Result<(), End> {
        let written = self.out.write_all(self.text.as_bytes()).and_then(|()| self.out.flush());
        self.text.clear();
        written.map_err(|error| unwritten(&error))
    }
}
