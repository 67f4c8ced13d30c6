//! Lines that a person types at another prompt than the client's own, such as that of a play that stops.

use std::fmt;
use std::io::{self, BufRead, Write};

use crate::client::Options;
use crate::client::editor::Editor;
use crate::client::session::Session;
use crate::client::terminal::{LOOK, redraws};
use crate::client::typed::Typed;

/// Reads lines: with editing, a history and completion where the terminal and the program can.
pub struct LineReader(Option<Editor>);

impl fmt::Debug for LineReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LineReader").field(&self.0.is_some()).finish()
    }
}

impl LineReader {
    /// Makes a reader for a person at a terminal. Names are completed by what this client's server knows.
    pub fn open(options: &Options) -> LineReader {
        let asker = redraws().then(|| Session::new(options).beside(LOOK));
        LineReader(asker.and_then(|asker| Editor::open(asker, None).ok()))
    }

    /// Reads a line behind a prompt; none at the end of the input, or at Ctrl-C.
    ///
    /// # Errors
    /// If the terminal can't be read.
    pub fn read(&mut self, prompt: &str) -> io::Result<Option<String>> {
        if let Some(editor) = &mut self.0 {
            return Ok(match editor.read(prompt, "")? {
                Typed::Text(text) => {
                    editor.keep(&text);
                    Some(text)
                }
                Typed::Nothing | Typed::End => None,
            });
        }
        write!(io::stdout(), "{prompt}")?;
        io::stdout().flush()?;
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line)?;
        Ok((read > 0).then_some(line))
    }
}
