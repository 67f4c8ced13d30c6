//! Loading: from a store to a state machine.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ledger::secret::Secret;
use crate::bank::server::recovery::replay::Check;
use crate::bank::server::recovery::{Recovery, RecoveryError};
use crate::bank::server::{Config, Server};
use crate::bank::stored::{Place, Stored};
use crate::node::life::ExitReason;
use crate::store::{ATTEMPTS, Store, StoreError, too_busy};

/// The number of pages of balances read at a time.
const PAGES: u64 = 64;
/// About how much of the chain is read at a time, in bytes.
const PIECE: usize = 4 << 20;

/// Why there is no state machine.
#[derive(Debug)]
pub enum LoadError {
    /// The store failed, or can't be used.
    Store(StoreError),
    /// The content of the store can't be right.
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

/// Looks at a store, lets the state machine recover from its content, and begins a life. A store that
/// can't be used keeps its content and its owner.
///
/// Reads only the last blocks of a long chain. The check of the others is returned with the server.
///
/// # Errors
/// If the store fails or can't be used, or its content is not this bank.
pub fn load(config: &Config, store: &mut dyn Store) -> Result<(Server, Option<Check>), LoadError> {
    for _ in 0..ATTEMPTS {
        match recover(config, store) {
            // Pieces that were read while somebody wrote need not fit together.
            Err(LoadError::Recovery(error)) if store.is_as_seen()? => {
                return Err(named(error, |place| store.name_of(place)));
            }
            Err(error @ LoadError::Store(_)) => return Err(error),
            Ok(loaded) if store.begin()? => return Ok(loaded),
            // Takes it over all the same, or the other's writes could go on for ever.
            Err(LoadError::Recovery(_)) => drop(store.begin()?),
            Ok(_) => {}
        }
    }
    Err(too_busy().into())
}

/// The outcome of loading, at the start or after a store failure.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) server: Server,
    /// The check of the chain that is still to be made.
    pub(crate) check: Option<Check>,
    /// Set if the store takes no writes: the server only reads, in the last durable life, its own or an earlier
    /// process's.
    pub(crate) read_only: Option<ReadOnly>,
}

/// A life that can't begin, because the store takes no writes.
#[derive(Debug)]
pub(crate) struct ReadOnly {
    /// The store's content, as if the life had begun.
    stored: Stored,
    /// Why the store takes no writes.
    pub(crate) why: String,
}

impl ReadOnly {
    /// Tries to begin the life. None if the store still takes no writes.
    ///
    /// # Errors
    /// If the store fails, or somebody has written since the look.
    pub(crate) fn try_to_begin(
        &self,
        config: &Config,
        store: &mut dyn Store,
    ) -> Result<Option<(Server, Option<Check>)>, LoadError> {
        match store.begin() {
            Ok(true) => Ok(Some(recover_from(config, store, self.stored.clone(), None)?)),
            Ok(false) => Err(too_busy().into()),
            Err(StoreError::Refused(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Loads like [`load`]. If the store takes no writes, returns a server that only reads, provided the bank
/// is open and it takes part.
///
/// # Errors
/// Those of [`load`].
pub(crate) fn load_to_serve(config: &Config, store: &mut dyn Store) -> Result<Loaded, LoadError> {
    match load(config, store) {
        Err(LoadError::Store(StoreError::Refused(why))) => load_read_only(config, store, why),
        loaded => loaded.map(|(server, check)| Loaded { server, check, read_only: None }),
    }
}

/// Returns a server that only reads, for a store that takes no writes for the reason `why`.
///
/// # Errors
/// Those of [`load`]; [`StoreError::Refused`] if no such server is possible.
pub(crate) fn load_read_only(
    config: &Config,
    store: &mut dyn Store,
    why: String,
) -> Result<Loaded, LoadError> {
    let stored = store.look()?;
    if !store.is_confirmed() {
        return Err(StoreError::Refused(why).into());
    }
    // The durable life is still the present one. (An empty store has none.)
    let mut present = stored.clone();
    present.lives.pop();
    if present.lives.is_empty() {
        return Err(StoreError::Refused(why).into());
    }
    present.turn.0 -= 1;
    let read_only = ReadOnly { stored, why };
    let (server, _) = recover_from(config, store, present, Some(&read_only.why))?;
    Ok(Loaded { server, check: None, read_only: Some(read_only) })
}

/// Replaces a corrupt place by the store's own name for it.
pub(crate) fn named(error: RecoveryError, name_of: impl Fn(&Place) -> String) -> LoadError {
    match error {
        RecoveryError::Corrupt { place, what } => {
            StoreError::Corrupt { key: name_of(&place), what }.into()
        }
        mismatch => mismatch.into(),
    }
}

fn recover(config: &Config, store: &mut dyn Store) -> Result<(Server, Option<Check>), LoadError> {
    let stored = store.look()?;
    recover_from(config, store, stored, None)
}

/// Recovers a server from the store's content; `read_only` is the reason if it is to only read.
fn recover_from(
    config: &Config,
    store: &mut dyn Store,
    stored: Stored,
    read_only: Option<&String>,
) -> Result<(Server, Option<Check>), LoadError> {
    let blocks = stored.blocks;
    let pages = stored.pages;
    let mut recovery = Recovery::begin(config.clone(), stored)?;
    if blocks > 0 {
        recovery.append(block(store, 0)?)?;
        read_pages(store, pages, &mut recovery)?;
        let tail = tail(store, blocks, config.limits.tail)?;
        let first = blocks - tail.len() as u64;
        if first == 1 {
            tail.into_iter().try_for_each(|block| recovery.append(block))?;
        } else {
            catch_up(store, first, &mut recovery)?;
            recovery.resume(&tail)?;
        }
    }
    let check = recovery.check();
    let recovery = match read_only {
        Some(why) if !recovery.can_rest() => return Err(StoreError::Refused(why.clone()).into()),
        Some(why) => recovery.resting(why.clone()),
        None => recovery,
    };
    Ok((recovery.finish(secret())?, check))
}

/// Draws a secret from the keys that the system gives the standard library for its hash maps. The generator
/// of ids won't do: from some of its numbers the next ones can be computed.
fn secret() -> Secret {
    let random = RandomState::new();
    Secret([random.hash_one(0u64), random.hash_one(1u64)])
}

/// Gives the recovery all pages of balances.
fn read_pages(store: &mut dyn Store, pages: u64, recovery: &mut Recovery) -> Result<(), LoadError> {
    let mut next = 0;
    while next < pages {
        let piece = store.pages(next, PAGES.min(pages - next))?;
        piece.iter().try_for_each(|page| recovery.page(page))?;
        next += piece.len() as u64;
    }
    Ok(())
}

/// Gives the balances the blocks before `end` that some page lacks.
fn catch_up(store: &mut dyn Store, end: u64, recovery: &mut Recovery) -> Result<(), LoadError> {
    while recovery.first_missing() < end {
        let next = recovery.first_missing();
        let piece = store.blocks(next, end - 1, PIECE)?;
        if piece.is_empty() {
            return Err(missing(store, next));
        }
        piece.iter().try_for_each(|block| recovery.catch_up(block))?;
    }
    Ok(())
}

/// Reads the block at a height.
fn block(store: &mut dyn Store, height: u64) -> Result<SealedBlock, LoadError> {
    let block = store.blocks(height, height, 1)?.pop();
    block.ok_or_else(|| missing(store, height))
}

fn missing(store: &dyn Store, height: u64) -> LoadError {
    let what = format!("block {height} is said to be there, but is not");
    StoreError::Corrupt { key: store.name_of(&Place::Chain), what }.into()
}

/// Reads the last of `blocks` blocks, except block 0: as many as fit in about `room` bytes of text, but at
/// least one if there is one.
fn tail(
    store: &mut dyn Store,
    blocks: u64,
    mut room: usize,
) -> Result<Vec<SealedBlock>, LoadError> {
    // The newest first.
    let mut tail = Vec::new();
    let mut next = blocks;
    let mut count = 1;
    while next > 1 {
        let from = next.saturating_sub(count).max(1);
        count = next - from;
        let piece = match store.blocks(from, next - 1, room) {
            // A start goes without blocks that are in segments which are not at hand.
            Err(StoreError::Past { .. }) if count > 1 => {
                count = 1;
                continue;
            }
            Err(StoreError::Past { .. }) if !tail.is_empty() => break,
            piece => piece?,
        };
        let bytes: usize = piece.iter().map(|block| block.text().len()).sum();
        match piece.len() as u64 {
            0 => return Err(missing(store, from)),
            // These blocks are larger than the blocks after them.
            found if found < count => {
                count = found;
                continue;
            }
            _ if bytes > room && !tail.is_empty() => break,
            _ => {}
        }
        tail.extend(piece.into_iter().rev());
        next = from;
        room = room.saturating_sub(bytes);
        if room == 0 {
            break;
        }
        let fit = (room as u64).saturating_mul(count) / (bytes as u64).max(1);
        count = (2 * count).min(fit).max(1);
    }
    tail.reverse();
    Ok(tail)
}
