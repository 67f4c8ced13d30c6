//! The terminal's settings, by way of `stty`: the standard library has no word for them.

use std::panic;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// What the terminal was set to before keys were taken one by one; none while they are not.
static BEFORE: Mutex<Option<String>> = Mutex::new(None);

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
        if stty(&["-icanon", "-echo", "-isig", "min", "1", "time", "0"]).is_none() {
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
    if let Some(settings) = before().take() {
        stty(&[&settings]);
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
