//! Typed lines into transfers, money that is issued, openings, and keys of accounts. Pure.

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::bank::ledger::entry::Action;
use crate::bank::limits::MAX_BATCH;
use crate::bank::request::Instruction;
use crate::client::commands::Command;
use crate::client::flags::Flags;
use crate::client::parse_values::{FindKey, is_number, value};
use crate::client::split::{Word, parts};
use crate::client::text::cut;

/// Parses `[FROM] TO AMOUNT`; none if the number of words is wrong. `flags` are those that stood among them.
fn transfer(words: &[&str], home: &AccountId, flags: &Flags) -> Option<Result<Action, String>> {
    let action = |from, to, amount| {
        let (to, amount) = (value(to)?, units(amount, "to pay")?);
        Ok(Action::Transfer { from, to, amount })
    };
    if let Some(sorted) = sorted(words) {
        return Some(Err(format!(
            "the amount comes last; did you mean: transfer {sorted}{flags}?"
        )));
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
    if !accounts.iter().chain(&payer).all(is_name)
        || !amounts.iter().all(|word| units(word, "").is_ok())
    {
        return None;
    }
    match (payer, &accounts[..], &amounts[..]) {
        (None, [_] | [_, _], [amount]) => Some(format!("{} {amount}", accounts.join(" "))),
        (Some(from), [to], [amount]) => Some(format!("{from} {to} {amount}")),
        _ => None,
    }
}

/// Parses an amount for a purpose, such as "to pay". That it is more than 0 the server checks.
fn units(word: &str, purpose: &str) -> Result<Amount, String> {
    word.parse().map_err(|_| {
        let most = Amount::MAX;
        format!("{}: an amount {purpose} is a whole number of units from 1 to {most}", cut(word))
    })
}

pub(super) fn one_transfer(arguments: &[Word<'_>], home: &AccountId) -> Result<Command, String> {
    let (flags, words) = Flags::of(arguments)?;
    let action = transfer(&words, home, &flags).ok_or(
        "expected: transfer [FROM] TO AMOUNT [--for TEXT] [--settled] [--wait TIME], such as: transfer B 30",
    )??;
    Ok(Command::One(flags.on(action)))
}

/// Parses `[ACCOUNT] AMOUNT` after `mint` or `burn`; none if the number of words is wrong.
fn issue(command: &str, words: &[&str], home: &AccountId) -> Option<Result<Action, String>> {
    let (account, amount) = match words {
        [amount] => (Ok(home.clone()), amount),
        [account, amount] => (value(account), amount),
        _ => return None,
    };
    let action = |account| match command {
        "mint" => Ok(Action::Mint { account, amount: units(amount, "to issue")? }),
        _ => Ok(Action::Burn { account, amount: units(amount, "to take back")? }),
    };
    Some(account.and_then(action))
}

/// Parses what follows `mint` or `burn`; none if it isn't what they take.
pub(super) fn one_issue(
    command: &str,
    arguments: &[Word<'_>],
    home: &AccountId,
) -> Option<Result<Command, String>> {
    let (flags, words) = match Flags::of(arguments) {
        Ok(found) => found,
        Err(wrong) => return Some(Err(wrong)),
    };
    let action = issue(command, &words, home)?;
    // What is issued needs no money to wait for.
    let may_wait = command == "burn" || flags.wait_ms.is_none();
    may_wait.then(|| Ok(Command::One(flags.on(action?))))
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
    arguments: &[Word<'_>],
    home: &AccountId,
    find_key: FindKey<'_>,
) -> Result<Command, String> {
    let (flags, words) = Flags::of(arguments)?;
    let action = opening(&words, find_key).filter(|_| flags.wait_ms.is_none());
    let action = action.ok_or(
        "expected: open ACCOUNT [--key SHA256:…|FILE.pub] [--for TEXT] [--settled], such as: open A/alice",
    )??;
    match action.subject() {
        Some(account) if !account.as_str().contains('/') && account != home => Err(format!(
            "{}: an account opened here is called {home}/NAME, such as: open {home}/alice",
            cut(account.as_str())
        )),
        _ => Ok(Command::One(flags.on(action))),
    }
}

pub(super) fn one_rekeying(
    arguments: &[Word<'_>],
    find_key: FindKey<'_>,
) -> Result<Command, String> {
    let (flags, words) = Flags::of(arguments)?;
    let action = rekeying(&words, find_key).filter(|_| flags.wait_ms.is_none());
    let action = action.ok_or(
        "expected: rekey ACCOUNT SHA256:…|FILE.pub [--for TEXT] [--settled], such as: rekey A/alice alice.pub",
    )??;
    Ok(Command::One(flags.on(action)))
}

/// Parses `(A, B, 30)`: A pays B 30.
pub(super) fn triplet(line: &str) -> Result<Action, String> {
    const EXPECTED: &str = "expected: (FROM, TO, AMOUNT), such as: (A, B, 30)";
    let inside = line.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or(EXPECTED)?;
    let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    let [from, to, amount] = parts[..] else { return Err(EXPECTED.into()) };
    Ok(Action::Transfer { from: value(from)?, to: value(to)?, amount: units(amount, "to pay")? })
}

/// Parses what follows `linked` or `batch`. Only what a part is for is its own: the other flags hold for all, wherever
/// they stand.
pub(super) fn several(
    word: &str,
    arguments: &[Word<'_>],
    home: &AccountId,
    find_key: FindKey<'_>,
) -> Result<Command, String> {
    let parts = parts(arguments);
    if parts.len() > MAX_BATCH {
        return Err(format!("{word} takes at most {MAX_BATCH} parts, not {}", parts.len()));
    }
    let part = |(words, number): (&Vec<Word<'_>>, usize)| {
        let named = |wrong| format!("part {number}: {wrong}");
        let (flags, words) = Flags::of(words).map_err(named)?;
        let action = part_of(word, &words, home, &flags, find_key).map_err(named)?;
        Ok((flags, action))
    };
    let parts: Vec<_> = parts.iter().zip(1..).map(part).collect::<Result<_, String>>()?;
    let settled = parts.iter().any(|(flags, _)| flags.settled);
    let wait_ms = parts.iter().rev().find_map(|(flags, _)| flags.wait_ms);
    let last = parts.len() - 1;
    let instruction = |(place, (flags, action)): (usize, (Flags, Action))| {
        let linked = word == "linked" && place < last;
        Instruction { linked, ..Flags { settled, wait_ms, ..flags }.on(action) }
    };
    Ok(Command::Batch(parts.into_iter().enumerate().map(instruction).collect()))
}

fn part_of(
    command: &str,
    words: &[&str],
    home: &AccountId,
    flags: &Flags,
    find_key: FindKey<'_>,
) -> Result<Action, String> {
    let action = match words {
        ["open", words @ ..] => opening(words, find_key),
        ["rekey", words @ ..] => rekeying(words, find_key),
        [word @ ("mint" | "burn"), words @ ..] => issue(word, words, home),
        [word] if word.starts_with('(') => Some(triplet(word)),
        [word, ..] if word.starts_with('(') => None,
        words => transfer(words, home, flags),
    };
    action.unwrap_or_else(|| {
        Err(format!(
            "expected: FROM TO AMOUNT or (FROM, TO, AMOUNT), open ACCOUNT [--key KEY], rekey ACCOUNT KEY, mint [ACCOUNT] AMOUNT or burn, \
             with commas between the parts, such as: {command} open A/bob, A A/bob 20"
        ))
    })
}

#[cfg(test)]
#[path = "parse_transfers_tests.rs"]
mod tests;
