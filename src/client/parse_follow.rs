//! The command `follow`. Pure.

use crate::bank::ids::AccountId;
use crate::bank::request::{Follow, Place, Wanted};
use crate::client::commands::Command;
use crate::client::parse_values::{height, value};

const EXPECTED: &str = "expected: follow [ACCOUNT…] [--prefix PREFIX] [--from PLACE] [--to HEIGHT] [--log], \
                        such as: follow A/alice --from 7";

/// Parses what follows `follow`.
///
/// # Errors
/// Says what is wrong and what was expected.
pub(super) fn follow(mut rest: &[&str]) -> Result<Command, String> {
    let (mut accounts, mut prefix, mut to, mut log) = (Vec::<AccountId>::new(), None, None, false);
    let mut from: Option<Place> = None;
    while let Some((word, others)) = rest.split_first() {
        let value_of = || others.first().copied().ok_or_else(|| EXPECTED.to_owned());
        let taken = match *word {
            "--prefix" if prefix.is_none() => {
                prefix = Some(value_of()?.to_owned());
                1
            }
            "--from" if from.is_none() => {
                from = Some(value(value_of()?)?);
                1
            }
            "--to" if to.is_none() => {
                to = Some(height(value_of()?)?);
                1
            }
            "--log" if !log => {
                log = true;
                0
            }
            flag if flag.starts_with('-') => return Err(EXPECTED.into()),
            account => {
                accounts.push(value(account)?);
                0
            }
        };
        rest = &others[taken..];
    }
    if let (Some(from), Some(to)) = (from, to)
        && from.height > to
    {
        return Err(format!("--from {from} comes after --to {to}, so there is nothing to follow"));
    }
    let wanted = Wanted::new(accounts, prefix.unwrap_or_default());
    Ok(Command::Follow { follow: Follow { from, wanted, log }, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_may_stand_anywhere_and_each_once() {
        let line = |line: &str| follow(&line.split_whitespace().collect::<Vec<_>>());
        let accounts = vec!["A".parse().unwrap(), "B/x".parse().unwrap()];
        let wanted = Wanted::new(accounts, "C/".into());
        let follow = Follow { from: Some("7-3".parse().unwrap()), wanted, log: true };
        let expected = Command::Follow { follow, to: Some(9) };
        assert_eq!(line("--log A --prefix C/ --to 9 B/x --from 7-3"), Ok(expected));
        let all = Command::Follow { follow: Follow::default(), to: None };
        assert_eq!(line(""), Ok(all));
        for (wrong, said) in [
            ("--from", EXPECTED),
            ("--from 1 --from 2", EXPECTED),
            ("--since 7", EXPECTED),
            ("--from seven", "\"seven\" is not a place in the chain"),
            ("--to -1", "\"-1\": a height is a whole number from 0"),
            ("A//", "\"A//\" is not an account"),
            ("--from 5-1 --to 4", "--from 5-1 comes after --to 4"),
        ] {
            let error = line(wrong).unwrap_err();
            assert!(error.starts_with(said), "{wrong}: {error}");
        }
    }
}
