//! Requests that wait, and what they hold in memory.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Ground;
use super::batches::ITEMS;
use super::figures::Figures;
use super::flood::Senders;
use crate::bench::Fallible;
use crate::bench::bank::Bank;
use crate::bench::report::{Bound, Unit};
use crate::bench::talk::Talk;

/// How much memory such requests may hold.
const MOST: f64 = 200.0 * 1024.0 * 1024.0;
/// So a client is told that this is enough.
const WORDS: &str = "unavailable";
/// A server reads no more of a connection on which so many requests are unanswered.
const EACH: usize = 250;

pub fn run(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    for_money(ground, figures)?;
    for_a_block(ground, figures)
}

/// Each line has one transfer that waits for money, for a day, among many that are wrong.
fn for_money(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let bank = ground.bank(&[])?;
    let wrong = vec!["[\"A\",\"A\",1]"; ground.size(ITEMS - 1, 10)].join(",");
    let waits = "{\"from\":\"A\",\"to\":\"B\",\"amount\":9000000000000000,\"wait_ms\":86400000}";
    let line = format!("{{\"batch\":{{\"items\":[{wrong},{waits}]}}}}\n");
    let each = line.repeat(ground.size(EACH, 2)).into_bytes();
    let before = memory(&bank)?;
    let senders = Senders::start(&bank.addresses["A"], vec![each; ground.size(20, 2)], WORDS)?;
    let most = watch(&bank, ground.seconds(25.0))? - before;
    figures.asked("5,000 lines for a day: memory", Unit::Bytes, most, Bound::AtMost(MOST));
    figures.measured(
        "5,000 lines for a day: told unavailable",
        Unit::Count,
        senders.heard().1 as f64,
    );
    figures.is_so("5,000 lines for a day: another client is served", is_served(&bank));
    Ok(())
}

/// Each line asks again for the same payments, which are in the log and in no block.
fn for_a_block(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let mut bank = ground.bank(&[])?;
    bank.kill("B")?;
    bank.kill("C")?;
    let items = vec!["[\"A\",\"B\",1]"; ground.size(ITEMS, 10)].join(",");
    let mut lines = Vec::new();
    for _ in 0..4 {
        let session = bank.ask("A", &json!({"session": {}}))?["session"].clone();
        let fields = format!("\"settled\":true,\"session\":{session},\"number\":1");
        let line = format!("{{\"batch\":{{\"items\":[{items}],{fields}}}}}\n");
        lines.push(line.repeat(ground.size(200, 2)).into_bytes());
    }
    let before = memory(&bank)?;
    let senders = Senders::start(&bank.addresses["A"], lines, WORDS)?;
    let most = watch(&bank, ground.seconds(15.0))? - before;
    figures.asked("800 for a block: memory", Unit::Bytes, most, Bound::AtMost(MOST));
    figures.measured("800 for a block: told unavailable", Unit::Count, senders.heard().1 as f64);
    figures.is_so("800 for a block: another client is served", is_served(&bank));
    Ok(())
}

fn memory(bank: &Bank) -> Fallible<f64> {
    Ok(bank.process("A").ok_or("A doesn't run")?.memory()? as f64)
}

/// The most memory that A has until it changes no more, or for so long.
fn watch(bank: &Bank, seconds: f64) -> Fallible<f64> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let (mut most, mut last, mut since) = (0.0_f64, 0.0, Instant::now());
    while Instant::now() < until && since.elapsed() < Duration::from_secs(3) {
        let now = memory(bank)?;
        most = most.max(now);
        if (now - last).abs() > 1e6 {
            (last, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(most)
}

/// Whether a new client is answered.
pub fn is_served(bank: &Bank) -> bool {
    let ask = || Talk::open(&bank.addresses["A"])?.ask(&json!({"balance": {}}));
    ask().is_ok_and(|reply| reply["balance"].is_number())
}
