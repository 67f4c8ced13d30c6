//! What clients ask for and are answered, in short.

use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::{Action, Via};
use crate::bank::request::{Instruction, Outcome, Reply, Request};

/// Says in short what a client asks for, if it changes accounts: `transfer B 90`.
pub(super) fn asked_for(request: &Request, server: &ServerId) -> Option<String> {
    Some(match request {
        Request::One(Instruction { action, .. }) => match action {
            Action::Transfer { from, to, amount } if *from == AccountId::of(server) => {
                format!("transfer {to} {amount}")
            }
            Action::Transfer { from, to, amount } => format!("transfer {from} {to} {amount}"),
            Action::Mint { account, amount } => format!("mint {account} {amount}"),
            Action::Burn { account, amount } => format!("burn {account} {amount}"),
            Action::Open { account, .. } => format!("open {account}"),
            Action::Rekey { account, .. } => format!("rekey {account}"),
            // Servers alone do these.
            Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => return None,
        },
        Request::Batch(all) => format!("batch of {}", all.len()),
        Request::Settle => "settle".into(),
        _ => return None,
    })
}

/// Says in short what a client is answered, and why.
pub(super) fn answer_in_short(reply: &Reply) -> Option<String> {
    let why = |word: &str, reason: &str| {
        // The word says it.
        let reason = reason.strip_prefix("insufficient funds: ").unwrap_or(reason);
        format!("{word}: {reason}")
    };
    Some(match reply {
        Reply::One(outcome) => match outcome {
            Outcome::Accepted { balance, via: Via::Local, .. } => {
                format!("accepted: balance {balance}")
            }
            Outcome::Accepted { balance, via: Via::Paxos, .. } => {
                format!("accepted after a run: balance {balance}")
            }
            Outcome::Refused { reason, .. } => why("refused", reason),
            Outcome::Unavailable { reason, .. } => why("unavailable", reason),
            Outcome::Invalid { reason, .. } => why("invalid", reason),
            Outcome::LinkedFailed { .. } => "linked failed".into(),
            Outcome::WrongServer { .. } => "wrong server".into(),
            Outcome::Expired { .. } => "expired".into(),
        },
        Reply::Batch { .. } => "batch".into(),
        Reply::Settled { .. } => "settled".into(),
        _ => return None,
    })
}
