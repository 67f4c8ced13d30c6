//! What clients are told while there is no state machine to ask.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The state of loading: whether the store is being loaded again, and why it can't be used.
#[derive(Debug, Default)]
pub(crate) struct Loading {
    is: AtomicBool,
    why: Mutex<String>,
}

impl Loading {
    fn reason(&self) -> MutexGuard<'_, String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the store can't be used, for this reason, and is being loaded again.
    pub(crate) fn begin(&self, why: String) {
        *self.reason() = why;
        self.is.store(true, Ordering::Relaxed);
    }

    /// Notes that the store is loaded.
    pub(crate) fn end(&self) {
        self.is.store(false, Ordering::Relaxed);
    }

    /// Returns why the store can't be used; none if it can.
    pub(crate) fn why(&self) -> Option<String> {
        self.is.load(Ordering::Relaxed).then(|| self.reason().clone())
    }
}
