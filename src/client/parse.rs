//! Typed lines into commands. Pure: nothing is done here.

use std::str::FromStr;

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::bank::ledger::entry::Action;
use crate::bank::limits::{MAX_BATCH, MAX_PAGE};
use crate::bank::request::{Cursor, Instruction};
use crate::client::commands::{Command, Page};
use crate::client::time::parse_time;
use crate::wire::link::{Fault, LinkFault, LinkOrder};
use crate::wire::request::DEFAULT_PAGE;

/// What the commands are, for who asks. Below those that take arguments, examples.
pub const HELP: &str = "\
transfer [FROM] TO AMOUNT [--settled] [--wait TIME]
                  pay, from this server's own account or from another one (short: t)
    transfer B 30
    transfer A/alice B 30 --settled
    transfer B 500 --wait 10s
(FROM, TO, AMOUNT)
                  the same
    (A, B, 30)
open ACCOUNT [--settled]
                  open an account, at home here
    open A/alice
linked FROM TO AMOUNT, FROM TO AMOUNT, …
                  all of these or none; open ACCOUNT may be one of them
    linked open A/bob, A A/bob 20, A/bob B 5
batch FROM TO AMOUNT, FROM TO AMOUNT, …
                  each for itself, in one request
    batch A B 1, A C 2, open A/carol
--settled         with any of these: answer when it is in a block that a majority holds
--wait TIME       with transfers: do not refuse for want of money before so long
balance [ACCOUNT] what an account holds, as this server knows it
    balance A/alice
history ACCOUNT [LIMIT]
                  what an account got and paid, the newest first
    history A/alice 20
accounts [PREFIX] [LIMIT]
                  the accounts whose names begin so
    accounts A/ 100
more              the next page of history or accounts
log               the entries that are in no block yet
chain [FROM [TO]] the blockchain, or its blocks from one height to another
    chain 1 5
status            how the server is
settle            run Paxos until the servers' local logs are in the chain
link cut PEER     break this server's link to another one; link delay PEER TIME and
                  link drop PEER PERCENT make it slow and lossy, link heal [PEER] mends,
                  link shows how the links are (the server has to allow it)
    link cut B
    link delay B 200ms
    link drop B 30%
help              this
quit              leave (also: exit, or the end of the input)
Blank lines and what follows a # do nothing.";

/// The words that lines begin with, for suggestions.
const WORDS: [&str; 16] = [
    "transfer", "open", "linked", "batch", "balance", "history", "accounts", "more", "log",
    "chain", "status", "settle", "link", "help", "quit", "exit",
];

/// The command that a line is; none if the line is blank or a comment. `home` is the account that
/// pays where none is named.
///
/// # Errors
/// Says what is wrong and what was expected.
pub fn parse(line: &str, home: &AccountId) -> Result<Option<Command>, String> {
    let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
    if line.starts_with('(') {
        return triplet(line).map(Some);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((&word, arguments)) = words.split_first() else { return Ok(None) };
    let command = match (word, arguments) {
        ("transfer" | "t", _) => one_transfer(arguments, home)?,
        ("open", _) => one_opening(arguments)?,
        ("linked" | "batch", _) => several(word, arguments, home)?,
        ("balance", []) => Command::Balance(None),
        ("balance", [account]) => Command::Balance(Some(value(account)?)),
        ("balance", _) => return Err("expected: balance [ACCOUNT]".into()),
        ("history", [account, rest @ ..]) => history(account, rest)?,
        ("history", []) => return Err(HISTORY.into()),
        ("accounts", rest) => accounts(rest)?,
        ("chain", []) => Command::Chain { from: 0, to: None },
        ("chain", [from]) => Command::Chain { from: height(from)?, to: None },
        ("chain", [from, to]) => span(height(from)?, height(to)?)?,
        ("chain", _) => return Err("expected: chain [FROM [TO]]".into()),
        ("more", []) => Command::More,
        ("log", []) => Command::Log,
        ("status", []) => Command::Status,
        ("settle", []) => Command::Settle,
        ("link", _) => Command::Link(link(arguments)?),
        ("help", []) => Command::Help,
        ("quit" | "exit", []) => Command::Quit,
        (known, _) if WORDS.contains(&known) => return Err(format!("expected: {known}, alone")),
        (unknown, _) => return Err(suggest(unknown)),
    };
    Ok(Some(command))
}

// ── Transfers and openings ───────────────────────────────────────────────────────────────────────

/// What may stand with them.
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
        // An opening needs no money that it could wait for.
        let wait_ms = self.wait_ms.filter(|_| action.payer().is_some());
        Instruction { settled: self.settled, wait_ms, ..Instruction::plain(action) }
    }
}

/// `[FROM] TO AMOUNT`; none if these are not so many words.
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

fn one_opening(arguments: &[&str]) -> Result<Command, String> {
    match Flags::of(arguments)? {
        (flags @ Flags { wait_ms: None, .. }, words) if words.len() == 1 => {
            Ok(Command::One(flags.on(Action::Open { account: value(words[0])? })))
        }
        _ => Err("expected: open ACCOUNT [--settled], such as: open A/alice".into()),
    }
}

/// `(A, B, 30)`: A pays B 30.
fn triplet(line: &str) -> Result<Command, String> {
    const EXPECTED: &str = "expected: (FROM, TO, AMOUNT), such as: (A, B, 30)";
    let inside = line.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or(EXPECTED)?;
    let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    let [from, to, amount] = parts[..] else { return Err(EXPECTED.into()) };
    let action = Action::Transfer { from: value(from)?, to: value(to)?, amount: value(amount)? };
    Ok(Command::One(Instruction::plain(action)))
}

/// `linked` or `batch`, and what follows it.
fn several(word: &str, arguments: &[&str], home: &AccountId) -> Result<Command, String> {
    let (flags, words) = Flags::of(arguments)?;
    let text = words.join(" ");
    let parts: Vec<&str> = text.split(',').collect();
    if parts.len() > MAX_BATCH {
        return Err(format!("{word} takes at most {MAX_BATCH} parts, not {}", parts.len()));
    }
    let part = |(part, number): (&&str, usize)| {
        let words: Vec<&str> = part.split_whitespace().collect();
        let action = match words[..] {
            ["open", account] => value(account).map(|account| Action::Open { account }),
            _ => transfer(&words, home).unwrap_or_else(|| {
                Err(format!(
                    "expected: FROM TO AMOUNT or open ACCOUNT, with commas between the parts, such \
                     as: {word} open A/bob, A A/bob 20"
                ))
            }),
        };
        let action = action.map_err(|wrong| format!("part {number}: {wrong}"))?;
        let linked = word == "linked" && number < parts.len();
        Ok(Instruction { linked, ..flags.on(action) })
    };
    let instructions: Result<_, String> = parts.iter().zip(1..).map(part).collect();
    instructions.map(Command::Batch)
}

/// What follows `link`.
fn link(arguments: &[&str]) -> Result<LinkOrder, String> {
    let broken = |peer, fault| Ok(LinkOrder::Break(LinkFault { peer: value(peer)?, fault }));
    match arguments {
        [] => Ok(LinkOrder::Show),
        ["heal"] => Ok(LinkOrder::Heal(None)),
        ["heal", peer] => Ok(LinkOrder::Heal(Some(value(peer)?))),
        ["cut", peer] => broken(peer, Fault::Cut),
        ["delay", peer, time] => {
            let time = parse_time(time).map_err(|wrong| format!("link delay: {wrong}"))?;
            broken(peer, Fault::delay(time.as_millis() as u64)?)
        }
        ["drop", peer, share] => {
            let percent = share.strip_suffix('%').and_then(number).ok_or_else(|| {
                format!("{}: what is dropped is a whole percentage, such as 30%", cut(share))
            })?;
            broken(peer, Fault::drop(percent)?)
        }
        _ => Err("expected: link cut PEER, link delay PEER TIME, link drop PEER PERCENT, \
            link heal [PEER], or link alone; such as: link delay B 200ms"
            .into()),
    }
}

// ── Pages ────────────────────────────────────────────────────────────────────────────────────────

const HISTORY: &str = "expected: history ACCOUNT [LIMIT] [--before H.P.B], such as: history A 20";
const ACCOUNTS: &str =
    "expected: accounts [PREFIX] [LIMIT] [--after NAME], such as: accounts A/ 100";

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
    let (rest, after) = match rest {
        [rest @ .., "--after", name] => (rest, Some(value(name)?)),
        rest => (rest, None),
    };
    let (prefix, limit) = match rest {
        [] => ("", DEFAULT_PAGE),
        // Alone, a number is how many are wanted.
        [most] if is_number(most) => ("", limit(most)?),
        [prefix] => (*prefix, DEFAULT_PAGE),
        [prefix, most] => (*prefix, limit(most)?),
        _ => return Err(ACCOUNTS.into()),
    };
    if prefix.starts_with("--") {
        return Err(ACCOUNTS.into());
    }
    Ok(Command::Page(Page::Accounts { prefix: prefix.into(), limit, after }))
}

/// The place where a page ended: a block's height, the entry's place in it, the balance before it.
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

/// A value whose own error says what is expected, but perhaps not what was found.
fn value<T: FromStr<Err: ToString>>(word: &str) -> Result<T, String> {
    word.parse().map_err(|error: T::Err| {
        let error = error.to_string();
        if error.contains(word) { error } else { format!("{}: {error}", cut(word)) }
    })
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// A whole number that is exact everywhere.
fn number(word: &str) -> Option<u64> {
    word.parse().ok().filter(|&number| is_number(word) && number <= Amount::MAX.units())
}

fn height(word: &str) -> Result<u64, String> {
    number(word).ok_or_else(|| format!("{}: a height is a whole number from 0", cut(word)))
}

fn span(from: u64, to: u64) -> Result<Command, String> {
    if to < from {
        return Err(format!("chain goes up: {to} is below {from}"));
    }
    Ok(Command::Chain { from, to: Some(to) })
}

fn cut(word: &str) -> String {
    format!("{:?}", word.chars().take(80).collect::<String>())
}

fn suggest(unknown: &str) -> String {
    const CLOSE: usize = 2;
    let typed = unknown.to_lowercase();
    let near = WORDS.map(|word| (distance(&typed, word), word)).into_iter().min();
    let unknown = cut(unknown);
    match near {
        Some((steps, word)) if steps <= CLOSE => {
            format!("unknown command {unknown}; did you mean {word}?")
        }
        _ => format!("unknown command {unknown}; the commands are {}", WORDS.join(", ")),
    }
}

/// How many letters to insert, leave out or change to get from one word to the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.chars().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.chars().count()]
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
