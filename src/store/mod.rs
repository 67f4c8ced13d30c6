//! Stores: where a server's state is durable.
//!
//! [`redis`] is the real one; [`memory`] is for in-process tests. Both pass
//! `tests/store_contract.rs` and `tests/store_owner.rs`.

use std::fmt;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::effects::{Batch, Receipt};
use crate::bank::ledger::pages::Page;
use crate::bank::stored::{Place, Stored};

pub mod memory;
mod piece;
pub mod redis;
mod shape;

/// Why a store did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing answers where it should be. Trying again may help.
    Unreachable(String),
    /// It answers, but failed. Trying again may help.
    Failed(String),
    /// It has confirmed a write that is not on its disk. Trying again may help.
    Unflushed(String),
    /// It did nothing of what it was asked, and said why: it is full, say, or has too few replicas. It can be
    /// read all the same. Trying again helps when that is over.
    Refused(String),
    /// It holds something that is not what this program writes: the key, the index, what is wrong.
    Corrupt {
        /// Where.
        key: String,
        /// What is wrong there.
        what: String,
    },
    /// It does not promise durability, or is of another format. Trying again does not help.
    Unfit(String),
    /// Another process has taken this store over.
    Fenced(String),
    /// The turn counter is not what this process left: the store was lost, swapped or rolled back.
    Strange(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Unreachable(what) => write!(f, "the store can't be reached: {what}"),
            StoreError::Failed(what) | StoreError::Unflushed(what) => {
                write!(f, "the store failed: {what}")
            }
            StoreError::Refused(why) => write!(f, "the store takes no writes: {why}"),
            StoreError::Corrupt { key, what } => write!(f, "the store is corrupt: {key}: {what}"),
            StoreError::Unfit(what) => write!(f, "the store is unfit: {what}"),
            StoreError::Fenced(what) => write!(f, "the store was taken over: {what}"),
            StoreError::Strange(what) => write!(f, "the store is not the one it was: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    /// Whether connecting and loading again can help.
    pub fn is_transient(&self) -> bool {
        use StoreError::{Failed, Refused, Unflushed, Unreachable};
        matches!(self, Unreachable(_) | Failed(_) | Unflushed(_) | Refused(_))
    }
}

/// How often a load starts over because another process wrote in between.
pub(crate) const ATTEMPTS: usize = 10;

/// A server's durable state. One process at a time owns it.
///
/// It is looked at before it is taken over, so that one that is damaged, another bank's or not fit
/// stays as it is, and with whom it is. After any error the caller forgets everything and begins with
/// [`Store::look`] again: whether a turn became durable is then seen from what is there.
pub trait Store: Send {
    /// Connects if need be, checks that the store is fit, and returns what is there, together with the
    /// life that is to begin: as if that had begun. Writes nothing.
    ///
    /// A process that looks again finds out whether the store is the one that it knew, and doesn't
    /// take it back from a later owner.
    fn look(&mut self) -> Result<Stored, StoreError>;

    /// Takes ownership of the store (an earlier owner's next write fails) and begins the life that was
    /// looked for; with it, in an empty store, comes the instance. All of that is durable if this
    /// returns true. False if somebody wrote since the look, which is of no use then. After
    /// [`StoreError::Refused`] it can be tried again, and the store be read meanwhile.
    fn begin(&mut self) -> Result<bool, StoreError>;

    /// Whether nobody has written since the look.
    fn is_as_seen(&mut self) -> Result<bool, StoreError>;

    /// Whether the store is there, and as this process left it. Reads only, and little. A connection that
    /// was closed while nothing was under way is no failure: then another one is made.
    fn look_in(&mut self) -> Result<(), StoreError>;

    /// Looks, and begins, without a closer look at the chain and at the pages.
    fn load(&mut self) -> Result<Stored, StoreError> {
        for _ in 0..ATTEMPTS {
            let stored = self.look()?;
            if self.begin()? {
                return Ok(stored);
            }
        }
        Err(too_busy())
    }

    /// How people who look at the store itself find a place in it.
    fn name_of(&self, place: &Place) -> String {
        place.to_string()
    }

    /// Reads blocks of the chain from height `from` on, to height `to` at the most, as many as fit in
    /// about `max_bytes` of text, but at least one if there is one.
    fn blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError>;

    /// Reads so many pages of balances (at least one) that must be there, from page `from` on.
    fn pages(&mut self, from: u64, count: u64) -> Result<Vec<Page>, StoreError>;

    /// Makes the writes of one turn durable, all or none, and only if this process still owns the
    /// store and the turn counter then is the batch's number. A batch without writes changes nothing:
    /// it has a receipt for the asking, if its number is the last turn's.
    fn commit(&mut self, batch: &Batch) -> Result<Receipt, StoreError>;

    /// A second view of the same data, for the block reader's thread.
    fn reader(&self) -> Box<dyn BlockSource>;
}

/// Others keep coming between a look and the beginning of a life.
pub(crate) fn too_busy() -> StoreError {
    StoreError::Failed("others keep writing to it".into())
}

/// Reads a server's chain, apart from its event loop.
///
/// It sees what is durable, and no less than what was durable when it was asked. An error leaves it
/// fit for the next question: after a failure it connects again by itself.
pub trait BlockSource: Send {
    /// As [`Store::name_of`].
    fn name_of(&self, place: &Place) -> String {
        place.to_string()
    }

    /// As [`Store::blocks`].
    fn blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError>;
}
