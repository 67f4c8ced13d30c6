//! The loop: a line, its command, and what came of it.

use std::io::{self, BufRead, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::bank::request::Follow;
use crate::client::Options;
use crate::client::commands::{Command, Page, Response};
use crate::client::doors::key_of;
use crate::client::execute::execute;
use crate::client::exit::{Exit, exit_of};
use crate::client::json::to_json;
use crate::client::nearby::{names_in, suggest};
use crate::client::pager::first_page;
use crate::client::paint::painted;
use crate::client::parse::parse_with;
use crate::client::session::{Failure, Session};
use crate::client::show::Show;
use crate::client::terminal::{Terminal, redraws};
use crate::client::typed::Typed;
use crate::client::words::to_words;

/// The time between two looks of `watch`.
const WATCH: Duration = Duration::from_secs(1);

/// Moves to the screen's first place.
const HOME: &str = "\x1b[H";
/// Clears from here to the end of the line, and to that of the screen.
const CLEAR_REST_OF_LINE: &str = "\x1b[K";
const CLEAR_REST_OF_SCREEN: &str = "\x1b[J";

/// Reads commands, carries them out, and prints what came of them.
#[derive(Debug)]
pub struct Repl<O, E> {
    session: Session,
    /// The page that `more` asks for.
    next: Option<Page>,
    prompt: String,
    json: bool,
    output: O,
    errors: E,
    exit: Exit,
    /// True if the output, and if the errors, are to have colours.
    paints: [bool; 2],
    /// The terminal, if a person sits at one.
    terminal: Option<Terminal>,
}

/// Whether another line is read, or why not.
type Flow = ControlFlow<io::Result<()>>;

impl<O: Write + Send, E: Write + Send> Repl<O, E> {
    /// Creates the loop. Results go to `output`; without `--json`, errors go to `errors`.
    pub fn new(options: &Options, output: O, errors: E) -> Self {
        let prompt = format!("{}> ", options.id);
        let session = Session::new(options);
        let json = options.json;
        let (next, exit, terminal) = (None, Exit::Done, None);
        let paints = [false, false];
        Repl { session, next, prompt, json, output, errors, exit, paints, terminal }
    }

    /// Has colours in the output, and in the errors.
    #[must_use]
    pub(super) fn painted(self, output: bool, errors: bool) -> Self {
        Repl { paints: [output, errors], ..self }
    }

    /// Carries out commands given beforehand, and returns the exit status.
    pub fn obey(&mut self, commands: &[String]) -> u8 {
        let result = commands.iter().try_for_each(|command| self.step(command.as_bytes(), false));
        if let ControlFlow::Break(Err(error)) = result {
            self.broken(&error);
        }
        self.exit.code()
    }

    /// Carries out commands as they come in, to their end, and returns the exit status.
    pub fn converse(&mut self, input: impl BufRead) -> u8 {
        if let Err(error) = self.read_on(input) {
            self.broken(&error);
        }
        self.exit.code()
    }

    fn read_on(&mut self, mut input: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line)? > 0 {
            if let ControlFlow::Break(result) = self.step(&line, false) {
                return result;
            }
            line.clear();
        }
        Ok(())
    }

    /// Does the same with a person at the terminal, who gets a prompt. Mistyped lines don't count in the status.
    /// `history` is the file of what was typed before.
    pub(super) fn converse_at(&mut self, history: Option<&Path>) -> u8 {
        let opened = Terminal::open(&self.session, history);
        let result = opened.and_then(|terminal| {
            self.terminal = Some(terminal);
            self.talk()
        });
        // The terminal is set back before anything else is said.
        self.terminal = None;
        if let Err(error) = result {
            self.broken(&error);
        }
        self.exit.code()
    }

    fn talk(&mut self) -> io::Result<()> {
        if !self.json {
            let who = self.session.home();
            writeln!(self.output, "client of {who}: help lists the commands, quit leaves")?;
        }
        while let Some(terminal) = &mut self.terminal {
            match terminal.read_line(&self.prompt, &mut self.output)? {
                Typed::Text(line) => {
                    if let ControlFlow::Break(result) = self.step(line.as_bytes(), true) {
                        return result;
                    }
                }
                Typed::Nothing => writeln!(self.output, "(quit or Ctrl-D ends the client)")?,
                Typed::End => break,
            }
        }
        Ok(())
    }

    /// Carries out one line. Breaks at `quit`, or if nobody reads the output.
    fn step(&mut self, line: &[u8], person: bool) -> Flow {
        let command = match std::str::from_utf8(line) {
            Ok(text) => parse_with(text, &self.session.home(), &key_of),
            Err(_) => Err("a line that is not UTF-8".into()),
        };
        let names = command.as_ref().ok().and_then(Option::as_ref).map(names_in);
        let response = match command {
            Ok(None) => return ControlFlow::Continue(()),
            Ok(Some(Command::Watch(None))) if !self.hears_enough() => Response::Usage(
                "watch alone goes on until a key is pressed at a prompt; here say how often, such as: \
                 watch 5"
                    .into(),
            ),
            Ok(Some(Command::Watch(times))) => return self.watch(times),
            Ok(Some(Command::Follow { follow, to })) => return self.follow(follow, to),
            Ok(Some(command)) => match self.carry_out(command) {
                Some(response) => response,
                None => return ControlFlow::Break(Ok(())),
            },
            Err(wrong) => Response::Usage(wrong),
        };
        if let Response::Page { next, .. } | Response::Balances { next, .. } = &response {
            self.next = next.clone();
        }
        if !(person && matches!(response, Response::Usage(_))) {
            self.exit = self.exit.max(exit_of(&response));
        }
        match self
            .print(&response)
            .and_then(|()| self.help_with(&names.unwrap_or_default(), &response))
        {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }

    /// Says which names may have been meant by those that nobody knows.
    fn help_with(&mut self, names: &[String], response: &Response) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        match suggest(names, response, &self.session) {
            Some(near) if matches!(response, Response::Failed(_)) => {
                self.errors.write_all(near.as_bytes())
            }
            Some(near) => self.output.write_all(near.as_bytes()),
            _ => Ok(()),
        }
    }

    fn carry_out(&mut self, command: Command) -> Option<Response> {
        let Repl { session, next, terminal, output, json, .. } = self;
        match terminal {
            Some(terminal) => {
                let screen = (!*json).then_some(output);
                terminal.attend(session, screen, |session| execute(command, session, next.as_ref()))
            }
            None => execute(command, session, next.as_ref()),
        }
    }

    /// Shows the status once a second: `times` times, or until a key says that it is enough.
    fn watch(&mut self, times: Option<u32>) -> Flow {
        let redraws = self.terminal.is_some() && !self.json && redraws();
        let mut left = times;
        while let Some(response) = self.carry_out(Command::Status) {
            self.exit = self.exit.max(exit_of(&response));
            let shown = if redraws { self.redraw(&response) } else { self.print(&response) };
            if let Err(error) = shown {
                return ControlFlow::Break(Err(error));
            }
            left = left.map(|left| left - 1);
            let enough = left == Some(0) || response == Response::Failed(Failure::Interrupted);
            if enough || !self.pause() {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    /// Shows each entry as it comes, until block `to` was shown or Ctrl-C is pressed.
    fn follow(&mut self, follow: Follow, to: Option<u64>) -> Flow {
        let Repl { session, terminal, output, errors, json, .. } = self;
        let mut show = Show::new((output, errors), *json, to);
        let mut follower = session.follower(follow);
        let mut run = || follower.run(&mut |news| show.take(&news));
        let ended = match terminal {
            Some(terminal) => terminal.attend(session, None::<&mut O>, |_| run()),
            None => run(),
        };
        let failed = match show.finish(ended) {
            Ok(None) => return ControlFlow::Continue(()),
            Ok(Some(failure)) => Response::Failed(failure),
            Err(error) => return ControlFlow::Break(Err(error)),
        };
        self.exit = self.exit.max(exit_of(&failed));
        match self.print(&failed) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }

    /// Shows a response in place of what is on the screen, as much of it as there is room for.
    fn redraw(&mut self, response: &Response) -> io::Result<()> {
        let Some(terminal) = &mut self.terminal else { return Ok(()) };
        let text = first_page(&to_words(response), terminal.size());
        // Over what is there, and not on a screen that is cleared first, which would flicker.
        let lines: String =
            text.lines().map(|line| format!("{line}{CLEAR_REST_OF_LINE}\n")).collect();
        write!(self.output, "{HOME}{lines}{CLEAR_REST_OF_SCREEN}")?;
        self.output.flush()
    }

    /// True if someone can say that it is enough.
    fn hears_enough(&self) -> bool {
        self.terminal.as_ref().is_some_and(Terminal::can_interrupt)
    }

    /// Pauses until the next look. False if there is to be none.
    fn pause(&mut self) -> bool {
        match &mut self.terminal {
            Some(terminal) => terminal.pause(WATCH),
            None => {
                thread::sleep(WATCH);
                true
            }
        }
    }

    fn print(&mut self, response: &Response) -> io::Result<()> {
        if self.json {
            self.output.write_all(to_json(response).as_bytes())?;
        } else if matches!(response, Response::Failed(_) | Response::Usage(_)) {
            // If errors can't be written, nobody can be told.
            let words = painted(to_words(response), self.paints[1]);
            let _ = self.errors.write_all(words.as_bytes());
        } else if let Some(terminal) = &mut self.terminal {
            terminal.show(&to_words(response), self.paints[0], &mut self.output)?;
        } else {
            let words = painted(to_words(response), self.paints[0]);
            self.output.write_all(words.as_bytes())?;
        }
        self.output.flush()
    }

    /// Notes that the input or the output failed. If the reader stops, as `head` does, that is no failure.
    fn broken(&mut self, error: &io::Error) {
        if error.kind() != ErrorKind::BrokenPipe {
            let _ = writeln!(self.errors, "error: input or output failed: {error}");
            self.exit = self.exit.max(Exit::NoAnswer);
        }
    }
}
