//! The lines that travel: one JSON object each, for peers and clients alike, on one port.
//!
//! [`lines`] cuts bytes into lines, in bounded memory. [`request`] and [`reply`] are the clients' lines
//! and the answers, with files of their own for batches. [`message`] is the servers' talk, and [`link`] the
//! orders to break and mend the links under it. Each stage has its own errors, and all that can be wrong
//! with a line is found here: the state machine sees only well-formed requests and messages.

pub mod asked;
mod batch;
mod fields;
pub mod lines;
pub mod link;
mod link_lines;
mod members;
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

/// The beginning of an error's message where it is known that the request has done nothing.
pub const NOTHING_DONE: &str = "nothing was done about this request: ";

/// Explains a JSON error in bounded length: a hostile line may be long, but the words about it must not
/// be.
fn explain(error: &serde_json::Error) -> String {
    const MAX_CHARS: usize = 300;
    let what = in_words(&without_places(&error.to_string()));
    let mut short: String = what.chars().take(MAX_CHARS).collect();
    if short.len() < what.len() {
        short.push('…');
    }
    format!("{short} (at character {} of the line)", error.column())
}

/// Takes out the places that a parser names, each as it counts: all is on one line, and one place is enough.
fn without_places(text: &str) -> String {
    const PLACE: &str = " at line ";
    let mut rest = text;
    let mut kept = String::new();
    while let Some(at) = rest.find(PLACE) {
        let (before, place) = rest.split_at(at);
        let end = place[PLACE.len()..]
            .find(|c: char| !(c.is_ascii_digit() || c == ' '))
            .map(|end| end + PLACE.len());
        let column = end.and_then(|end| place[end..].strip_prefix("column "));
        kept.push_str(before);
        match column {
            Some(column) => rest = column.trim_start_matches(|c: char| c.is_ascii_digit()),
            None => {
                kept.push_str(PLACE);
                rest = &place[PLACE.len()..];
            }
        }
    }
    kept + rest
}

/// Says in plain words what a parser says in its own.
fn in_words(text: &str) -> String {
    const WORDS: [(&str, &str); 16] = [
        ("invalid type: ", "found "),
        ("invalid value: ", "found "),
        ("found string ", "found the text "),
        ("found integer ", "found the number "),
        ("found floating point ", "found the number "),
        ("found boolean ", "found "),
        ("found map", "found an object"),
        ("found sequence", "found a list"),
        (", expected u64", ", expected a whole number from 0"),
        (", expected u8", ", expected a whole number from 0"),
        (", expected a string", ", expected a text"),
        (", expected a boolean", ", expected true or false"),
        (", expected a sequence", ", expected a list"),
        ("EOF while parsing an object", "the line ends within an object"),
        ("EOF while parsing a list", "the line ends within a list"),
        ("EOF while parsing a", "the line ends within a"),
    ];
    // What somebody sent may hold the same words; then it is shown in others, which harms nobody.
    WORDS
        .iter()
        .fold(text.to_owned(), |text, (of_parser, plain)| text.replacen(of_parser, plain, 1))
}

/// Writes a value as one line of JSON, with its newline. It can't fail: all keys of what is sent are text.
pub(crate) fn to_line(value: &impl serde::Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("what is sent has only texts for keys");
    line.push('\n');
    line
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
