//! What came of a command, in words or as one line of JSON, and as an exit status. Pure.

use std::fmt::Write;

use serde::Serialize;

use crate::bank::ids::{RequestId, ServerId};
use crate::bank::ledger::entry::{Entry, Via};
use crate::bank::request::{ErrorCode, Outcome, Reply, Start, Status};
use crate::client::commands::Response;
use crate::client::parse::HELP;
use crate::client::session::{Ending, Failure};
use crate::wire::reply::HashedBlock;
use crate::wire::to_line;

/// How a client ends. Of several, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything was done.
    Done,
    /// A transfer was refused, or invalid.
    Refused,
    /// There was no answer, or no majority, in time.
    NoAnswer,
    /// A command was wrong.
    Usage,
}

impl Exit {
    /// The status for the system.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::NoAnswer => 3,
        }
    }
}

/// The exit status that a response calls for.
pub fn exit_of(response: &Response) -> Exit {
    match response {
        Response::Transfer(Ending::Decided(Outcome::Accepted { .. })) => Exit::Done,
        Response::Transfer(Ending::Decided(Outcome::Refused { .. } | Outcome::Invalid { .. })) => {
            Exit::Refused
        }
        Response::Transfer(Ending::NotDone(failure)) if is_invalid(failure) => Exit::Refused,
        Response::Transfer(_) => Exit::NoAnswer,
        Response::Failed(Failure::Said(ErrorCode::UnknownAccount, _)) => Exit::Usage,
        Response::Failed(_) | Response::Reply(Reply::Error { .. }) => Exit::NoAnswer,
        Response::Usage(_) => Exit::Usage,
        Response::Reply(_) | Response::Chain(_) | Response::Help => Exit::Done,
    }
}

/// Whether it is the transfer itself that the server can't take.
fn is_invalid(failure: &Failure) -> bool {
    matches!(failure, Failure::Said(ErrorCode::BadRequest | ErrorCode::UnknownAccount, _))
}

// ── As JSON ──────────────────────────────────────────────────────────────────────────────────────

/// A response as one line of JSON, with its newline.
pub fn to_json(response: &Response) -> String {
    match response {
        Response::Transfer(ending) => ending_to_json(ending),
        Response::Reply(reply) => to_line(reply),
        Response::Chain(blocks) => to_line(&ChainLine { blocks }),
        Response::Help => to_line(&HelpLine { help: HELP }),
        Response::Failed(failure) => failure_to_json(failure),
        Response::Usage(message) => to_line(&ErrorLine { error: "usage", message }),
    }
}

#[derive(Serialize)]
struct ChainLine<'a> {
    blocks: &'a [HashedBlock<'a>],
}

#[derive(Serialize)]
struct HelpLine {
    help: &'static str,
}

#[derive(Serialize)]
struct ErrorLine<'a, E> {
    error: E,
    message: &'a str,
}

/// Outcomes that only a client can come to.
#[derive(Serialize)]
struct OutcomeLine<'a> {
    outcome: &'static str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a RequestId>,
}

fn ending_to_json(ending: &Ending) -> String {
    match ending {
        Ending::Decided(outcome) => to_line(outcome),
        Ending::Unknown { request, reason } => to_line(&OutcomeLine {
            outcome: "unknown",
            reason: unknown(request, reason),
            request: Some(request),
        }),
        Ending::NotDone(failure) => {
            let outcome = if is_invalid(failure) { "invalid" } else { "unavailable" };
            to_line(&OutcomeLine { outcome, reason: not_done(failure), request: None })
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
        Failure::NotUnderstood(_) => to_line(&ErrorLine { error: "not_understood", message }),
        Failure::WrongServer(_) => to_line(&ErrorLine { error: "wrong_server", message }),
    }
}

fn unknown(request: &RequestId, reason: &str) -> String {
    format!(
        "{reason}; it may or may not have happened: if it has, the server's log or the chain \
         holds an entry with request {request}"
    )
}

fn not_done(failure: &Failure) -> String {
    format!("{failure}; it has not happened and will not")
}

// ── In words ─────────────────────────────────────────────────────────────────────────────────────

/// A response in words, one or more lines, with the last newline.
pub fn to_words(response: &Response) -> String {
    let mut text = match response {
        Response::Transfer(ending) => ending_in_words(ending),
        Response::Reply(reply) => reply_in_words(reply),
        Response::Chain(blocks) if blocks.is_empty() => "no such blocks".into(),
        Response::Chain(blocks) => blocks.iter().map(block_in_words).collect::<Vec<_>>().join("\n"),
        Response::Help => HELP.into(),
        Response::Failed(failure) => format!("error: {}", plain(&failure.to_string())),
        Response::Usage(message) => format!("error: {}", plain(message)),
    };
    text.push('\n');
    text
}

fn ending_in_words(ending: &Ending) -> String {
    match ending {
        Ending::Decided(outcome) => outcome_in_words(outcome),
        Ending::Unknown { request, reason } => {
            format!("unknown: {}", plain(&unknown(request, reason)))
        }
        Ending::NotDone(failure) => {
            let outcome = if is_invalid(failure) { "invalid" } else { "unavailable" };
            format!("{outcome}: {}", plain(&not_done(failure)))
        }
    }
}

fn outcome_in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { server, epoch, seq, balance, via, repeated } => {
            let how = match via {
                Via::Local => "from the local log",
                Via::Paxos => "after a Paxos run",
            };
            // The balance of a retry is today's, not the one that the transfer left.
            let retried = if *repeated { " (a retry: it happened once, before)" } else { "" };
            format!("accepted: balance {balance}, {how}, as {server}.{epoch}.{seq}{retried}")
        }
        Outcome::Refused { reason, balance, consulted, not_consulted } => {
            let asked = consulted_in_words(consulted, not_consulted);
            format!("refused: {}; balance {balance}; {asked}", plain(reason))
        }
        Outcome::Unavailable { reason } => format!("unavailable: {}", plain(reason)),
        Outcome::Invalid { reason } => format!("invalid: {}", plain(reason)),
        Outcome::Expired { reason } => format!("unknown: {}", plain(reason)),
    }
}

fn reply_in_words(reply: &Reply) -> String {
    match reply {
        Reply::Session { session } => format!("session {session}"),
        Reply::Transfer(outcome) => outcome_in_words(outcome),
        Reply::Transfers { outcomes } => {
            outcomes.iter().map(outcome_in_words).collect::<Vec<_>>().join("\n")
        }
        Reply::Balance { account, balance, committed, height } => {
            format!("{account}: {balance} (in the chain at height {height}: {committed})")
        }
        Reply::Log { server, entries, .. } => {
            format!("local log of {server}: {}{}", number_of(entries), entries_in_words(entries))
        }
        Reply::Status(status) => status_in_words(status),
        Reply::Settled { height, consulted, not_consulted, .. } => {
            format!("settled at height {height}; {}", consulted_in_words(consulted, not_consulted))
        }
        Reply::Error { message, .. } => format!("error: {}", plain(message)),
    }
}

fn status_in_words(status: &Status) -> String {
    let start = match status.start {
        Start::Baby => "baby",
        Start::Zombie => "zombie",
    };
    let open = if status.active {
        "open".into()
    } else {
        format!("waits for {}", names(&status.waiting_for))
    };
    let height = status.height.map_or("none".into(), |height| height.to_string());
    let head = status.head.short();
    let Status { server, log_length, waiting, run, turn, .. } = status;
    let run = plain(run);
    let mut text = format!(
        "{server}: {open}; started as a {start}\n  height {height} (head {head}), log {log_length}, \
         waiting {waiting}, run {run}, turn {turn}"
    );
    for peer in &status.peers {
        let connected = if peer.connected { "connected" } else { "not connected" };
        let height = peer.height.map_or(String::new(), |height| format!(", height {height}"));
        // Writing to a text can't fail.
        let _ = write!(text, "\n  peer {}: {connected}{height}", peer.id);
    }
    text
}

fn block_in_words(block: &HashedBlock<'_>) -> String {
    let HashedBlock { height, hash, proposer, genesis, entries, .. } = block;
    let by = match (proposer, genesis) {
        (Some(proposer), _) => format!("by {proposer}"),
        (None, Some(genesis)) => {
            let servers: Vec<ServerId> = genesis.servers.keys().cloned().collect();
            format!("genesis: {} open with {} each", names(&servers), genesis.opening_balance)
        }
        (None, None) => "by nobody".into(),
    };
    let count = number_of(entries);
    format!("block {height} {} {by}: {count}{}", hash.short(), entries_in_words(entries))
}

fn entries_in_words(entries: &[Entry]) -> String {
    let mut text = String::new();
    for Entry { server, epoch, seq, from, to, amount, via, .. } in entries {
        let how = if *via == Via::Paxos { " (paxos)" } else { "" };
        // Writing to a text can't fail.
        let _ = write!(text, "\n  {server}.{epoch}.{seq}: {from} pays {to} {amount}{how}");
    }
    text
}

fn number_of(entries: &[Entry]) -> String {
    match entries.len() {
        1 => "1 entry".into(),
        many => format!("{many} entries"),
    }
}

fn consulted_in_words(consulted: &[ServerId], not_consulted: &[ServerId]) -> String {
    let mut text = format!("consulted {}", names(consulted));
    if !not_consulted.is_empty() {
        text = format!("{text}, not consulted {}", names(not_consulted));
    }
    text
}

fn names(servers: &[ServerId]) -> String {
    match servers {
        [] => "nobody".into(),
        servers => servers.iter().map(ServerId::as_str).collect::<Vec<_>>().join(", "),
    }
}

/// A text from elsewhere, on one line and without what would make a terminal do things.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
#[path = "print_tests.rs"]
mod tests;
