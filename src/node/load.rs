//! From a store to a state machine.

use std::fmt;
use std::sync::Arc;

use crate::bank::server::recovery::{Recovery, RecoveryError};
use crate::bank::server::{Config, Server};
use crate::bank::stored::Place;
use crate::node::life::ExitReason;
use crate::store::{ATTEMPTS, Store, StoreError, too_busy};

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

/// Looks at a store, lets the state machine recover from what is there, the chain piece by piece, and
/// begins a life. A store that can't be used stays as it is, and with its owner.
///
/// # Errors
/// If the store fails or can't be used, or what it holds is not this bank.
pub fn load(config: &Config, store: &mut dyn Store) -> Result<Server, LoadError> {
    for _ in 0..ATTEMPTS {
        match recover(config, store) {
            // What was read in pieces while somebody wrote need not fit together.
            Err(LoadError::Recovery(error)) if store.is_as_seen()? => {
                return Err(named(error, store));
            }
            Err(error @ LoadError::Store(_)) => return Err(error),
            Ok(server) if store.begin()? => return Ok(server),
            // It is taken over all the same, or there would never be an end to it.
            Err(LoadError::Recovery(_)) => drop(store.begin()?),
            Ok(_) => {}
        }
    }
    Err(too_busy().into())
}

/// Calls a place that is corrupt by the store's name for it.
fn named(error: RecoveryError, store: &dyn Store) -> LoadError {
    match error {
        RecoveryError::Corrupt { place, what } => {
            StoreError::Corrupt { key: store.name_of(&place), what }.into()
        }
        mismatch => mismatch.into(),
    }
}

fn recover(config: &Config, store: &mut dyn Store) -> Result<Server, LoadError> {
    let stored = store.look()?;
    let blocks = stored.blocks;
    let mut recovery = Recovery::begin(config.clone(), stored)?;
    let mut next = 0;
    while next < blocks {
        let piece = store.blocks(next, blocks - 1, PIECE)?;
        if piece.is_empty() {
            let what = format!("{blocks} blocks are said to be there, but block {next} is not");
            return Err(StoreError::Corrupt { key: store.name_of(&Place::Chain), what }.into());
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
