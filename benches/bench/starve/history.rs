//! A statement of an account whose entries are all in the local log.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Ground;
use super::figures::Figures;
use super::flood::Flood;
use super::refusals::pay_at;
use crate::bench::Fallible;
use crate::bench::bank::Bank;
use crate::bench::report::{Bound, Unit};
use crate::bench::talk::Talk;

/// How long C may take to catch up.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn run(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let mut bank = ground.bank(&[])?;
    // What C is going to lack.
    bank.kill("C")?;
    pay_at(&bank, "A", 1_000, ground.seconds(5.0), ground.size(300_000, 1_000) as u64)?;
    bank.ask("A", &json!({"settle": {}}))?;
    // Alone A can't settle.
    bank.kill("B")?;
    pay_at(&bank, "A", 1_000, ground.seconds(15.0), ground.size(1_900_000, 3_000) as u64)?;
    let length = bank.status("A")?["log_length"].as_f64().unwrap_or(f64::NAN);
    figures.measured("entries in A's log", Unit::Count, length);
    let mut times = pages(&bank, 20)?;
    times.sort_by(f64::total_cmp);
    let (middle, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    figures.asked("a page, p50", Unit::Nanos, middle, Bound::AtMost(20e6));
    figures.asked("a page, the slowest of 20", Unit::Nanos, slowest, Bound::AtMost(20e6));
    let flood = Flood::start(&bank.addresses["A"], 8, "{\"history\":{}}\n")?;
    let took = catch_up(&mut bank)?;
    let answered = flood.answered();
    drop(flood);
    figures.measured("8 clients ask for pages: C catches up in", Unit::Nanos, took);
    let rate = answered as f64 / (took.min(PATIENCE.as_nanos() as f64) / 1e9);
    figures.measured("pages meanwhile", Unit::PerSecond, rate);
    Ok(())
}

/// How long the first page of A's history takes, that many times.
fn pages(bank: &Bank, many: usize) -> Fallible<Vec<f64>> {
    let mut talk = Talk::open(&bank.addresses["A"])?;
    let page = |_| {
        let start = Instant::now();
        let reply = talk.ask(&json!({"history": {"account": "A"}}))?;
        match reply["lines"].as_array().is_some_and(|lines| !lines.is_empty()) {
            true => Ok(start.elapsed().as_nanos() as f64),
            false => Err(format!("a history without lines: {reply}")),
        }
    };
    (0..many).map(page).collect()
}

/// Starts C; nanoseconds until it holds what A held then, infinite if it doesn't in time.
fn catch_up(bank: &mut Bank) -> Fallible<f64> {
    let mut talk = Talk::open(&bank.addresses["A"])?;
    let height = talk.ask(&json!({"status": {}}))?["height"].as_u64();
    bank.start_server("C")?;
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if bank.status("C").is_ok_and(|status| status["height"].as_u64() >= height) {
            return Ok(start.elapsed().as_nanos() as f64);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(f64::INFINITY)
}
