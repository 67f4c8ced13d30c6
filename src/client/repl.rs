//! The loop: a line, its command, what came of it.

use std::io::{self, BufRead, ErrorKind, Write};
use std::ops::ControlFlow;

use crate::client::Options;
use crate::client::commands::{Page, Response, execute};
use crate::client::exit::{Exit, exit_of};
use crate::client::json::to_json;
use crate::client::parse::parse;
use crate::client::session::Session;
use crate::client::words::to_words;

/// Reads commands, carries them out, and prints what came of them.
#[derive(Debug)]
pub struct Repl<O, E> {
    session: Session,
    /// What `more` asks for.
    next: Option<Page>,
    prompt: String,
    json: bool,
    output: O,
    errors: E,
    exit: Exit,
}

impl<O: Write, E: Write> Repl<O, E> {
    /// Results go to `output`; without `--json`, errors go to `errors`.
    pub fn new(options: &Options, output: O, errors: E) -> Self {
        let prompt = format!("{}> ", options.id);
        let session = Session::new(options);
        let json = options.json;
        Repl { session, next: None, prompt, json, output, errors, exit: Exit::Done }
    }

    /// Carries out commands given beforehand, and returns the exit status.
    pub fn obey(&mut self, commands: &[String]) -> u8 {
        let result = commands.iter().try_for_each(|command| self.step(command.as_bytes(), false));
        if let ControlFlow::Break(Err(error)) = result {
            self.broken(&error);
        }
        self.exit.code()
    }

    /// Carries out commands as they come in, till their end, and returns the exit status.
    /// A person gets a prompt, and is not blamed at the end for what was mistyped.
    pub fn converse(&mut self, input: impl BufRead, person: bool) -> u8 {
        if let Err(error) = self.read_on(input, person) {
            self.broken(&error);
        }
        self.exit.code()
    }

    fn read_on(&mut self, mut input: impl BufRead, person: bool) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            if person {
                self.output.write_all(self.prompt.as_bytes())?;
                self.output.flush()?;
            }
            line.clear();
            if input.read_until(b'\n', &mut line)? == 0 {
                // The prompt's line is still open.
                return if person { writeln!(self.output) } else { Ok(()) };
            }
            if let ControlFlow::Break(result) = self.step(&line, person) {
                return result;
            }
        }
    }

    /// One line. Breaks if there is to be no other: at `quit`, or because nobody reads the output.
    fn step(&mut self, line: &[u8], person: bool) -> ControlFlow<io::Result<()>> {
        let command = match std::str::from_utf8(line) {
            Ok(text) => parse(text, &self.session.home()),
            Err(_) => Err("a line that is not UTF-8".into()),
        };
        let response = match command {
            Ok(None) => return ControlFlow::Continue(()),
            Ok(Some(command)) => match execute(command, &mut self.session, self.next.as_ref()) {
                Some(response) => response,
                None => return ControlFlow::Break(Ok(())),
            },
            Err(wrong) => Response::Usage(wrong),
        };
        if let Response::Page { next, .. } = &response {
            self.next = next.clone();
        }
        if !(person && matches!(response, Response::Usage(_))) {
            self.exit = self.exit.max(exit_of(&response));
        }
        match self.print(&response) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }

    fn print(&mut self, response: &Response) -> io::Result<()> {
        if self.json {
            self.output.write_all(to_json(response).as_bytes())?;
        } else if matches!(response, Response::Failed(_) | Response::Usage(_)) {
            // Nobody can be told that errors can't be told.
            let _ = self.errors.write_all(to_words(response).as_bytes());
        } else {
            self.output.write_all(to_words(response).as_bytes())?;
        }
        self.output.flush()
    }

    /// The input or the output failed. Someone who stops reading, as `head` does, is no failure.
    fn broken(&mut self, error: &io::Error) {
        if error.kind() != ErrorKind::BrokenPipe {
            let _ = writeln!(self.errors, "error: input or output failed: {error}");
            self.exit = self.exit.max(Exit::NoAnswer);
        }
    }
}
