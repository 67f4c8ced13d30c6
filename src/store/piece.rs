//! A bounded piece of the chain, while it is read.

use crate::bank::blockchain::block::SealedBlock;

/// Takes blocks while their texts fit in a number of bytes. The first block always fits.
pub(super) struct Piece {
    room: usize,
    blocks: Vec<SealedBlock>,
}

impl Piece {
    /// Returns an empty piece with room for `max_bytes` of text.
    pub(super) fn new(max_bytes: usize) -> Piece {
        Piece { room: max_bytes, blocks: Vec::new() }
    }

    /// Takes the block and returns true, or returns false if it no longer fits.
    pub(super) fn take(&mut self, block: SealedBlock) -> bool {
        let size = block.text().len();
        if size > self.room && !self.blocks.is_empty() {
            return false;
        }
        self.room = self.room.saturating_sub(size);
        self.blocks.push(block);
        true
    }

    /// Returns how many bytes are left.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Returns the blocks taken.
    pub(super) fn into_blocks(self) -> Vec<SealedBlock> {
        self.blocks
    }
}
