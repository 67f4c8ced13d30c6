//! An archive's folder, for those who read in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::store::archive::accounts::Accounts;
use crate::store::archive::accounts::writer::AccountsWriter;
use crate::store::archive::claim::Claim;
use crate::store::archive::error::{ArchiveError, Damage};
use crate::store::archive::names;
use crate::store::archive::owner::Owner;
use crate::store::archive::reader::{self, SegmentReader};
use crate::store::archive::segment::Segment;

/// An archive's folder, which need not exist yet. Anybody may read in it at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Names the folder at `path`.
    pub fn new(path: PathBuf) -> Folder {
        Folder { path }
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads whose it is. None if nobody has used it.
    pub fn owner(&self) -> Result<Option<Owner>, ArchiveError> {
        Owner::read(&self.path)
    }

    /// True if a server may still make its archive here: nothing is there, or no more than what a server leaves
    /// there before it says whose the folder is.
    pub fn is_unused(&self) -> io::Result<bool> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            entries => entries?,
        };
        for entry in entries {
            let name = entry?.file_name();
            if !name.to_str().is_some_and(|name| name == names::LOCK || names::is_unfinished(name))
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the folder for the exclusive use of `owner`; makes it if it is not there.
    ///
    /// # Errors
    /// If another process uses it, if it is somebody else's, or if the system refuses something.
    pub fn claim(&self, owner: &Owner) -> Result<Claim, ArchiveError> {
        Claim::take(&self.path, owner)
    }

    /// Checks that a segment is there, and of its length.
    pub fn check_size(&self, segment: &Segment) -> Result<(), Damage> {
        reader::open(&self.path, segment).map(drop)
    }

    /// Reads a segment and compares it with its SHA-256. After each piece, `between` gets the time that the
    /// piece took; if it returns false, the check ends, and so does this function, with false.
    pub fn verify(
        &self,
        segment: &Segment,
        between: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<bool, Damage> {
        reader::read_through(&self.path, segment, &mut |_, took| between(took))
    }

    /// Opens the index of the accounts of a segment.
    ///
    /// # Errors
    /// If it is missing or wrong; then it has to be made again.
    pub fn accounts(&self, segment: &Segment) -> Result<Accounts, Damage> {
        Accounts::open(&self.path, segment)
    }

    /// Begins the index of the accounts of the segment whose first block is `first`. Until it is finished, it takes
    /// about `memory` bytes, and a mebibyte at least.
    pub fn index_accounts(
        &self,
        first: u64,
        salt: u64,
        memory: usize,
    ) -> Result<AccountsWriter, ArchiveError> {
        AccountsWriter::begin(&self.path, first, salt, memory)
    }

    /// Returns a reader of blocks. Only the process that has the claim should use it: it makes the places of
    /// a segment's lines again if they are wrong.
    pub fn reader(&self) -> SegmentReader {
        SegmentReader::new(&self.path)
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
