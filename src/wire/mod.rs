//! The lines that travel: one JSON object each, for peers and clients alike, on one port.
//!
//! [`lines`] cuts bytes into lines, in bounded memory. [`request`] and [`reply`] are the clients' lines
//! and the answers, with files of their own for batches; [`follow`] is the lines that follow without end, and
//! [`entries`] an entry on any line. [`message`] is the servers' talk. Orders to a server's threads are [`link`],
//! which breaks and mends the links under that talk, and [`traces`], which tells a server's notes as they are taken.
//! Each stage has its own errors, and all that can be wrong with a line is found here: the state machine sees only
//! well-formed requests and messages.

pub mod asked;
mod batch;
pub mod entries;
mod fields;
pub mod follow;
mod instruction;
pub mod lines;
pub mod link;
mod link_lines;
mod members;
pub mod message;
pub mod messages;
mod orders;
mod outcomes;
pub mod reply;
pub mod request;
mod sessions;
mod tag;
pub mod traces;

pub use asked::parse_asked;
pub use lines::{LineRead, LineReader, Step};
pub use link_lines::{encode_faults, encode_order, parse_faults};
pub use message::{encode_message, is_peer_line, parse_message};
pub use reply::{Answer, encode_chain, encode_reply, parse_reply};
pub use request::{encode_request, parse_request};
pub use tag::{MAX_TAG, Tag};

/// The longest line that a server takes from a client, in bytes without the newline.
pub const MAX_CLIENT_LINE: usize = 1 << 20;
/// The longest line that a server takes from a peer, and a client from a server.
pub const MAX_PEER_LINE: usize = 16 << 20;

/// The beginning of an error's message where it is known that the request has done nothing.
pub const NOTHING_DONE: &str = "nothing was done about this request: ";

/// Writes a value as one line of JSON, with its newline. It can't fail: all keys of what is sent are text.
pub(crate) fn to_line(value: &impl serde::Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("what is sent has only texts for keys");
    line.push('\n');
    line
}
