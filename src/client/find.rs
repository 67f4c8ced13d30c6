//! The command that a typed word means, and what is near to one that means none. Pure.

use crate::client::help::{TOPICS, Topic};
use crate::client::text::cut;

/// Words that people type out of habit, and what they mean.
const HABITS: [(&str, &str); 10] = [
    ("?", "help"),
    ("\\?", "help"),
    ("\\h", "help"),
    ("\\q", "quit"),
    (":q", "quit"),
    ("quit()", "quit"),
    ("exit()", "quit"),
    ("bye", "quit"),
    ("logout", "quit"),
    ("logoff", "quit"),
];

/// Words that are commands elsewhere, in other programs or in courses, and what does the like here.
const ELSEWHERE: [(&str, &str); 47] = [
    ("pay", "transfer"),
    ("send", "transfer"),
    ("give", "transfer"),
    ("wire", "transfer"),
    ("remit", "transfer"),
    ("deposit", "transfer"),
    ("withdraw", "transfer"),
    ("issue", "mint"),
    ("print", "mint"),
    ("destroy", "burn"),
    ("melt", "burn"),
    ("create", "open"),
    ("new", "open"),
    ("register", "open"),
    ("statement", "history"),
    ("transactions", "history"),
    ("list", "accounts"),
    ("ls", "accounts"),
    ("total", "balances --all"),
    ("money", "balance"),
    ("show", "balance"),
    ("printbalance", "balance"),
    ("blocks", "chain"),
    ("blockchain", "chain"),
    ("ledger", "chain"),
    ("printdb", "chain"),
    ("printdatastore", "chain"),
    ("printlog", "log"),
    ("printperformance", "status"),
    ("performance", "status"),
    ("info", "status"),
    ("ping", "status"),
    ("stats", "status"),
    ("top", "watch"),
    ("tail", "follow"),
    ("subscribe", "follow"),
    ("stream", "follow"),
    ("retry", "again"),
    ("next", "more"),
    ("commit", "settle"),
    ("sync", "settle"),
    ("peers", "members"),
    ("servers", "members"),
    ("nodes", "members"),
    ("partition", "link cut"),
    ("disconnect", "link cut"),
    ("cut", "link cut"),
];

/// Returns the command that a word names or abbreviates. It is the only command that begins with the word,
/// or the one with which all others that do begin (`bal` is balance, though there is balances). Capitals don't matter.
///
/// # Errors
/// Says which commands it could be, or which one is near.
pub fn find(as_typed: &str) -> Result<&'static Topic, String> {
    let lower = as_typed.to_lowercase();
    let meant = HABITS.iter().find(|(habit, _)| *habit == lower).map(|(_, word)| *word);
    let typed = meant.unwrap_or(&lower);
    let mut near = TOPICS.iter().filter(|topic| topic.word.starts_with(typed)).collect::<Vec<_>>();
    near.sort_by_key(|topic| topic.word.len());
    match near[..] {
        [] => Err(suggest(as_typed)),
        _ if typed.is_empty() => Err(suggest(as_typed)),
        [one, ref others @ ..] if others.iter().all(|other| other.word.starts_with(one.word)) => {
            Ok(one)
        }
        _ => {
            near.sort_by_key(|topic| topic.word);
            let words: Vec<&str> = near.iter().map(|topic| topic.word).collect();
            Err(format!("{as_typed:?} could be {}", words.join(" or ")))
        }
    }
}

fn suggest(unknown: &str) -> String {
    const CLOSE: usize = 2;
    // A long word is near to none, and would take its time.
    let typed: String = unknown.chars().take(40).collect::<String>().to_lowercase();
    let near = TOPICS.iter().map(|topic| (distance(&typed, topic.word), topic.word)).min();
    let unknown = cut(unknown);
    if let Some((_, word)) = ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == typed) {
        return format!("unknown command {unknown}; did you mean {word}?");
    }
    match near {
        // Of a very short word nothing would be left.
        Some((steps, word)) if steps <= CLOSE && steps < typed.chars().count() => {
            format!("unknown command {unknown}; did you mean {word}?")
        }
        _ => {
            let words: Vec<&str> = TOPICS.iter().map(|topic| topic.word).collect();
            format!("unknown command {unknown}; the commands are {}", words.join(", "))
        }
    }
}

/// Counts the letters to insert, leave out or change between two words (Levenshtein).
pub fn distance(one: &str, other: &str) -> usize {
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
mod tests {
    use super::*;

    #[test]
    fn what_is_suggested_is_a_command_and_no_command_is_suggested_away() {
        for (elsewhere, word) in HABITS.iter().chain(&ELSEWHERE) {
            let first = word.split(' ').next().unwrap();
            assert!(TOPICS.iter().any(|topic| topic.word == first), "{word}");
            let hidden = TOPICS.iter().any(|topic| topic.word.starts_with(elsewhere));
            assert!(!hidden, "{elsewhere} already means something");
        }
    }

    #[test]
    fn a_command_may_be_shortened_to_what_is_unambiguous() {
        for (typed, word) in [
            ("tr", "transfer"),
            ("t", "t"),
            ("bal", "balance"),
            ("balance", "balance"),
            ("balances", "balances"),
            ("hist", "history"),
            ("li", "link"),
            ("linke", "linked"),
            ("q", "quit"),
            ("w", "watch"),
            ("stat", "status"),
            ("bl", "block"),
            ("bu", "burn"),
            ("mi", "mint"),
            ("rek", "rekey"),
            ("rej", "rejoin"),
            ("?", "help"),
            ("HELP", "help"),
            ("Status", "status"),
            ("\\q", "quit"),
            (":q", "quit"),
            ("EXIT", "exit"),
        ] {
            assert_eq!(find(typed).map(|topic| topic.word), Ok(word), "{typed}");
        }
        for (typed, said) in [
            ("b", "\"b\" could be balance or balances or batch or block or burn"),
            ("s", "\"s\" could be settle or status"),
            ("blance", "unknown command \"blance\"; did you mean balance?"),
            ("pay", "unknown command \"pay\"; did you mean transfer?"),
            ("SEND", "unknown command \"SEND\"; did you mean transfer?"),
            ("PrintDB", "unknown command \"PrintDB\"; did you mean chain?"),
            ("Stauts", "unknown command \"Stauts\"; did you mean status?"),
            ("settel", "unknown command \"settel\"; did you mean settle?"),
            ("xy", "unknown command \"xy\"; the commands are transfer, open"),
        ] {
            let error = find(typed).unwrap_err();
            assert!(error.starts_with(said), "{typed}: {error}");
        }
    }
}
