//! What came of a command, in words. Pure.

use std::fmt::Write;

use crate::bank::blockchain::block::Accounts;
use crate::bank::ids::{AccountId, RequestId, ServerId};
use crate::bank::ledger::entry::{Action, Entry, Record, Via};
use crate::bank::reference::Reference;
use crate::bank::request::{
    AsksToJoin, AsksToRejoin, Listed, MemberStatus, Reply, ShortStatus, StatementLine,
};
use crate::bank::wall_time::WallTime;
use crate::client::commands::{AccountBalance, AllBalances, Health, Page, Response, Sum};
use crate::client::exit::is_invalid;
use crate::client::outcome::{consulted_in_words, outcome_in_words};
use crate::client::session::{Ending, Failure};
use crate::client::status::status_in_words;
use crate::client::text::{names, plain};
use crate::clock;
use crate::wire::link::{LinkFault, LinkFaults};
use crate::wire::reply::HashedBlock;

/// Writes a response in words, in one or more lines, with the last newline.
pub fn to_words(response: &Response) -> String {
    let mut text = match response {
        Response::One(ending) => ending_in_words(ending),
        Response::Batch(endings) => {
            let numbered = |(ending, number)| format!("{number}: {}", ending_in_words(ending));
            endings.iter().zip(1..).map(numbered).collect::<Vec<_>>().join("\n")
        }
        Response::Reply(reply) => reply_in_words(reply),
        Response::Page { reply, next, since } => {
            let since = since.map_or(String::new(), |since| since_in_words(reply, since));
            format!("{}{since}{}", reply_in_words(reply), next_in_words(next.as_ref()))
        }
        Response::Balances { accounts, next } => {
            format!("{}{}", balances_in_words(accounts), next_in_words(next.as_ref()))
        }
        Response::AllBalances(sums) => sums_in_words(sums),
        Response::Block(block) => whole_block_in_words(block),
        Response::Chain(blocks) if blocks.is_empty() => "no such blocks".into(),
        Response::Chain(blocks) => blocks.iter().map(block_in_words).collect::<Vec<_>>().join("\n"),
        Response::Links(LinkFaults { faults, .. }) => links_in_words(faults),
        Response::Health(health) => health_in_words(health),
        Response::Help(topic) => topic.text(),
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
            let unknown = plain(&unknown(request, reason));
            format!("unknown: {unknown}; again asks once more under the same name")
        }
        Ending::NotDone(failure) => {
            let outcome = if is_invalid(failure) { "invalid" } else { "unavailable" };
            format!("{outcome}: {}", plain(&not_done(failure)))
        }
    }
}

fn reply_in_words(reply: &Reply) -> String {
    match reply {
        Reply::Session { session, .. } => format!("session {session}"),
        Reply::One(outcome) => outcome_in_words(outcome),
        Reply::Batch { outcomes } => {
            outcomes.iter().map(outcome_in_words).collect::<Vec<_>>().join("\n")
        }
        Reply::Balance { account, balance, committed, height } => {
            let committed = match committed {
                Some(committed) => format!("in the chain at height {height}: {committed}"),
                None => format!("not in the chain at height {height}"),
            };
            format!("{account}: {balance} ({committed})")
        }
        Reply::History { account, lines, next: Some(_) } if lines.is_empty() => {
            format!("{account}: no entries in what was looked through so far")
        }
        Reply::History { account, lines, .. } => statement_in_words(account, lines),
        Reply::Accounts { accounts, .. } if accounts.is_empty() => "no such accounts".into(),
        Reply::Accounts { accounts, .. } => {
            accounts.iter().map(listed_in_words).collect::<Vec<_>>().join("\n")
        }
        Reply::Log { server, entries, .. } => {
            format!("local log of {server}: {}{}", number_of(entries), entries_in_words(entries))
        }
        Reply::Status(status) => status_in_words(status),
        Reply::Settled { height, consulted, not_consulted, .. } => {
            format!("settled at height {height}; {}", consulted_in_words(consulted, not_consulted))
        }
        Reply::Follows { server, bank, next } => {
            format!("following {server} of the bank {} from {next}", bank.short())
        }
        Reply::Short(status) => short_status_in_words(status),
        Reply::Rejoins { rejoins } => rejoins_in_words(rejoins),
        Reply::Members { height, members, asks, ordered } => {
            members_in_words(*height, members, asks, ordered)
        }
        Reply::Error { message, .. } | Reply::TakenOver { message, .. } => {
            format!("error: {}", plain(message))
        }
    }
}

fn health_in_words(health: &Health) -> String {
    let Health { server, serves, why, hears_majority } = health;
    let majority = match hears_majority {
        Some(true) => ", and hears a majority",
        Some(false) => ", but hears no majority",
        None => "",
    };
    match (serves, why) {
        (true, _) => format!("{server} serves{majority}"),
        (false, Some(why)) => format!("{server} doesn't serve: {}", plain(why)),
        (false, None) => format!("{server} doesn't serve"),
    }
}

fn short_status_in_words(status: &ShortStatus) -> String {
    let ShortStatus { server, active, height, yours, .. } = status;
    let open = if *active { "open" } else { "not open" };
    let height = height.map_or("no height".to_owned(), |height| format!("height {height}"));
    let yours: Vec<&str> = yours.iter().map(AccountId::as_str).collect();
    format!("{server}: {open}, {height}; your accounts here: {}", yours.join(", "))
}

fn rejoins_in_words(rejoins: &[AsksToRejoin]) -> String {
    if rejoins.is_empty() {
        return "nobody asks to rejoin".into();
    }
    let line = |AsksToRejoin { server, instance, key, confirmed }: &AsksToRejoin| {
        let what = if *confirmed { "is confirmed" } else { "asks to rejoin" };
        format!("{server} {what} with the key {key} (instance {instance})")
    };
    rejoins.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn members_in_words(
    height: u64,
    members: &[MemberStatus],
    asks: &[AsksToJoin],
    ordered: &[ServerId],
) -> String {
    let mut text = format!("members from height {} on:", height + 1);
    for MemberStatus { server, address, votes, key, connected, .. } in members {
        let votes = if *votes { "votes" } else { "branch, no vote" };
        let at = address.as_deref().map_or("address unknown".into(), plain);
        let here = if *connected { "connected" } else { "not connected" };
        let key = key.map(|key| format!(", {key}")).unwrap_or_default();
        // Writing to a text can't fail.
        let _ = write!(text, "\n  {server}: {votes}, {at}, {here}{key}");
    }
    for AsksToJoin { server, instance, key } in asks {
        let key = key.map(|key| format!(" with the key {key}")).unwrap_or_default();
        let _ = write!(text, "\n  {server} asks to be admitted{key} (instance {instance})");
    }
    for server in ordered {
        let _ = write!(text, "\n  {server} is to be admitted as soon as it greets");
    }
    text
}

/// Says from when on there are no entries, if there are none.
fn since_in_words(reply: &Reply, since: WallTime) -> String {
    match reply {
        Reply::History { lines, .. } if lines.is_empty() => {
            format!(" since {}", clock::text_of(since))
        }
        _ => String::new(),
    }
}

fn next_in_words(next: Option<&Page>) -> String {
    next.map_or(String::new(), |next| format!("\n  to go on: more, or: {next}"))
}

fn balances_in_words(accounts: &[AccountBalance]) -> String {
    if accounts.is_empty() {
        return "no such accounts".into();
    }
    let line = |AccountBalance { account, balance, committed, height }: &AccountBalance| {
        let change = match committed {
            Some(committed) => signed(balance.units() as i64 - committed.units() as i64),
            None => String::new(),
        };
        let committed = match committed {
            Some(committed) => format!("{committed} in the chain at height {height}"),
            None => format!("not in the chain at height {height}"),
        };
        let change = if change.is_empty() { change } else { format!(", {change} in the log here") };
        format!("{account}: {balance} ({committed}{change})")
    };
    accounts.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Writes a change with its sign; nothing if there is none.
fn signed(change: i64) -> String {
    if change == 0 { String::new() } else { format!("{change:+}") }
}

fn sums_in_words(sums: &AllBalances) -> String {
    let AllBalances { balances, height, chain_of, logs, silent, moved } = sums;
    let mut text = String::new();
    for Sum { account, committed, logs, balance, home_is_no_member } in balances {
        let committed = match committed {
            Some(committed) => format!("{committed} in the chain"),
            None => "not in the chain".into(),
        };
        let change = match signed(*logs) {
            change if change.is_empty() => change,
            change => format!(", {change} in logs"),
        };
        let gone = match home_is_no_member {
            true => format!("; its home {} is no member", account.home()),
            false => String::new(),
        };
        // Writing to a text can't fail.
        let _ = writeln!(text, "{account}: {balance} ({committed}{change}){gone}");
    }
    let total: i64 = balances.iter().map(|sum| sum.balance).sum();
    let asked: Vec<String> = logs.iter().map(|(id, many)| format!("{id} {many}")).collect();
    let _ = write!(
        text,
        "{} accounts, {total} in all: the chain of {chain_of} at height {height}, and entries in logs: {}",
        balances.len(),
        asked.join(", ")
    );
    for (server, why) in silent {
        let _ = write!(text, "\n  {server} did not answer, so its log is missing: {}", plain(why));
    }
    if *moved {
        text.push_str("\n  a block came in between: what it took from the logs is missing");
    }
    text.push_str("\n  asked one after the other, without consensus: not a view of one moment");
    text
}

fn whole_block_in_words(block: &HashedBlock) -> String {
    let HashedBlock { height, hash, previous, entries, .. } = block;
    format!(
        "block {height} {}\n  hash     {hash}\n  previous {previous}\n  {}{}",
        built_by(block),
        number_of(entries),
        entries_in_words(entries)
    )
}

fn block_in_words(block: &HashedBlock) -> String {
    let HashedBlock { height, hash, entries, .. } = block;
    let (by, count) = (built_by(block), number_of(entries));
    format!("block {height} {} {by}: {count}{}", hash.short(), entries_in_words(entries))
}

fn built_by(block: &HashedBlock) -> String {
    match (&block.proposer, &block.genesis) {
        (Some(proposer), _) => format!("by {proposer}"),
        (None, Some(genesis)) => {
            let servers: Vec<ServerId> = genesis.servers.keys().cloned().collect();
            match &genesis.origin {
                None => format!(
                    "genesis: {} open with {} each",
                    names(&servers),
                    genesis.opening_balance
                ),
                Some(origin) => format!(
                    "genesis: {} go on from block {} of the bank {}, with {} in {} accounts",
                    names(&servers),
                    origin.height,
                    origin.bank.short(),
                    origin.total,
                    origin.accounts
                ),
            }
        }
        (None, None) => match &block.opening {
            Some(Accounts { balances, sessions, .. }) if sessions.is_empty() => {
                format!("opening: accounts: {}", balances.len())
            }
            Some(Accounts { balances, sessions, .. }) => {
                format!("opening: accounts: {}, named sessions: {}", balances.len(), sessions.len())
            }
            None => "opening: from a log of the former bank".into(),
        },
    }
}

fn entries_in_words(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        // Writing to a text can't fail.
        let _ = write!(text, "\n  {}", entry_in_words(entry));
    }
    text
}

pub(super) fn entry_in_words(entry: &Entry) -> String {
    let Entry { server, epoch, seq, time, record } = entry;
    let Record { action, via, linked, reference, .. } = record;
    let what = match action {
        Action::Transfer { from, to, amount } => format!("{from} pays {to} {amount}"),
        Action::Mint { account, amount } => format!("{amount} is issued to {account}"),
        Action::Burn { account, amount } => format!("{amount} is taken back from {account}"),
        Action::Open { account, key: None } => format!("{account} is opened"),
        Action::Open { account, key: Some(key) } => format!("{account} is opened for {key}"),
        Action::Rekey { account, key } => format!("{account} is given to {key}"),
        Action::Pin { server: who, key, .. } => format!("{who} is known by {key} from now on"),
        Action::Rejoin { server: who, old, new, key: None } => {
            format!("{who} rejoins: {new} is to replace {old}")
        }
        Action::Rejoin { server: who, old, new, key: Some(key) } => {
            format!("{who} rejoins: {new} is to replace {old}, and is known by {key}")
        }
        Action::Member(change) => change.to_string(),
    };
    let marks = match (via, linked) {
        (Via::Local, false) => "",
        (Via::Local, true) => " (linked to the next)",
        (Via::Paxos, false) => " (paxos)",
        (Via::Paxos, true) => " (paxos, linked to the next)",
    };
    let time = time.map_or(String::new(), |time| format!("{}  ", clock::text_of(time)));
    let what_for = |reference: &Reference| format!(" for {:?}", reference.as_str());
    let reference = reference.as_ref().map_or(String::new(), what_for);
    format!("{time}{server}.{epoch}.{seq}: {what}{reference}{marks}")
}

fn statement_in_words(account: &AccountId, lines: &[StatementLine]) -> String {
    if lines.is_empty() {
        return format!("{account}: no entries");
    }
    let mut text = format!("{account}, the newest first:");
    for StatementLine { height, balance, entry } in lines {
        let place = height.map_or("in the log".into(), |height| format!("block {height}"));
        let _ = write!(text, "\n  {place:<10}  {}; balance {balance}", entry_in_words(entry));
    }
    text
}

fn listed_in_words(listed: &Listed) -> String {
    let Listed { account, committed } = listed;
    match committed {
        Some(committed) => format!("{account}: {committed} in the chain"),
        None => format!("{account}: not in the chain yet"),
    }
}

fn links_in_words(faults: &[LinkFault]) -> String {
    if faults.is_empty() {
        return "no link is broken".into();
    }
    faults.iter().map(LinkFault::to_string).collect::<Vec<_>>().join("\n")
}

fn number_of(entries: &[Entry]) -> String {
    match entries.len() {
        1 => "1 entry".into(),
        many => format!("{many} entries"),
    }
}

pub(super) fn unknown(request: &RequestId, reason: &str) -> String {
    format!(
        "{reason}; it may or may not have happened: if it has, the server's log or the chain \
         holds an entry with request {request}"
    )
}

pub(super) fn not_done(failure: &Failure) -> String {
    format!("{failure}; it has not happened and will not")
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
