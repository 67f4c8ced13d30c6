//! Which blocks of a segment touch an account: an index that is made from the segment.
//!
//! It holds pairs of an account's hash and a block, in ascending order, in pages of 4096 bytes, so that a
//! lookup is a binary search that reads a few pages. The blocks of an account stand together, each as its
//! distance from the one before: a byte, mostly. Pairs are sorted in memory; an index with more of them than
//! fit there has several *runs*, each with the pairs of later blocks than the one before. The last page says
//! whose the index is, and how many pages each run has. Numbers are little-endian.
//!
//! Hashes are salted, so that nobody outside can tell which accounts share one. Each page has a checksum:
//! a wrong index is noticed and made again.

mod page;
pub mod writer;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::store::archive::accounts::page::{About, Key, PAGE, Page};
use crate::store::archive::error::Damage;
use crate::store::archive::names::Kind;
use crate::store::archive::segment::Segment;

/// The index of one segment. It is read where it lies.
#[derive(Debug)]
pub struct Accounts {
    file: File,
    path: PathBuf,
    first: u64,
    salt: u64,
    /// The first page of each run, and the page after its last, in the order of the blocks.
    runs: Vec<(u64, u64)>,
}

impl Accounts {
    /// Opens the index of a segment.
    pub(super) fn open(folder: &Path, segment: &Segment) -> Result<Accounts, Damage> {
        let path = segment.path_of(Kind::Accounts, folder);
        let unread = |error| Damage::unread(&path, &error);
        let file = File::open(&path).map_err(unread)?;
        let bytes = file.metadata().map_err(unread)?.len();
        let wrong = |what: String| Damage::new(&path, what);
        let pages = bytes / PAGE as u64;
        if pages == 0 || bytes % PAGE as u64 != 0 {
            return Err(wrong(format!("{bytes} bytes are not its length")));
        }
        let page = read_page(&file, pages - 1).map_err(wrong)?;
        let about = About::read(&page, segment).map_err(wrong)?;
        let mut runs = Vec::with_capacity(about.runs.len());
        let mut next = 0;
        for pages in about.runs {
            runs.push((next, next + u64::from(pages)));
            next += u64::from(pages);
        }
        if next != pages - 1 {
            return Err(wrong(format!("it has {pages} pages, and {} were written", next + 1)));
        }
        Ok(Accounts { file, first: segment.first, salt: about.salt, runs, path })
    }

    /// Returns what the accounts' hashes are salted with.
    pub fn salt(&self) -> u64 {
        self.salt
    }

    /// Finds the blocks up to `height` that touch the accounts of this hash, the highest first.
    pub fn heights(&self, hash: u32, height: u64) -> Heights<'_> {
        let runs_left = if height < self.first { 0 } else { self.runs.len() };
        let up_to = u32::try_from(height.saturating_sub(self.first)).unwrap_or(u32::MAX);
        Heights {
            accounts: self,
            key: Key { hash, block: up_to },
            runs_left,
            page: None,
            found: Vec::new(),
        }
    }

    fn page(&self, number: u64) -> Result<Page, Damage> {
        read_page(&self.file, number).map_err(|what| Damage::new(&self.path, what))
    }

    /// Finds the last page of a run that begins at or before the key.
    fn search(&self, (start, end): (u64, u64), key: Key) -> Result<Option<u64>, Damage> {
        let (mut low, mut high) = (start, end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.page(middle)?.first() <= key {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok((low > start).then(|| low - 1))
    }
}

fn read_page(file: &File, number: u64) -> Result<Page, String> {
    let mut bytes = vec![0; PAGE];
    let read = file.read_exact_at(&mut bytes, number * PAGE as u64);
    read.map_err(|error| format!("page {number} can't be read: {error}"))?;
    Page::open(bytes, number).ok_or_else(|| format!("page {number} was changed"))
}

/// The heights of blocks that touch an account, the highest first. After an error there are no more.
#[derive(Debug)]
pub struct Heights<'a> {
    accounts: &'a Accounts,
    /// The account's hash, and the last block to be found.
    key: Key,
    /// The number of runs that were not read to their beginning.
    runs_left: usize,
    /// The next page to read, if it is known.
    page: Option<u64>,
    /// The blocks found in a page that were not given yet, in ascending order.
    found: Vec<u32>,
}

impl Heights<'_> {
    /// Reads the next page with blocks of the account. False if there are no more.
    fn read_on(&mut self) -> Result<bool, Damage> {
        while let Some(run) = self.runs_left.checked_sub(1).map(|run| self.accounts.runs[run]) {
            let page = match self.page.take() {
                Some(page) => Some(page),
                None => self.accounts.search(run, self.key)?,
            };
            let mut goes_on = false;
            if let Some(number) = page {
                let page = self.accounts.page(number)?;
                self.found = page
                    .blocks(self.key)
                    .ok_or_else(|| Damage::new(&self.accounts.path, "a page is malformed"))?;
                // The account's blocks may begin in the page before.
                goes_on = page.first().hash == self.key.hash && number > run.0;
                self.page = goes_on.then(|| number - 1);
            }
            if !goes_on {
                self.runs_left -= 1;
            }
            if !self.found.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Iterator for Heights<'_> {
    type Item = Result<u64, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.found.is_empty() {
            match self.read_on() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(damage) => {
                    self.runs_left = 0;
                    return Some(Err(damage));
                }
            }
        }
        self.found.pop().map(|block| Ok(self.accounts.first + u64::from(block)))
    }
}

#[cfg(test)]
#[path = "../accounts_tests.rs"]
mod tests;
