//! The part of the index that is in files beside segments.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::bank::ids::AccountId;
use crate::node::touched::tail::{self, Tail};
use crate::node::touched::{Blind, Found, PIECE};
use crate::store::archive::accounts::writer::AccountsWriter;
use crate::store::archive::error::{ArchiveError, Damage};
use crate::store::archive::folder::Folder;
use crate::store::archive::segment::Segment;
use crate::store::{BlockSource, StoreError};

/// The most blocks found in a segment at a time.
const FOUND: usize = 1_000;
/// What a look into a segment's index costs, in bytes that are read in the same time.
const LOOK_COST: usize = 1 << 10;
/// How long a segment whose index couldn't be made is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// What is known of segments.
pub(super) struct Segments {
    /// Those that the store names.
    known: Vec<Segment>,
    /// Those of them whose index has to be made.
    unindexed: VecDeque<Unindexed>,
    making: Option<AccountsWriter>,
    /// The most bytes that an index in the making takes.
    room: usize,
}

/// A segment without an index.
struct Unindexed {
    segment: Segment,
    /// When its index couldn't be made, and why.
    failed: Option<(Instant, StoreError)>,
}

impl Unindexed {
    fn new(segment: &Segment) -> Unindexed {
        Unindexed { segment: segment.clone(), failed: None }
    }

    fn is_left_alone(&self) -> bool {
        self.failed.as_ref().is_some_and(|(at, _)| at.elapsed() < LEFT_ALONE)
    }
}

fn failed(error: ArchiveError) -> StoreError {
    StoreError::Past { file: None, what: error.to_string() }
}

impl Segments {
    /// Knows of none. An index in the making takes at most `room` bytes.
    pub(super) fn new(room: usize) -> Segments {
        Segments { known: Vec::new(), unindexed: VecDeque::new(), making: None, room }
    }

    /// Returns the height after the last block in a segment.
    pub(super) fn end(&self) -> u64 {
        self.known.last().map_or(0, |segment| segment.last + 1)
    }

    fn of(&self, height: u64) -> &Segment {
        &self.known[self.known.partition_point(|segment| segment.last < height)]
    }

    /// Returns the height of the first block of the segment in which a block is.
    pub(super) fn first_of(&self, height: u64) -> u64 {
        self.of(height).first
    }

    /// Returns how many blocks are in segments without an index.
    pub(super) fn unindexed_blocks(&self) -> u64 {
        self.unindexed.iter().map(|unindexed| unindexed.segment.blocks()).sum()
    }

    /// Returns how many bytes an index in the making takes.
    pub(super) fn bytes(&self) -> usize {
        self.making.as_ref().map_or(0, AccountsWriter::memory)
    }

    /// Takes note of new segments: what the tail holds of them goes to files beside them.
    pub(super) fn follow(&mut self, chain: &dyn BlockSource, tail: &Tail) {
        let (folder, segments) = chain.segments();
        for segment in segments.iter().skip(self.known.len()) {
            // Without a folder, nothing can be read there, nor made.
            if let Some(folder) = folder
                && folder.accounts(segment).is_err()
                && !self.write(folder, segment, tail)
            {
                self.unindexed.push_back(Unindexed::new(segment));
            }
            self.known.push(segment.clone());
        }
    }

    /// Writes the index of a segment whose blocks are in the tail. False if they aren't, or that failed.
    fn write(&self, folder: &Folder, segment: &Segment, tail: &Tail) -> bool {
        let (heights, held) = (blocks_of(segment), tail.heights());
        if heights.start < held.start || heights.end > held.end {
            return false;
        }
        let written = (|| {
            let mut writer = folder.index_accounts(segment.first, tail.salt(), self.room)?;
            tail.range(heights).try_for_each(|hashes| writer.add(hashes))?;
            writer.finish(segment)
        })();
        written.inspect_err(|error: &ArchiveError| log::warn!("{error}")).is_ok()
    }

    /// Indexes the next blocks of a segment that lacks its index. True: there may be more. If one can't be indexed,
    /// the others come first.
    pub(super) fn index_piece(&mut self, chain: &mut dyn BlockSource, salt: u64) -> bool {
        let Some(place) = self.unindexed.iter().position(|next| !next.is_left_alone()) else {
            return false;
        };
        let mut next = self.unindexed.remove(place).expect("it was found there");
        match self.index(chain, &next.segment, salt) {
            Ok(true) => {}
            Ok(false) => self.unindexed.push_front(next),
            Err(error) => {
                if next.failed.is_none() {
                    let stem = next.segment.stem();
                    log::warn!("the accounts of segment {stem} can't be indexed now: {error}");
                }
                next.failed = Some((Instant::now(), error));
                self.unindexed.push_back(next);
            }
        }
        true
    }

    /// Indexes the next blocks of a segment. True if these were the last ones.
    fn index(
        &mut self,
        chain: &mut dyn BlockSource,
        segment: &Segment,
        salt: u64,
    ) -> Result<bool, StoreError> {
        let begun = self.making.take().filter(|begun| segment.holds(begun.next()));
        let mut writer = match (begun, chain.segments().0) {
            (Some(writer), _) => writer,
            (None, Some(folder)) => {
                folder.index_accounts(segment.first, salt, self.room).map_err(failed)?
            }
            (None, None) => return Ok(true),
        };
        for block in chain.blocks(writer.next(), segment.last, PIECE)? {
            writer.add(&tail::hashes(&block, writer.salt())).map_err(failed)?;
        }
        if writer.next() <= segment.last {
            self.making = Some(writer);
            return Ok(false);
        }
        writer.finish(segment).map_err(failed)?;
        Ok(true)
    }

    /// Looks for blocks below the height `end`, which is in a segment or right behind one. None if that segment has
    /// no index.
    pub(super) fn find(
        &mut self,
        chain: &dyn BlockSource,
        account: &AccountId,
        end: u64,
    ) -> Result<Option<Found>, Blind> {
        let segment = self.of(end - 1).clone();
        let Some(folder) = chain.segments().0 else { return Ok(None) };
        if let Some(of) = self.unindexed.iter().find(|of| of.segment == segment) {
            return match &of.failed {
                // It is not read through again for everyone who asks.
                Some((_, error)) if of.is_left_alone() => Err(missing(&segment, error)),
                _ => Ok(None),
            };
        }
        match in_index(folder, &segment, account, end) {
            Ok(found) => Ok(Some(found)),
            Err(damage) => {
                log::warn!("{damage}; the index of the accounts of a segment is made again");
                self.unindexed.push_back(Unindexed::new(&segment));
                Ok(None)
            }
        }
    }

    /// Returns the blocks that are missing with one that can't be read: all segments' where there is no folder.
    pub(super) fn missing_with(&self, height: u64, file: Option<&Path>) -> Range<u64> {
        match file {
            Some(_) => blocks_of(self.of(height)),
            None => 1..self.end(),
        }
    }
}

fn blocks_of(segment: &Segment) -> Range<u64> {
    segment.first..segment.last + 1
}

fn missing(segment: &Segment, error: &StoreError) -> Blind {
    let error = match error {
        StoreError::Past { file, what } => {
            StoreError::Past { file: file.clone(), what: what.clone() }
        }
        error => StoreError::Past { file: None, what: error.to_string() },
    };
    Blind::Missing(blocks_of(segment), error)
}

/// Finds blocks of a segment, by its index.
fn in_index(
    folder: &Folder,
    segment: &Segment,
    account: &AccountId,
    end: u64,
) -> Result<Found, Damage> {
    let accounts = folder.accounts(segment)?;
    let hash = tail::hash(account, accounts.salt());
    let heights = accounts.heights(hash, end - 1).take(FOUND);
    let heights = heights.collect::<Result<Vec<u64>, Damage>>()?;
    let down_to = match heights.last() {
        Some(last) if heights.len() == FOUND => *last,
        _ => segment.first,
    };
    Ok(Found { heights, down_to, cost: LOOK_COST })
}
