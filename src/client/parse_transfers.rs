//! Typed lines into transfers, openings, and keys of accounts. Pure.

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::bank::ledger::entry::Action;
use crate::bank::limits::MAX_BATCH;
use crate::bank::request::Instruction;
use crate::client::commands::Command;
use crate::client::parse_values::{FindKey, is_number, value};
use crate::client::text::cut;
use crate::client::time::parse_time;

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
        let (to, amount) = (value(to)?, paid(amount)?);
        Ok(Action::Transfer { from, to, amount })
    };
    if let Some(sorted) = sorted(words) {
        return Some(Err(format!("the amount comes last; did you mean: transfer {sorted}?")));
    }
    match words {
        [to, amount] => Some(action(home.clone(), to, amount)),
        [from, to, amount] => Some(value(from).and_then(|from| action(from, to, amount))),
        _ => None,
    }
}

/// Sorts the words of a transfer whose amount is at another place than the last, such as `30 to B from A`. None if the
/// words are in order, or make no sense in any.
fn sorted(words: &[&str]) -> Option<String> {
    let is_filler = |word: &str| matches!(&*word.to_lowercase(), "to" | "from" | "->" | "=>" | "→");
    if words.last().is_some_and(|last| is_number(last)) && !words.iter().any(|word| is_filler(word))
    {
        return None;
    }
    let mut payer = None;
    let (mut accounts, mut amounts) = (Vec::new(), Vec::new());
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        match word {
            word if is_number(word) => amounts.push(word),
            word if word.eq_ignore_ascii_case("from") => payer = rest.next(),
            word if is_filler(word) => {}
            word => accounts.push(word),
        }
    }
    // What is no name at all is wrong by itself, and not only at this place.
    let is_name = |word: &&str| word.parse::<AccountId>().is_ok();
    if !accounts.iter().chain(&payer).all(is_name) || !amounts.iter().all(|word| paid(word).is_ok())
    {
        return None;
    }
    match (payer, &accounts[..], &amounts[..]) {
        (None, [_] | [_, _], [amount]) => Some(format!("{} {amount}", accounts.join(" "))),
        (Some(from), [to], [amount]) => Some(format!("{from} {to} {amount}")),
        _ => None,
    }
}

/// Parses an amount to pay. That it is more than 0 the server checks.
fn paid(word: &str) -> Result<Amount, String> {
    word.parse().map_err(|_| {
        let most = Amount::MAX;
        format!("{}: an amount to pay is a whole number of units from 1 to {most}", cut(word))
    })
}

pub(super) fn one_transfer(arguments: &[&str], home: &AccountId) -> Result<Command, String> {
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

pub(super) fn one_opening(
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

pub(super) fn one_rekeying(arguments: &[&str], find_key: FindKey<'_>) -> Result<Command, String> {
    let (flags, words) = Flags::of(arguments)?;
    let action = rekeying(&words, find_key).filter(|_| flags.wait_ms.is_none());
    let action = action.ok_or(
        "expected: rekey ACCOUNT SHA256:…|FILE.pub [--settled], such as: rekey A/alice alice.pub",
    )??;
    Ok(Command::One(flags.on(action)))
}

/// Parses `(A, B, 30)`: A pays B 30.
pub(super) fn triplet(line: &str) -> Result<Command, String> {
    const EXPECTED: &str = "expected: (FROM, TO, AMOUNT), such as: (A, B, 30)";
    let inside = line.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or(EXPECTED)?;
    let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    let [from, to, amount] = parts[..] else { return Err(EXPECTED.into()) };
    let action = Action::Transfer { from: value(from)?, to: value(to)?, amount: paid(amount)? };
    Ok(Command::One(Instruction::plain(action)))
}

/// Parses what follows `linked` or `batch`.
pub(super) fn several(
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
