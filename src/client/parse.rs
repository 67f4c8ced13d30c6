//! Typed lines into commands. Pure: nothing is carried out here.

use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::AccountId;
use crate::bank::limits::MAX_PAGE;
use crate::bank::request::{Cursor, Instruction};
use crate::client::commands::{Command, List, Page};
use crate::client::find::find;
use crate::client::help::Help;
use crate::client::parse_follow;
use crate::client::parse_members;
use crate::client::parse_transfers::{
    one_issue, one_opening, one_rekeying, one_transfer, several, triplet,
};
pub use crate::client::parse_values::FindKey;
use crate::client::parse_values::{height, how_often, is_number, number, value};
use crate::client::split::{without_comment, words};
use crate::client::text::cut;
use crate::client::time::parse_time;
use crate::wire::link::{Fault, LinkFault, LinkOrder};
use crate::wire::messages::Messages;
use crate::wire::request::DEFAULT_PAGE;

/// Parses a line into a command; none if the line is blank or a comment. `home` is the account that pays
/// where none is named. Keys are named by their fingerprints alone.
///
/// # Errors
/// Says what is wrong and what was expected.
pub fn parse(line: &str, home: &AccountId) -> Result<Option<Command>, String> {
    parse_with(line, home, &value::<Fingerprint>)
}

/// Does the same where words for keys, such as the names of files, are looked up by `find_key`.
///
/// # Errors
/// The same, and those of `find_key`.
pub fn parse_with(
    line: &str,
    home: &AccountId,
    find_key: FindKey<'_>,
) -> Result<Option<Command>, String> {
    let line = bare(line, home);
    if line.contains('\u{1b}') {
        return Err("a line with an escape character in it: type the whole line anew".into());
    }
    if line.starts_with('(') {
        return Ok(Some(Command::One(Instruction::plain(triplet(line)?))));
    }
    let words = words(line)?;
    let Some((word, rest)) = words.split_first() else { return Ok(None) };
    let topic = find(&word.text)?;
    let arguments: Vec<&str> = rest.iter().map(|word| &*word.text).collect();
    let arguments = &arguments[..];
    let command = match (topic.word, arguments) {
        ("transfer" | "t", _) => one_transfer(rest, home)?,
        (word @ ("mint" | "burn"), _) => {
            one_issue(word, rest, home).unwrap_or_else(|| Err(topic.expected()))?
        }
        ("open", _) => one_opening(rest, home, find_key)?,
        ("rekey", _) => one_rekeying(rest, find_key)?,
        (word @ ("linked" | "batch"), _) => several(word, rest, home, find_key)?,
        ("again", []) => Command::Again,
        ("balance", []) => Command::Balance(None),
        ("balance", [account]) => Command::Balance(Some(value(account)?)),
        ("balances", rest) => balances(rest)?,
        ("history", rest) => history(rest, home)?,
        ("accounts", rest) => accounts(rest)?,
        ("chain", []) => Command::Chain { from: 0, to: None },
        ("chain", [from]) => Command::Chain { from: height(from)?, to: None },
        ("chain", [from, to]) => span(height(from)?, height(to)?)?,
        ("block", [one]) => Command::Block(height(one)?),
        ("follow", rest) => parse_follow::follow(rest)?,
        ("more", []) => Command::More,
        ("log", []) => Command::Log(None),
        ("log", [server]) => Command::Log(Some(value(server)?)),
        ("status", []) => Command::Status,
        ("health", []) => Command::Health,
        ("watch", []) => Command::Watch(None),
        ("watch", [times]) => Command::Watch(Some(how_often(times)?)),
        ("settle", []) => Command::Settle,
        ("rejoin", []) => Command::Rejoin(None),
        ("rejoin", [server, key]) => Command::Rejoin(Some((value(server)?, find_key(key)?))),
        (word @ ("members" | "admit" | "dismiss" | "move" | "promote" | "demote"), _) => {
            let order = parse_members::order(word, arguments, find_key);
            Command::Members(order.unwrap_or_else(|| Err(topic.expected()))?)
        }
        ("link", _) => Command::Link(link(arguments).unwrap_or_else(|| Err(topic.expected()))?),
        ("help", []) => Command::Help(Help::Short),
        ("help", ["all"]) => Command::Help(Help::Each),
        ("help", [word]) => Command::Help(Help::About(find(word)?)),
        ("quit" | "exit", []) => Command::Quit,
        _ => return Err(topic.expected()),
    };
    Ok(Some(command))
}

/// Takes off what surrounds a command: a comment, a byte order mark, the prompt of a line that was copied with it, and the
/// semicolon of those who are used to one.
fn bare<'a>(line: &'a str, home: &AccountId) -> &'a str {
    let line = without_comment(line);
    let line = line.trim_start_matches('\u{feff}').trim();
    let copied = line.strip_prefix(home.as_str()).and_then(|rest| rest.strip_prefix("> "));
    copied.unwrap_or(line).trim_end_matches(';').trim()
}

// ── Links ────────────────────────────────────────────────────────────────────────────────────────

/// Parses what follows `link`; none if it is no order.
fn link(arguments: &[&str]) -> Option<Result<LinkOrder, String>> {
    let broken = |peer, fault: Result<Fault, String>| {
        Ok(LinkOrder::Break(LinkFault { peer: value(peer)?, fault: fault? }))
    };
    Some(match arguments {
        [] => Ok(LinkOrder::Show),
        ["heal"] => Ok(LinkOrder::Heal(None)),
        ["heal", peer] => value(peer).map(|peer| LinkOrder::Heal(Some(peer))),
        ["cut", peer] => broken(peer, Ok(Fault::Cut)),
        ["delay", peer, time] => broken(peer, delay(time)),
        ["drop", peer, share] => broken(peer, share_lost(share)),
        ["lose", names @ .., peer] if !names.is_empty() => broken(peer, lose(names)),
        _ => return None,
    })
}

fn delay(time: &str) -> Result<Fault, String> {
    let time = parse_time(time).map_err(|wrong| format!("link delay: {wrong}"))?;
    Fault::delay(time.as_millis() as u64)
}

fn share_lost(share: &str) -> Result<Fault, String> {
    let percent = share
        .strip_suffix('%')
        .and_then(number)
        .ok_or_else(|| format!("{}: PERCENT is a whole percentage, such as 30%", cut(share)))?;
    Fault::drop(percent)
}

fn lose(names: &[&str]) -> Result<Fault, String> {
    let add = |all: Messages, name: &&str| Ok::<_, String>(all.and(name.parse()?));
    Fault::lose(names.iter().try_fold(Messages::default(), add)?)
}

// ── Pages ────────────────────────────────────────────────────────────────────────────────────────

const HISTORY: &str = "expected: history [ACCOUNT] [LIMIT] [--since TIME] [--before H.P.B], such as: \
                       history A 20 --since 7d";
const ACCOUNTS: &str =
    "expected: accounts [PREFIX] [LIMIT] [--after NAME], such as: accounts A/ 100";
const BALANCES: &str = "expected: balances [PREFIX] [LIMIT] [--after NAME] or balances --all [PREFIX], \
                        such as: balances A/ 100";

fn history(rest: &[&str], home: &AccountId) -> Result<Command, String> {
    let (mut before, mut since, mut others) = (None, None, Vec::new());
    let mut rest = rest.iter().copied();
    while let Some(word) = rest.next() {
        match word {
            "--before" => before = Some(cursor(rest.next().ok_or(HISTORY)?)?),
            "--since" => since = Some(rest.next().ok_or(HISTORY)?.parse()?),
            flag if flag.starts_with("--") => return Err(HISTORY.into()),
            other => others.push(other),
        }
    }
    let (account, most) = match others[..] {
        [] => (home.clone(), None),
        // A lone number is the limit.
        [most] if is_number(most) => (home.clone(), Some(most)),
        [account] if !account.starts_with('-') => (value(account)?, None),
        [account, most] => (value(account)?, Some(most)),
        _ => return Err(HISTORY.into()),
    };
    let limit = most.map_or(Ok(DEFAULT_PAGE), limit)?;
    Ok(Command::Page(Page::History { account, limit, before, since }))
}

fn accounts(rest: &[&str]) -> Result<Command, String> {
    match list(rest) {
        Some(list) => list.map(|list| Command::Page(Page::Accounts(list))),
        None => Err(ACCOUNTS.into()),
    }
}

/// Parses `[PREFIX] [LIMIT] [--after NAME]`; none if the words are others.
fn list(rest: &[&str]) -> Option<Result<List, String>> {
    let (rest, after) = match rest {
        [rest @ .., "--after", name] => (rest, Some(value(name))),
        rest => (rest, None),
    };
    let (prefix, most) = match rest {
        [] => ("", None),
        // A lone number is the limit.
        [most] if is_number(most) => ("", Some(most)),
        [prefix] => (*prefix, None),
        [prefix, most] => (*prefix, Some(most)),
        _ => return None,
    };
    let list = || {
        let limit = most.map_or(Ok(DEFAULT_PAGE), |most| limit(most))?;
        Ok(List { prefix: prefix.into(), limit, after: after.transpose()? })
    };
    (!prefix.starts_with("--")).then(list)
}

fn balances(rest: &[&str]) -> Result<Command, String> {
    match rest {
        ["-all", ..] => Err(BALANCES.into()),
        ["--all"] => Ok(Command::AllBalances { prefix: String::new() }),
        ["--all", prefix] | [prefix, "--all"] if !prefix.starts_with("--") => {
            Ok(Command::AllBalances { prefix: (*prefix).into() })
        }
        rest => match list(rest) {
            Some(list) => list.map(|list| Command::Page(Page::Balances(list))),
            None => Err(BALANCES.into()),
        },
    }
}

/// Parses the place where a page ended: a block's height, the entry's place in it, the balance before it.
fn cursor(text: &str) -> Result<Cursor, String> {
    let parse = || {
        let mut parts = text.split('.');
        let cursor = Cursor {
            height: number(parts.next()?)?,
            place: number(parts.next()?)?,
            balance: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(cursor)
    };
    let what = "--before takes what the page before showed, such as 7.3.50";
    parse().ok_or_else(|| format!("{}: {what}", cut(text)))
}

fn limit(word: &str) -> Result<usize, String> {
    let limit = number(word).and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|limit| (1..=MAX_PAGE).contains(limit));
    limit.ok_or_else(|| format!("{}: a limit is a whole number from 1 to {MAX_PAGE}", cut(word)))
}

fn span(from: u64, to: u64) -> Result<Command, String> {
    if to < from {
        return Err(format!(
            "the last height must not be below the first, but {to} is below {from}"
        ));
    }
    Ok(Command::Chain { from, to: Some(to) })
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
