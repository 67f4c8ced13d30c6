//! The line that tells what the client waits for.

use std::io::Write;

use crate::bank::request::{Reply, Request};
use crate::client::session::Session;
use crate::client::status::{no_word_of, wait_in_words};
use crate::wire::Answer;

/// Moves to the line's beginning, and clears the line.
pub(super) const CLEAR_LINE: &str = "\r\x1b[K";

/// A line that is redrawn in its place. Where that isn't possible, it is shown once.
pub(super) struct WaitLine<'a, O: Write> {
    output: &'a mut O,
    /// None if nothing can be redrawn.
    columns: Option<usize>,
    shown: String,
}

impl<'a, O: Write> WaitLine<'a, O> {
    /// Has a line on a screen of so many columns.
    pub(super) fn new(output: &'a mut O, columns: Option<usize>) -> Self {
        WaitLine { output, columns, shown: String::new() }
    }

    /// Asks the server what it waits for, and shows that, with `hint` behind it.
    pub(super) fn draw(&mut self, beside: &mut Session, hint: &str) {
        let waits = match beside.ask(&Request::Status) {
            Ok(Answer::Reply(Reply::Status(status))) => wait_in_words(&status),
            // It answers, and what it waits for isn't for everybody.
            Ok(Answer::Reply(Reply::Short(_))) => "waiting".into(),
            _ => no_word_of(&beside.home()),
        };
        let text = format!("{waits}{hint}");
        // If nobody can see this line, the answer will tell.
        let _ = match self.columns {
            _ if text == self.shown => return,
            Some(columns) => {
                let seen: String = text.chars().take(columns.saturating_sub(1)).collect();
                write!(self.output, "{CLEAR_LINE}{seen}")
            }
            None if self.shown.is_empty() => writeln!(self.output, "{text}"),
            None => return,
        };
        let _ = self.output.flush();
        self.shown = text;
    }
}

impl<O: Write> Drop for WaitLine<'_, O> {
    fn drop(&mut self) {
        if self.columns.is_some() {
            let _ = write!(self.output, "{CLEAR_LINE}");
            let _ = self.output.flush();
        }
    }
}
