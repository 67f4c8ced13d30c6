//! Counts the handshakes, and logs the failed ones with the peer's address, at most a few a second.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::bank::status::Handshakes;
use crate::noise::HandshakeError;

/// The most lines on failed handshakes within a second.
const A_SECOND: u32 = 3;

/// The counts so far, and how many lines were written of late.
#[derive(Debug)]
pub(crate) struct Counts(Mutex<Counted>);

#[derive(Debug)]
struct Counted {
    handshakes: Handshakes,
    lines: Lines,
}

/// Decides which lines are written. Reads no clock: the present is always given.
#[derive(Debug)]
struct Lines {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl Lines {
    /// Returns how many lines were left out since the last one that was written; none if this one is to be
    /// left out too.
    fn write(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.written) = (now, 0);
        }
        if self.written == A_SECOND {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Counts {
    /// Starts with nothing counted.
    pub(crate) fn new() -> Counts {
        let lines = Lines { since: Instant::now(), written: 0, left_out: 0 };
        Counts(Mutex::new(Counted { handshakes: Handshakes::default(), lines }))
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the counts.
    pub(crate) fn so_far(&self) -> Handshakes {
        self.counted().handshakes.clone()
    }

    /// Counts one after which both ends know each other's key.
    pub(crate) fn done(&self) {
        self.counted().handshakes.done += 1;
    }

    /// Counts one that failed, and logs it.
    pub(crate) fn failed(&self, from: SocketAddr, error: &HandshakeError) {
        let mut counted = self.counted();
        *counted.handshakes.failed.entry(error.kind().to_owned()).or_default() += 1;
        let Some(left_out) = counted.lines.write(Instant::now()) else { return };
        drop(counted);
        match left_out {
            0 => log::warn!("a handshake of {from} failed: {error}"),
            more => log::warn!("a handshake of {from} failed, as {more} before: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_their_kind() {
        let (counts, from) = (Counts::new(), SocketAddr::from(([127, 0, 0, 1], 1)));
        counts.done();
        for _ in 0..10 {
            counts.failed(from, &HandshakeError::Forged);
        }
        counts.failed(from, &HandshakeError::TooLate);
        let Handshakes { done, failed } = counts.so_far();
        assert_eq!((done, failed["forged"], failed["late"], failed.len()), (1, 10, 1, 2));
    }

    #[test]
    fn few_lines_are_written_and_the_next_one_tells_of_the_others() {
        let began = Instant::now();
        let mut lines = Lines { since: began, written: 0, left_out: 0 };
        let mut written = |millis: u64, many: usize| -> Vec<u64> {
            let now = began + Duration::from_millis(millis);
            (0..many).filter_map(|_| lines.write(now)).collect()
        };
        assert_eq!(written(0, 2), [0, 0]);
        assert_eq!(written(999, 100), [0]);
        assert_eq!(written(1000, 5), [99, 0, 0]);
        assert_eq!(written(5000, 1), [2]);
    }
}
