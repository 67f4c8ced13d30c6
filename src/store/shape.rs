//! What a store must know of its content to check that a write follows from it.

use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::effects::{Batch, Write};
use crate::bank::ids::TurnNumber;
use crate::bank::stored::Stored;
use crate::store::StoreError;

/// The outline of a store's content.
///
/// A store applies a batch to its outline first. Redis can't take back half a transaction, so a write
/// that does not fit must be noticed before anything is sent.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The last turn.
    pub(super) turn: TurnNumber,
    /// The length of the chain.
    pub(super) blocks: u64,
    /// The height up to which, at least, all pages count the blocks.
    pub(super) checkpoint: u64,
    /// The number of elements in the local log.
    pub(super) log: usize,
    /// The accepted block.
    pub(super) accepted: Option<BlockHash>,
}

impl Shape {
    /// Takes the outline of loaded content.
    pub(super) fn of(stored: &Stored) -> Shape {
        Shape {
            turn: stored.turn,
            blocks: stored.blocks,
            checkpoint: stored.checkpoint,
            log: stored.log.len(),
            accepted: stored.accepted.as_ref().map(|(_, block)| block.hash()),
        }
    }

    /// Computes the outline after the batch.
    ///
    /// # Errors
    /// [`StoreError::Strange`] names the write that does not follow; nothing has been written then.
    pub(super) fn after(&self, batch: &Batch) -> Result<Shape, StoreError> {
        let mut shape = self.clone();
        if !batch.writes.is_empty() {
            shape.turn.0 += 1;
        }
        if batch.number != shape.turn {
            return Err(StoreError::Strange(format!(
                "turn {} was to be written, and the last one was {}",
                batch.number, self.turn
            )));
        }
        for write in &batch.writes {
            shape.apply(write).map_err(|what| {
                StoreError::Strange(format!("turn {} does not fit: {what}", batch.number))
            })?;
        }
        Ok(shape)
    }

    fn apply(&mut self, write: &Write) -> Result<(), String> {
        match write {
            Write::Log(_) => self.log += 1,
            Write::Promise(_) | Write::Activate => {}
            Write::Accept { block, .. } => {
                self.is_next(block)?;
                self.accepted = Some(block.hash());
            }
            Write::Append { block, from_accepted, trim, checkpoint, .. } => {
                self.is_next(block)?;
                if *from_accepted && self.accepted != Some(block.hash()) {
                    return Err(format!("{block:?} is not the accepted block"));
                }
                let Some(rest) = self.log.checked_sub(*trim) else {
                    return Err(format!("{trim} elements are to leave a log of {}", self.log));
                };
                self.blocks += 1;
                self.checkpoint = *checkpoint;
                self.log = rest;
                self.accepted = None;
            }
        }
        Ok(())
    }

    fn is_next(&self, block: &SealedBlock) -> Result<(), String> {
        if block.height() == self.blocks {
            return Ok(());
        }
        Err(format!("{block:?} does not follow a chain of {} blocks", self.blocks))
    }
}
