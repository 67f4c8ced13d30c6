//! What travels: one JSON object a line, for peers and clients alike, on one port.
//!
//! [`lines`] cuts bytes into lines and never holds more than it was told to. [`request`] and
//! [`reply`] are what clients say and hear (of both, what is special about batches stands in a file
//! of its own), [`message`] is what servers say to each other, [`link`] orders to break and mend what
//! they say it over. Every stage has its own errors, and all that is wrong with a line is found here:
//! the state machine sees only what is well formed.

pub mod asked;
mod batch;
mod fields;
pub mod lines;
pub mod link;
mod link_lines;
pub mod message;
pub mod messages;
mod outcomes;
pub mod reply;
pub mod request;

pub use asked::parse_asked;
pub use lines::{LineRead, LineReader, Step};
pub use link_lines::{encode_faults, encode_order, parse_faults};
pub use message::{encode_message, is_peer_line, parse_message};
pub use reply::{Answer, encode_chain, encode_reply, parse_reply};
pub use request::{encode_request, parse_request};

/// The longest line that a server takes from a client, in bytes without the newline.
pub const MAX_CLIENT_LINE: usize = 1 << 20;
/// The longest line that a server takes from a peer, and a client from a server.
pub const MAX_PEER_LINE: usize = 16 << 20;

/// What a JSON error says, in bounded length: a hostile line may be long, what is said about it
/// must not be.
fn explain(error: &serde_json::Error) -> String {
    const MAX_CHARS: usize = 300;
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    // Everything is on line 1 here, so the line is noise.
    let what = text.strip_suffix(&position).unwrap_or(&text);
    let mut short: String = what.chars().take(MAX_CHARS).collect();
    if short.len() < what.len() {
        short.push('…');
    }
    format!("{short} (column {})", error.column())
}

/// A value as one line of JSON, with its newline. Nothing that is sent has anything but texts for keys, so it can't fail.
pub(crate) fn to_line(value: &impl serde::Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("what is sent has only texts for keys");
    line.push('\n');
    line
}
