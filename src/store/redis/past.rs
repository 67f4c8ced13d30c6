//! The chain from block 0 on, wherever its blocks are: the oldest in segments, the others in Redis.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bank::blockchain::block::SealedBlock;
use crate::store::archive::folder::Folder;
use crate::store::archive::reader::SegmentReader;
use crate::store::archive::record::Archived;
use crate::store::archive::segment::Segment;
use crate::store::redis::chain::{self, List};
use crate::store::redis::keys::Keys;
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::reply::{command, exactly, fields};
use crate::store::redis::segments;
use crate::store::shape::Shape;
use crate::store::{ATTEMPTS, StoreError, too_busy};

/// What a view of a store knows of the blocks that left Redis.
pub(super) struct Past {
    archived: Archived,
    folder: Option<Folder>,
    reader: Option<SegmentReader>,
    shared: Option<Arc<Shared>>,
}

impl Past {
    /// Returns a view that reads segments in this folder, if one is given.
    pub(super) fn new(folder: Option<&Folder>) -> Past {
        let (archived, reader) = (Archived::default(), folder.map(Folder::reader));
        Past { archived, folder: folder.cloned(), reader, shared: None }
    }

    /// Has the archivist look at segments that can't be read.
    pub(super) fn watched(self, shared: Arc<Shared>) -> Past {
        Past { shared: Some(shared), ..self }
    }

    /// Returns what is known of segments.
    pub(super) fn archived(&self) -> &Archived {
        &self.archived
    }

    /// Returns the folder, if one is given, and the segments known of.
    pub(super) fn segments(&self) -> (Option<&Folder>, &[Segment]) {
        (self.folder.as_ref(), self.archived.segments())
    }

    /// Notes a segment that Redis knows now.
    pub(super) fn push(&mut self, segment: Segment) {
        self.archived.push(segment);
    }

    /// Takes what a look has found.
    pub(super) fn learn(&mut self, archived: Archived) {
        self.archived = archived;
    }

    /// Reads blocks as [`BlockSource::blocks`](crate::store::BlockSource::blocks) does. Block 0 comes alone once
    /// it is in a segment: it is kept in Redis as well.
    pub(super) fn blocks(
        &mut self,
        link: &mut RedisConnection,
        keys: &Keys,
        (from, to): (u64, u64),
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError> {
        for _ in 0..ATTEMPTS {
            let base = self.archived.base();
            if from < base {
                return match from {
                    0 => chain::genesis(link, keys).map(|block| vec![block]),
                    _ => self.archived_blocks(from, to, max_bytes),
                };
            }
            let list = List { keys, base };
            match list.blocks(link, (from, to), max_bytes)? {
                Some(blocks) => return Ok(blocks),
                None => self.archived = look(link, keys)?,
            }
        }
        Err(too_busy())
    }

    fn archived_blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError> {
        let segment = self.archived.segment_of(from).expect("below the base");
        let Some(reader) = &mut self.reader else {
            let last = self.archived.base() - 1;
            let what = format!(
                "block {from} is in a segment, as are all up to block {last}, and no folder that was given \
                 (--archive) holds them"
            );
            return Err(StoreError::Past { file: None, what });
        };
        reader.blocks(segment, from, to, max_bytes).map_err(|damage| {
            if let Some(shared) = &self.shared {
                shared.suspect(from);
            }
            damage.into()
        })
    }
}

/// Reads what left the chain for segments.
pub(super) fn look(link: &mut RedisConnection, keys: &Keys) -> Result<Archived, StoreError> {
    let [state] = exactly(link.request(&[command("HGETALL", &[&keys.state])])?)?;
    let mut fields = BTreeMap::from_iter(fields(&keys.state, state)?);
    segments::parse(&keys.state, &mut fields)
}

/// A sealed segment, which is on the disk, and which Redis doesn't know yet.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    /// The segment.
    pub(super) segment: Segment,
    /// Block 0, if it is in this segment.
    pub(super) genesis: Option<String>,
}

/// What the archivist shares with the views of its store.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// A sealed segment for the next turn, which trims the chain.
    staged: Mutex<Option<Sealed>>,
    /// The heights of blocks that couldn't be read in their segments.
    suspected: Mutex<BTreeSet<u64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Leaves a segment for the store, in the place of the one that was left before.
    pub(super) fn leave(&self, sealed: Sealed) {
        *lock(&self.staged) = Some(sealed);
    }

    /// Returns the segment that was left, if the chain may be trimmed by it: its blocks are the first ones from
    /// the base on, all pages of balances count them, and others follow.
    pub(super) fn due(&self, base: u64, shape: &Shape) -> Option<Sealed> {
        let fits = |sealed: &&Sealed| {
            let Segment { first, last, .. } = sealed.segment;
            first == base && last <= shape.checkpoint && last + 1 < shape.blocks
        };
        lock(&self.staged).as_ref().filter(fits).cloned()
    }

    /// Notes that a block can't be read in its segment.
    pub(super) fn suspect(&self, height: u64) {
        lock(&self.suspected).insert(height);
    }

    /// Takes the heights that were noted.
    pub(super) fn take_suspected(&self) -> BTreeSet<u64> {
        std::mem::take(&mut *lock(&self.suspected))
    }
}
