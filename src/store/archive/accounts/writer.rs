//! Making the index of the accounts of a segment.

use std::path::{Path, PathBuf};

use crate::store::archive::accounts::page::{About, Filling, Key, MOST_RUNS};
use crate::store::archive::disk::{self, Unfinished};
use crate::store::archive::error::ArchiveError;
use crate::store::archive::names::{self, Kind};
use crate::store::archive::segment::Segment;

/// The bytes of a pair of an account and a block in memory.
const PAIR: usize = 8;
/// The least pairs that are in memory before they are written: there is room for so many runs only.
const LEAST_PAIRS: usize = (1 << 20) / PAIR;

/// The index of one segment in the making. It disappears unless it is finished.
#[derive(Debug)]
pub struct AccountsWriter {
    folder: PathBuf,
    file: Unfinished,
    first: u64,
    next: u64,
    salt: u64,
    /// The pairs of the current run: the hash above, the block below.
    pairs: Vec<u64>,
    /// The most pairs in memory.
    pub(super) most_pairs: usize,
    runs: Vec<u32>,
    pages: u64,
}

impl AccountsWriter {
    /// Begins the index of the segment whose first block is `first`, with hashes of this salt, in about `memory`
    /// bytes.
    pub(in crate::store::archive) fn begin(
        folder: &Path,
        first: u64,
        salt: u64,
        memory: usize,
    ) -> Result<AccountsWriter, ArchiveError> {
        let most_pairs = LEAST_PAIRS.max(memory / PAIR);
        // Its last block is not known yet.
        let file = Unfinished::create_for(&names::path(folder, Kind::Accounts, first, first))?;
        Ok(AccountsWriter {
            folder: folder.to_owned(),
            file,
            first,
            next: first,
            salt,
            // Only what is used of it takes memory.
            pairs: Vec::with_capacity(most_pairs),
            most_pairs,
            runs: Vec::new(),
            pages: 0,
        })
    }

    /// Returns what the accounts' hashes have to be salted with.
    pub fn salt(&self) -> u64 {
        self.salt
    }

    /// Returns how many bytes it takes at most.
    pub fn memory(&self) -> usize {
        self.most_pairs * PAIR
    }

    /// Returns the height of the next block.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Adds the next block: the hashes of the accounts that it touches.
    pub fn add(&mut self, hashes: &[u32]) -> Result<(), ArchiveError> {
        if self.pairs.len() + hashes.len() > self.most_pairs {
            self.write_run()?;
        }
        let block = u32::try_from(self.next - self.first).ok().filter(|block| *block < u32::MAX);
        let Some(block) = block else { return Err(self.unfit("there are too many before it")) };
        self.pairs.extend(hashes.iter().map(|hash| u64::from(*hash) << 32 | u64::from(block)));
        self.next += 1;
        Ok(())
    }

    fn unfit(&self, what: &str) -> ArchiveError {
        let (file, height) = (self.file.path().to_owned(), self.next);
        ArchiveError::Unfit { file, height, what: what.into() }
    }

    /// Writes the pairs in memory as a run.
    fn write_run(&mut self) -> Result<(), ArchiveError> {
        self.pairs.sort_unstable();
        self.pairs.dedup();
        let mut keys = self.pairs.iter().map(|pair| Key::of(*pair));
        let Some(first) = keys.next() else { return Ok(()) };
        if self.runs.len() == MOST_RUNS {
            return Err(self.unfit("it touches too many accounts, with those before it"));
        }
        let (before, mut page) = (self.pages, Filling::new(first));
        for key in keys {
            if !page.take(key) {
                let full = std::mem::replace(&mut page, Filling::new(key));
                self.file.write(&full.finish(self.pages))?;
                self.pages += 1;
            }
        }
        self.file.write(&page.finish(self.pages))?;
        self.pages += 1;
        self.runs.push((self.pages - before) as u32);
        self.pairs.clear();
        Ok(())
    }

    /// Ends the index of the segment, all of whose blocks were added. It is there when this returns; a crash
    /// before leaves the whole index or none.
    pub fn finish(mut self, segment: &Segment) -> Result<(), ArchiveError> {
        if segment.first != self.first || segment.last + 1 != self.next {
            return Err(self.unfit(&format!("the index is to be of {}", segment.stem())));
        }
        self.write_run()?;
        let about = About { salt: self.salt, runs: self.runs };
        self.file.write(&about.write(segment, self.pages))?;
        let path = segment.path_of(Kind::Accounts, &self.folder);
        self.file.name(&path)?;
        disk::sync_folder(&self.folder)
    }
}

impl Key {
    fn of(pair: u64) -> Key {
        Key { hash: (pair >> 32) as u32, block: pair as u32 }
    }
}
