//! Holds clients back while the server has more than it can put into the next block.

use std::time::{Duration, Instant};

/// How often one request is let in whatever happens. If the log gets no shorter for a reason that the
/// server doesn't know, its clients are slow but not without an answer.
const AT_MOST: Duration = Duration::from_millis(100);

/// The gate between the clients' queues and the state machine. Requests that are not let in stay in the
/// queues; then readers stop reading, and clients can't send.
///
/// Reads no clock: the present is always given.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    shut_until: Option<Instant>,
}

impl Gate {
    /// True if one more request may come in.
    pub(crate) fn lets_in(&mut self, crowded: bool, now: Instant) -> bool {
        if !crowded {
            self.shut_until = None;
            return true;
        }
        match self.shut_until {
            Some(until) if now < until => false,
            before => {
                self.shut_until = Some(now + AT_MOST);
                before.is_some()
            }
        }
    }

    /// Returns when to look again, if the gate is shut.
    pub(crate) fn shut_until(&self) -> Option<Instant> {
        self.shut_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_held_back_comes_in_one_by_one() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        assert!(gate.lets_in(false, now) && gate.lets_in(false, now));
        assert_eq!(gate.shut_until(), None);
        assert!(!gate.lets_in(true, now) && !gate.lets_in(true, now));
        assert_eq!(gate.shut_until(), Some(now + AT_MOST));
        let later = now + AT_MOST;
        assert!(gate.lets_in(true, later), "one");
        assert!(!gate.lets_in(true, later));
        assert_eq!(gate.shut_until(), Some(later + AT_MOST));
        assert!(gate.lets_in(false, later) && gate.lets_in(false, later));
        assert_eq!(gate.shut_until(), None);
    }
}
