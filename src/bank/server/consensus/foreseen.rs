//! What would follow from a block that was looked at, so that it need not be worked out twice.

use std::hash::{Hash, Hasher};

use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::blockchain::chain::Consequences;

/// What would follow from the block that was verified last. A block is verified when it is proposed or
/// accepted and, as a rule, appended a moment later.
///
/// Not a part of the state, from which it follows.
#[derive(Clone, Debug, Default)]
pub(in crate::bank::server) struct Foreseen(Option<(BlockHash, Consequences)>);

impl Foreseen {
    /// Keeps what would follow from a block.
    pub fn keep(&mut self, block: &SealedBlock, consequences: Consequences) {
        self.0 = Some((block.hash(), consequences));
    }

    /// True if the kept result is of this block. The block's `previous` hash pins the head, and so the
    /// balances that the result was computed from.
    pub fn is_of(&self, block: &SealedBlock) -> bool {
        self.0.as_ref().is_some_and(|(hash, _)| *hash == block.hash())
    }

    /// Takes out what would follow.
    pub fn take(&mut self) -> Option<Consequences> {
        self.0.take().map(|(_, consequences)| consequences)
    }
}

impl PartialEq for Foreseen {
    fn eq(&self, _: &Foreseen) -> bool {
        true
    }
}

impl Eq for Foreseen {}

impl Hash for Foreseen {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
