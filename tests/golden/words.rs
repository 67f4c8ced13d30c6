//! What a transcript calls things.

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::effects::{Level, Note, Timer, Write};
use paxos_banking::bank::ids::ServerId;
use paxos_banking::bank::ledger::entry::{Entry, Via};
use paxos_banking::bank::paxos::message::{Message, Vote};
use paxos_banking::bank::request::{Outcome, Reply};

fn join<T>(things: impl IntoIterator<Item = T>, word: impl Fn(T) -> String) -> String {
    things.into_iter().map(word).collect::<Vec<_>>().join(", ")
}

/// An entry by its name, such as B1 for the first one of B's, and what it says.
fn entry(entry: &Entry) -> String {
    let Entry { server, seq, from, to, amount, .. } = entry;
    format!("{server}{seq} ({from} pays {to} {amount})")
}

/// The names only.
fn names<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    join(entries, |entry| format!("{}{}", entry.server, entry.seq))
}

pub fn log<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    match join(entries, entry) {
        empty if empty.is_empty() => "empty".into(),
        entries => entries,
    }
}

/// A block by its height and the beginning of its hash.
pub fn block(block: &SealedBlock) -> String {
    format!("block {} #{}", block.height(), block.hash().short())
}

fn content(sealed: &SealedBlock) -> String {
    format!("{} = {}", block(sealed), log(&sealed.block().entries))
}

/// A note of the machine's, if it says more than the messages and writes beside it.
pub fn note(note: &Note) -> Option<(&'static str, String)> {
    let known = [": prepare", " promised", " appended: ", " built: "];
    if known.iter().any(|words| note.text.contains(words)) {
        return None;
    }
    let verb = if note.level == Level::Debug { "ignores" } else { "notes" };
    // The ids of instances and lives are fixed here, and say nothing.
    let text = match (note.text.find(" (instance"), note.text.find("): ")) {
        (Some(from), Some(to)) => format!("{}{}", &note.text[..from], &note.text[to + 1..]),
        _ => note.text.clone(),
    };
    Some((verb, text))
}

pub fn message(message: &Message) -> String {
    let words = match message {
        Message::Prepare { height, ballot, .. } => format!("block {height}, ballot {ballot}"),
        Message::Promise { ballot, waiting, vote, .. } => {
            let vote = match vote {
                Vote::Log { entries, .. } => format!("log: {}", log(entries)),
                Vote::Accepted { ballot, block } => {
                    format!("accepted before, in ballot {ballot}: {}", content(block))
                }
            };
            let waiting = if *waiting { "; transfers wait here" } else { "" };
            format!("ballot {ballot}; {vote}{waiting}")
        }
        Message::Accept { ballot, block, .. } => format!("ballot {ballot}, {}", content(block)),
        Message::Accepted { height, ballot, hash, .. } => {
            format!("ballot {ballot}, block {height} #{}", hash.short())
        }
        Message::Commit { height, hash } => format!("block {height} #{}", hash.short()),
        Message::Nack { ballot, promised, .. } => {
            format!("ballot {ballot}: {promised} is promised already")
        }
        Message::ReconcileRequest => "which blocks do you hold?".into(),
        Message::ReconcileAck { height } => format!("blocks 0 to {height}"),
        Message::BlocksRequest { from, to } => format!("blocks {from} to {to}, please"),
        Message::BlocksResponse { blocks } => join(blocks, content),
        Message::Heartbeat(standing) => format!("at block {}", standing.height),
        Message::Hello(_) | Message::Reject { .. } => "handshake".into(),
    };
    format!("{:<9} {words}", message.name())
}

/// What a server saves.
pub fn write(server: &ServerId, write: &Write) -> String {
    match write {
        Write::Log(entries) => format!("{} enters the log", log(entries)),
        Write::Promise(ballot) => format!("promises ballot {ballot}"),
        Write::Accept { ballot, block: accepted } => {
            format!("accepts {} in ballot {ballot}", block(accepted))
        }
        Write::Append { block: appended, .. } => {
            let is_own = |entry: &&Entry| entry.server == *server;
            let own = names(appended.block().entries.iter().filter(is_own));
            let trim = if own.is_empty() { own } else { format!("; off the log: {own}") };
            format!("{} is appended to the chain{trim}", block(appended))
        }
        Write::Activate => "the bank is open".into(),
    }
}

pub fn reply(reply: &Reply) -> String {
    let outcome = match reply {
        Reply::Transfer(outcome) => outcome,
        Reply::Settled { consulted, not_consulted, .. } => {
            return format!("settled; {}", consultation(consulted, not_consulted));
        }
        other => panic!("no scene asks for that: {other:?}"),
    };
    match outcome {
        Outcome::Accepted { server, seq, balance, via, repeated, .. } => {
            let via = match (via, repeated) {
                (_, true) => "as it was before",
                (Via::Local, _) => "from the local log",
                (Via::Paxos, _) => "after a Paxos run",
            };
            format!("ACCEPTED as {server}{seq}, {via}; {server} has {balance} left")
        }
        Outcome::Refused { reason, consulted, not_consulted, .. } => {
            format!("REFUSED: {reason}; {}", consultation(consulted, not_consulted))
        }
        Outcome::Unavailable { reason } => format!("UNAVAILABLE: {reason}"),
        Outcome::Invalid { reason } => format!("INVALID: {reason}"),
        Outcome::Expired { reason } => format!("EXPIRED: {reason}"),
    }
}

fn consultation(consulted: &[ServerId], not_consulted: &[ServerId]) -> String {
    let consulted = format!("consulted: {}", join(consulted, ServerId::to_string));
    match not_consulted {
        [] => consulted,
        others => format!("{consulted}; not consulted: {}", join(others, ServerId::to_string)),
    }
}

pub fn timer(timer: Timer) -> &'static str {
    match timer {
        Timer::Heartbeat => "it is time for a heartbeat",
        Timer::Gather { .. } => "it has waited long enough for more promises",
        Timer::Repeat => "it is time to ask again those who haven't answered",
        Timer::BackOff { .. } => "it has backed off for long enough",
        Timer::FinishRound => "it accepted a block a while ago, and no commit came",
        Timer::Reconcile => "a step of reconciling took too long",
        Timer::Deadline(_) => "a transfer has waited for too long",
    }
}
