//! Pieces of text for words about anything. Pure.

use crate::bank::ids::ServerId;

/// Lists servers by their names.
pub(super) fn names(servers: &[ServerId]) -> String {
    match servers {
        [] => "nobody".into(),
        servers => servers.iter().map(ServerId::as_str).collect::<Vec<_>>().join(", "),
    }
}

/// Puts foreign text on one line, without characters that make a terminal do things.
pub(super) fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Cuts a word to the length that an error shows.
pub(super) fn cut(word: &str) -> String {
    format!("{:?}", word.chars().take(80).collect::<String>())
}
