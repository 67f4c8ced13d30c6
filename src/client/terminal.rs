//! A person at a terminal: typed lines, keys pressed during a wait, pages.
//!
//! A thread reads the standard input all the time, so that Ctrl-C is heard while the client waits for an
//! answer. What is typed meanwhile is kept for the prompt.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, after, never, select};

use crate::bank::request::{Reply, Request};
use crate::client::interrupt::Interrupt;
use crate::client::session::Session;
use crate::client::status::{no_word_of, wait_in_words};
use crate::client::tty::{self, CTRL_C, Keys};
use crate::wire::Answer;

/// The time within which an answer counts as immediate: nothing is shown of the wait.
const AT_ONCE: Duration = Duration::from_millis(300);
/// How often the server is asked what it waits for, and the longest time it may take to answer.
const LOOK: Duration = Duration::from_millis(250);

/// Moves to the line's beginning, and clears the line.
const CLEAR_LINE: &str = "\r\x1b[K";

/// The standard input, with a person at it.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Typed bytes as they come; the channel ends with the input.
    typed: Receiver<Vec<u8>>,
    /// Typed bytes that are not used yet.
    ahead: Vec<u8>,
    /// How many of these bytes nobody has seen on the screen.
    unseen: usize,
}

impl Terminal {
    /// Takes over the standard input.
    ///
    /// # Errors
    /// If a thread can't be started.
    pub(super) fn open() -> io::Result<Terminal> {
        let (to_typed, typed) = crossbeam_channel::bounded(64);
        let read = move || {
            let mut buffer = [0; 4096];
            // An input that fails has ended.
            while let Ok(count @ 1..) = tty::read_typed(&mut buffer) {
                if to_typed.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("keyboard".into()).spawn(read)?;
        Ok(Terminal { typed, ahead: Vec::new(), unseen: 0 })
    }

    /// Reads a line into `line`; 0 if the input has ended. Shows what was typed unseen.
    pub(super) fn read_line(
        &mut self,
        line: &mut Vec<u8>,
        output: &mut impl Write,
    ) -> io::Result<usize> {
        loop {
            let end = self.ahead.iter().position(|byte| *byte == b'\n').map(|place| place + 1);
            let ready = end.unwrap_or(self.ahead.len());
            let unseen = ready.min(self.unseen);
            output.write_all(&self.ahead[ready - unseen..ready])?;
            output.flush()?;
            self.unseen -= unseen;
            let more = if end.is_some() { None } else { self.typed.recv().ok() };
            match more {
                Some(more) => self.ahead.extend(more),
                None => {
                    line.extend(self.ahead.drain(..ready));
                    return Ok(ready);
                }
            }
        }
    }

    /// Keeps pressed keys for the prompt, as far as they can be text.
    fn keep(&mut self, keys: &[u8]) {
        const DELETE: [u8; 2] = [0x7f, 0x08];
        for key in keys {
            if DELETE.contains(key) {
                self.forget_last();
            } else if *key == b'\n' || !key.is_ascii_control() {
                self.ahead.push(*key);
                self.unseen += 1;
            }
        }
    }

    /// Takes back the last letter that was typed unseen, but no whole line.
    fn forget_last(&mut self) {
        let is_inner = |byte: u8| byte & 0xc0 == 0x80;
        while self.unseen > 0 && self.ahead.last().is_some_and(|last| *last != b'\n') {
            self.unseen -= 1;
            if self.ahead.pop().is_some_and(|byte| !is_inner(byte)) {
                return;
            }
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
        let mut beside = session.beside(LOOK);
        thread::scope(|scope| {
            let (working, done) = crossbeam_channel::bounded::<Infallible>(0);
            let worker = scope.spawn(move || {
                let _until_done = working;
                work(session)
            });
            if done.recv_timeout(AT_ONCE) == Err(RecvTimeoutError::Timeout) {
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
        let keys = Keys::one_by_one();
        let mut line = screen.filter(|_| tty::redraws()).map(Line::new);
        let mut typed = self.typed.clone();
        let mut look = after(Duration::ZERO);
        loop {
            select! {
                recv(done) -> _ => return,
                recv(typed) -> pressed => match pressed {
                    Ok(pressed) if keys.is_some() && pressed.contains(&CTRL_C) => {
                        // Keys typed before Ctrl-C were about the wait, or a slip.
                        (self.unseen, self.ahead) = (0, Vec::new());
                        interrupt.set();
                    }
                    Ok(pressed) if keys.is_some() => self.keep(&pressed),
                    // They were seen as they were typed.
                    Ok(pressed) => self.ahead.extend(pressed),
                    Err(_) => typed = never(),
                },
                recv(look) -> _ => {
                    if let Some(line) = &mut line {
                        line.draw(beside, keys.is_some());
                    }
                    look = after(LOOK);
                }
            }
        }
    }

    /// Pauses. False if a key that means "enough" was pressed: Enter, q or Ctrl-C.
    pub(super) fn pause(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            match self.typed.recv_deadline(until) {
                Ok(pressed) if pressed.iter().any(|key| b"\r\nqQ\x03".contains(key)) => {
                    return false;
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Shows a text, page by page if it is longer than the screen. `q` or Ctrl-C ends it.
    pub(super) fn show(&mut self, text: &str, output: &mut impl Write) -> io::Result<()> {
        // Such a text is not worth asking for the screen's length.
        const SHORT: usize = 10;
        if text.lines().count() <= SHORT {
            return output.write_all(text.as_bytes());
        }
        let (rows, columns) = tty::size();
        let mut pages = pages(text, rows, columns).into_iter().peekable();
        while let Some(page) = pages.next() {
            output.write_all(page.as_bytes())?;
            if pages.peek().is_some() && !self.more(output)? {
                break;
            }
        }
        Ok(())
    }

    /// Asks for the next page. True if it is wanted.
    fn more(&mut self, output: &mut impl Write) -> io::Result<bool> {
        let keys = Keys::one_by_one();
        output.write_all(b"--More-- (Enter: the next page; q: enough)")?;
        output.flush()?;
        let wanted = loop {
            match self.typed.recv() {
                Ok(pressed) if pressed.iter().any(|key| b"qQ\x03".contains(key)) => break false,
                Ok(pressed) if pressed.iter().any(|key| b"\r\n ".contains(key)) => break true,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        // Where keys don't come one by one, the Enter has ended the line.
        if keys.is_some() {
            output.write_all(if tty::redraws() { CLEAR_LINE } else { "\n" }.as_bytes())?;
        }
        Ok(wanted)
    }
}

/// Cuts a text into pages of at most `rows` lines, one of them for the question whether to go on.
fn pages(text: &str, rows: usize, columns: usize) -> Vec<String> {
    let room = rows.saturating_sub(1).max(1);
    let (mut pages, mut left) = (vec![String::new()], room);
    for line in text.lines() {
        let height = line.chars().count().div_ceil(columns).max(1);
        if height > left && left < room {
            pages.push(String::new());
            left = room;
        }
        left = left.saturating_sub(height);
        if let Some(page) = pages.last_mut() {
            // Writing to a text can't fail.
            let _ = writeln!(page, "{line}");
        }
    }
    pages
}

/// The line that tells what the client waits for, redrawn in its place.
struct Line<'a, O: Write> {
    output: &'a mut O,
    columns: usize,
    shown: String,
}

impl<'a, O: Write> Line<'a, O> {
    fn new(output: &'a mut O) -> Self {
        Line { output, columns: tty::size().1, shown: String::new() }
    }

    fn draw(&mut self, beside: &mut Session, interruptible: bool) {
        let waits = match beside.ask(&Request::Status) {
            Ok(Answer::Reply(Reply::Status(status))) => wait_in_words(&status),
            // It answers, and what it waits for isn't for everybody.
            Ok(Answer::Reply(Reply::Short(_))) => "waiting".into(),
            _ => no_word_of(&beside.home()),
        };
        let hint = if interruptible { " (Ctrl-C: back to the prompt)" } else { "" };
        let text = format!("{waits}{hint}");
        if text != self.shown {
            let seen: String = text.chars().take(self.columns.saturating_sub(1)).collect();
            // If nobody can see this line, the answer will tell.
            let _ = write!(self.output, "{CLEAR_LINE}{seen}");
            let _ = self.output.flush();
            self.shown = text;
        }
    }
}

impl<O: Write> Drop for Line<'_, O> {
    fn drop(&mut self) {
        let _ = write!(self.output, "{CLEAR_LINE}");
        let _ = self.output.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typing(typed: &[&[u8]]) -> Terminal {
        let (to_typed, receiver) = crossbeam_channel::unbounded();
        typed.iter().for_each(|bytes| to_typed.send(bytes.to_vec()).unwrap());
        Terminal { typed: receiver, ahead: Vec::new(), unseen: 0 }
    }

    #[test]
    fn lines_come_whole_and_the_last_one_without_its_end() {
        let mut terminal = typing(&[b"balance\nlo", b"g\nsta"]);
        let mut shown = Vec::new();
        let mut next = || {
            let mut line = Vec::new();
            terminal.read_line(&mut line, &mut shown).unwrap();
            String::from_utf8(line).unwrap()
        };
        assert_eq!([next(), next(), next(), next()], ["balance\n", "log\n", "sta", ""]);
        assert!(shown.is_empty(), "what is typed at the prompt is seen as it is typed");
    }

    #[test]
    fn what_was_typed_unseen_is_shown_when_it_is_read() {
        let mut terminal = typing(&[b"C 5\n"]);
        terminal.keep("balé\u{7f}\u{7f}lance\x1b\nt B 1\nt X\x08".as_bytes());
        terminal.keep("\u{7f}\u{7f}\u{7f}\u{7f}t ".as_bytes());
        let mut both = || {
            let (mut line, mut shown) = (Vec::new(), Vec::new());
            terminal.read_line(&mut line, &mut shown).unwrap();
            (String::from_utf8(line).unwrap(), String::from_utf8(shown).unwrap())
        };
        assert_eq!(both(), ("balance\n".into(), "balance\n".into()));
        assert_eq!(both(), ("t B 1\n".into(), "t B 1\n".into()));
        assert_eq!(both(), ("t C 5\n".into(), "t ".into()));
    }

    #[test]
    fn a_pause_ends_with_the_keys_that_mean_enough() {
        for (pressed, goes_on) in
            [(&b"x"[..], true), (b"\n", false), (b"q", false), (b"\x03", false)]
        {
            let (to_typed, receiver) = crossbeam_channel::unbounded();
            to_typed.send(pressed.to_vec()).unwrap();
            let mut terminal = Terminal { typed: receiver, ahead: Vec::new(), unseen: 0 };
            assert_eq!(terminal.pause(Duration::from_millis(10)), goes_on, "{pressed:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_into_pages_that_leave_a_line_for_the_question() {
        let text = "1\n2\n3\n4\n5\n";
        assert_eq!(pages(text, 4, 80), ["1\n2\n3\n", "4\n5\n"]);
        assert_eq!(pages(text, 6, 80), [text]);
        assert_eq!(pages("1\n1234567890\n3\n", 4, 5), ["1\n1234567890\n", "3\n"]);
        assert_eq!(pages(&"x".repeat(100), 2, 5).len(), 1, "a line is never cut");
    }
}
