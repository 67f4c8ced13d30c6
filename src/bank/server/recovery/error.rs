//! Why a server can't start.

use std::fmt;

use crate::bank::stored::Place;

/// Why a server can't start from what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryError {
    /// The bank in the store is not the one that was configured.
    Mismatch(String),
    /// What is stored can't be right.
    Corrupt {
        /// Where.
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

/// Says that what is stored at a place can't be right.
pub(super) fn corrupt<T>(place: Place, what: impl Into<String>) -> Result<T, RecoveryError> {
    Err(RecoveryError::Corrupt { place, what: what.into() })
}
