//! A bounded piece of the chain, while it is being read.

use crate::bank::blockchain::block::SealedBlock;

/// Takes blocks for as long as their texts fit in a number of bytes; the first one always does.
pub(super) struct Piece {
    room: usize,
    blocks: Vec<SealedBlock>,
}

impl Piece {
    /// An empty piece with room for `max_bytes` of text.
    pub(super) fn new(max_bytes: usize) -> Piece {
        Piece { room: max_bytes, blocks: Vec::new() }
    }

    /// Takes the block and says true, or finds that it no longer fits.
    pub(super) fn take(&mut self, block: SealedBlock) -> bool {
        let size = block.text().len();
        if size > self.room && !self.blocks.is_empty() {
            return false;
        }
        self.room = self.room.saturating_sub(size);
        self.blocks.push(block);
        true
    }

    /// How many bytes are left.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// What was taken.
    pub(super) fn into_blocks(self) -> Vec<SealedBlock> {
        self.blocks
    }
}
