//! A terminal that stays as it is, and a Ctrl-C that ends the process: the program was built without line editing.

use std::io;
use std::thread;
use std::time::Instant;

/// Settings that are never changed.
#[derive(Debug)]
pub(super) enum Unseen {}

impl Unseen {
    /// Returns none: this isn't possible here.
    pub(super) fn keys() -> Option<Unseen> {
        None
    }
}

/// The presses of Ctrl-C, of which none is heard.
#[derive(Debug)]
pub(super) struct CtrlC;

impl CtrlC {
    /// False: it ends the process.
    pub(super) const IS_HEARD: bool = false;

    /// Leaves the signal alone.
    ///
    /// # Errors
    /// Never.
    pub(super) fn heard() -> io::Result<CtrlC> {
        Ok(CtrlC)
    }

    /// False.
    pub(super) fn pressed(&self) -> bool {
        false
    }

    /// Does work that Ctrl-C is to end together with the process.
    pub(super) fn ends<T>(&self, work: impl FnOnce() -> T) -> T {
        work()
    }

    /// Pauses, and reads nothing.
    pub(super) fn keys_before(&self, until: Option<Instant>) -> Option<Vec<u8>> {
        self.passes(until?);
        None
    }

    /// Pauses. Always true.
    pub(super) fn passes(&self, until: Instant) -> bool {
        thread::sleep(until.saturating_duration_since(Instant::now()));
        true
    }
}
