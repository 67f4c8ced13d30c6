//! A Redis that closes connections on which nothing was asked for a while.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::Ground;
use super::figures::Figures;
use super::idle::still_served;
use super::sessions::outcome;
use crate::bench::Fallible;
use crate::bench::bank::Bank;
use crate::bench::report::{Bound, Unit};
use crate::bench::talk::Talk;

pub fn run(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let bank = ground.bank(&[])?;
    let mut redis = bank.store_of("A")?.ok_or("this needs a Redis of its own")?;
    let set = redis::cmd("CONFIG").arg(&["SET", "timeout", "1"]).exec(&mut redis);
    set.map_err(|error| format!("CONFIG SET timeout: {error}"))?;
    let (mut payer, mut other) =
        (Talk::open(&bank.addresses["A"])?, Talk::open(&bank.addresses["A"])?);
    still_served(&mut payer);
    still_served(&mut other);
    let (lives, lost) = (lives(&bank)?, lost_connections(&bank));
    let (mut answered, mut words) = (0, "accepted".to_owned());
    const ROUNDS: usize = 3;
    for _ in 0..ROUNDS {
        // Redis looks for idle connections once a second.
        thread::sleep(Duration::from_secs_f64(ground.seconds(4.0)));
        match payer.ask(&json!({"transfer": {"to": "B", "amount": 1}})) {
            Ok(reply) => {
                answered += usize::from(reply["outcome"] == json!("accepted"));
                words = outcome(&reply);
            }
            Err(error) => {
                words = error;
                payer = Talk::open(&bank.addresses["A"])?;
            }
        }
    }
    let all = format!("{ROUNDS} of {ROUNDS}");
    let so = answered == ROUNDS;
    figures.expected(
        "payments after idling: accepted",
        &format!("{answered} of {ROUNDS}"),
        &all,
        so,
    );
    figures.seen("the last one", &words);
    figures.is_so("another client is still connected", still_served(&mut other));
    let more = lives_more(&bank, lives)?;
    figures.asked("A's lives grown by", Unit::Count, more, Bound::AtMost(0.0));
    let lost = lost_connections(&bank) - lost;
    figures.asked("connections between servers lost", Unit::Count, lost as f64, Bound::AtMost(0.0));
    Ok(())
}

fn lives(bank: &Bank) -> Fallible<f64> {
    let mut redis = bank.store_of("A")?.ok_or("this needs a Redis of its own")?;
    let length: Result<u64, _> = redis::cmd("LLEN").arg("SERVER-LIVES-A").query(&mut redis);
    length.map(|length| length as f64).map_err(|error| format!("SERVER-LIVES-A: {error}"))
}

fn lives_more(bank: &Bank, before: f64) -> Fallible<f64> {
    Ok(lives(bank)? - before)
}

/// What all servers have told of it.
fn lost_connections(bank: &Bank) -> usize {
    let ids = bank.ids();
    let said = ids.iter().filter_map(|id| bank.process(id)).map(|process| process.said());
    said.map(|said| said.matches("lost the connection to").count()).sum()
}
