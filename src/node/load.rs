//! From a store to a state machine.

use std::fmt;
use std::sync::Arc;

use crate::bank::server::recovery::{Recovery, RecoveryError};
use crate::bank::server::{Config, Server};
use crate::node::life::ExitReason;
use crate::store::{Store, StoreError};

/// About how much of the chain is held in memory at a time while it is checked.
const PIECE: usize = 4 << 20;

/// Why there is no state machine.
#[derive(Debug)]
pub enum LoadError {
    /// The store did not give what it should.
    Store(StoreError),
    /// What it gave can't be right.
    Recovery(RecoveryError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Store(error) => write!(f, "{error}"),
            LoadError::Recovery(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<StoreError> for LoadError {
    fn from(error: StoreError) -> LoadError {
        LoadError::Store(error)
    }
}

impl From<RecoveryError> for LoadError {
    fn from(error: RecoveryError) -> LoadError {
        LoadError::Recovery(error)
    }
}

impl From<LoadError> for ExitReason {
    fn from(error: LoadError) -> ExitReason {
        match error {
            LoadError::Store(error) => ExitReason::Store(Arc::new(error)),
            LoadError::Recovery(error) => ExitReason::Recovery(error),
        }
    }
}

/// Loads a store and lets the state machine recover from what is there, the chain piece by piece.
///
/// # Errors
/// If the store fails or can't be used, or what it holds is not this bank.
pub fn load(config: &Config, store: &mut dyn Store) -> Result<Server, LoadError> {
    let stored = store.load()?;
    let blocks = stored.blocks;
    let mut recovery = Recovery::begin(config.clone(), stored)?;
    let mut next = 0;
    while next < blocks {
        let piece = store.blocks(next, u64::MAX, PIECE)?;
        if piece.is_empty() {
            let what = format!("{blocks} blocks are said to be there, but block {next} is not");
            return Err(StoreError::Corrupt { key: "the chain".to_owned(), what }.into());
        }
        next += piece.len() as u64;
        piece.into_iter().try_for_each(|block| recovery.append(block))?;
    }
    let mut from = 0;
    loop {
        let (piece, next) = store.balances(from)?;
        recovery.check_balances(&piece)?;
        if next == 0 {
            return Ok(recovery.finish()?);
        }
        from = next;
    }
}
