//! Room that all connections share: a thread that wants much at once waits until others have given it back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a waiting thread checks that waiting still makes sense.
const LOOK: Duration = Duration::from_millis(100);

/// A bounded amount of something, to be taken and given back.
#[derive(Debug)]
pub(crate) struct Room {
    whole: usize,
    free: Mutex<usize>,
    given_back: Condvar,
    /// Held by the thread that waits. Others queue behind it, so that a small wish doesn't overtake it.
    waits: Mutex<()>,
}

impl Room {
    /// Creates a room with all of it free.
    pub(crate) fn of(whole: usize) -> Arc<Room> {
        let (free, given_back) = (Mutex::new(whole), Condvar::new());
        Arc::new(Room { whole, free, given_back, waits: Mutex::default() })
    }

    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `amount`, or all there is if that is less; waits until it is free. None if waiting became
    /// pointless first.
    pub(crate) fn take(
        self: &Arc<Room>,
        amount: usize,
        is_pointless: impl Fn() -> bool,
    ) -> Option<Taken> {
        let amount = amount.min(self.whole);
        let _first = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.free();
        while *free < amount {
            if is_pointless() {
                return None;
            }
            free =
                self.given_back.wait_timeout(free, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= amount;
        drop(free);
        Some(Taken { room: Arc::clone(self), amount })
    }
}

/// A part of the room that is taken. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Taken {
    room: Arc<Room>,
    amount: usize,
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.room.free() += self.amount;
        self.room.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_free_is_waited_for_and_nobody_overtakes() {
        let room = Room::of(10);
        let taken = room.take(8, || true).unwrap();
        assert!(room.take(3, || true).is_none());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| room.take(3, || false).is_some());
            drop(taken);
            assert!(waits.join().unwrap());
        });
        assert_eq!(*room.free(), 10, "all is given back");
        assert_eq!(room.take(100, || true).unwrap().amount, 10, "there is no more than all");
    }
}
