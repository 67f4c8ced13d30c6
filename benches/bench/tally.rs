//! What came of a load: who was told what, when.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::lines::Said;

/// So many entries in a row, of which a client was told at once.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// Nanoseconds since the load began.
    pub at: u64,
    /// The first entry's seq.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// What the clients of one server were told.
#[derive(Clone)]
pub struct Tally {
    /// What was accepted.
    pub acks: Vec<Ack>,
    /// Nanoseconds from the time when a request was to be sent to its reply, once for each transfer.
    pub latency: Histogram<u64>,
    /// What was not accepted, by the reason.
    pub others: BTreeMap<String, u64>,
    /// Transfers that were sent and whose reply never came.
    pub unknown: u64,
    /// When sending ended: at the time that was set, or when there was enough. Nanoseconds.
    pub until: u64,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Tally {
        Tally {
            acks: Vec::new(),
            latency: new_histogram(),
            others: BTreeMap::new(),
            unknown: 0,
            until: u64::MAX,
        }
    }

    /// Takes down a reply that came at a time, after so long.
    pub fn take_down(&mut self, said: Said, items: u64, at: u64, took: Option<u64>) {
        match said {
            Said::Accepted { first, count } => self.acks.push(Ack { at, first, count }),
            Said::Mixed(outcomes) => {
                for outcome in outcomes {
                    match outcome {
                        Ok(first) => self.acks.push(Ack { at, first, count: 1 }),
                        Err(reason) => *self.others.entry(reason).or_default() += 1,
                    }
                }
            }
        }
        if let Some(took) = took {
            self.latency.saturating_record_n(took, items);
        }
    }

    /// Adds what another connection to the same server was told.
    pub fn add(&mut self, other: Tally) {
        self.acks.extend(other.acks);
        self.latency.add(other.latency).expect("the bounds are the same");
        for (reason, count) in other.others {
            *self.others.entry(reason).or_default() += count;
        }
        self.unknown += other.unknown;
        self.until = self.until.min(other.until);
    }

    /// How many transfers were accepted.
    pub fn accepted(&self) -> u64 {
        self.acks.iter().map(|ack| ack.count).sum()
    }
}

/// Three digits of any time up to an hour.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_max(nanos(3_600.0), 3).expect("these bounds are allowed")
}

/// What came of a load at all servers.
pub struct Ran {
    /// By server.
    pub tallies: BTreeMap<String, Tally>,
    /// From here on it counts: before, the caches were cold. Nanoseconds.
    pub warm: u64,
    /// When sending ended at the first of the servers. Nanoseconds.
    pub until: u64,
}

impl Ran {
    /// The loads of all servers together.
    pub fn new(tallies: BTreeMap<String, Tally>, warm: f64, seconds: f64) -> Ran {
        let until = tallies.values().map(|tally| tally.until).min().unwrap_or(u64::MAX);
        let until = until.min(nanos(seconds));
        Ran { tallies, warm: nanos(warm).min(until / 2), until }
    }

    /// Accepted transfers a second, while it counts.
    pub fn rate(&self) -> f64 {
        let counts = |ack: &&Ack| (self.warm..self.until).contains(&ack.at);
        let acks = self.tallies.values().flat_map(|tally| &tally.acks);
        let sum: u64 = acks.filter(counts).map(|ack| ack.count).sum();
        sum as f64 / seconds(self.until - self.warm)
    }

    /// Accepted transfers a second in each of the time slices of so many seconds, of these servers.
    pub fn timeline(&self, slice: f64, ids: &[&str]) -> Vec<f64> {
        let slices = (seconds(self.until) / slice).floor() as usize;
        let mut sums = vec![0.0; slices];
        for (_, tally) in self.tallies.iter().filter(|(id, _)| ids.contains(&id.as_str())) {
            for ack in &tally.acks {
                if let Some(sum) = sums.get_mut((ack.at / nanos(slice)) as usize) {
                    *sum += ack.count as f64 / slice;
                }
            }
        }
        sums
    }

    /// All latencies.
    pub fn latency(&self) -> Histogram<u64> {
        let mut all = new_histogram();
        self.tallies
            .values()
            .for_each(|tally| all.add(&tally.latency).expect("the bounds are the same"));
        all
    }

    /// What was not accepted, by the reason.
    pub fn others(&self) -> BTreeMap<&str, u64> {
        let mut all = BTreeMap::new();
        for (reason, count) in self.tallies.values().flat_map(|tally| &tally.others) {
            *all.entry(reason.as_str()).or_default() += count;
        }
        all
    }
}

/// Seconds as nanoseconds.
pub fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// Nanoseconds as seconds.
pub fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
