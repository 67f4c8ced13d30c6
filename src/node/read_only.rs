//! How long to leave a store alone that takes no writes.

use std::time::{Duration, Instant};

use crate::node::config::Timings;
use crate::node::load::ReadOnly;
use crate::node::timers::jittered_pause;

/// The time of taking writes after which a store wasn't just let in between two refusals.
const GOOD: Duration = Duration::from_secs(10);

/// The life that can't begin, and when to try again.
#[derive(Debug)]
pub(crate) struct Nap {
    pub(crate) read_only: ReadOnly,
    pub(crate) until: Instant,
}

/// Counts how often in a row the store took no writes. A store that takes a little and then no more would
/// otherwise have its server forget and load without a pause.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    in_a_row: u32,
    ended: Option<Instant>,
}

impl Pauses {
    /// Returns how long to wait before the next try.
    pub(crate) fn pause(&mut self, timings: &Timings) -> Duration {
        if self.ended.take().is_some_and(|ended| ended.elapsed() >= GOOD) {
            self.in_a_row = 0;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        jittered_pause(timings.redial_after(self.in_a_row))
    }

    /// Notes that the store takes writes again.
    pub(crate) fn end(&mut self) {
        self.ended = Some(Instant::now());
    }
}
