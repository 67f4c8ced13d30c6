//! How a thread beside the event loop sees how the server stands.
//!
//! A look costs the loop what one `status` costs. Those who look within a moment of each other share a look, so
//! however many look, the loop tells at most a few times a second; and nothing while nobody looks.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender};

use crate::node::event_loop::EventLoop;
use crate::node::figures::Seen;
use crate::node::incoming::Incoming;
use crate::node::loading::Loading;

/// How long a look is good for.
const FRESH: Duration = Duration::from_millis(200);
/// How long the event loop may take to answer. It answers between two turns, and a turn waits for the store.
const PATIENCE: Duration = Duration::from_secs(1);

/// What somebody beside the event loop knows of the server.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The way to the event loop, once it runs; and whether it is loading.
    event_loop: OnceLock<(Sender<Incoming>, Arc<Loading>)>,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    seen: Option<Arc<Seen>>,
    at: Option<Instant>,
    /// Why the last look failed, if it did.
    failure: Option<String>,
}

/// A look.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// How the server stands, or stood when it was last seen; none if it never was.
    pub(crate) seen: Option<Arc<Seen>>,
    /// Why it can't be seen now, if it can't.
    pub(crate) failure: Option<String>,
}

impl Watch {
    /// Takes note that the event loop runs, and how it is reached.
    pub(crate) fn begin(&self, events: &Sender<Incoming>, loading: &Arc<Loading>) {
        let _ = self.event_loop.set((events.clone(), Arc::clone(loading)));
    }

    /// Looks, unless somebody has just looked.
    pub(crate) fn look(&self) -> Look {
        // Whoever comes meanwhile waits here, and then finds a fresh look.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.is_none_or(|at| at.elapsed() >= FRESH) {
            match self.ask() {
                Ok(seen) => (last.seen, last.failure) = (Some(Arc::new(seen)), None),
                Err(why) => last.failure = Some(why),
            }
            last.at = Some(Instant::now());
        }
        Look { seen: last.seen.clone(), failure: last.failure.clone() }
    }

    fn ask(&self) -> Result<Seen, String> {
        let Some((events, loading)) = self.event_loop.get() else {
            return Err("the server still waits for its store, or reads it".to_owned());
        };
        if let Some(why) = loading.why() {
            return Err(why);
        }
        let (watcher, seen) = crossbeam_channel::bounded(1);
        let busy = || "the event loop doesn't answer; perhaps its store hangs".to_owned();
        events.send_timeout(Incoming::Look(watcher), PATIENCE).map_err(|_| busy())?;
        seen.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => busy(),
            RecvTimeoutError::Disconnected => {
                loading.why().unwrap_or_else(|| "the server ends".to_owned())
            }
        })
    }
}

impl EventLoop {
    /// Tells those who wait for it how the server stands. All of it is durable now.
    pub(super) fn show(&mut self) {
        if self.watchers.is_empty() {
            return;
        }
        let seen = self.transport.seen(self.server.status(), self.store.written());
        for watcher in self.watchers.drain(..) {
            // Whoever asked may have given up.
            let _ = watcher.send(seen.clone());
        }
    }
}
