//! Pieces of text that words about anything are made of. Pure.

use crate::bank::ids::ServerId;

/// Lists servers by their names.
pub(super) fn names(servers: &[ServerId]) -> String {
    match servers {
        [] => "nobody".into(),
        servers => servers.iter().map(ServerId::as_str).collect::<Vec<_>>().join(", "),
    }
}

/// A text from elsewhere, on one line and without what would make a terminal do things.
pub(super) fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}
