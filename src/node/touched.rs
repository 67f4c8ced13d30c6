//! The index behind statements: which blocks touch an account.
//!
//! For each block of the chain's end, the index holds the hashes of the accounts that the block touches, in
//! order: four bytes for each account in a block. It costs little to keep, even while a million accounts pay
//! each other. A question pays: one search in each block. Two accounts that share a hash also share their
//! blocks; what concerns the other account is skipped when a block is read. When blocks leave for a segment, their
//! hashes go to a file beside it, in which an account's blocks are found by one search. The index follows from the
//! chain, so each start makes it anew in the background, except for segments that have theirs.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::AccountId;
use crate::store::archive::accounts::writer::AccountsWriter;
use crate::store::archive::error::{ArchiveError, Damage};
use crate::store::archive::folder::Folder;
use crate::store::archive::segment::Segment;
use crate::store::{BlockSource, StoreError};

/// About how much of the chain is indexed at a time, in bytes.
const PIECE: usize = 256 << 10;
/// The blocks of the chain's end looked at after which a question ends for now.
const BLOCKS_LOOKED_AT: u64 = 200_000;
/// The same of segments.
const SEGMENTS_LOOKED_AT: usize = 1_000;

/// A find in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touching {
    /// A block that touches the account.
    Block(u64),
    /// The block at which to go on: this was enough for now.
    GoOnAt(u64),
}

/// The index.
pub(crate) struct Touched {
    segments: Vec<Segment>,
    /// Segments whose index has to be made.
    unindexed: VecDeque<Segment>,
    making: Option<AccountsWriter>,
    tail: Tail,
}

/// The hashes of the accounts that each of the last blocks touches, in ascending order. Each block has an
/// allocation of its own: a single one would now and then be copied, to twice as much fresh memory.
struct Tail {
    /// The height of the first of these blocks.
    first: u64,
    blocks: VecDeque<Box<[u32]>>,
    /// Salts the hashes, so that nobody outside can tell which accounts share one.
    salt: u64,
}

fn hash(account: &AccountId, salt: u64) -> u32 {
    (account.scatter(salt) >> 32) as u32
}

fn hashes(block: &SealedBlock, salt: u64) -> Vec<u32> {
    let accounts = block
        .block()
        .records()
        .flat_map(|(_, record)| record.action.subject().into_iter().chain(record.action.payee()));
    let mut hashes: Vec<u32> = accounts.map(|account| hash(account, salt)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

impl Tail {
    fn next(&self) -> u64 {
        self.first + self.blocks.len() as u64
    }

    fn forget_before(&mut self, height: u64) {
        let count = height.saturating_sub(self.first).min(self.blocks.len() as u64);
        self.blocks.drain(..count as usize);
        self.first = self.first.max(height);
    }

    /// Returns the heights of the blocks up to `height` that touch an account, the highest first. After
    /// [`BLOCKS_LOOKED_AT`] blocks it ends with the block at which to go on.
    fn heights(
        &self,
        account: &AccountId,
        height: u64,
    ) -> impl Iterator<Item = Touching> + use<'_> {
        let hash = hash(account, self.salt);
        let blocks = height.saturating_add(1).min(self.next());
        let place = |height: u64| (height - self.first) as usize;
        let touches = move |height: u64| self.blocks[place(height)].binary_search(&hash).is_ok();
        let end = blocks.saturating_sub(BLOCKS_LOOKED_AT).max(self.first);
        let touching = (end..blocks).rev().filter(move |height| touches(*height));
        let goes_on = end > self.first && end < blocks;
        touching.map(Touching::Block).chain(goes_on.then(|| Touching::GoOnAt(end - 1)))
    }
}

impl Touched {
    /// Creates an empty index.
    pub(crate) fn new() -> Touched {
        let tail = Tail { first: 0, blocks: VecDeque::new(), salt: fastrand::u64(..) };
        Touched { segments: Vec::new(), unindexed: VecDeque::new(), making: None, tail }
    }

    /// True if the index has all of so many blocks.
    pub(crate) fn covers(&self, blocks: u64) -> bool {
        self.unindexed.is_empty() && self.tail.next() >= blocks
    }

    /// Indexes the next blocks. True if there were any.
    pub(crate) fn index_piece(&mut self, chain: &mut dyn BlockSource) -> Result<bool, StoreError> {
        self.follow_segments(chain);
        if let Some(segment) = self.unindexed.front().cloned() {
            return self.index_segment(chain, &segment);
        }
        let blocks = chain.blocks(self.tail.next(), u64::MAX, PIECE)?;
        self.follow(&blocks);
        Ok(!blocks.is_empty())
    }

    /// Indexes those of these blocks, read for another purpose, that come next in the index.
    pub(crate) fn follow(&mut self, blocks: &[SealedBlock]) {
        for block in blocks {
            if block.height() == self.tail.next() {
                self.tail.blocks.push_back(hashes(block, self.tail.salt).into());
            }
        }
    }

    /// Takes note of new segments: what the index holds of them goes to files beside them.
    pub(crate) fn follow_segments(&mut self, chain: &dyn BlockSource) {
        let Some((folder, segments)) = chain.segments() else { return };
        for segment in segments.iter().skip(self.segments.len()) {
            if folder.accounts(segment).is_err() && !self.write(folder, segment) {
                self.unindexed.push_back(segment.clone());
            }
            self.segments.push(segment.clone());
            self.tail.forget_before(segment.last + 1);
        }
    }

    /// Writes the index of a segment whose blocks are in the tail. False if they aren't, or that failed.
    fn write(&self, folder: &Folder, segment: &Segment) -> bool {
        let Segment { first, last, .. } = *segment;
        if first < self.tail.first || last >= self.tail.next() {
            return false;
        }
        let written = (|| {
            let mut writer = folder.index_accounts(first, self.tail.salt)?;
            let place = |height: u64| (height - self.tail.first) as usize;
            let blocks = self.tail.blocks.range(place(first)..=place(last));
            blocks.into_iter().try_for_each(|hashes| writer.add(hashes))?;
            writer.finish(segment)
        })();
        written.inspect_err(|error: &ArchiveError| log::warn!("{error}")).is_ok()
    }

    /// Indexes the next blocks of a segment. True: there may be more.
    fn index_segment(
        &mut self,
        chain: &mut dyn BlockSource,
        segment: &Segment,
    ) -> Result<bool, StoreError> {
        let failed = |error: ArchiveError| StoreError::Past { file: None, what: error.to_string() };
        let mut writer = match (self.making.take(), chain.segments()) {
            (Some(writer), _) => writer,
            (None, Some((folder, _))) => {
                folder.index_accounts(segment.first, self.tail.salt).map_err(failed)?
            }
            (None, None) => return Ok(false),
        };
        for block in chain.blocks(writer.next(), segment.last, PIECE)? {
            writer.add(&hashes(&block, writer.salt())).map_err(failed)?;
        }
        if writer.next() <= segment.last {
            self.making = Some(writer);
            return Ok(true);
        }
        writer.finish(segment).map_err(failed)?;
        self.unindexed.pop_front();
        Ok(true)
    }

    /// Has the index of a segment made again.
    pub(crate) fn mistrust(&mut self, height: u64) {
        let segment = self.segments.iter().find(|segment| segment.holds(height));
        if let Some(segment) = segment.filter(|segment| !self.unindexed.contains(segment)) {
            log::warn!("the index of the accounts of segment {} is made again", segment.stem());
            self.unindexed.push_back(segment.clone());
        }
    }

    /// Returns the heights of the blocks up to `height` that touch an account, the highest first. After many
    /// fruitless looks it ends with the block at which to go on. An error comes with a height in the segment
    /// whose index is wrong.
    pub(crate) fn heights(
        &self,
        folder: Option<Arc<Folder>>,
        account: &AccountId,
        height: u64,
    ) -> impl Iterator<Item = Result<Touching, (u64, Damage)>> + use<'_> {
        let account = account.clone();
        let tail = self.tail.heights(&account, height).map(Ok);
        let archived = self.segments.iter().rev().filter(move |segment| segment.first <= height);
        let archived = archived.enumerate().flat_map(move |(count, segment)| {
            if count >= SEGMENTS_LOOKED_AT {
                return vec![Ok(Touching::GoOnAt(segment.last.min(height)))];
            }
            let Some(folder) = &folder else { return Vec::new() };
            match in_segment(folder, segment, &account, height) {
                Ok(heights) => {
                    heights.into_iter().map(|height| Ok(Touching::Block(height))).collect()
                }
                Err(damage) => vec![Err((segment.first, damage))],
            }
        });
        tail.chain(archived)
    }
}

/// Finds the blocks of a segment that touch an account, up to `height`, the highest first.
fn in_segment(
    folder: &Folder,
    segment: &Segment,
    account: &AccountId,
    height: u64,
) -> Result<Vec<u64>, Damage> {
    let accounts = folder.accounts(segment)?;
    accounts.heights(hash(account, accounts.salt()), height).collect()
}

#[cfg(test)]
#[path = "touched_tests.rs"]
mod tests;
