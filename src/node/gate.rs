//! Holds clients back while the server has more than it can put into the next block.

use std::time::{Duration, Instant};

/// One request in so long a time is let in whatever happens. Should the log not get any shorter, for a
/// reason that the server doesn't know, then its clients are slow and not without an answer.
const AT_MOST: Duration = Duration::from_millis(100);

/// Stands between the clients' queues and the state machine. What is not let in stays in the queues;
/// so readers stop reading, and then clients can't send.
///
/// Reads no clock: the present is always given.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    shut_until: Option<Instant>,
}

impl Gate {
    /// Whether one more request may come in.
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

    /// When to look again, if it is shut.
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
