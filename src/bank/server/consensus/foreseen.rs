//! The consequences of a block that was verified, kept so that they aren't computed twice.

use std::hash::{Hash, Hasher};

use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::blockchain::chain::Consequences;

/// The consequences of the block that was verified last. A block is verified when it is proposed or
/// accepted and, as a rule, appended a moment later.
///
/// They are no part of the state, from which they follow.
#[derive(Clone, Debug, Default)]
pub(in crate::bank::server) struct Foreseen(Option<(BlockHash, Consequences)>);

impl Foreseen {
    /// Keeps the consequences of a block.
    pub fn keep(&mut self, block: &SealedBlock, consequences: Consequences) {
        self.0 = Some((block.hash(), consequences));
    }

    /// True if the kept result is for this block. The block's `previous` hash pins the head, and so the
    /// balances it was computed from.
    pub fn is_of(&self, block: &SealedBlock) -> bool {
        self.of(block).is_some()
    }

    /// Returns the consequences of a block, if they are kept.
    pub fn of(&self, block: &SealedBlock) -> Option<&Consequences> {
        let (hash, consequences) = self.0.as_ref()?;
        (*hash == block.hash()).then_some(consequences)
    }

    /// Takes the consequences out.
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
