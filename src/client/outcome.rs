//! Outcomes in words.

use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::Via;
use crate::bank::reason::Reason;
use crate::bank::request::Outcome;
use crate::client::text::{names, plain};

/// Tells an outcome.
pub(super) fn outcome_in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { server, epoch, seq, balance, via, repeated, settled } => {
            let how = match via {
                Via::Local => "from the local log",
                Via::Paxos => "after a Paxos run",
            };
            // The balance of a retry is today's, not the balance that the transfer left.
            let retried = if *repeated { " (a retry: it happened once, before)" } else { "" };
            let settled = match settled {
                None => "; durable at home",
                Some(true) => "; settled: in a block that a majority holds",
                Some(false) => {
                    "; not settled yet: durable at its home alone until a block takes it, \
                     which settle sees to"
                }
            };
            let name = format_args!("{server}.{epoch}.{seq}");
            format!("accepted: balance {balance}, {how}, as {name}{retried}{settled}")
        }
        Outcome::Refused { reason, balance, consulted, not_consulted } => {
            let asked = consulted_in_words(consulted, not_consulted);
            format!("refused: {}; balance {balance}; {asked}", why(reason))
        }
        Outcome::Unavailable { reason } => format!("unavailable: {}", why(reason)),
        Outcome::Invalid { reason } => format!("invalid: {}", why(reason)),
        Outcome::LinkedFailed { reason } => format!("linked failed: {}", why(reason)),
        Outcome::WrongServer { reason, server, address } => {
            let (reason, address) = (why(reason), plain(address));
            format!("wrong server: {reason}; the right one is {server} at {address}")
        }
        Outcome::Expired { reason } => format!("unknown: {}", plain(reason)),
    }
}

/// Says why something didn't happen, and whether that was said before.
fn why(reason: &Reason) -> String {
    let retried = if reason.repeated { " (a retry: it was decided once, before)" } else { "" };
    format!("{}{retried}", plain(reason))
}

/// Tells which servers were consulted, and which not.
pub(super) fn consulted_in_words(consulted: &[ServerId], not_consulted: &[ServerId]) -> String {
    let mut text = format!("consulted {}", names(consulted));
    if !not_consulted.is_empty() {
        text = format!("{text}, not consulted {}", names(not_consulted));
    }
    text
}
