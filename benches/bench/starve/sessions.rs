//! Sessions that are opened to make others' end.

use serde_json::{Value, json};

use super::Ground;
use super::figures::Figures;
use crate::bench::Fallible;
use crate::bench::load::Wire;
use crate::bench::report::Unit;
use crate::bench::talk::Talk;

pub fn run(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let bank = ground.bank(&[])?;
    let mut client = Talk::open(&bank.addresses["A"])?;
    let session = client.ask(&json!({"session": {}}))?["session"].clone();
    let pay = |number: u64| json!({"transfer": {"to": "B", "amount": 1, "session": session, "number": number}});
    let first = client.ask(&pay(1))?;
    if first["outcome"] != json!("accepted") {
        return Err(format!("the first transfer of a session: {first}"));
    }
    let given = open_many(&bank.addresses["A"], ground.size(10_000, 200))?;
    figures.measured("sessions given to the greedy client", Unit::Count, given as f64);
    let again = client.ask(&pay(1))?;
    let repeated = again["outcome"] == json!("accepted") && again["repeated"] == json!(true);
    let words = if repeated { "accepted, repeated".to_owned() } else { outcome(&again) };
    figures.expected(
        "another's retry of what was accepted",
        &words,
        "accepted, repeated",
        repeated,
    );
    let next = client.ask(&pay(2))?;
    let accepted = next["outcome"] == json!("accepted");
    figures.expected("its next transfer in that session", &outcome(&next), "accepted", accepted);
    let told = told_beforehand(&bank.addresses["A"])?;
    figures.expected(
        "the next session's name",
        if told { "can be told from the last" } else { "can't be told" },
        "can't be told",
        !told,
    );
    Ok(())
}

/// A reply's outcome, or its error.
pub fn outcome(reply: &Value) -> String {
    let word = |name: &str| reply[name].as_str().map(str::to_owned);
    word("outcome").or_else(|| word("error")).unwrap_or_else(|| reply.to_string())
}

/// Asks for so many sessions on one connection; how many were given.
fn open_many(address: &str, many: usize) -> Fallible<usize> {
    let mut wire = Wire::open(address)?;
    let mut given = 0;
    // Not more at once than a server reads before its first reply is read.
    for _ in 0..many / 100 {
        wire.send("{\"session\":{}}\n".repeat(100).as_bytes())?;
        for _ in 0..100 {
            given += usize::from(wire.line()?.starts_with(b"{\"session\":\""));
        }
    }
    Ok(given)
}

/// Whether a session's name is that of the one before with a last number that is one more.
fn told_beforehand(address: &str) -> Fallible<bool> {
    let mut talk = Talk::open(address)?;
    let mut name = || -> Fallible<String> {
        let reply = talk.ask(&json!({"session": {}}))?;
        Ok(reply["session"].as_str().ok_or_else(|| format!("no session: {reply}"))?.to_owned())
    };
    let (last, next) = (name()?, name()?);
    let successor = last.rsplit_once('.').and_then(|(head, number)| {
        Some(format!("{head}.{}", number.parse::<u64>().ok()?.checked_add(1)?))
    });
    Ok(successor == Some(next))
}
