//! The block reader's view of Redis, over a connection of its own.

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::stored::Place;
use crate::store::archive::folder::Folder;
use crate::store::archive::segment::Segment;
use crate::store::redis::keys::Keys;
use crate::store::redis::past::Past;
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::target::Target;
use crate::store::{BlockSource, StoreError};

/// Reads what the store's owner writes. Connects at the first question.
pub(super) struct Reader {
    target: Target,
    keys: Keys,
    link: Option<RedisConnection>,
    past: Past,
}

impl Reader {
    /// Creates a reader of these keys, and of the blocks that left them.
    pub(super) fn new(target: Target, keys: Keys, past: Past) -> Reader {
        Reader { target, keys, link: None, past }
    }

    /// Asks over the existing connection, or over a new one.
    fn ask<T>(
        &mut self,
        mut question: impl FnMut(&mut RedisConnection, &Keys, &mut Past) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(mut link) = self.link.take() {
            match question(&mut link, &self.keys, &mut self.past) {
                // The connection may only have died of old age; a new one will show.
                Err(error) if error.is_transient() => {}
                outcome => {
                    self.link = Some(link);
                    return outcome;
                }
            }
        }
        let mut link = RedisConnection::open(&self.target)?;
        let outcome = question(&mut link, &self.keys, &mut self.past)?;
        self.link = Some(link);
        Ok(outcome)
    }
}

impl BlockSource for Reader {
    fn name_of(&self, place: &Place) -> String {
        self.keys.name_of(place)
    }

    fn blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError> {
        self.ask(|link, keys, past| past.blocks(link, keys, (from, to), max_bytes))
    }

    fn segments(&self) -> (Option<&Folder>, &[Segment]) {
        self.past.segments()
    }
}
