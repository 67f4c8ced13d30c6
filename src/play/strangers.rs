//! Names that are no servers, in a file that doesn't say which there are: likely they are mistyped. Pure.
//!
//! The servers of a file go by a pattern: `A B C`, `S1 S2 S3`, `node-a node-b`. A name that doesn't fit to it, or is another
//! one but for capitals or a slip, would found one more server without a word.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::bank::ids::ServerId;
use crate::client::find::distance;
use crate::play::wrong::{Place, Wrong};

/// How far apart two neighbours in a series are at most, such as A and I.
const NEIGHBOURS: u64 = 8;

/// A name in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub server: ServerId,
    /// Where it stands first.
    pub place: Place,
    /// How often it is there. What is a server without a mention counts more than all that is mentioned.
    pub times: usize,
}

/// Returns what is wrong with the names in a file. All that are `known` are servers as well.
pub(super) fn strangers(names: &[Named], known: &[Named]) -> Vec<Wrong> {
    let all: Vec<&Named> = names.iter().chain(known).collect();
    let mut found: Vec<(&Named, Option<&ServerId>)> = Vec::new();
    for name in names {
        let is_known = known.iter().any(|other| other.server == name.server);
        let others: Vec<&Named> =
            all.iter().copied().filter(|other| other.server != name.server).collect();
        if let Some(meant) = meant(name, &others).filter(|_| !is_known) {
            found.push((name, meant));
        }
    }
    let is_stranger = |server: &ServerId| found.iter().any(|(name, _)| name.server == *server);
    let servers: BTreeSet<&str> = all
        .iter()
        .filter(|name| !is_stranger(&name.server))
        .map(|name| name.server.as_str())
        .collect();
    let servers = servers.into_iter().collect::<Vec<_>>();
    let wrong = |(name, meant): &(&Named, Option<&ServerId>)| {
        let server = &name.server;
        let what = match meant {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("that is none of {}.", servers.join(", ")),
        };
        let all = servers.join(" ");
        let declare = format!("A server more is declared at the top: servers {all} {server}");
        Wrong { place: name.place, what: format!("{server}: {what} {declare}") }
    };
    found.iter().map(wrong).collect()
}

/// Returns what a name is taken for, if it isn't taken for a server's: perhaps another one, perhaps none.
fn meant<'a>(name: &Named, others: &[&'a Named]) -> Option<Option<&'a ServerId>> {
    let text = name.server.as_str();
    let counts = |named: &Named| (named.times, Reverse(named.place));
    let twin = others.iter().find(|other| {
        other.server.as_str().eq_ignore_ascii_case(text) && counts(other) > counts(name)
    });
    if let Some(twin) = twin {
        return Some(Some(&twin.server));
    }
    let fits = others.iter().any(|other| are_neighbours(text, other.server.as_str()));
    if fits {
        return None;
    }
    let has_neighbour = |one: &&Named| {
        others.iter().any(|other| are_neighbours(one.server.as_str(), other.server.as_str()))
    };
    let near = others.iter().filter(|other| is_slip(text, other.server.as_str()));
    let near = near.max_by_key(|other| counts(other)).copied();
    match others.iter().any(has_neighbour) {
        true => Some(near.map(|near| &near.server)),
        // Where all names are words, nearly any word may be one more.
        false => near
            .filter(|near| name.times == 1 && near.times > 1 && text.chars().count() > 3)
            .map(|near| Some(&near.server)),
    }
}

/// True if a name is another one but for a letter, or but for the order of two.
fn is_slip(one: &str, other: &str) -> bool {
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.to_lowercase().chars().collect();
        letters.sort_unstable();
        letters
    };
    match distance(&one.to_lowercase(), &other.to_lowercase()) {
        0 => true,
        // Any letter is one step from any other.
        1 => one.chars().count().max(other.chars().count()) > 1,
        2 => letters(one) == letters(other),
        _ => false,
    }
}

/// True if two different names are of one series, and close to each other there.
fn are_neighbours(one: &str, other: &str) -> bool {
    let (one, other) = (in_series(one), in_series(other));
    let apart = one.number.abs_diff(other.number);
    (one.stem, one.counts) == (other.stem, other.counts) && (1..=NEIGHBOURS).contains(&apart)
}

/// A name as one of a series.
struct InSeries<'a> {
    stem: &'a str,
    /// True if a number is its end; otherwise a letter is.
    counts: bool,
    number: u64,
}

fn in_series(name: &str) -> InSeries<'_> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if let Ok(number) = name[stem.len()..].parse() {
        return InSeries { stem, counts: true, number };
    }
    let last = name.chars().next_back();
    let stem = &name[..name.len() - last.map_or(0, char::len_utf8)];
    InSeries { stem, counts: false, number: last.map_or(0, |last| u32::from(last).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_go_by_a_pattern() {
        for (one, other, are) in [
            ("A", "B", true),
            ("A", "I", true),
            ("A", "Z", false),
            ("A", "b", false),
            ("S1", "S5", true),
            ("S3", "S33", false),
            ("S1", "n2", false),
            ("1", "2", true),
            ("node-a", "node-c", true),
            ("B", "BB", false),
            ("A", "1", false),
            ("north", "south", false),
        ] {
            assert_eq!(are_neighbours(one, other), are, "{one} {other}");
        }
    }
}
