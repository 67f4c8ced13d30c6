//! What came of a command, as one line of JSON. Pure.

use serde::Serialize;

use crate::bank::ids::RequestId;
use crate::bank::request::Outcome;
use crate::client::commands::AccountBalance;
use crate::client::commands::Response;
use crate::client::exit::is_invalid;
use crate::client::session::{Ending, Failure};
use crate::client::words::{not_done, unknown};
use crate::wire::reply::HashedBlock;
use crate::wire::to_line;

/// Writes a response as one line of JSON, with its newline.
pub fn to_json(response: &Response) -> String {
    match response {
        Response::One(ending) => to_line(&ending_line(ending)),
        Response::Batch(endings) => {
            to_line(&BatchLine { outcomes: endings.iter().map(ending_line).collect() })
        }
        Response::Reply(reply) | Response::Page { reply, .. } => to_line(reply),
        Response::Chain(blocks) => to_line(&ChainLine { blocks }),
        Response::Links(faults) => to_line(faults),
        Response::Balances { accounts, next } => {
            to_line(&BalancesLine { balances: accounts, more: next.is_some() })
        }
        Response::AllBalances(sums) => to_line(sums),
        Response::Block(block) => to_line(block),
        Response::Health(health) => to_line(health),
        Response::Help(topic) => to_line(&HelpLine { help: topic.text() }),
        Response::Failed(failure) => failure_to_json(failure),
        Response::Usage(message) => to_line(&ErrorLine { error: "usage", message }),
    }
}

#[derive(Serialize)]
struct ChainLine<'a> {
    blocks: &'a [HashedBlock],
}

#[derive(Serialize)]
struct HelpLine {
    help: String,
}

#[derive(Serialize)]
struct BalancesLine<'a> {
    balances: &'a [AccountBalance],
    more: bool,
}

#[derive(Serialize)]
struct ErrorLine<'a, E> {
    error: E,
    message: &'a str,
}

/// The outcomes that a client reports by itself.
#[derive(Serialize)]
struct OutcomeLine<'a> {
    outcome: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a RequestId>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum EndingLine<'a> {
    Decided(&'a Outcome),
    Other(OutcomeLine<'a>),
}

#[derive(Serialize)]
struct BatchLine<'a> {
    outcomes: Vec<EndingLine<'a>>,
}

fn ending_line(ending: &Ending) -> EndingLine<'_> {
    match ending {
        Ending::Decided(outcome) => EndingLine::Decided(outcome),
        Ending::Unknown { request, reason } => EndingLine::Other(OutcomeLine {
            outcome: "unknown",
            reason: unknown(request, reason),
            request: Some(request),
        }),
        Ending::NotDone(failure) => {
            let outcome = if is_invalid(failure) { "invalid" } else { "unavailable" };
            let reason = not_done(failure);
            EndingLine::Other(OutcomeLine { outcome, reason, request: None })
        }
    }
}

fn failure_to_json(failure: &Failure) -> String {
    let message = &failure.to_string();
    match failure {
        Failure::Said(error, _) => to_line(&ErrorLine { error, message }),
        Failure::NotSent(_) | Failure::NoAnswer(_) => {
            to_line(&ErrorLine { error: "unavailable", message })
        }
        Failure::Interrupted => to_line(&ErrorLine { error: "interrupted", message }),
        Failure::NoServer(_) => to_line(&ErrorLine { error: "usage", message }),
        Failure::NotUnderstood(_) => to_line(&ErrorLine { error: "not_understood", message }),
        Failure::Untrusted(_) => to_line(&ErrorLine { error: "untrusted", message }),
        Failure::WrongServer(_) => to_line(&ErrorLine { error: "wrong_server", message }),
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
