//! The block reader's view of Redis, over a connection of its own.

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::stored::Place;
use crate::store::redis::chain;
use crate::store::redis::keys::Keys;
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::target::Target;
use crate::store::{BlockSource, StoreError};

/// Reads what the store's owner writes. Connects at the first question.
pub(super) struct Reader {
    target: Target,
    keys: Keys,
    link: Option<RedisConnection>,
}

impl Reader {
    /// Creates a reader of these keys.
    pub(super) fn new(target: Target, keys: Keys) -> Reader {
        Reader { target, keys, link: None }
    }

    /// Asks over the existing connection, or over a new one.
    fn ask<T>(
        &mut self,
        question: impl Fn(&mut RedisConnection, &Keys) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(mut link) = self.link.take() {
            match question(&mut link, &self.keys) {
                // The connection may only have died of old age; a new one will show.
                Err(error) if error.is_transient() => {}
                outcome => {
                    self.link = Some(link);
                    return outcome;
                }
            }
        }
        let mut link = RedisConnection::open(&self.target)?;
        let outcome = question(&mut link, &self.keys)?;
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
        self.ask(|link, keys| chain::read(link, &keys.chain, from, to, max_bytes))
    }
}
