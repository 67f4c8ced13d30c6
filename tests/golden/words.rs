//! What a transcript calls things.

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::effects::{Timer, Write};
use paxos_banking::bank::ids::ServerId;
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Entry, Via};
use paxos_banking::bank::member_order::MemberStatus;
use paxos_banking::bank::note::{Level, Note, Step};
use paxos_banking::bank::paxos::message::{Message, Vote};
use paxos_banking::bank::paxos::run::How;
use paxos_banking::bank::request::{Outcome, Reply};

fn join<T>(things: impl IntoIterator<Item = T>, word: impl Fn(T) -> String) -> String {
    things.into_iter().map(word).collect::<Vec<_>>().join(", ")
}

/// An entry by its name, such as B1 for the first one of B's, and what it says.
fn entry(entry: &Entry) -> String {
    let Entry { server, seq, record, .. } = entry;
    match &record.action {
        Action::Transfer { from, to, amount } => {
            format!("{server}{seq} ({from} pays {to} {amount})")
        }
        Action::Mint { account, amount } => format!("{server}{seq} ({amount} for {account})"),
        Action::Burn { account, amount } => format!("{server}{seq} ({amount} back from {account})"),
        Action::Open { account, .. } => format!("{server}{seq} ({account} is opened)"),
        Action::Rekey { account, .. } => format!("{server}{seq} ({account} gets another key)"),
        Action::Pin { server: who, .. } => format!("{server}{seq} ({who} tells its key)"),
        Action::Rejoin { server: who, .. } => format!("{server}{seq} ({who} rejoins)"),
        Action::Member(change) => format!("{server}{seq} ({change})"),
    }
}

/// Entries in their order; linked ones are joined by "with".
fn entries(entries: impl IntoIterator<Item = Entry>) -> String {
    let mut text = String::new();
    let mut joint = "";
    for each in entries {
        text = text + joint + &entry(&each);
        joint = if each.record.linked { " with " } else { ", " };
    }
    if text.is_empty() { "empty".into() } else { text }
}

/// What a server's log holds.
pub fn log(server: &ServerId, log: &[Element]) -> String {
    entries(log.iter().flat_map(|element| element.entries(server)))
}

/// The names of a server's entries, without what they say.
fn names(server: &ServerId, log: &[Element]) -> String {
    let entries = log.iter().flat_map(|element| element.entries(server));
    join(entries, |entry| format!("{server}{}", entry.seq))
}

/// A block by its height and the beginning of its hash.
pub fn block(block: &SealedBlock) -> String {
    format!("block {} #{}", block.height(), block.hash().short())
}

/// What a block holds.
pub fn entries_of(block: &SealedBlock) -> String {
    entries(block.block().entries())
}

fn content(sealed: &SealedBlock) -> String {
    format!("{} = {}", block(sealed), entries_of(sealed))
}

/// A note of the machine's, if it says more than the messages and writes beside it.
pub fn note(note: &Note) -> Option<(&'static str, String)> {
    let is_known = matches!(
        note,
        Note::Appended { .. }
            | Note::Run(
                _,
                _,
                Step::Prepares(_) | Step::Promised(..) | Step::Proposes { how: How::Gathered, .. }
            )
    );
    if is_known {
        return None;
    }
    let verb = if note.level() == Level::Debug { "ignores" } else { "notes" };
    let text = note.to_string();
    // The ids of instances and lives are fixed here, and say nothing.
    let text = match (text.find(" (instance"), text.find("): ")) {
        (Some(from), Some(to)) => format!("{}{}", &text[..from], &text[to + 1..]),
        _ => text,
    };
    Some((verb, text))
}

pub fn message(from: &ServerId, message: &Message) -> String {
    let words = match message {
        Message::Prepare { height, ballot, .. } => format!("block {height}, ballot {ballot}"),
        Message::Promise { ballot, waiting, vote, .. } => {
            let vote = match vote {
                Vote::Log { elements, .. } => format!("log: {}", log(from, elements)),
                Vote::Accepted { ballot, block } => {
                    format!("accepted before, in ballot {ballot}: {}", content(block))
                }
            };
            let waiting = if *waiting { "; transfers wait here" } else { "" };
            format!("ballot {ballot}; {vote}{waiting}")
        }
        Message::Accept { ballot, block, .. } => format!("ballot {ballot}, {}", content(block)),
        Message::Accepted { height, ballot, hash, waiting, beyond, .. } => {
            let beyond = match beyond.as_deref() {
                None => "; its log goes on, too long to be told".into(),
                Some([]) => String::new(),
                Some(elements) => format!("; beyond it: {}", log(from, elements)),
            };
            let waiting = if *waiting { "; transfers wait here" } else { "" };
            format!("ballot {ballot}, block {height} #{}{beyond}{waiting}", hash.short())
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
        Message::Rejoin { old, new } => format!("instance {new} is to replace {old}"),
    };
    format!("{:<9} {words}", message.name())
}

/// What a server saves.
pub fn write(server: &ServerId, write: &Write) -> String {
    match write {
        Write::Log(element) => {
            let element = std::slice::from_ref(element);
            format!("{} enters the log", log(server, element))
        }
        Write::Promise(ballot) => format!("promises ballot {ballot}"),
        Write::Accept { ballot, block: accepted } => {
            format!("accepts {} in ballot {ballot}", block(accepted))
        }
        Write::Append { block: appended, .. } => {
            let own = names(server, appended.block().log(server));
            let trim = if own.is_empty() { own } else { format!("; off the log: {own}") };
            format!("{} is appended to the chain{trim}", block(appended))
        }
        Write::Activate => "the bank is open".into(),
    }
}

/// One line for each outcome that a reply tells.
pub fn reply(reply: &Reply) -> Vec<String> {
    match reply {
        Reply::One(told) => vec![outcome(told)],
        Reply::Batch { outcomes } => outcomes.iter().map(outcome).collect(),
        Reply::Settled { consulted, not_consulted, .. } => {
            vec![format!("settled; {}", consultation(consulted, not_consulted))]
        }
        Reply::Members { members, .. } => {
            let word = |member: &MemberStatus| {
                format!("{}{}", member.server, if member.votes { "" } else { " (no vote)" })
            };
            vec![format!("the members are {}", join(members, word))]
        }
        Reply::Error { message, .. } | Reply::TakenOver { message, .. } => {
            vec![format!("NO: {message}")]
        }
        other => panic!("no scene asks for that: {other:?}"),
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { server, seq, balance, via, repeated, settled, .. } => {
            let via = match (via, repeated) {
                (_, true) => "as it was before",
                (Via::Local, _) => "from the local log",
                (Via::Paxos, _) => "after a Paxos run",
            };
            let settled = match settled {
                Some(true) => ", and in a block by now",
                Some(false) => ", but in no block yet",
                None => "",
            };
            format!("ACCEPTED as {server}{seq}, {via}{settled}; {balance} left")
        }
        Outcome::Refused { reason, consulted, not_consulted, .. } => {
            format!("REFUSED: {reason}; {}", consultation(consulted, not_consulted))
        }
        Outcome::Unavailable { reason } => format!("UNAVAILABLE: {reason}"),
        Outcome::Invalid { reason } => format!("INVALID: {reason}"),
        Outcome::LinkedFailed { reason } => format!("LINKED, FAILED: {reason}"),
        Outcome::WrongServer { reason, .. } => format!("WRONG SERVER: {reason}"),
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
        Timer::Patience { .. } => "a transfer has waited for money as long as it was to",
        Timer::Comeback => "clients that were answered have had the time to come again",
        Timer::Rest => "runs that bring nothing may begin again",
        Timer::LookUp => "payees that nobody knows may be asked for again",
        Timer::Settle => "its log is old enough to be settled",
    }
}
