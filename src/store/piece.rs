//! A bounded piece of the chain, while it is read.

/// Takes blocks, or their texts, while they fit in a number of bytes. The first one always fits.
pub(super) struct Piece<T> {
    room: usize,
    blocks: Vec<T>,
}

impl<T> Piece<T> {
    /// Returns an empty piece with room for `max_bytes` of text.
    pub(super) fn new(max_bytes: usize) -> Piece<T> {
        Piece { room: max_bytes, blocks: Vec::new() }
    }

    /// Takes a block whose text has this size and returns true, or returns false if it no longer fits.
    pub(super) fn take(&mut self, size: usize, block: T) -> bool {
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

    /// True if nothing was taken yet.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Returns the blocks taken.
    pub(super) fn into_blocks(self) -> Vec<T> {
        self.blocks
    }
}
