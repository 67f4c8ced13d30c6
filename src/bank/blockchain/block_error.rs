//! Why a block can't be the next block.

use std::fmt;

use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::rule::LedgerError;

/// Why a block can't be the next block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// The block is of another height.
    Height {
        /// The height it should have.
        expected: u64,
        /// The height it has.
        found: u64,
    },
    /// The block does not name the head as its previous block.
    Link {
        /// The block's height.
        height: u64,
    },
    /// The block is no genesis block where one is needed, or is one where none may be.
    Genesis(&'static str),
    /// The block holds no entries, or none of a server that it names.
    Empty,
    /// An entry is not the next one in its server's sequence.
    Sequence {
        /// The server.
        server: ServerId,
        /// The position expected.
        expected: Position,
        /// The position found.
        found: Position,
    },
    /// An element is earlier than the one before in its server's sequence.
    Time {
        /// The server.
        server: ServerId,
        /// The position of the element's first entry.
        position: Position,
    },
    /// The block names a server that is not of this bank.
    Stranger(ServerId),
    /// An entry can't take effect.
    Entry {
        /// The entry's server.
        server: ServerId,
        /// The entry's position.
        position: Position,
        /// Why it can't.
        error: LedgerError,
    },
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockError::Height { expected, found } => {
                write!(f, "it is block {found} where block {expected} should be")
            }
            BlockError::Link { height } => {
                write!(f, "block {height} does not link to the block before by its hash")
            }
            BlockError::Genesis(what) => f.write_str(what),
            BlockError::Empty => f.write_str("it holds no entries, or none of a server it names"),
            BlockError::Sequence { server, expected, found } => write!(
                f,
                "entry {} (epoch {}) of {server} stands where {} (epoch {}) should",
                found.seq, found.epoch, expected.seq, expected.epoch
            ),
            BlockError::Time { server, position } => write!(
                f,
                "the time of entry {} of {server} is before that of the entry before it",
                position.seq
            ),
            BlockError::Stranger(server) => write!(f, "server {server} is not of this bank"),
            BlockError::Entry { server, position, error } => {
                write!(f, "entry {} of {server}: {error}", position.seq)
            }
        }
    }
}

impl std::error::Error for BlockError {}
