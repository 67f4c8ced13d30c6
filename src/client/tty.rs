//! The terminal's settings, set through `stty`: the standard library can't.
//!
//! They are set back when a wait is over, and at a panic. A client that is killed during a wait leaves them
//! changed; `stty sane` mends that.

use std::io::{self, Read};
use std::panic;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

/// The settings from before keys were taken one by one; none while they are not.
static BEFORE: Mutex<Option<String>> = Mutex::new(None);

static TURNS: Mutex<Turns> =
    Mutex::new(Turns { keys: false, switching: false, reading: None, doubtful_until: None });
static TURNED: Condvar = Condvar::new();

/// The order of reading and switching. No read begins while the terminal is being switched, so the rules
/// by which each read began are known.
#[derive(Debug)]
struct Turns {
    /// True if keys come one by one.
    keys: bool,
    /// True while this is being changed.
    switching: bool,
    /// The read under way, if any: true if it began while keys came one by one.
    reading: Option<bool>,
    /// Set if the present read was about to begin by lines when keys were asked for. If the switch overtook
    /// it, it goes by keys, and has ended by this time.
    doubtful_until: Option<Instant>,
}

fn turns() -> MutexGuard<'static, Turns> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads what is typed; 0 at the end of the input.
///
/// A read that begins while keys come one by one keeps their rules when lines are wanted again, and
/// would not notice an end. So it ends by itself after a short time (see [`Keys::one_by_one`]), which
/// looks like the end of the input and isn't.
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
    // A read that began by lines ends only with typed input, and sees the end by either rules.
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

/// Runs `stty` on the standard input; none if there is no such program, or no terminal.
fn stty(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("stty");
    let output = command.args(arguments).stdin(Stdio::inherit()).stderr(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// While this is held, keys come one by one and unseen, and Ctrl-C is a key among others.
#[derive(Debug)]
pub(super) struct Keys {
    outermost: bool,
}

/// The key Ctrl-C, while keys come one by one.
pub(super) const CTRL_C: u8 = 3;

impl Keys {
    /// Has keys come one by one; none if that isn't possible here.
    pub(super) fn one_by_one() -> Option<Keys> {
        let mut before = before();
        if before.is_some() {
            return Some(Keys { outermost: false });
        }
        let settings = stty(&["-g"])?;
        restore_on_panic();
        // Noted first: the switch may do half of its work and fail.
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

/// Sets the terminal back.
fn restore() {
    let settings = before().take();
    if let Some(settings) = settings {
        switch(false, &[&settings]);
    }
}

/// Has a panic set the terminal back: the released program ends at a panic without dropping anything.
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

/// Returns how many lines and columns the terminal has.
pub(super) fn size() -> (usize, usize) {
    let variable = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let told = stty(&["size"]).unwrap_or_default();
    let mut told = told.split_whitespace().map(|number| number.parse().ok());
    let mut one = |name, usually| {
        let told = told.next().flatten();
        // A terminal that doesn't know its size says 0.
        variable(name).or(told).filter(|number| *number > 0).unwrap_or(usually)
    };
    (one("LINES", 24), one("COLUMNS", 80))
}

/// True if the terminal can redraw a line.
pub(super) fn redraws() -> bool {
    std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb")
}
