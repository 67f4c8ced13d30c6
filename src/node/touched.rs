//! The index behind statements: which blocks touch an account.
//!
//! Of the chain's end it is in memory. When blocks leave for a segment, their part goes to a file beside it, in
//! which an account's blocks are found by one search. Two accounts that share a hash also share their blocks; what
//! concerns the other account is skipped when a block is read. The index follows from the chain, so each start
//! makes it anew in the background, except for segments that have theirs.
//!
//! Its memory is bounded. Blocks that have no place in it, and segments whose file is being made again, are searched
//! instead: a few at a time, when somebody asks.

mod segments;
mod tail;

use std::ops::Range;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::AccountId;
use crate::bank::status::IndexStatus;
use crate::node::touched::segments::Segments;
use crate::node::touched::tail::Tail;
use crate::store::{BlockSource, StoreError};

/// About how much of the chain is indexed, or searched, at a time, in bytes.
const PIECE: usize = 256 << 10;
/// The blocks of the chain's end looked at at a time.
const LOOKED_AT: u64 = 4_096;
/// What such a look costs, in bytes that are read in the same time.
const LOOK_COST: usize = 20 << 10;
/// The most blocks searched at a time.
const SEARCHED: u64 = 4_096;
/// The share of the memory that is for the chain's end, in eighths. The others are for segments' indexes in the
/// making, of which there may be two.
const FOR_TAIL: usize = 6;

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The heights of blocks that touch the account, or share a hash with one that does: the highest first.
    pub(crate) heights: Vec<u64>,
    /// The lowest height that was looked at.
    pub(crate) down_to: u64,
    /// What it cost, in bytes that are read in the same time.
    pub(crate) cost: usize,
}

/// Why a look found nothing.
#[derive(Debug)]
pub(crate) enum Blind {
    /// These blocks can't be read now: where they should be, and what is wrong there.
    Missing(Range<u64>, StoreError),
    /// The store gives no answer.
    Failed(StoreError),
}

/// The index.
pub(crate) struct Touched {
    segments: Segments,
    tail: Tail,
    /// How many blocks were searched at a time of late.
    span: u64,
}

impl Touched {
    /// Creates an empty index that takes about so many bytes at most.
    pub(crate) fn new(most: usize) -> Touched {
        let tail = Tail::new(fastrand::u64(..), most / 8 * FOR_TAIL);
        Touched { segments: Segments::new(most / 8), tail, span: 32 }
    }

    /// True if the index knows of so many blocks: it has them, or knows that they have to be searched.
    pub(crate) fn covers(&self, blocks: u64) -> bool {
        self.blocks() >= blocks
    }

    /// Returns how many blocks the index knows of.
    pub(crate) fn blocks(&self) -> u64 {
        self.tail.heights().end
    }

    /// Returns how the index stands.
    pub(crate) fn standing(&self) -> IndexStatus {
        let given_up = self.tail.heights().start.saturating_sub(self.segments.end());
        let bytes = (self.tail.bytes() + self.segments.bytes()) as u64;
        let searched = given_up + self.segments.unindexed_blocks();
        IndexStatus { blocks: self.blocks(), bytes, searched }
    }

    /// Indexes the next blocks. True if there were any.
    pub(crate) fn index_piece(&mut self, chain: &mut dyn BlockSource) -> Result<bool, StoreError> {
        self.follow_segments(chain);
        let blocks = chain.blocks(self.tail.heights().end, u64::MAX, PIECE)?;
        self.follow(&blocks);
        if blocks.is_empty() {
            return Ok(self.segments.index_piece(chain, self.tail.salt()));
        }
        Ok(true)
    }

    /// Indexes those of these blocks, read for another purpose, that come next in the index.
    pub(crate) fn follow(&mut self, blocks: &[SealedBlock]) {
        for block in blocks {
            if block.height() == self.tail.heights().end {
                self.tail.push(&tail::hashes(block, self.tail.salt()));
            }
        }
    }

    /// Takes note of new segments: what the index holds of them goes to files beside them.
    pub(crate) fn follow_segments(&mut self, chain: &dyn BlockSource) {
        self.segments.follow(chain, &self.tail);
        self.tail.forget_before(self.segments.end());
    }

    /// Looks for blocks below the height `end` that touch an account: at a part of the chain, from there downwards.
    /// There must be blocks below.
    pub(crate) fn find(
        &mut self,
        chain: &mut dyn BlockSource,
        account: &AccountId,
        end: u64,
    ) -> Result<Found, Blind> {
        let held = self.tail.heights();
        if end > held.start {
            let down_to = held.start.max(end.saturating_sub(LOOKED_AT));
            let heights = self.tail.find(account, down_to..end.min(held.end));
            return Ok(Found { heights, down_to, cost: LOOK_COST });
        }
        if end > self.segments.end() {
            return self.search(chain, account, self.segments.end()..end);
        }
        match self.segments.find(chain, account, end)? {
            Some(found) => Ok(found),
            None => {
                let first = self.segments.first_of(end - 1);
                self.search(chain, account, first..end)
            }
        }
    }

    /// Says what is missing with a block that can't be read.
    pub(crate) fn blind(&self, height: u64, error: StoreError) -> Blind {
        let missing = match &error {
            StoreError::Past { file, .. } if height < self.segments.end() => {
                self.segments.missing_with(height, file.as_deref())
            }
            StoreError::Past { .. } => height..height + 1,
            _ => return Blind::Failed(error),
        };
        Blind::Missing(missing, error)
    }

    /// Searches blocks, some of the last ones of these. There must be one.
    fn search(
        &mut self,
        chain: &mut dyn BlockSource,
        account: &AccountId,
        heights: Range<u64>,
    ) -> Result<Found, Blind> {
        loop {
            let down_to = heights.start.max(heights.end.saturating_sub(self.span));
            let blocks = chain.blocks(down_to, heights.end - 1, PIECE);
            let blocks = blocks.map_err(|error| self.blind(heights.end - 1, error))?;
            let is_whole = blocks.last().is_none_or(|last| last.height() + 1 >= heights.end);
            if !is_whole && self.span > 1 {
                // They are larger than it looked.
                self.span /= 2;
                continue;
            }
            let bytes: usize = blocks.iter().map(|block| block.text().len()).sum();
            if bytes < PIECE / 4 {
                self.span = (self.span * 2).min(SEARCHED);
            }
            let touch = |block: &&SealedBlock| {
                block.block().records().any(|(_, record)| record.action.touches(account))
            };
            let heights = blocks.iter().rev().filter(touch).map(SealedBlock::height).collect();
            return Ok(Found { heights, down_to, cost: bytes.max(1) });
        }
    }
}
