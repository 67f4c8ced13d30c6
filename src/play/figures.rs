//! The play's figures: how many transfers there were, how they ended, and how long they took.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bank::ledger::entry::Via;
use crate::bank::request::Outcome;
use crate::client::session::Ending;
use crate::play::why::is_unavailable;

/// The counts so far.
#[derive(Debug, Default)]
pub(super) struct Figures {
    local: Vec<Duration>,
    paxos: Vec<Duration>,
    refused: usize,
    unavailable: usize,
    other: usize,
    /// The times in which something was under way, from and to.
    spans: Vec<(Instant, Instant)>,
}

/// The figures, for people and machines.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    accepted: usize,
    local: Latency,
    paxos: Latency,
    refused: usize,
    unavailable: usize,
    #[serde(skip_serializing_if = "is_zero")]
    other: usize,
    /// Accepted transfers for each second in which any transfer was under way.
    per_second: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Latency {
    transfers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_ms: Option<f64>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Figures {
    /// Notes that something was under way between these moments.
    pub(super) fn took(&mut self, began: Instant, ended: Instant) {
        self.spans.push((began, ended));
    }

    /// Counts the endings of transfers that were answered together.
    pub(super) fn count(&mut self, endings: &[Ending], took: Duration) {
        for ending in endings {
            match ending {
                Ending::Decided(Outcome::Accepted { via: Via::Local, .. }) => {
                    self.local.push(took);
                }
                Ending::Decided(Outcome::Accepted { via: Via::Paxos, .. }) => {
                    self.paxos.push(took);
                }
                Ending::Decided(Outcome::Refused { .. }) => self.refused += 1,
                ending if is_unavailable(ending) => self.unavailable += 1,
                _ => self.other += 1,
            }
        }
    }

    /// Returns the figures.
    pub(super) fn told(mut self) -> Totals {
        let accepted = self.local.len() + self.paxos.len();
        let busy = busy(&mut self.spans).as_secs_f64();
        Totals {
            accepted,
            local: latency(&mut self.local),
            paxos: latency(&mut self.paxos),
            refused: self.refused,
            unavailable: self.unavailable,
            other: self.other,
            per_second: (busy > 0.0).then(|| (accepted as f64 / busy * 10.0).round() / 10.0),
        }
    }
}

impl Totals {
    /// Writes the figures in words, a line each.
    pub(super) fn in_words(&self) -> String {
        let Totals { accepted, local, paxos, refused, unavailable, other, per_second } = self;
        let mut text = format!(
            "transfers: {accepted} accepted ({} locally, {} after a Paxos run), {refused} refused, \
             {unavailable} unavailable",
            local.transfers, paxos.transfers
        );
        if *other > 0 {
            text += &format!(", {other} otherwise");
        }
        for (name, latency) in [("local", local), ("Paxos", paxos)] {
            if let (Some(p50), Some(p99)) = (latency.p50_ms, latency.p99_ms) {
                text += &format!("\nlatency of {name} transfers: p50 {p50} ms, p99 {p99} ms");
            }
        }
        if let Some(per_second) = per_second {
            text +=
                &format!("\nthroughput: {per_second} accepted a second while any was under way");
        }
        text
    }
}

/// Returns how long anything was under way.
fn busy(spans: &mut [(Instant, Instant)]) -> Duration {
    spans.sort();
    let mut busy = Duration::ZERO;
    let mut until: Option<Instant> = None;
    for (began, ended) in spans {
        let from = until.map_or(*began, |until| until.max(*began));
        busy += ended.saturating_duration_since(from);
        until = Some(until.map_or(*ended, |until| until.max(*ended)));
    }
    busy
}

fn latency(times: &mut [Duration]) -> Latency {
    times.sort();
    let at = |share: usize| {
        let place = (times.len() * share).div_ceil(100).saturating_sub(1);
        times.get(place).map(|time| (time.as_secs_f64() * 1e4).round() / 10.0)
    };
    Latency { transfers: times.len(), p50_ms: at(50), p99_ms: at(99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_once_however_much_is_under_way() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut spans = [(at(5), at(20)), (at(0), at(10)), (at(6), at(7)), (at(50), at(60))];
        assert_eq!(busy(&mut spans), Duration::from_millis(30));
        assert_eq!(busy(&mut []), Duration::ZERO);
    }

    #[test]
    fn latency_is_told_by_rank() {
        let mut times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let told = latency(&mut times);
        assert_eq!((told.transfers, told.p50_ms, told.p99_ms), (200, Some(100.0), Some(198.0)));
        assert_eq!(latency(&mut [Duration::from_millis(3)]).p99_ms, Some(3.0));
        assert_eq!(latency(&mut []).p50_ms, None);
    }
}
