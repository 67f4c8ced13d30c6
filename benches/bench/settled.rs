//! `settled`: transfers in committed blocks, while servers settle continuously.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::Value;

use super::bank::Bank;
use super::check::{Told, check};
use super::lines::Line;
use super::load::{Load, Manner};
use super::local::{all_accepted, circle};
use super::report::{Bound, Report, Unit};
use super::tally::{Ran, Tally, nanos, new_histogram, seconds};
use super::{Context, Fallible, Span};

/// How the servers settle.
pub const FLAGS: [&str; 4] = ["--settle-every", "50ms", "--settle-at", "5000"];
/// How the load is sent where there is no pace: connections to each server, and lines under way on
/// each, of a thousand transfers. More lines only wait longer: with eight each as much is settled, and
/// a request takes three times as long.
pub const FULL: Manner = Manner::Pipelined { connections: 2, window: 4 };
/// How often it is looked how much is committed.
const LOOK_EVERY: Duration = Duration::from_millis(2);

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    for run in 1..=context.runs {
        let bank = Bank::start(&context.setting, &FLAGS)?;
        let mut told = Told::default();
        let paced = Manner::Paced { rate: context.size(150_000, 3_000) as f64 };
        for (name, items, manner) in [("full", 1_000, FULL), ("paced", 100, paced)] {
            context.step(&format!("settled: {name}, run {run}"));
            let (ran, watched) =
                watched_load(&bank, context.line(items), manner, context.span(4.0), &mut told)?;
            bank.wait_until_quiet(true)?;
            add_figures(report, name, &ran, &watched);
        }
        report.checked(&check(&bank, &told)?);
    }
    let commit_p99 = |name: &str| format!("{name}: acceptance to commit: p99");
    report.ask("settled, in committed blocks", "full: committed", Bound::AtLeast(4e5));
    report.ask("settled, acceptance to commit p99", &commit_p99("full"), Bound::AtMost(250e6));
    report.ask("settled at 150,000/s, the same", &commit_p99("paced"), Bound::AtMost(100e6));
    Ok(())
}

fn add_figures(report: &mut Report, name: &str, ran: &Ran, watched: &Watched) {
    let committed = watched.rate(ran.warm, ran.until);
    let middle = (ran.warm + ran.until) / 2;
    report.add(&format!("{name}: committed"), Unit::PerSecond, committed);
    let (early, late) = (watched.rate(ran.warm, middle), watched.rate(middle, ran.until));
    report.add(&format!("{name}: second half / first half"), Unit::Ratio, late / early.max(1.0));
    report.add(&format!("{name}: longest local log"), Unit::Count, watched.longest_log(ran) as f64);
    let whole = watched.whole_rate(ran);
    report.add(&format!("{name}: committed, until the logs are empty"), Unit::PerSecond, whole);
    report.add(&format!("{name}: accepted"), Unit::PerSecond, ran.rate());
    report.add_latency(&format!("{name}: request to acceptance"), &ran.latency());
    report.add_latency(&format!("{name}: acceptance to commit"), &watched.commit_latency(ran));
    report.add_timeline(&format!("{name}: accepted"), ran);
}

/// A load, while it is watched what of it is in the chain.
pub fn watched_load(
    bank: &Bank,
    items: usize,
    manner: Manner,
    span: Span,
    told: &mut Told,
) -> Fallible<(Ran, Watched)> {
    watched_load_of(bank, &circle(bank, items), manner, span, told)
}

/// The same of these lines.
pub fn watched_load_of(
    bank: &Bank,
    lines: &BTreeMap<String, Vec<Line>>,
    manner: Manner,
    Span { seconds, warm, most }: Span,
    told: &mut Told,
) -> Fallible<(Ran, Watched)> {
    let start = Instant::now();
    let load = Load {
        addresses: &bank.addresses,
        key: bank.key(),
        lines,
        manner,
        start,
        seconds,
        warm,
        most,
    };
    let over = AtomicBool::new(false);
    let (ran, watched) = thread::scope(|scope| {
        let watcher = scope.spawn(|| Watched::watch(bank, start, &over));
        let ran = load.run();
        // What was accepted last has to be seen in the chain as well.
        let quiet = bank.wait_until_quiet(true);
        over.store(true, Ordering::Relaxed);
        let watched = watcher.join().map_err(|_| "the watcher has panicked".to_owned())??;
        quiet?;
        Ok::<_, String>((ran?, watched))
    })?;
    told.add(&ran);
    all_accepted(&ran)?;
    Ok((ran, watched))
}

/// For each server, how many of its entries its chain held when, by its store.
pub struct Watched {
    seen: BTreeMap<String, Vec<(u64, u64)>>,
}

impl Watched {
    fn watch(bank: &Bank, start: Instant, over: &AtomicBool) -> Fallible<Watched> {
        let mut stores = BTreeMap::new();
        for id in bank.ids() {
            let store = bank.store_of(&id)?;
            stores.insert(
                id,
                store.ok_or("what is committed is seen in the stores: --redis is missing")?,
            );
        }
        let mut seen: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
        let mut last_look = false;
        while !last_look {
            last_look = over.load(Ordering::Relaxed);
            for (id, store) in &mut stores {
                let key = format!("SERVER-STATE-{id}");
                let included = redis::cmd("HGET").arg(&key).arg("included").query::<String>(store);
                let included = included.map_err(|error| format!("{key}: {error}"))?;
                let at = start.elapsed().as_nanos() as u64;
                seen.entry(id.clone()).or_default().push((at, seq_of(&included, id)?));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(Watched { seen })
    }

    fn included_at(&self, id: &str, at: u64) -> u64 {
        let seen = &self.seen[id];
        let after = seen.partition_point(|(then, _)| *then <= at);
        seen[after.saturating_sub(1)].1
    }

    /// Entries that came into the chain, a second.
    pub fn rate(&self, from: u64, to: u64) -> f64 {
        let sum: u64 =
            self.seen.keys().map(|id| self.included_at(id, to) - self.included_at(id, from)).sum();
        sum as f64 / seconds(to - from)
    }

    /// Entries a second of the whole load, from its beginning until the last is in the chain. Where
    /// servers hold clients back this is about the rate while clients are there.
    pub fn whole_rate(&self, ran: &Ran) -> f64 {
        let last = |id: &String| {
            let acks = ran.tallies.get(id).map_or(&[][..], |tally| &tally.acks);
            let wanted = acks.iter().map(|ack| ack.first + ack.count - 1).max().unwrap_or(0);
            let seen = &self.seen[id];
            seen.get(seen.partition_point(|(_, seq)| *seq < wanted)).map_or(u64::MAX, |(at, _)| *at)
        };
        let until = self.seen.keys().map(last).max().unwrap_or(u64::MAX);
        let entries: u64 = ran.tallies.values().map(Tally::accepted).sum();
        entries as f64 / seconds(until)
    }

    /// The most entries that a server had accepted and that were not in the chain yet.
    fn longest_log(&self, ran: &Ran) -> u64 {
        let of = |(id, tally): (&String, &Tally)| {
            let behind = |ack: &super::tally::Ack| {
                (ack.first + ack.count - 1).saturating_sub(self.included_at(id, ack.at))
            };
            tally.acks.iter().map(behind).max().unwrap_or(0)
        };
        ran.tallies.iter().map(of).max().unwrap_or(0)
    }

    /// From the reply to when the entries of it were seen in the home's chain, for each transfer.
    pub fn commit_latency(&self, ran: &Ran) -> Histogram<u64> {
        let mut latency = new_histogram();
        for (id, tally) in &ran.tallies {
            let seen = &self.seen[id];
            for ack in tally.acks.iter().filter(|ack| (ran.warm..ran.until).contains(&ack.at)) {
                let place = seen.partition_point(|(_, seq)| *seq < ack.first + ack.count - 1);
                // Nothing is left out: what was never seen in the chain took for ever.
                let then = seen.get(place).map_or(nanos(3_600.0), |(then, _)| *then);
                latency.saturating_record_n(then.saturating_sub(ack.at).max(1), ack.count);
            }
        }
        latency
    }
}

/// The seq of a server's last entry in the chain.
fn seq_of(included: &str, id: &str) -> Fallible<u64> {
    let all: Value =
        serde_json::from_str(included).map_err(|error| format!("{included:?}: {error}"))?;
    all[id]["seq"].as_u64().ok_or_else(|| format!("{included:?} says nothing of {id}"))
}
