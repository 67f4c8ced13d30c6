//! How long things took of late: counts in buckets, each at most a quarter of its value wide.

use std::time::{Duration, Instant};

use crate::bank::request::Percentiles;

/// The buckets in one doubling.
const STEPS: usize = 4;
/// The doublings from a microsecond on. The last bucket takes everything over a minute.
const DOUBLINGS: usize = 26;
const BUCKETS: usize = STEPS * DOUBLINGS;
/// The time after which a new window begins. Only the last two are kept.
const WINDOW: Duration = Duration::from_secs(30);

/// The durations of the last window and of the present one.
#[derive(Debug)]
pub(crate) struct Recent {
    last: [u32; BUCKETS],
    present: [u32; BUCKETS],
    began: Instant,
}

impl Recent {
    pub(crate) fn new(now: Instant) -> Recent {
        Recent { last: [0; BUCKETS], present: [0; BUCKETS], began: now }
    }

    /// Counts a duration.
    pub(crate) fn add(&mut self, took: Duration, now: Instant) {
        self.move_on(now);
        let count = &mut self.present[bucket(took.as_micros() as u64)];
        *count = count.saturating_add(1);
    }

    fn move_on(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.began);
        if age < WINDOW {
            return;
        }
        let present = std::mem::replace(&mut self.present, [0; BUCKETS]);
        self.last = if age < 2 * WINDOW { present } else { [0; BUCKETS] };
        self.began = now;
    }

    /// Returns percentiles of all durations that are kept; none if there are none.
    pub(crate) fn percentiles(&mut self, now: Instant) -> Option<Percentiles> {
        self.move_on(now);
        let counts =
            || self.last.iter().zip(&self.present).map(|(a, b)| u64::from(*a) + u64::from(*b));
        let count: u64 = counts().sum();
        let at = |hundredths: u64| {
            // The lowest bucket up to which there are this many durations.
            let wanted = (count * hundredths).div_ceil(100);
            let mut seen = 0;
            let place = counts().position(|count| {
                seen += count;
                seen >= wanted
            });
            upper(place.unwrap_or(BUCKETS - 1))
        };
        (count > 0).then(|| Percentiles { p50_us: at(50), p99_us: at(99), count })
    }
}

/// Returns the bucket of a duration: its doubling, and the two bits after the first.
fn bucket(micros: u64) -> usize {
    let doubling = (micros | 1).ilog2() as usize;
    let step = if doubling >= 2 { (micros >> (doubling - 2)) as usize % STEPS } else { 0 };
    (doubling * STEPS + step).min(BUCKETS - 1)
}

/// Returns the longest duration of a bucket, in microseconds.
fn upper(bucket: usize) -> u64 {
    let (doubling, step) = (bucket / STEPS, bucket % STEPS);
    if doubling < 2 { (2 << doubling) - 1 } else { ((STEPS + step + 1) as u64) << (doubling - 2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_s_end_is_at_most_a_quarter_above_what_falls_into_it() {
        for micros in (0..5_000).chain([10_000, 999_999, 1 << 25]) {
            let end = upper(bucket(micros));
            assert!(micros <= end && end <= micros + micros / 4 + 1, "{micros}: {end}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_of_the_last_window_and_the_present_one() {
        let start = Instant::now();
        let mut recent = Recent::new(start);
        assert_eq!(recent.percentiles(start), None);
        for _ in 0..98 {
            recent.add(Duration::from_micros(100), start);
        }
        recent.add(Duration::from_millis(10), start);
        recent.add(Duration::from_millis(10), start);
        let Percentiles { p50_us, p99_us, count } = recent.percentiles(start).unwrap();
        assert_eq!(count, 100);
        assert!((100..126).contains(&p50_us), "{p50_us}");
        assert!((10_000..12_501).contains(&p99_us), "{p99_us}");
        let later = start + WINDOW;
        recent.add(Duration::from_micros(7), later);
        assert_eq!(recent.percentiles(later).unwrap().count, 101);
        let Percentiles { p50_us, count, .. } = recent.percentiles(later + WINDOW).unwrap();
        assert_eq!((p50_us, count), (8, 1));
        assert_eq!(recent.percentiles(later + 4 * WINDOW), None);
    }
}
