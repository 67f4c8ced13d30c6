//! Local logs: how long they get where nobody settles, and whether a settle ends while clients pay.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Ground;
use super::figures::Figures;
use super::refusals::pay_at;
use crate::bench::Fallible;
use crate::bench::bank::{Bank, IDS};
use crate::bench::report::{Bound, Unit};
use crate::bench::talk::Talk;

/// The bound of a local log.
const LOG: f64 = 2e6;

/// Pays at A alone until it is more than the log's bound.
pub fn log(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let bank = ground.bank(&[])?;
    let wanted = ground.size(3_000_000, 3_000) as u64;
    let over = AtomicBool::new(false);
    let start = Instant::now();
    let (paid, longest) = thread::scope(|scope| {
        let watcher = scope.spawn(|| longest_log(&bank, &over));
        let paid = pay_at(&bank, "A", 1_000, ground.seconds(12.0), wanted);
        over.store(true, Ordering::Relaxed);
        (paid, watcher.join().map_err(|_| "who watches has panicked".to_owned()))
    });
    let (paid, longest) = (paid? as f64, longest??);
    figures.asked("3 million paid: accepted", Unit::Count, paid, Bound::AtLeast(wanted as f64));
    figures.measured("accepted", Unit::PerSecond, paid / start.elapsed().as_secs_f64());
    figures.asked("the longest log", Unit::Count, longest, Bound::AtMost(LOG - 1.0));
    let reply = bank.ask("A", &json!({"transfer": {"to": "B", "amount": 1}}))?;
    let accepted = reply["outcome"] == json!("accepted");
    let words = reply["reason"].as_str().unwrap_or("accepted");
    figures.expected("one more transfer", words, "accepted", accepted);
    Ok(())
}

fn longest_log(bank: &Bank, over: &AtomicBool) -> Fallible<f64> {
    let mut talk = Talk::open(&bank.addresses["A"])?;
    let mut longest = 0.0_f64;
    while !over.load(Ordering::Relaxed) {
        let length = talk.ask(&json!({"status": {}}))?["log_length"].as_f64();
        longest = longest.max(length.unwrap_or_default());
        thread::sleep(Duration::from_millis(10));
    }
    Ok(longest)
}

/// Asks to settle while clients pay at all three servers.
pub fn settle(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let bank = ground.bank(&[])?;
    let seconds = ground.seconds(15.0);
    let (took, reply) = thread::scope(|scope| {
        for id in IDS {
            let bank = &bank;
            scope.spawn(move || pay_at(bank, id, 100, seconds, u64::MAX));
        }
        thread::sleep(Duration::from_secs_f64(seconds / 10.0));
        let start = Instant::now();
        let reply = bank.ask("A", &json!({"settle": {}}));
        (start.elapsed(), reply)
    });
    let reply = reply?;
    let (took, under_load) = (took.as_secs_f64(), seconds * 0.9);
    let ended = reply["settled"] == json!(true) && took < under_load - 0.5;
    let words = match (ended, reply["error"].as_str()) {
        (true, _) => "settled".to_owned(),
        (false, Some(error)) => error.to_owned(),
        (false, None) => format!("only when the load ended, after {took:.1} s"),
    };
    figures.expected("what it is answered under load", &words, "settled", ended);
    figures.asked("time to the answer", Unit::Nanos, took * 1e9, Bound::AtMost(5e9));
    Ok(())
}
