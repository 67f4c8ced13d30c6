//! What is said of a store that is waited for: at once, and then once a minute.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The time after which the same is said again.
const AGAIN: Duration = Duration::from_secs(60);

/// Says in the log what is waited for, each reason once a minute.
#[derive(Debug, Default)]
pub struct Waiting {
    said: BTreeMap<String, Instant>,
}

impl Waiting {
    /// Says it, unless it was said within the last minute.
    pub fn say(&mut self, why: &str) {
        if self.is_due(why, Instant::now()) {
            log::warn!("{why}");
        }
    }

    /// True if something was waited for.
    pub fn has_waited(&self) -> bool {
        !self.said.is_empty()
    }

    fn is_due(&mut self, why: &str, now: Instant) -> bool {
        let last = self.said.get(why);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(*last) >= AGAIN);
        if is_due {
            self.said.insert(why.to_owned(), now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_said_at_once_and_then_once_a_minute() {
        let (mut waiting, begun) = (Waiting::default(), Instant::now());
        assert!(!waiting.has_waited());
        let mut due = |why, seconds| waiting.is_due(why, begun + Duration::from_secs(seconds));
        assert_eq!([due("gone", 0), due("gone", 1), due("slow", 2)], [true, false, true]);
        assert_eq!([due("gone", 59), due("gone", 60), due("slow", 61)], [false, true, false]);
        assert!(waiting.has_waited());
    }
}
