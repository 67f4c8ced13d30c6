//! How long a client waits for a refusal, and in which words it hears it, whatever is in others' logs.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Ground;
use super::figures::Figures;
use super::sessions::outcome;
use crate::bench::Fallible;
use crate::bench::bank::Bank;
use crate::bench::lines::Line;
use crate::bench::load::{Load, Manner};
use crate::bench::report::{Bound, Unit};
use crate::bench::talk::Talk;

/// An account at A that never holds anything.
pub const EMPTY: &str = "A/empty";
/// How long a refusal may take.
const SOON: Bound = Bound::AtMost(0.5e9);

pub fn run(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let bank = ground.bank(&[])?;
    open_empty(&bank)?;
    let entries = ground.size(1_950_000, 3_000) as u64;
    pay_at(&bank, "B", 5_000, ground.seconds(20.0), entries)?;
    let length = bank.status("B")?["log_length"].as_f64().unwrap_or(f64::NAN);
    figures.measured("entries in B's log", Unit::Count, length);
    let (took, reply) = ask_in_vain(&mut Talk::open(&bank.addresses["A"])?)?;
    show(figures, "with these", took, &reply);
    drop(bank);
    beside_a_payer(ground, figures)
}

/// While a client pays at B as fast as it goes.
fn beside_a_payer(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let bank = ground.bank(&[])?;
    open_empty(&bank)?;
    let seconds = ground.seconds(10.0);
    let asked = thread::scope(|scope| {
        let payer = scope.spawn(|| pay_at(&bank, "B", 1_000, seconds, u64::MAX));
        let asker = scope.spawn(|| ask_until(&bank, seconds));
        let paid = payer.join().map_err(|_| "the payer has panicked".to_owned())??;
        figures.measured("a client that pays at B: paid", Unit::PerSecond, paid as f64 / seconds);
        asker.join().map_err(|_| "who asks has panicked".to_owned())?
    })?;
    let slowest = asked.iter().max_by_key(|(took, _)| *took).ok_or("nothing was asked")?;
    let refused = asked.iter().filter(|(_, reply)| reply["outcome"] == json!("refused")).count();
    figures.seen("meanwhile: refused, of asked", &format!("{refused} of {}", asked.len()));
    let unrefused = asked.iter().find(|(_, reply)| reply["outcome"] != json!("refused"));
    show(figures, "meanwhile, the slowest", slowest.0, &unrefused.unwrap_or(slowest).1);
    Ok(())
}

fn ask_until(bank: &Bank, seconds: f64) -> Fallible<Vec<(Duration, Value)>> {
    let mut talk = Talk::open(&bank.addresses["A"])?;
    thread::sleep(Duration::from_secs_f64(seconds / 10.0));
    let until = Instant::now() + Duration::from_secs_f64(seconds * 0.8);
    let mut asked = Vec::new();
    while Instant::now() < until {
        asked.push(ask_in_vain(&mut talk)?);
        thread::sleep(Duration::from_millis(50));
    }
    Ok(asked)
}

fn show(figures: &mut Figures, when: &str, took: Duration, reply: &Value) {
    let refused = reply["outcome"] == json!("refused");
    figures.expected(&format!("{when}: outcome"), &outcome(reply), "refused", refused);
    figures.asked(&format!("{when}: time to it"), Unit::Nanos, took.as_nanos() as f64, SOON);
    let words = reply["reason"].as_str().or(reply["message"].as_str()).unwrap_or_default();
    figures.seen(&format!("{when}: in words"), words);
}

/// Opens the account that holds nothing, so that everybody knows it.
pub fn open_empty(bank: &Bank) -> Fallible<()> {
    let reply = bank.ask("A", &json!({"open": {"account": EMPTY, "settled": true}}))?;
    match reply["outcome"] == json!("accepted") {
        true => Ok(()),
        false => Err(format!("an account can't be opened: {reply}")),
    }
}

/// Asks for money that is nowhere; how long the answer took.
pub fn ask_in_vain(talk: &mut Talk) -> Fallible<(Duration, Value)> {
    let start = Instant::now();
    let reply = talk.ask(&json!({"transfer": {"from": EMPTY, "to": "B", "amount": 5}}))?;
    Ok((start.elapsed(), reply))
}

/// Pays at one server as fast as it goes, in lines of so many; how much was accepted.
pub fn pay_at(bank: &Bank, id: &str, items: usize, seconds: f64, most: u64) -> Fallible<u64> {
    let lines = BTreeMap::from([(id.to_owned(), vec![Line::batch(&vec![(id, "C", 1); items])])]);
    let load = Load {
        addresses: &bank.addresses,
        key: bank.key(),
        lines: &lines,
        manner: Manner::Pipelined { connections: 2, window: 4 },
        start: Instant::now(),
        seconds,
        warm: 0.0,
        most,
    };
    Ok(load.run()?.tallies.values().map(|tally| tally.accepted()).sum())
}
