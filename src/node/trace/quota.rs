//! How many notes those who look on are told: bounded in what it costs a second, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// In each span of this length…
const SPAN: Duration = Duration::from_millis(100);
/// …so many notes of each sort are taken. Under heavy load more would be of no use to anybody who looks, and would cost
/// the bank dear.
const MOST: [u64; 2] = [200, 20];
/// Where the number of the span begins, above what was taken in it.
const SHIFT: u32 = 16;

/// The sorts of notes, of which none takes the place of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// What passes between servers, and what becomes durable.
    Protocol,
    /// What passes between the server and its clients.
    Clients,
}

/// What is taken of each sort.
#[derive(Debug)]
pub(super) struct Quota {
    since: Instant,
    /// For each sort the number of a span, and how many notes were taken in it.
    taken: [AtomicU64; 2],
    /// How many were passed over since they were last counted.
    passed_over: AtomicU64,
}

impl Quota {
    pub(super) fn new() -> Quota {
        let (taken, passed_over) = Default::default();
        Quota { since: Instant::now(), taken, passed_over }
    }

    /// True if one more note of a sort may be taken now; otherwise it is counted as passed over.
    pub(super) fn has_room(&self, sort: Sort, now: Instant) -> bool {
        let has_room = self.next(self.taken[sort as usize].load(Ordering::Relaxed), sort, now);
        self.count(has_room.is_some())
    }

    /// Takes one more note of a sort. False if it is too much now; then it is counted as passed over.
    pub(super) fn take(&self, sort: Sort, now: Instant) -> bool {
        let taken = &self.taken[sort as usize];
        let next = |before| self.next(before, sort, now);
        let taken = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        self.count(taken.is_ok())
    }

    /// Returns how many were passed over since this was last asked.
    pub(super) fn passed_over(&self) -> u64 {
        self.passed_over.swap(0, Ordering::Relaxed)
    }

    /// Returns the span of now, and what is taken in it with one more; none if that is too much.
    fn next(&self, before: u64, sort: Sort, now: Instant) -> Option<u64> {
        let millis = now.saturating_duration_since(self.since).as_millis();
        let span = (millis / SPAN.as_millis()) as u64;
        let taken = match before >> SHIFT == span {
            true => before & ((1 << SHIFT) - 1),
            false => 0,
        };
        (taken < MOST[sort as usize]).then_some(span << SHIFT | (taken + 1))
    }

    fn count(&self, is_taken: bool) -> bool {
        if !is_taken {
            self.passed_over.fetch_add(1, Ordering::Relaxed);
        }
        is_taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_at_once_is_counted_and_each_sort_by_itself() {
        let quota = Quota::new();
        let take =
            |sort, at, many| (0..many).filter(|_| quota.take(sort, quota.since + at)).count();
        let first = Duration::from_millis(1);
        assert_eq!(take(Sort::Clients, first, 1_000), MOST[1] as usize);
        assert_eq!(take(Sort::Protocol, first, 10), 10);
        assert!(quota.has_room(Sort::Protocol, quota.since + first));
        assert_eq!(quota.passed_over(), 1_000 - MOST[1]);
        assert!(!quota.has_room(Sort::Clients, quota.since + first));
        assert_eq!((quota.passed_over(), quota.passed_over()), (1, 0));
        assert!(quota.has_room(Sort::Clients, quota.since + first + SPAN), "a new span");
        assert_eq!(take(Sort::Clients, first + SPAN, 1), 1);
    }
}
