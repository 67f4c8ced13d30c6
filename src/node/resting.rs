//! How long to leave a store alone that takes no writes.

use std::time::{Duration, Instant};

use crate::node::config::Timings;
use crate::node::load::Resting;
use crate::node::timers::jittered_pause;

/// A store that took writes for so long was not just let in between two refusals.
const GOOD: Duration = Duration::from_secs(10);

/// The store takes no writes, and when to see whether it does.
#[derive(Debug)]
pub(crate) struct Nap {
    pub(crate) resting: Resting,
    pub(crate) until: Instant,
}

/// Counts how often in a row a store took no writes: where it takes a little and then no more, a server would
/// else forget and load without a rest.
#[derive(Debug, Default)]
pub(crate) struct Rests {
    in_a_row: u32,
    ended: Option<Instant>,
}

impl Rests {
    /// How long to wait before the next try.
    pub(crate) fn pause(&mut self, timings: &Timings) -> Duration {
        if self.ended.take().is_some_and(|ended| ended.elapsed() >= GOOD) {
            self.in_a_row = 0;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        jittered_pause(timings.redial_after(self.in_a_row))
    }

    /// It takes writes again.
    pub(crate) fn end(&mut self) {
        self.ended = Some(Instant::now());
    }
}
