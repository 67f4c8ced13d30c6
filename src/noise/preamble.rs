//! The first line of a connection, in the clear: who speaks, who is meant, of which bank, in which format.
//!
//! Its exact bytes are the handshake's prologue, so both ends agree on them or there is no connection.

use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::bank::blockchain::block::{BlockHash, FORMAT};
use crate::bank::ids::ServerId;
use crate::explain::explain;
use crate::noise::error::HandshakeError;
use crate::noise::frames::{Frames, Time, Timed};

/// The most bytes of a preamble, its newline among them.
pub const MAX_PREAMBLE: usize = 1024;
/// The word before the fields.
const WORD: &str = "NOISE ";
/// The first byte of a preamble, and of no plain line: those begin with a brace, or a blank.
pub const BEGINS_PREAMBLE: u8 = WORD.as_bytes()[0];

/// What the end that dials says in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preamble {
    format: u32,
    /// The server that speaks, if a peer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ServerId>,
    /// The server that is meant, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ServerId>,
    /// The hash of the bank's block 0, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<BlockHash>,
}

/// What the end that answers says of itself, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introduction {
    /// The server.
    pub id: ServerId,
    /// The hash of its bank's block 0, if it has one.
    pub bank: Option<BlockHash>,
    /// True if its key is one that it was given, and so stays. Otherwise there is no use in remembering it.
    pub keyed: bool,
}

impl Preamble {
    /// Makes the preamble of this program's format.
    pub fn new(from: Option<ServerId>, to: Option<ServerId>, bank: Option<BlockHash>) -> Preamble {
        Preamble { format: FORMAT, from, to, bank }
    }

    /// Parses a preamble, with or without its newline.
    ///
    /// # Errors
    /// The reason, in words that follow "the preamble".
    pub fn parse(line: &[u8]) -> Result<Preamble, String> {
        /// The field that tells what the others are.
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let bad = |error: serde_json::Error| format!("can't be read: {}", explain(&error));
        let fields = line.strip_prefix(WORD.as_bytes());
        let fields = fields.ok_or("does not begin with NOISE and a blank")?;
        let Format { format } = serde_json::from_slice(fields).map_err(bad)?;
        if format != u64::from(FORMAT) {
            return Err(format!("is of format {format}, and this program speaks only {FORMAT}"));
        }
        serde_json::from_slice(fields).map_err(bad)
    }
}

/// As it is sent, with its newline.
impl fmt::Display for Preamble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        writeln!(f, "{WORD}{fields}")
    }
}

/// A connection whose preamble was read, and not yet answered.
#[derive(Debug)]
pub struct Caller<S> {
    pub(super) frames: Frames<S>,
    pub(super) until: Instant,
    /// The exact bytes of the preamble.
    pub(super) prologue: Vec<u8>,
    /// What they say.
    pub preamble: Preamble,
}

/// Reads the preamble of a connection whose handshake has to end at this instant.
///
/// # Errors
/// If it is not one, is too long, or doesn't come in time.
pub fn read_preamble<S: Timed>(stream: S, until: Instant) -> Result<Caller<S>, HandshakeError> {
    let mut frames = Frames::new(stream);
    let too_long =
        || HandshakeError::Preamble(format!("has no end in its first {MAX_PREAMBLE} bytes"));
    let line = frames.line(MAX_PREAMBLE, Time::Until(until))?.ok_or_else(too_long)?;
    let prologue = frames.bytes(line).to_vec();
    let preamble = Preamble::parse(&prologue).map_err(HandshakeError::Preamble)?;
    Ok(Caller { frames, until, prologue, preamble })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preamble() -> Preamble {
        let id = |text: &str| Some(text.parse().unwrap());
        Preamble::new(id("B"), id("A"), Some(BlockHash::of("a bank")))
    }

    #[test]
    fn it_comes_back_from_its_line() {
        let bank = BlockHash::of("a bank");
        let line = preamble().to_string();
        let expected = format!(
            "NOISE {{\"format\":{FORMAT},\"from\":\"B\",\"to\":\"A\",\"bank\":\"{bank}\"}}\n"
        );
        assert_eq!(line, expected);
        assert_eq!(Preamble::parse(line.as_bytes()), Ok(preamble()));
        let client = Preamble::new(None, None, None);
        assert_eq!(client.to_string(), format!("NOISE {{\"format\":{FORMAT}}}\n"));
        assert_eq!(Preamble::parse(client.to_string().as_bytes()), Ok(client));
    }

    #[test]
    fn what_is_no_preamble_is_refused_in_words() {
        let good = preamble().to_string();
        for (line, words) in [
            (good.replace("NOISE", "NOISY"), "does not begin"),
            (good.replace(&format!("\"format\":{FORMAT}"), "\"format\":3"), "is of format 3"),
            // Of a later format, which may have other fields.
            ("NOISE {\"format\":999,\"new\":1}\n".to_owned(), "is of format 999"),
            (good.replace("\"from\"", "\"form\""), "unknown field"),
            (good.replace("\"A\"", "\"A/alice\""), "can't be read"),
            ("NOISE {}\n".to_owned(), "missing field"),
            (good.replace("}\n", "} {}\n"), "can't be read"),
        ] {
            let error = Preamble::parse(line.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
