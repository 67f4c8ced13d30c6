//! What a client is owed.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many replies a client may be owed before nothing more is read from it.
pub(crate) const MAX_OWED: usize = 256;

/// Counts the replies that a client is owed.
///
/// It holds a client back that asks faster than it reads, without holding anybody else; and it
/// tells when a client that has said its last word has been answered.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    debt: Mutex<Debt>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Debt {
    replies: usize,
    /// The writer has ended: nothing will be paid any more.
    closed: bool,
}

impl Owed {
    fn debt(&self) -> MutexGuard<'_, Debt> {
        self.debt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one reply more, once that is not too many. False if the connection ended meanwhile.
    ///
    /// Some requests are never answered: a retry that comes after a later one, for instance. What
    /// was not paid in the time that any request may take is one of these, and is written off.
    pub(crate) fn owe(&self, most: Duration) -> bool {
        let too_many = |debt: &mut Debt| debt.replies >= MAX_OWED && !debt.closed;
        let (mut debt, waited) = self
            .changed
            .wait_timeout_while(self.debt(), most, too_many)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            debt.replies = 0;
        }
        debt.replies += 1;
        !debt.closed
    }

    /// How many are owed.
    #[cfg(test)]
    pub(crate) fn replies(&self) -> usize {
        self.debt().replies
    }

    /// Notes that so many were written.
    pub(crate) fn pay(&self, replies: usize) {
        let mut debt = self.debt();
        debt.replies = debt.replies.saturating_sub(replies);
        self.changed.notify_all();
    }

    /// Nothing will be paid any more.
    pub(crate) fn close(&self) {
        self.debt().closed = true;
        self.changed.notify_all();
    }

    /// Waits until nothing is owed or nothing will be paid any more, or for this long.
    pub(crate) fn wait_until_paid(&self, most: Duration) {
        let unpaid = |debt: &mut Debt| debt.replies > 0 && !debt.closed;
        drop(self.changed.wait_timeout_while(self.debt(), most, unpaid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn with_all_owed() -> Owed {
        let owed = Owed::default();
        assert!((0..MAX_OWED).all(|_| owed.owe(LONG)));
        owed
    }

    #[test]
    fn a_client_that_is_owed_much_is_held_back_until_some_is_paid() {
        let owed = with_all_owed();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| owed.owe(LONG));
            owed.pay(1);
            assert!(reader.join().unwrap());
        });
        assert_eq!(owed.debt().replies, MAX_OWED);
    }

    #[test]
    fn what_is_never_answered_does_not_hold_it_back_for_ever() {
        let owed = with_all_owed();
        assert!(owed.owe(Duration::from_millis(1)));
        assert_eq!(owed.debt().replies, 1);
    }

    #[test]
    fn nobody_waits_for_a_connection_that_has_ended() {
        let owed = with_all_owed();
        owed.close();
        assert!(!owed.owe(LONG));
        owed.wait_until_paid(LONG);
    }
}
