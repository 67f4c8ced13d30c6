//! A person at a terminal: typed lines, keys pressed during a wait, pages.
//!
//! At the prompt the [`Editor`] has the terminal. Between two prompts keys are not shown and wait for the next
//! one, and Ctrl-C ends no more than what is under way. A terminal that can't redraw a line, such as a window of
//! Emacs, gives plain lines, as does every terminal where the program was built without line editing.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, BufRead, Write};
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::client::editor::Editor;
use crate::client::interrupt::Interrupt;
use crate::client::pager::{Wish, pages, wish};
use crate::client::paint::painted;
use crate::client::session::Session;
use crate::client::tty::{CtrlC, Unseen};
use crate::client::typed::Typed;
use crate::client::wait_line::{CLEAR_LINE, WaitLine};

/// The time within which an answer counts as immediate: nothing is shown of the wait.
const AT_ONCE: Duration = Duration::from_millis(300);
/// How often the server is asked what it waits for, and the longest time it may take to answer.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// How often Ctrl-C is looked for during a wait.
const GLANCE: Duration = Duration::from_millis(50);

/// The standard input and output, with a person at them.
#[derive(Debug)]
pub(super) struct Terminal {
    /// None where lines are plain.
    keys: Option<Keys>,
    ctrl_c: CtrlC,
    /// Typed lines that are not used yet.
    ahead: VecDeque<String>,
    /// The beginning of the next line.
    begun: String,
}

/// The keys of a terminal that has line editing.
#[derive(Debug)]
struct Keys {
    editor: Editor,
    _unseen: Unseen,
}

impl Terminal {
    /// Takes over the terminal, for commands to this session's server. `history` is the file of what was typed
    /// before.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn open(session: &Session, history: Option<&Path>) -> io::Result<Terminal> {
        let editor = redraws().then(|| Editor::open(session.beside(LOOK), history).ok()).flatten();
        let keys = editor.and_then(|editor| Some(Keys { editor, _unseen: Unseen::keys()? }));
        let ctrl_c = CtrlC::heard()?;
        Ok(Terminal { keys, ctrl_c, ahead: VecDeque::new(), begun: String::new() })
    }

    /// True if Ctrl-C ends a wait.
    pub(super) fn can_interrupt(&self) -> bool {
        CtrlC::IS_HEARD
    }

    /// Reads a line, which a prompt asks for.
    pub(super) fn read_line(&mut self, prompt: &str, output: &mut impl Write) -> io::Result<Typed> {
        if let Some(line) = self.ahead.pop_front() {
            writeln!(output, "{prompt}{line}")?;
            return Ok(self.kept(line));
        }
        let Some(keys) = &mut self.keys else {
            return self.read_plain(prompt, output);
        };
        let begun = std::mem::take(&mut self.begun);
        match keys.editor.read(prompt, &begun)? {
            Typed::Text(text) => {
                let mut lines = text.lines().map(str::to_owned);
                let first = lines.next().unwrap_or_default();
                self.ahead.extend(lines);
                Ok(self.kept(first))
            }
            other => Ok(other),
        }
    }

    fn kept(&mut self, line: String) -> Typed {
        if let Some(keys) = &mut self.keys {
            keys.editor.keep(&line);
        }
        Typed::Text(line)
    }

    fn read_plain(&self, prompt: &str, output: &mut impl Write) -> io::Result<Typed> {
        output.write_all(prompt.as_bytes())?;
        output.flush()?;
        let mut line = Vec::new();
        match self.ctrl_c.ends(|| io::stdin().lock().read_until(b'\n', &mut line))? {
            0 => {
                // The prompt's line is still open.
                writeln!(output)?;
                Ok(Typed::End)
            }
            _ => Ok(Typed::Text(String::from_utf8_lossy(&line).into_owned())),
        }
    }

    /// Forgets what was typed ahead: it was about something else.
    fn forget_ahead(&mut self) {
        self.ahead.clear();
        self.begun.clear();
        if let Some(keys) = &mut self.keys {
            keys.editor.forget_ahead();
        }
    }

    /// Does work that may have to wait for a server. Meanwhile the screen, if there is one, tells what the
    /// server waits for, and Ctrl-C ends the wait.
    pub(super) fn attend<T: Send>(
        &mut self,
        session: &mut Session,
        screen: Option<&mut impl Write>,
        work: impl FnOnce(&mut Session) -> T + Send,
    ) -> T {
        let interrupt = session.interrupt();
        interrupt.clear();
        self.ctrl_c.pressed();
        let mut beside = session.beside(LOOK);
        thread::scope(|scope| {
            let (working, done) = crossbeam_channel::bounded::<Infallible>(0);
            let worker = scope.spawn(move || {
                let _until_done = working;
                work(session)
            });
            if !self.waited(&done, Instant::now() + AT_ONCE, &interrupt) {
                self.wait(&done, &interrupt, &mut beside, screen);
            }
            worker.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn wait(
        &mut self,
        done: &Receiver<Infallible>,
        interrupt: &Interrupt,
        beside: &mut Session,
        screen: Option<&mut impl Write>,
    ) {
        let columns = redraws().then(|| self.size().1);
        let hint = if self.can_interrupt() { " (Ctrl-C: back to the prompt)" } else { "" };
        let mut line = screen.map(|output| WaitLine::new(output, columns));
        loop {
            if let Some(line) = &mut line {
                line.draw(beside, hint);
            }
            if self.waited(done, Instant::now() + LOOK, interrupt) {
                return;
            }
        }
    }

    /// Waits until the work is done or the time has passed. True if it is done. Ctrl-C interrupts it.
    fn waited(
        &mut self,
        done: &Receiver<Infallible>,
        until: Instant,
        interrupt: &Interrupt,
    ) -> bool {
        loop {
            let next = until.min(Instant::now() + GLANCE);
            if done.recv_deadline(next) == Err(RecvTimeoutError::Disconnected) {
                return true;
            }
            if self.ctrl_c.pressed() {
                self.forget_ahead();
                interrupt.set();
            }
            if next == until {
                return false;
            }
        }
    }

    /// Pauses. False if a key was pressed, or Ctrl-C: it is enough. What else was typed is kept.
    pub(super) fn pause(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        if self.keys.is_none() {
            return self.ctrl_c.passes(until);
        }
        while let Some(keys) = self.ctrl_c.keys_before(Some(until)) {
            match wish(&keys) {
                Wish::Nothing => {}
                Wish::Typing(text) => {
                    self.take_ahead(&text);
                    return false;
                }
                Wish::More | Wish::Enough => return false,
            }
        }
        true
    }

    /// Shows a text, page by page if it is longer than the screen. `q` or Ctrl-C ends it, and so does whoever
    /// goes on typing. `paints` has it coloured.
    pub(super) fn show(
        &mut self,
        text: &str,
        paints: bool,
        output: &mut impl Write,
    ) -> io::Result<()> {
        if self.keys.is_none() {
            return output.write_all(painted(text.to_owned(), paints).as_bytes());
        }
        let (rows, columns) = self.size();
        let mut pages = pages(text, rows, columns).into_iter().peekable();
        self.ctrl_c.pressed();
        while let Some(page) = pages.next() {
            output.write_all(painted(page, paints).as_bytes())?;
            if pages.peek().is_some() && !self.more(output)? {
                break;
            }
        }
        Ok(())
    }

    /// Asks for the next page. True if it is wanted.
    fn more(&mut self, output: &mut impl Write) -> io::Result<bool> {
        output.write_all(b"--More-- (Enter: the next page; q: enough)")?;
        output.flush()?;
        let wanted = loop {
            match self.ctrl_c.keys_before(None).map(|keys| wish(&keys)) {
                Some(Wish::More) => break true,
                Some(Wish::Typing(text)) => {
                    self.take_ahead(&text);
                    break false;
                }
                Some(Wish::Enough) | None => break false,
                Some(Wish::Nothing) => {}
            }
        };
        output.write_all(CLEAR_LINE.as_bytes())?;
        Ok(wanted)
    }

    /// Takes keys for the prompt, as far as they can be text.
    fn take_ahead(&mut self, keys: &str) {
        for key in keys.chars() {
            match key {
                '\r' | '\n' => self.ahead.push_back(std::mem::take(&mut self.begun)),
                '\x7f' | '\x08' => drop(self.begun.pop()),
                key if !key.is_control() => self.begun.push(key),
                _ => {}
            }
        }
    }

    /// Returns how many lines and columns the terminal has.
    pub(super) fn size(&mut self) -> (usize, usize) {
        let variable = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
        let told = self.keys.as_mut().and_then(|keys| keys.editor.size());
        // A terminal that doesn't know its size says 0.
        let one = |name, told: Option<usize>, usually| {
            variable(name).or(told).filter(|number| *number > 0).unwrap_or(usually)
        };
        let rows = one("LINES", told.map(|(rows, _)| rows), 24);
        (rows, one("COLUMNS", told.map(|(_, columns)| columns), 80))
    }
}

/// True if the terminal can redraw a line.
pub(super) fn redraws() -> bool {
    std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb")
}
