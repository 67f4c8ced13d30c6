//! Typed lines into commands. Pure: nothing is carried out here.

use std::str::FromStr;

use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::AccountId;
use crate::bank::ledger::entry::Action;
use crate::bank::limits::{MAX_BATCH, MAX_PAGE};
use crate::bank::request::{Cursor, Instruction};
use crate::client::commands::{Command, List, Page};
use crate::client::help::{cut, find};
use crate::client::parse_members;
use crate::client::time::parse_time;
use crate::wire::link::{Fault, LinkFault, LinkOrder};
use crate::wire::messages::Messages;
use crate::wire::request::DEFAULT_PAGE;

/// Finds the fingerprint of the key that a word means.
pub type FindKey<'a> = &'a dyn Fn(&str) -> Result<Fingerprint, String>;

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
    let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
    if line.contains('\u{1b}') {
        return Err("a line with an escape character in it: type the whole line anew".into());
    }
    if line.starts_with('(') {
        return triplet(line).map(Some);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((&word, arguments)) = words.split_first() else { return Ok(None) };
    let topic = find(word)?;
    let command = match (topic.word, arguments) {
        ("transfer" | "t", _) => one_transfer(arguments, home)?,
        ("open", _) => one_opening(arguments, home, find_key)?,
        ("rekey", _) => one_rekeying(arguments, find_key)?,
        (word @ ("linked" | "batch"), _) => several(word, arguments, home, find_key)?,
        ("again", []) => Command::Again,
        ("balance", []) => Command::Balance(None),
        ("balance", [account]) => Command::Balance(Some(value(account)?)),
        ("balances", rest) => balances(rest)?,
        ("history", [account, rest @ ..]) => history(account, rest)?,
        ("history", []) => return Err(HISTORY.into()),
        ("accounts", rest) => accounts(rest)?,
        ("chain", []) => Command::Chain { from: 0, to: None },
        ("chain", [from]) => Command::Chain { from: height(from)?, to: None },
        ("chain", [from, to]) => span(height(from)?, height(to)?)?,
        ("block", [one]) => Command::Block(height(one)?),
        ("more", []) => Command::More,
        ("log", []) => Command::Log(None),
        ("log", [server]) => Command::Log(Some(value(server)?)),
        ("status", []) => Command::Status,
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
        ("help", []) => Command::Help(None),
        ("help", [word]) => Command::Help(Some(find(word)?)),
        ("quit" | "exit", []) => Command::Quit,
        _ => return Err(topic.expected()),
    };
    Ok(Some(command))
}

// ── Transfers, openings, keys of accounts ────────────────────────────────────────────────────────

/// The flags of transfers and openings. An opening's key is no flag, but a part of it.
#[derive(Default)]
struct Flags {
    settled: bool,
    wait_ms: Option<u64>,
}

impl Flags {
    /// Takes the flags out of a line's words.
    fn of<'a>(arguments: &[&'a str]) -> Result<(Flags, Vec<&'a str>), String> {
        let (mut flags, mut others) = (Flags::default(), Vec::new());
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            match argument {
                "--settled" => flags.settled = true,
                "--wait" => {
                    let time =
                        arguments.next().ok_or("expected: --wait TIME, such as --wait 10s")?;
                    let time = parse_time(time).map_err(|wrong| format!("--wait: {wrong}"))?;
                    flags.wait_ms = Some(time.as_millis() as u64);
                }
                "--key" => others.extend([argument].into_iter().chain(arguments.next().copied())),
                unknown if unknown.starts_with("--") => {
                    let unknown = cut(unknown);
                    return Err(format!(
                        "{unknown} is not known here; --settled and --wait TIME are"
                    ));
                }
                other => others.push(other),
            }
        }
        Ok((flags, others))
    }

    fn on(&self, action: Action) -> Instruction {
        // An opening needs no money, and so has nothing to wait for.
        let wait_ms = self.wait_ms.filter(|_| action.payer().is_some());
        Instruction { settled: self.settled, wait_ms, ..Instruction::plain(action) }
    }
}

/// Parses `[FROM] TO AMOUNT`; none if the number of words is wrong.
fn transfer(words: &[&str], home: &AccountId) -> Option<Result<Action, String>> {
    let action = |from, to, amount| {
        let (to, amount) = (value(to)?, value(amount)?);
        Ok(Action::Transfer { from, to, amount })
    };
    match words {
        [to, amount] => Some(action(home.clone(), to, amount)),
        [from, to, amount] => Some(value(from).and_then(|from| action(from, to, amount))),
        _ => None,
    }
}

fn one_transfer(arguments: &[&str], home: &AccountId) -> Result<Command, String> {
    let (flags, words) = Flags::of(arguments)?;
    let action = transfer(&words, home).ok_or(
        "expected: transfer [FROM] TO AMOUNT [--settled] [--wait TIME], such as: transfer B 30",
    )??;
    Ok(Command::One(flags.on(action)))
}

/// Parses `ACCOUNT [--key KEY]`; none if the words are others.
fn opening(words: &[&str], find_key: FindKey<'_>) -> Option<Result<Action, String>> {
    match words {
        [account] => Some(value(account).map(Action::open)),
        [account, "--key", key] | ["--key", key, account] => {
            Some(value(account).and_then(|account| {
                let key = Some(Box::new(find_key(key)?));
                Ok(Action::Open { account, key })
            }))
        }
        _ => None,
    }
}

/// Parses `ACCOUNT KEY`; none if the words are others.
fn rekeying(words: &[&str], find_key: FindKey<'_>) -> Option<Result<Action, String>> {
    let [account, key] = words else { return None };
    let action = || Ok(Action::Rekey { account: value(account)?, key: Box::new(find_key(key)?) });
    Some(action())
}

fn one_opening(
    arguments: &[&str],
    home: &AccountId,
    find_key: FindKey<'_>,
) -> Result<Command, String> {
    let (flags, words) = Flags::of(arguments)?;
    let action = opening(&words, find_key).filter(|_| flags.wait_ms.is_none());
    let action = action.ok_or(
        "expected: open ACCOUNT [--key SHA256:…|FILE.pub] [--settled], such as: open A/alice",
    )??;
    match action.subject() {
        Some(account) if !account.as_str().contains('/') && account != home => Err(format!(
            "{}: an account opened here is called {home}/NAME, such as: open {home}/alice",
            cut(account.as_str())
        )),
        _ => Ok(Command::One(flags.on(action))),
    }
}

fn one_rekeying(arguments: &[&str], find_key: FindKey<'_>) -> Result<Command, String> {
    let (flags, words) = Flags::of(arguments)?;
    let action = rekeying(&words, find_key).filter(|_| flags.wait_ms.is_none());
    let action = action.ok_or(
        "expected: rekey ACCOUNT SHA256:…|FILE.pub [--settled], such as: rekey A/alice alice.pub",
    )??;
    Ok(Command::One(flags.on(action)))
}

/// Parses `(A, B, 30)`: A pays B 30.
fn triplet(line: &str) -> Result<Command, String> {
    const EXPECTED: &str = "expected: (FROM, TO, AMOUNT), such as: (A, B, 30)";
    let inside = line.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or(EXPECTED)?;
    let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    let [from, to, amount] = parts[..] else { return Err(EXPECTED.into()) };
    let action = Action::Transfer { from: value(from)?, to: value(to)?, amount: value(amount)? };
    Ok(Command::One(Instruction::plain(action)))
}

/// Parses what follows `linked` or `batch`.
fn several(
    word: &str,
    arguments: &[&str],
    home: &AccountId,
    find_key: FindKey<'_>,
) -> Result<Command, String> {
    let (flags, words) = Flags::of(arguments)?;
    let text = words.join(" ");
    let parts: Vec<&str> = text.split(',').collect();
    if parts.len() > MAX_BATCH {
        return Err(format!("{word} takes at most {MAX_BATCH} parts, not {}", parts.len()));
    }
    let part = |(part, number): (&&str, usize)| {
        let words: Vec<&str> = part.split_whitespace().collect();
        let action = match &words[..] {
            ["open", words @ ..] => opening(words, find_key),
            ["rekey", words @ ..] => rekeying(words, find_key),
            words => transfer(words, home),
        };
        let action = action.unwrap_or_else(|| {
            Err(format!(
                "expected: FROM TO AMOUNT, open ACCOUNT [--key KEY] or rekey ACCOUNT KEY, with commas \
                 between the parts, such as: {word} open A/bob, A A/bob 20"
            ))
        });
        let action = action.map_err(|wrong| format!("part {number}: {wrong}"))?;
        let linked = word == "linked" && number < parts.len();
        Ok(Instruction { linked, ..flags.on(action) })
    };
    let instructions: Result<_, String> = parts.iter().zip(1..).map(part).collect();
    instructions.map(Command::Batch)
}

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

const HISTORY: &str = "expected: history ACCOUNT [LIMIT] [--before H.P.B], such as: history A 20";
const ACCOUNTS: &str =
    "expected: accounts [PREFIX] [LIMIT] [--after NAME], such as: accounts A/ 100";
const BALANCES: &str = "expected: balances [PREFIX] [LIMIT] [--after NAME] or balances --all [PREFIX], \
                        such as: balances A/ 100";

fn history(account: &str, rest: &[&str]) -> Result<Command, String> {
    let (rest, before) = match rest {
        [rest @ .., "--before", place] => (rest, Some(cursor(place)?)),
        rest => (rest, None),
    };
    let limit = match rest {
        [] => DEFAULT_PAGE,
        [most] => limit(most)?,
        _ => return Err(HISTORY.into()),
    };
    Ok(Command::Page(Page::History { account: value(account)?, limit, before }))
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

// ── Single values ────────────────────────────────────────────────────────────────────────────────

/// Parses a value. Its own error says what is expected; what was found is added if need be.
fn value<T: FromStr<Err: ToString>>(word: &str) -> Result<T, String> {
    word.parse().map_err(|error: T::Err| {
        let error = error.to_string();
        if error.contains(&cut(word)) { error } else { format!("{}: {error}", cut(word)) }
    })
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Parses a whole number that is exact everywhere.
fn number(word: &str) -> Option<u64> {
    word.parse().ok().filter(|&number| is_number(word) && number <= Amount::MAX.units())
}

fn height(word: &str) -> Result<u64, String> {
    number(word).ok_or_else(|| format!("{}: a height is a whole number from 0", cut(word)))
}

fn how_often(word: &str) -> Result<u32, String> {
    let times = word.parse().ok().filter(|&times| is_number(word) && times > 0);
    times.ok_or_else(|| format!("{}: TIMES is a whole number from 1", cut(word)))
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
