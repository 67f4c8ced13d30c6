//! The index of the chain's end, in memory: which accounts each of the last blocks touches.
//!
//! It holds the hashes of these accounts, in ascending order: four bytes for each account in a block, and four for
//! the block. They lie in chunks, so that little is copied when a block comes, and the oldest can be given up.

use std::collections::VecDeque;
use std::ops::Range;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::AccountId;

/// The bytes from which on a chunk takes no more blocks.
const CHUNK: usize = 64 << 10;
/// An index has room for so many chunks at least, if they are smaller for it.
const CHUNKS: usize = 16;

/// The index of the chain's end.
pub(super) struct Tail {
    /// The height of the first block that the index has.
    first: u64,
    /// The height after the last one.
    next: u64,
    chunks: VecDeque<Chunk>,
    /// Salts the hashes, so that nobody outside can tell which accounts share one.
    salt: u64,
    /// The bytes that all chunks take.
    bytes: usize,
    /// The most bytes that they may take.
    most: usize,
}

/// The hashes of some blocks that follow each other.
struct Chunk {
    first: u64,
    /// Where each block's hashes end.
    ends: Vec<u32>,
    hashes: Vec<u32>,
}

/// Returns an account's hash.
pub(super) fn hash(account: &AccountId, salt: u64) -> u32 {
    (account.scatter(salt) >> 32) as u32
}

/// Returns the hashes of the accounts that a block touches, in ascending order.
pub(super) fn hashes(block: &SealedBlock, salt: u64) -> Vec<u32> {
    let accounts = block
        .block()
        .records()
        .flat_map(|(_, record)| record.action.subject().into_iter().chain(record.action.payee()));
    let mut hashes: Vec<u32> = accounts.map(|account| hash(account, salt)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

impl Chunk {
    fn bytes(&self) -> usize {
        size_of::<Chunk>() + size_of::<u32>() * (self.ends.capacity() + self.hashes.capacity())
    }

    fn next(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    fn hashes(&self, height: u64) -> &[u32] {
        let place = (height - self.first) as usize;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.hashes[start as usize..self.ends[place] as usize]
    }
}

impl Tail {
    /// Creates an empty index that takes at most so many bytes.
    pub(super) fn new(salt: u64, most: usize) -> Tail {
        Tail { first: 0, next: 0, chunks: VecDeque::new(), salt, bytes: 0, most }
    }

    /// Returns the heights of the blocks that the index has.
    pub(super) fn heights(&self) -> Range<u64> {
        self.first..self.next
    }

    /// Returns what the hashes are salted with.
    pub(super) fn salt(&self) -> u64 {
        self.salt
    }

    /// Returns how many bytes the index takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the next block: the hashes of the accounts that it touches. Gives up the oldest blocks if there is no
    /// room otherwise.
    pub(super) fn push(&mut self, hashes: &[u32]) {
        if self.is_last_full() {
            let (first, room) = (self.next, self.chunk_size() / size_of::<u32>() / 2);
            let (ends, hashes) = (Vec::with_capacity(room / 2), Vec::with_capacity(room));
            let chunk = Chunk { first, ends, hashes };
            self.bytes += chunk.bytes();
            self.chunks.push_back(chunk);
        }
        let chunk = self.chunks.back_mut().expect("one with room");
        self.bytes -= chunk.bytes();
        chunk.hashes.extend_from_slice(hashes);
        chunk.ends.push(chunk.hashes.len() as u32);
        self.bytes += chunk.bytes();
        self.next += 1;
        while self.bytes > self.most {
            self.give_up_first();
        }
    }

    /// True if the next block begins another chunk. Gives back what the last one doesn't need.
    fn is_last_full(&mut self) -> bool {
        let size = self.chunk_size();
        let Some(last) = self.chunks.back_mut() else { return true };
        if size_of::<u32>() * (last.ends.len() + last.hashes.len()) < size {
            return false;
        }
        self.bytes -= last.bytes();
        last.ends.shrink_to_fit();
        last.hashes.shrink_to_fit();
        self.bytes += last.bytes();
        true
    }

    fn chunk_size(&self) -> usize {
        CHUNK.min(self.most / CHUNKS)
    }

    fn give_up_first(&mut self) {
        let Some(chunk) = self.chunks.pop_front() else { return };
        self.bytes -= chunk.bytes();
        self.first = self.first.max(chunk.next());
    }

    /// Forgets the blocks below a height, and goes on there if it had none of that height yet.
    pub(super) fn forget_before(&mut self, height: u64) {
        while self.chunks.front().is_some_and(|chunk| chunk.next() <= height) {
            self.give_up_first();
        }
        self.first = self.first.max(height);
        if self.next < height {
            self.next = height;
        }
    }

    /// Returns the hashes of the accounts that each of these blocks touches. All must be in the index.
    pub(super) fn range(&self, heights: Range<u64>) -> impl DoubleEndedIterator<Item = &[u32]> {
        let start = self.chunks.partition_point(|chunk| chunk.next() <= heights.start);
        self.chunks.range(start..).flat_map(move |chunk| {
            let (from, to) = (heights.start.max(chunk.first), heights.end.min(chunk.next()));
            (from..to.max(from)).map(|height| chunk.hashes(height))
        })
    }

    /// Returns the heights of the blocks among these that touch an account, the highest first.
    pub(super) fn find(&self, account: &AccountId, heights: Range<u64>) -> Vec<u64> {
        let hash = hash(account, self.salt);
        let blocks = heights.clone().zip(self.range(heights));
        let touching = blocks.filter(|(_, hashes)| hashes.binary_search(&hash).is_ok());
        let mut touching: Vec<u64> = touching.map(|(height, _)| height).collect();
        touching.reverse();
        touching
    }
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
