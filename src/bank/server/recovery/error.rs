//! Why a server can't start.

use std::fmt;

use crate::bank::stored::Place;

/// Why a server can't start from what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryError {
    /// The bank in the store is not the configured one.
    Mismatch(String),
    /// The stored content can't be right.
    Corrupt {
        /// The place.
        place: Place,
        /// What is wrong there.
        what: String,
    },
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecoveryError::Mismatch(what) => f.write_str(what),
            RecoveryError::Corrupt { place, what } => {
                write!(f, "the store is corrupt: {place}: {what}")
            }
        }
    }
}

impl std::error::Error for RecoveryError {}

/// Makes the error that the content of a place can't be right.
pub(super) fn corrupt<T>(place: Place, what: impl Into<String>) -> Result<T, RecoveryError> {
    Err(RecoveryError::Corrupt { place, what: what.into() })
}
