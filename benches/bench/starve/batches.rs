//! Requests that cost their sender nothing and the server much.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Ground;
use super::figures::Figures;
use super::flood::{Flood, pay_one_at_a_time};
use crate::bench::Fallible;
use crate::bench::bank::Bank;
use crate::bench::lines::Line;
use crate::bench::report::{Bound, Unit};
use crate::bench::talk::Talk;

/// How many items a batch has at most.
pub const ITEMS: usize = 5_000;

/// A batch of which nothing can happen: nobody pays himself.
fn invalid(items: usize) -> String {
    let items = vec!["[\"A\",\"A\",1]"; items].join(",");
    format!("{{\"batch\":{{\"items\":[{items}]}}}}\n")
}

pub fn run(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let bank = ground.bank(&[])?;
    let (line, address) = (Line::single("A", "B", 1), &bank.addresses["A"]);
    pay_one_at_a_time(address, &line, ground.seconds(0.5))?;
    let alone = pay_one_at_a_time(address, &line, ground.seconds(2.0))?;
    let seconds = ground.seconds(8.0);
    let flood = Flood::start(address, 8, &invalid(ground.size(ITEMS, 100)))?;
    let (beside, longest) = thread::scope(|scope| {
        let listener = scope.spawn(|| longest_silence(&bank, seconds));
        // What the greedy have sent has to be under way first.
        thread::sleep(Duration::from_secs_f64(seconds / 10.0));
        let beside = pay_one_at_a_time(address, &line, seconds * 0.9);
        (beside, listener.join())
    });
    let beside = beside?;
    let longest = longest.map_err(|_| "who listens to B has panicked")??;
    let answered = flood.answered();
    drop(flood);
    let p50 = |times: &hdrhistogram::Histogram<u64>| times.value_at_quantile(0.5) as f64;
    figures.measured("p50 undisturbed", Unit::Nanos, p50(&alone));
    figures.measured("p50 meanwhile", Unit::Nanos, p50(&beside));
    let ratio = p50(&beside) / p50(&alone);
    figures.asked("p50 meanwhile / undisturbed", Unit::Ratio, ratio, Bound::AtMost(5.0));
    let p99 = beside.value_at_quantile(0.99) as f64;
    figures.asked("p99 meanwhile", Unit::Nanos, p99, Bound::AtMost(20e6));
    let longest = longest.as_nanos() as f64;
    figures.asked("A's longest silence, as B hears it", Unit::Nanos, longest, Bound::AtMost(1e9));
    figures.measured("such batches answered", Unit::PerSecond, answered as f64 / seconds);
    Ok(())
}

/// How long B heard nothing of A at most: a heartbeat comes every half second.
fn longest_silence(bank: &Bank, seconds: f64) -> Fallible<Duration> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut b = Talk::open(&bank.addresses["B"])?;
    let mut longest = 0;
    while Instant::now() < until {
        let status = b.ask(&json!({"status": {}}))?;
        let peers = status["peers"].as_array().map_or(&[][..], Vec::as_slice);
        let a = peers.iter().find(|peer| peer["id"] == json!("A"));
        longest = longest.max(a.and_then(|a| a["heard_ms"].as_u64()).unwrap_or(0));
        thread::sleep(Duration::from_millis(20));
    }
    Ok(Duration::from_millis(longest))
}
