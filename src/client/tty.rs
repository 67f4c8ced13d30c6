//! The terminal's settings, by way of `stty`: the standard library has no word for them.
//!
//! They are set back when a wait is over, and at a panic. A client that is killed in the middle of a wait
//! leaves them as they are then; `stty sane` mends that.

use std::io::{self, Read};
use std::panic;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

/// What the terminal was set to before keys were taken one by one; none while they are not.
static BEFORE: Mutex<Option<String>> = Mutex::new(None);

static TURNS: Mutex<Turns> =
    Mutex::new(Turns { keys: false, switching: false, reading: None, doubtful_until: None });
static TURNED: Condvar = Condvar::new();

/// Who may do what: no read begins while the terminal is being switched, so that it is known of each by
/// which rules it began.
#[derive(Debug)]
struct Turns {
    /// Keys come one by one.
    keys: bool,
    /// That is being changed.
    switching: bool,
    /// A read goes on; it began while keys came one by one, or not.
    reading: Option<bool>,
    /// The present read was about to begin by lines when keys were asked for. If the switch overtook
    /// it, it goes by keys, and has ended by then.
    doubtful_until: Option<Instant>,
}

fn turns() -> MutexGuard<'static, Turns> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads what is typed; 0 at the end of the input.
///
/// A read that begins while keys come one by one goes on by their rules when lines are wanted again,
/// and would take no notice of an end. So such a read ends by itself after a short time (see
/// [`Keys::one_by_one`]), which looks like the end of the input and isn't.
pub(super) fn read_typed(buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let switching = |turns: &mut Turns| turns.switching;
        let mut turns =
            TURNED.wait_while(turns(), switching).unwrap_or_else(PoisonError::into_inner);
        let by_keys = turns.keys;
        turns.reading = Some(by_keys);
        drop(turns);
        let read = io::stdin().read(buffer);
        let mut turns = self::turns();
        (turns.reading, turns.doubtful_until) = (None, None);
        let may_be_by_keys = by_keys || turns.keys || turns.switching;
        drop(turns);
        TURNED.notify_all();
        match read {
            Ok(0) if may_be_by_keys => {}
            read => return read,
        }
    }
}

/// Switches the terminal, between two reads if the present one ends soon.
fn switch(keys: bool, settings: &[&str]) -> bool {
    const PATIENCE: Duration = Duration::from_millis(500);
    /// Longer than a read by keys takes.
    const DOUBT: Duration = Duration::from_millis(250);
    let mut turns = turns();
    turns.switching = true;
    let doubt_ends = turns.doubtful_until.map(|until| until.duration_since(Instant::now()));
    // One that began by lines only ends with what is typed, and knows the end by either rules.
    let soon = |turns: &mut Turns| turns.reading == Some(true) || turns.doubtful_until.is_some();
    let waited = TURNED.wait_timeout_while(turns, doubt_ends.unwrap_or(PATIENCE), soon);
    drop(waited.unwrap_or_else(PoisonError::into_inner));
    let done = stty(settings).is_some();
    turns = self::turns();
    turns.switching = false;
    if done {
        turns.keys = keys;
        let is_doubtful = keys && turns.reading == Some(false);
        turns.doubtful_until = is_doubtful.then(|| Instant::now() + DOUBT);
    }
    TURNED.notify_all();
    done
}

fn before() -> MutexGuard<'static, Option<String>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs stty on the standard input; none if there is no such program, or no terminal.
fn stty(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("stty");
    let output = command.args(arguments).stdin(Stdio::inherit()).stderr(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// As long as this is held, keys come one by one and unseen, and Ctrl-C is a key among others.
#[derive(Debug)]
pub(super) struct Keys {
    outermost: bool,
}

/// What Ctrl-C is then.
pub(super) const CTRL_C: u8 = 3;

impl Keys {
    /// None if that can't be had here.
    pub(super) fn one_by_one() -> Option<Keys> {
        let mut before = before();
        if before.is_some() {
            return Some(Keys { outermost: false });
        }
        let settings = stty(&["-g"])?;
        restore_on_panic();
        // First, since the next line may do half of it and fail.
        let settings = before.insert(settings).clone();
        if !switch(true, &["-icanon", "-echo", "-isig", "min", "0", "time", "1"]) {
            stty(&[&settings]);
            *before = None;
            return None;
        }
        Some(Keys { outermost: true })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if self.outermost {
            restore();
        }
    }
}

/// Sets the terminal to what it was.
fn restore() {
    let settings = before().take();
    if let Some(settings) = settings {
        switch(false, &[&settings]);
    }
}

/// The program that is shipped ends at a panic without dropping anything.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            restore();
            usual(panic);
        }));
    });
}

/// How many lines and columns the terminal has.
pub(super) fn size() -> (usize, usize) {
    let variable = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let told = stty(&["size"]).unwrap_or_default();
    let mut told = told.split_whitespace().map(|number| number.parse().ok());
    let mut one = |name, usually| {
        let told = told.next().flatten();
        // A terminal that doesn't know says 0.
        variable(name).or(told).filter(|number| *number > 0).unwrap_or(usually)
    };
    (one("LINES", 24), one("COLUMNS", 80))
}

/// Whether what is shown can be drawn anew.
pub(super) fn redraws() -> bool {
    std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb")
}
