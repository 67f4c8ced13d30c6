//! What a running server has of its archive's folder: it alone writes there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::store::archive::disk;
use crate::store::archive::error::ArchiveError;
use crate::store::archive::names::{self, LOCK};
use crate::store::archive::owner::Owner;
use crate::store::archive::segment::Segment;
use crate::store::archive::writer::SegmentWriter;

/// The exclusive use of a folder. It ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl Claim {
    /// Takes the folder for `owner`.
    pub(super) fn take(folder: &Path, owner: &Owner) -> Result<Claim, ArchiveError> {
        disk::make_folder(folder)?;
        let lock = lock(folder)?;
        match Owner::read(folder)? {
            None => owner.write(folder)?,
            Some(found) if found == *owner => {}
            Some(found) => {
                let (theirs, ours) = (found.to_string(), owner.to_string());
                return Err(ArchiveError::Foreign { folder: folder.to_owned(), theirs, ours });
            }
        }
        Ok(Claim { folder: folder.to_owned(), _lock: lock })
    }

    /// Removes what a crash left: files that were not finished, and those of segments that are not `known`,
    /// if the store has all their blocks, of which it has `blocks`. The known segments follow each other.
    /// Everything else stays: what others put there, and segments that may be the only copy of their blocks.
    /// Returns what was removed.
    pub fn remove_strays(&self, known: &[Segment], blocks: u64) -> io::Result<Vec<PathBuf>> {
        let is_known = |heights: (u64, u64)| {
            known.binary_search_by_key(&heights, |known| (known.first, known.last)).is_ok()
        };
        let is_stray = |name: &str| match names::heights(name) {
            Some(heights) => !is_known(heights) && heights.1 < blocks,
            None => names::is_unfinished(name),
        };
        let mut removed = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(is_stray) && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
                removed.push(entry.path());
            }
        }
        removed.sort();
        Ok(removed)
    }

    /// Begins the segment whose first block is `first`. What an earlier writer has not sealed is lost.
    pub fn begin(&self, first: u64) -> Result<SegmentWriter, ArchiveError> {
        SegmentWriter::begin(&self.folder, first)
    }

    /// Begins to write a damaged segment again. Sealing it fails if it is not `segment` to the byte, and until
    /// then the damaged file stays.
    pub fn begin_again(&self, segment: &Segment) -> Result<SegmentWriter, ArchiveError> {
        SegmentWriter::begin_again(&self.folder, segment)
    }
}

fn lock(folder: &Path) -> Result<File, ArchiveError> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false);
    let file = options.open(&path).map_err(ArchiveError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ArchiveError::Locked { folder: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(ArchiveError::io("lock", &path)(error)),
    }
}
