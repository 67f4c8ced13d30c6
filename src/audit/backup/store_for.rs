//! The stores on which a bank may be founded.

use std::path::Path;
use std::time::Duration;

use crate::audit::redis_options;
use crate::bank::blockchain::block::Origin;
use crate::bank::ids::ServerId;
use crate::store::StoreError;
use crate::store::archive::folder::Folder;
use crate::store::redis::viewer::ReadOnlyRedis;

/// Checks that a server may found a bank with this origin on its store: the store is empty, or the founding of this
/// very bank was cut short there.
///
/// The inner error says what to do if it may not.
///
/// # Errors
/// If the store can't be read.
pub fn check_store(
    redis: &str,
    id: &ServerId,
    origin: &Origin,
    timeout: Duration,
) -> Result<Result<(), String>, StoreError> {
    let mut visitor = ReadOnlyRedis::new(redis, &redis_options(timeout))?.visit(id);
    let stored = visitor.contents()?;
    let Some(stored) = stored.filter(|stored| stored.blocks > 0) else { return Ok(Ok(())) };
    let first = visitor.blocks(0, 0, 1)?;
    let Some(block) = first.first() else { return Ok(Ok(())) };
    let genesis = block.block().genesis.as_ref();
    let goes_on = genesis.and_then(|genesis| genesis.origin.as_deref()) == Some(origin);
    if goes_on && !stored.active {
        return Ok(Ok(()));
    }
    let hash = block.hash();
    Ok(Err(match goes_on {
        true => format!(
            "the store of {id} holds the bank that was founded from this backup, {hash}, and that bank is open: \
             start the server without --found-from, and with --bank {hash}"
        ),
        false => format!(
            "the store of {id} holds a bank already, {hash}, and --found-from founds a new one, on empty stores \
             only. To go on with the bank that is there, start the server without --found-from. To found a new \
             one, give each server an empty Redis, and keep this one: it may hold what no backup holds"
        ),
    }))
}

/// Checks that the folder for a new bank's segments is not the former bank's.
///
/// # Errors
/// Says whose it is.
pub fn check_archive(folder: &Path, origin: &Origin) -> Result<(), String> {
    let owner = Folder::new(folder.to_owned()).owner().map_err(|error| error.to_string())?;
    match owner.filter(|owner| owner.bank == origin.bank) {
        None => Ok(()),
        Some(owner) => Err(format!(
            "{} is the archive of {owner}, from which the new bank goes on: a new bank needs new folders \
             (--archive)",
            folder.display()
        )),
    }
}
