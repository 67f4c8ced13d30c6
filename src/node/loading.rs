//! What clients are told while there is no state machine to ask.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether the store has failed and is being loaded again, and why it can't be used.
#[derive(Debug, Default)]
pub(crate) struct Loading {
    is: AtomicBool,
    why: Mutex<String>,
}

impl Loading {
    fn reason(&self) -> MutexGuard<'_, String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is, for this reason.
    pub(crate) fn begin(&self, why: String) {
        *self.reason() = why;
        self.is.store(true, Ordering::Relaxed);
    }

    /// It is loaded.
    pub(crate) fn end(&self) {
        self.is.store(false, Ordering::Relaxed);
    }

    /// Why the store can't be used, if that is so.
    pub(crate) fn why(&self) -> Option<String> {
        self.is.load(Ordering::Relaxed).then(|| self.reason().clone())
    }
}
