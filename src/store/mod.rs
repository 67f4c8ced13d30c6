//! Stores: where a server's state is durable.
//!
//! [`redis`] is the real one; [`memory`] is for in-process tests. Both pass
//! `tests/store_contract.rs` and `tests/store_owner.rs`. [`archive`] is the past of a chain, in files.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::effects::{Batch, Receipt};
use crate::bank::ledger::pages::Page;
use crate::bank::status::ArchiveStatus;
use crate::bank::stored::{Place, Stored};
use crate::store::archive::error::Damage;
use crate::store::archive::folder::Folder;
use crate::store::archive::segment::Segment;

pub mod archive;
pub mod memory;
mod piece;
pub mod redis;
mod shape;
pub mod waiting;

/// Why a store did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing answers at the store's address. Trying again may help.
    Unreachable(String),
    /// The store answers, but failed. Trying again may help.
    Failed(String),
    /// The store has confirmed a write that is not on its disk. Trying again may help.
    Unflushed(String),
    /// The store refused the request and did nothing of it: it is full, say, or has too few replicas. It
    /// can still be read. Trying again helps when the reason is gone.
    Refused(String),
    /// The store holds something that this program doesn't write.
    Corrupt {
        /// The key, with the index or field.
        key: String,
        /// What is wrong there.
        what: String,
    },
    /// The store does not promise durability, or is of another format. Trying again does not help.
    Unfit(String),
    /// Another process has taken this store over.
    Fenced(String),
    /// The turn counter is not what this process left: the store was lost, swapped or rolled back.
    Strange(String),
    /// An old block can't be read: it left the store for a segment, and the segment isn't at hand, or is
    /// damaged. Everything else goes on.
    Past {
        /// The segment's file, if it is damaged.
        file: Option<PathBuf>,
        /// What is wrong.
        what: String,
    },
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
            StoreError::Past { file: Some(file), what } => {
                write!(f, "old blocks can't be read: {}: {what}", file.display())
            }
            StoreError::Past { file: None, what } => write!(f, "old blocks can't be read: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<Damage> for StoreError {
    fn from(Damage { file, what }: Damage) -> StoreError {
        StoreError::Past { file: Some(file), what }
    }
}

impl StoreError {
    /// True if connecting and loading again can help.
    pub fn is_transient(&self) -> bool {
        use StoreError::{Failed, Refused, Unflushed, Unreachable};
        matches!(self, Unreachable(_) | Failed(_) | Unflushed(_) | Refused(_))
    }
}

/// How often a load may start over because another process wrote in between.
pub(crate) const ATTEMPTS: usize = 10;

/// A server's durable state. One process at a time owns it.
///
/// A caller looks at the store before it takes it over: a damaged, foreign or unfit store keeps its
/// content and its owner. After any error the caller forgets everything and begins with [`Store::look`]
/// again; what is there then shows whether the last turn became durable.
pub trait Store: BlockSource {
    /// Connects if need be, checks that the store is fit, and returns its content as if the coming life
    /// had begun. Writes nothing.
    ///
    /// A process that looks again learns whether the store is still the one it knew. It doesn't take
    /// the store back from a later owner.
    fn look(&mut self) -> Result<Stored, StoreError>;

    /// Takes ownership of the store (an earlier owner's next write fails) and begins the life that the
    /// look announced; an empty store gets its instance too. True if all of it is durable. False if
    /// somebody wrote since the look, which is then outdated. After [`StoreError::Refused`] the caller
    /// may try again, and read the store meanwhile.
    fn begin(&mut self) -> Result<bool, StoreError>;

    /// True if what the look saw is known to be as durable as a turn has to be. Otherwise nothing of it may be
    /// told before the next life has begun, which makes it so.
    fn is_confirmed(&self) -> bool {
        true
    }

    /// True if nobody has written since the look.
    fn is_as_seen(&mut self) -> Result<bool, StoreError>;

    /// Checks, by a short read, that the store is there, as this process left it, and still keeps what it
    /// confirms. A connection that was closed while nothing was under way is replaced: it is no failure.
    fn look_in(&mut self) -> Result<(), StoreError>;

    /// Looks and begins, without checking the chain and the pages.
    fn load(&mut self) -> Result<Stored, StoreError> {
        for _ in 0..ATTEMPTS {
            let stored = self.look()?;
            if self.begin()? {
                return Ok(stored);
            }
        }
        Err(too_busy())
    }

    /// Reads `count` pages of balances (at least one), from page `from` on. All must be there.
    fn pages(&mut self, from: u64, count: u64) -> Result<Vec<Page>, StoreError>;

    /// Makes the writes of one turn durable, all or none. It fails unless this process still owns the
    /// store and the batch's number is the next turn's. A batch without writes changes nothing, and gets
    /// its receipt if its number is the last turn's.
    fn commit(&mut self, batch: Batch) -> Result<Receipt, StoreError>;

    /// Returns how many bytes the durable turns of this process took on their way to the store, if that is
    /// counted.
    fn written(&self) -> u64 {
        0
    }

    /// Returns a second view of the same data, for the block reader's thread.
    fn reader(&self) -> Box<dyn BlockSource>;

    /// Returns the archivist of this store, if it has an archive.
    fn archivist(&self) -> Option<Box<dyn Archivist>> {
        None
    }
}

/// Lets the caller of an archivist rest after a part of its work, which took this long. False to end the work.
pub type Rest<'a> = dyn FnMut(Duration) -> bool + 'a;

/// Copies the oldest blocks of a store into segments, and looks after the segments, on a thread of its own.
///
/// The store notes a segment, and forgets its blocks, in one of its next turns.
pub trait Archivist: Send {
    /// Does a bounded piece of work. True if there may be more to do at once.
    ///
    /// # Errors
    /// What hinders it, for people. Nothing is lost by it, and trying again may help.
    fn work(&mut self, rest: &mut Rest<'_>) -> Result<bool, String>;

    /// Returns the heights of the first and the last block that a damaged segment lacks, if one does.
    fn wanted(&self) -> Option<(u64, u64)>;

    /// Takes blocks that came from a peer.
    fn take(&mut self, blocks: &[SealedBlock]);

    /// Returns what the archive holds, if there is one and its folder is in use.
    fn standing(&self) -> Option<ArchiveStatus>;
}

/// Returns the error of a load that others' writes interrupted too often.
pub(crate) fn too_busy() -> StoreError {
    StoreError::Failed("others keep writing to it".into())
}

/// Reads a server's chain, apart from its event loop.
///
/// An answer shows at least what was durable when the question was asked. The reader stays usable after
/// an error: it connects again by itself.
pub trait BlockSource: Send {
    /// Names a place as people find it who look at the store itself.
    fn name_of(&self, place: &Place) -> String {
        place.to_string()
    }

    /// Reads blocks of the chain from height `from` to height `to`, as many as fit in about `max_bytes`
    /// of text, but at least one if there is one.
    fn blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError>;

    /// Returns the folder of segments and the segments in it that hold the oldest blocks, as far as the last
    /// question has shown. There may be segments, and no folder to read them in.
    fn segments(&self) -> (Option<&Folder>, &[Segment]) {
        (None, &[])
    }
}
