//! Shows a follower each entry, as a line.

use std::io::{self, Write};
use std::ops::ControlFlow;

use crate::bank::ledger::entry::Entry;
use crate::client::ending::Failure;
use crate::client::follow::{News, Wish};
use crate::client::words::entry_in_words;
use crate::wire::follow::Told;

/// The length of what is written at once, in bytes, if more comes at once.
const MUCH: usize = 64 << 10;

/// Lines for whoever looks at what is followed.
#[derive(Debug)]
pub(super) struct Show<'a, O, E> {
    output: &'a mut O,
    errors: &'a mut E,
    json: bool,
    /// The height of the last block wanted.
    to: Option<u64>,
    lines: Vec<u8>,
    /// Why the output failed, if it did.
    broken: Option<io::Error>,
}

impl<'a, O: Write, E: Write> Show<'a, O, E> {
    /// Shows on `output`, and on `errors` what went wrong; as JSON if wanted; up to a block, if one is named.
    pub(super) fn new(
        (output, errors): (&'a mut O, &'a mut E),
        json: bool,
        to: Option<u64>,
    ) -> Self {
        Show { output, errors, json, to, lines: Vec::new(), broken: None }
    }

    /// Takes what comes. It breaks off after the last block wanted, and if nobody reads the output.
    pub(super) fn take(&mut self, news: &News<'_>) -> Wish {
        match news {
            News::Bank(_) => return ControlFlow::Continue(()),
            News::Told(told) if told.is_beyond(self.to) => return self.end(),
            News::Told(told @ (Told::Entry { .. } | Told::Logged { .. })) => self.add(told),
            News::Told(Told::Mark(_) | Told::Ended(..)) => {}
            News::Lost(failure) => {
                // If errors can't be written, nobody can be told.
                let _ = writeln!(self.errors, "{failure}; trying again");
            }
        }
        match news {
            News::Told(Told::Entry { .. }) if self.lines.len() < MUCH => ControlFlow::Continue(()),
            _ => self.flush(),
        }
    }

    fn add(&mut self, told: &Told<'_>) {
        let (place, fields) = match told {
            Told::Entry { place, fields, .. } => (Some(place), fields),
            Told::Logged { fields } => (None, fields),
            Told::Mark(_) | Told::Ended(..) => return,
        };
        if self.json {
            self.lines.push(b'{');
            self.lines.extend_from_slice(fields.as_bytes());
            return self.lines.push(b'\n');
        }
        let place = place.map_or_else(|| "in the log".to_owned(), ToString::to_string);
        let line = match serde_json::from_str::<Entry>(&format!("{{{fields}")) {
            Ok(entry) => format!("{place:<10}  {}\n", entry_in_words(&entry)),
            // A later server may have entries of which this client doesn't know.
            Err(_) => format!("{place:<10}  {{{fields}\n"),
        };
        self.lines.extend_from_slice(line.as_bytes());
    }

    fn end(&mut self) -> Wish {
        let _ = self.flush();
        ControlFlow::Break(())
    }

    fn flush(&mut self) -> Wish {
        let written = self.output.write_all(&self.lines).and_then(|()| self.output.flush());
        self.lines.clear();
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.broken = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Writes what is left, and says how it went: the failure to tell, if there is one.
    pub(super) fn finish(mut self, ended: Result<(), Failure>) -> io::Result<Option<Failure>> {
        let _ = self.flush();
        match self.broken {
            Some(error) => Err(error),
            // The user has seen enough.
            None => Ok(ended.err().filter(|failure| *failure != Failure::Interrupted)),
        }
    }
}
