//! Which words can follow at a place of a line, and what is expected there. Pure.

use crate::client::find::find;
use crate::client::help::TOPICS;
use crate::client::split::{Word, ends_within, parts, words};
use crate::wire::messages::NAMES;

/// A kind of words that make sense at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// These words.
    Words(Vec<&'static str>),
    /// Names of accounts.
    Accounts,
    /// Names of servers.
    Servers,
}

/// The words that make sense at the end of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Where the word begins that is to be completed.
    pub from: usize,
    /// The kinds of words that it could be one of.
    pub kinds: Vec<Kind>,
}

/// Returns which words could stand at the end of a line, in place of what is typed of the last one.
pub(super) fn wanted(line: &str) -> Wanted {
    let parts = |c: char| c.is_whitespace() || matches!(c, ',' | '(');
    let last = line.char_indices().rev().find(|(_, c)| parts(*c));
    let from = last.map_or(0, |(at, c)| at + c.len_utf8());
    // In a comment nothing means anything, and in quotes anything.
    let kinds = if ends_within(line) { Vec::new() } else { kinds(&line[..from], &line[from..]) };
    Wanted { from, kinds }
}

/// Returns what is expected after a command that is typed without anything else yet, or what is missing of it.
pub(super) fn hint(line: &str) -> Option<String> {
    let word = line.strip_suffix(' ')?;
    let topic = TOPICS.iter().find(|topic| topic.word == word)?;
    topic.usage.strip_prefix(word)?.strip_prefix(' ').map(str::to_owned)
}

fn kinds(before: &str, typed: &str) -> Vec<Kind> {
    if before.trim_start().starts_with('(') {
        let place = before.matches(',').count();
        return if place < 2 { vec![Kind::Accounts] } else { Vec::new() };
    }
    let words = words(before).unwrap_or_default();
    let Some((command, rest)) = words.split_first() else {
        return vec![Kind::Words(commands())];
    };
    let command = &*command.text;
    let arguments: Vec<&str> = rest.iter().map(|word| &*word.text).collect();
    let Ok(topic) = find(command) else { return Vec::new() };
    if typed.starts_with('-') {
        return vec![Kind::Words(flags(topic.word).to_vec())];
    }
    if arguments.last().is_some_and(|word| takes_value(word)) {
        return Vec::new();
    }
    let first = arguments.is_empty();
    match topic.word {
        "transfer" | "t" => accounts_of_a_transfer(rest),
        "linked" | "batch" => {
            accounts_of_a_part(parts(rest).last().map(Vec::as_slice).unwrap_or_default())
        }
        "mint" | "burn" | "rekey" | "balance" | "balances" | "history" | "accounts" if first => {
            vec![Kind::Accounts]
        }
        "follow" => vec![Kind::Accounts],
        "log" | "rejoin" | "dismiss" | "move" | "promote" | "demote" if first => {
            vec![Kind::Servers]
        }
        "link" => link(&arguments),
        "help" if first => vec![Kind::Words(commands())],
        _ => Vec::new(),
    }
}

fn commands() -> Vec<&'static str> {
    TOPICS.iter().map(|topic| topic.word).collect()
}

fn flags(command: &str) -> &'static [&'static str] {
    match command {
        "transfer" | "t" | "linked" | "batch" | "burn" => &["--settled", "--for", "--wait"],
        "open" => &["--key", "--for", "--settled"],
        "rekey" | "mint" => &["--settled", "--for"],
        "balances" => &["--all", "--after"],
        "accounts" => &["--after"],
        "history" => &["--since", "--before"],
        "admit" => &["--branch"],
        "follow" => &["--prefix", "--from", "--to", "--log"],
        _ => &[],
    }
}

/// True if the word behind this one is its value.
fn takes_value(flag: &str) -> bool {
    matches!(flag, "--key" | "--wait" | "--before" | "--for" | "--since" | "--from" | "--to")
}

/// Of `FROM TO AMOUNT` the first two are accounts.
fn accounts_of_a_transfer(words: &[Word<'_>]) -> Vec<Kind> {
    let of_flag = |place: usize| {
        words[place].text.starts_with('-') || (place > 0 && takes_value(&words[place - 1].text))
    };
    let accounts = (0..words.len()).filter(|place| !of_flag(*place)).count();
    if accounts < 2 { vec![Kind::Accounts] } else { Vec::new() }
}

/// The same of a part of a group, which may be of another kind.
fn accounts_of_a_part(part: &[Word<'_>]) -> Vec<Kind> {
    let Some(first) = part.first() else {
        return vec![Kind::Accounts, Kind::Words(vec!["open", "rekey", "mint", "burn"])];
    };
    match &*first.text {
        "rekey" | "mint" | "burn" if part.len() == 1 => vec![Kind::Accounts],
        "open" | "rekey" | "mint" | "burn" => Vec::new(),
        _ => accounts_of_a_transfer(part),
    }
}

fn link(arguments: &[&str]) -> Vec<Kind> {
    match arguments {
        [] => vec![Kind::Words(vec!["cut", "delay", "drop", "lose", "heal"])],
        ["cut" | "delay" | "drop" | "heal"] => vec![Kind::Servers],
        ["lose"] => vec![Kind::Words(NAMES.to_vec())],
        ["lose", ..] => vec![Kind::Words(NAMES.to_vec()), Kind::Servers],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds_at(line: &str) -> String {
        let name = |kind: &Kind| match kind {
            Kind::Words(words) => words.first().map_or("none", |word| word).to_owned(),
            kind => format!("{kind:?}"),
        };
        wanted(line).kinds.iter().map(name).collect::<Vec<_>>().join("+")
    }

    #[test]
    fn each_place_of_a_line_has_its_words() {
        for (line, kinds) in [
            ("", "transfer"),
            ("  tr", "transfer"),
            ("help ", "transfer"),
            ("help log ", ""),
            ("transfer ", "Accounts"),
            ("tr A/alice ", "Accounts"),
            ("t A B ", ""),
            ("t A B 3 --", "--settled"),
            ("t --settled A ", "Accounts"),
            ("t A B 3 --wait ", ""),
            ("(", "Accounts"),
            ("(A, ", "Accounts"),
            ("(A, B,", ""),
            ("batch ", "Accounts+open"),
            ("batch A B 3, ", "Accounts+open"),
            ("batch A B 3, C ", "Accounts"),
            ("linked open A/x", ""),
            ("linked rekey ", "Accounts"),
            ("batch A B 3, mint ", "Accounts"),
            ("batch A B 3 --for \"a, b\", C ", "Accounts"),
            ("mint ", "Accounts"),
            ("burn A/alice ", ""),
            ("t --for \"a b\" A ", "Accounts"),
            ("t A B 3 --for ", ""),
            ("t A B 3 --for \"invoice ", ""),
            ("history A --", "--since"),
            ("history A --since ", ""),
            ("hist ", "Accounts"),
            ("balances --", "--all"),
            ("log ", "Servers"),
            ("log A ", ""),
            ("link ", "cut"),
            ("link cut ", "Servers"),
            ("link lose ", "heartbeat"),
            ("link lose accept ", "heartbeat+Servers"),
            ("settle ", ""),
            ("nonsense ", ""),
            ("balance # of ", ""),
        ] {
            assert_eq!(kinds_at(line), kinds, "{line:?}");
        }
        assert_eq!(wanted("t A/al").from, 2);
        assert_eq!(wanted("batch A B 3,C").from, 12);
        assert_eq!(wanted("t\u{a0}A").from, 3, "a place between two letters, in bytes");
    }

    #[test]
    fn a_bare_command_is_followed_by_what_it_expects() {
        assert_eq!(hint("log "), Some("[SERVER]".into()));
        for nothing in ["", "log", "log A", "status ", "xyz "] {
            assert_eq!(hint(nothing), None, "{nothing:?}");
        }
    }
}
