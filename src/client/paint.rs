//! Colours for what matters in an answer. Pure, but for the question whether there is to be any.

use std::env;

const RED: &str = "31";
const YELLOW: &str = "33";
const GREEN: &str = "32";

/// The words with which an answer begins, each with its colour.
const LABELS: [(&str, &str); 9] = [
    ("accepted:", GREEN),
    ("refused:", RED),
    ("invalid:", RED),
    ("linked failed:", RED),
    ("wrong server:", RED),
    ("error:", RED),
    ("unavailable:", YELLOW),
    ("unknown:", YELLOW),
    ("link to ", YELLOW),
];

/// True if a terminal is to have colours: it can show them, and `NO_COLOR` doesn't say no.
pub(super) fn wanted() -> bool {
    let says_no = env::var_os("NO_COLOR").is_some_and(|no| !no.is_empty());
    let can = env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
    can && !says_no
}

/// Colours a text, if that is wanted.
pub(super) fn painted(text: String, is_wanted: bool) -> String {
    if is_wanted { paint(&text) } else { text }
}

/// Colours the words with which the lines of a text begin, if they tell how something ended.
fn paint(text: &str) -> String {
    text.split_inclusive('\n').map(paint_line).collect()
}

fn paint_line(line: &str) -> String {
    // A batch numbers its outcomes.
    let number =
        line.find(": ").filter(|at| *at > 0 && line[..*at].bytes().all(|b| b.is_ascii_digit()));
    let (number, rest) = line.split_at(number.map_or(0, |at| at + 2));
    match LABELS.iter().find(|(label, _)| rest.starts_with(label)) {
        Some((label, colour)) => {
            let rest = &rest[label.len()..];
            format!("{number}\x1b[{colour}m{label}\x1b[0m{rest}")
        }
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_ended_is_coloured_and_nothing_else() {
        assert_eq!(paint("refused: A has 5\n"), "\x1b[31mrefused:\x1b[0m A has 5\n");
        let batch = "1: accepted: balance 5\n12: unavailable: later\n";
        let painted =
            "1: \x1b[32maccepted:\x1b[0m balance 5\n12: \x1b[33munavailable:\x1b[0m later\n";
        assert_eq!(paint(batch), painted);
        for plain in ["A: 100 (in the chain)\n", "", "\n", "  refused: x", ": x", "1: 100"] {
            assert_eq!(paint(plain), plain);
        }
    }
}
