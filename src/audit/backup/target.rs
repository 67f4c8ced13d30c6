//! The folder of a backup, for the one who writes there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::audit::backup::manifest::{BadManifest, MANIFEST, Manifest, file_name, is_of_a_turn};
use crate::audit::backup::unread;
use crate::audit::finding::{Finding, Spot, Trouble};
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::ServerId;
use crate::store::archive::disk;
use crate::store::archive::names;

/// The file that is locked while a backup is being taken.
const LOCK: &str = "lock";
/// What ends the name of a file that is not whole yet.
pub(super) const PART: &str = "part";

/// A folder in which a backup is being taken. One at a time.
pub(super) struct Target {
    folder: PathBuf,
    /// The backup that is there.
    pub(super) before: Option<Manifest>,
    /// Locked as long as it is open.
    _lock: File,
}

impl Target {
    /// Takes a folder for a server's backup; makes it if it isn't there.
    ///
    /// # Errors
    /// If it is in use, if it holds something else, or if the system refuses something.
    pub(super) fn take(
        folder: &Path,
        bank: BlockHash,
        server: &ServerId,
    ) -> Result<Target, Trouble> {
        disk::make_folder(folder).map_err(unread)?;
        let before = read_manifest(folder)?;
        match &before {
            None => check_ours(folder)?,
            Some(before) => check_owner(folder, before, bank, server)?,
        }
        let lock = lock(folder)?;
        // Another backup may have ended just now.
        let before = read_manifest(folder)?;
        Ok(Target { folder: folder.to_owned(), before, _lock: lock })
    }

    /// Returns where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a manifest in the place of the one before; then removes what only that one named. All files
    /// that the manifest names have to be on the disk.
    pub(super) fn finish(&self, manifest: &Manifest) -> Result<(), Trouble> {
        disk::sync_folder(&self.folder).map_err(unread)?;
        manifest.write(&self.folder).map_err(unread)?;
        let named = manifest.names();
        let is_over = |name: &str| {
            let is_ours = is_ours(name) && name != MANIFEST && name != LOCK;
            is_ours && !named.iter().any(|named| named == name)
        };
        // The backup is complete. What can't be removed is in nobody's way, and goes with the next one.
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| is_over(&file_name(path))) {
            if let Err(error) = fs::remove_file(&path) {
                log::warn!("{} is not needed any more, and stays: {error}", path.display());
            }
        }
        Ok(())
    }
}

/// Reads the manifest of a folder, if it has one.
///
/// # Errors
/// If it can't be read, or is wrong.
pub(super) fn read_manifest(folder: &Path) -> Result<Option<Manifest>, Trouble> {
    Manifest::read(folder).map_err(|bad| match bad {
        BadManifest::Unread(why) => Trouble::Unread(why),
        BadManifest::Wrong(what) => Finding::new(spot(&folder.join(MANIFEST)), what).into(),
    })
}

/// Names a file.
pub(super) fn spot(path: &Path) -> Spot {
    Spot { key: path.display().to_string(), at: None }
}

fn lock(folder: &Path) -> Result<File, Trouble> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    let failed = |error: io::Error| Trouble::Unread(format!("{}: {error}", path.display()));
    let file = options.write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Trouble::Unread(format!(
            "another backup into {} is under way; nothing was changed",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn is_ours(name: &str) -> bool {
    let whole = match name.strip_suffix(PART).and_then(|name| name.strip_suffix('.')) {
        Some(rest) => rest.rsplit_once('.').map_or(rest, |(whole, _number)| whole),
        None => name,
    };
    let is_blocks = whole.ends_with(".jsonl") && names::heights(whole).is_some();
    [MANIFEST, LOCK].contains(&whole) || is_blocks || is_of_a_turn(whole)
}

/// Checks that a folder without a manifest is empty, or holds nothing but what a backup left that was cut off.
fn check_ours(folder: &Path) -> Result<(), Trouble> {
    let place = folder.display();
    let entries = fs::read_dir(folder).map_err(|e| Trouble::Unread(format!("{place}: {e}")))?;
    let names: Vec<String> = entries.flatten().map(|entry| file_name(&entry.path())).collect();
    if names.iter().any(|name| name == "archive.json") {
        return Err(Trouble::Unread(format!(
            "{place} is the archive of a running server, and no place for a backup: name another folder. \
             Nothing was changed"
        )));
    }
    match names.iter().find(|name| !is_ours(name)) {
        None => Ok(()),
        Some(strange) => Err(Trouble::Unread(format!(
            "{place} is no backup, and not empty: {strange} is there. A backup has a folder of its own: name \
             a new or an empty one. Nothing was changed"
        ))),
    }
}

fn check_owner(
    folder: &Path,
    before: &Manifest,
    bank: BlockHash,
    server: &ServerId,
) -> Result<(), Trouble> {
    if (before.bank, &before.server) == (bank, server) {
        return Ok(());
    }
    Err(Trouble::Unread(format!(
        "{} is the backup of server {} of the bank whose block 0 is {}, and this is server {server} of the bank \
         whose block 0 is {}: each server has a backup of its own; name another folder. Nothing was changed",
        folder.display(),
        before.server,
        before.bank.short(),
        bank.short()
    )))
}
