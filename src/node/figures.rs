//! What the event loop counts since the process started, for whoever draws curves of it.
//!
//! They are plain numbers of the loop's own: nothing is locked or shared to count, and nothing is computed while
//! nobody looks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bank::reason::Code;
use crate::bank::request::{Outcome, Status};

/// The upper ends of a histogram's buckets, in microseconds: from what a local acceptance takes on a good disk
/// to the longest that a request waits.
pub(crate) const BUCKETS_US: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// How long things took, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// For each bucket, how many fell into it and none before; the last is for all that took longer.
    pub(crate) counts: [u64; BUCKETS_US.len() + 1],
    /// The sum of all, in microseconds.
    pub(crate) sum_us: u64,
}

impl Histogram {
    /// Counts a duration.
    pub(crate) fn add(&mut self, took: Duration) {
        // Rounded up: a bucket's end is what its durations don't exceed.
        let micros = u64::try_from(took.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
        let place = BUCKETS_US.partition_point(|end| *end < micros);
        self.counts[place] += 1;
        self.sum_us = self.sum_us.saturating_add(micros);
    }
}

/// The name of an outcome, as a label.
pub(crate) const RESULTS: [&str; 8] = [
    "accepted",
    "repeated",
    "refused",
    "unavailable",
    "invalid",
    "linked_failed",
    "wrong_server",
    "expired",
];

/// The event loop's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// The number of outcomes, by [`RESULTS`].
    pub(crate) results: [u64; RESULTS.len()],
    /// Why transfers and openings didn't happen.
    pub(crate) reasons: BTreeMap<Code, u64>,
    /// The time from arrival to reply where the local log was enough.
    pub(crate) local: Histogram,
    /// The same where a run was needed.
    pub(crate) paxos: Histogram,
    /// The time of a turn, from taking in to handing out.
    pub(crate) turns: Histogram,
    /// The time of a durable write.
    pub(crate) store: Histogram,
    /// How often the store failed.
    pub(crate) store_failures: u64,
}

impl Figures {
    /// Counts an outcome.
    pub(crate) fn count(&mut self, outcome: &Outcome) {
        let (result, reason) = match outcome {
            Outcome::Refused { reason, .. }
            | Outcome::Unavailable { reason }
            | Outcome::Invalid { reason }
            | Outcome::LinkedFailed { reason }
            | Outcome::WrongServer { reason, .. }
                if reason.repeated =>
            {
                (1, None)
            }
            Outcome::Accepted { repeated: false, .. } => (0, None),
            Outcome::Accepted { repeated: true, .. } => (1, None),
            Outcome::Refused { reason, .. } => (2, Some(reason)),
            Outcome::Unavailable { reason } => (3, Some(reason)),
            Outcome::Invalid { reason } => (4, Some(reason)),
            Outcome::LinkedFailed { reason } => (5, Some(reason)),
            Outcome::WrongServer { reason, .. } => (6, Some(reason)),
            Outcome::Expired { reason } => (7, Some(reason)),
        };
        self.results[result] += 1;
        if let Some(reason) = reason {
            *self.reasons.entry(reason.code).or_default() += 1;
        }
    }
}

/// How a server stands, all that can be seen from outside.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The status, with what was measured.
    pub(crate) status: Status,
    /// The counts.
    pub(crate) figures: Figures,
    /// The bytes that durable turns took on their way to the store.
    pub(crate) written: u64,
    /// The connections of clients.
    pub(crate) clients: usize,
    /// The connections that peers dialled.
    pub(crate) from_peers: usize,
    /// The links to peers.
    pub(crate) links: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_it_doesn_t_exceed() {
        let mut histogram = Histogram::default();
        let times = [50_000, 50_001, 1_000_000, 10_000_000_000, 10_000_000_001];
        times.into_iter().for_each(|nanos| histogram.add(Duration::from_nanos(nanos)));
        let filled: Vec<usize> = (0..18).filter(|place| histogram.counts[*place] > 0).collect();
        assert_eq!(filled, [0, 1, 4, 16, 17]);
        assert_eq!(histogram.sum_us, 50 + 51 + 1_000 + 10_000_000 + 10_000_001);
    }
}
