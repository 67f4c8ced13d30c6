//! Reading the list of blocks in pieces.

use redis::Value;

use crate::bank::blockchain::block::SealedBlock;
use crate::explain::explain;
use crate::store::StoreError;
use crate::store::piece::Piece;
use crate::store::redis::keys::{BASE_FIELD, Keys};
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::reply::{command, corrupt, elements, exactly, from_text, text};

/// The most blocks asked for at once.
const MOST_AT_ONCE: u64 = 64;

/// A list of blocks whose first one has a height above 0 if segments hold the others.
#[derive(Clone, Copy)]
pub(super) struct List<'a> {
    /// The keys.
    pub(super) keys: &'a Keys,
    /// The height of the first block in the list.
    pub(super) base: u64,
}

impl List<'_> {
    /// Reads blocks from height `from` to height `to`, as many as fit in `max_bytes` of text. None if the list
    /// no longer begins at the base.
    pub(super) fn blocks(
        self,
        link: &mut RedisConnection,
        (from, to): (u64, u64),
        max_bytes: usize,
    ) -> Result<Option<Vec<SealedBlock>>, StoreError> {
        self.read(link, (from, to), max_bytes, |height, text| self.open(height, &text))
    }

    /// Does the same with the blocks' bare texts.
    pub(super) fn texts(
        self,
        link: &mut RedisConnection,
        (from, to): (u64, u64),
        max_bytes: usize,
    ) -> Result<Option<Vec<String>>, StoreError> {
        self.read(link, (from, to), max_bytes, |_, text| Ok(text))
    }

    /// Reads in pieces. Blocks differ in size, and Redis can't be asked for bytes. So the first request is for
    /// one block, and each further request for as many as seem to fit, at most twice as many as before.
    fn read<T>(
        self,
        link: &mut RedisConnection,
        (from, to): (u64, u64),
        max_bytes: usize,
        open: impl Fn(u64, String) -> Result<T, StoreError>,
    ) -> Result<Option<Vec<T>>, StoreError> {
        let mut piece = Piece::new(max_bytes);
        let mut next = from;
        let mut count = 1;
        // A negative index would count from the end of the list.
        let to = to.min(i64::MAX.unsigned_abs() - MOST_AT_ONCE);
        while next <= to {
            let last = to.min(next + count - 1);
            let Some(texts) = self.range(link, next, last)? else {
                return Ok((!piece.is_empty()).then(|| piece.into_blocks()));
            };
            let found = texts.len() as u64;
            let mut bytes = 0;
            for (height, text) in (next..).zip(texts) {
                let size = text.len();
                bytes += size;
                if !piece.take(size, open(height, text)?) {
                    return Ok(Some(piece.into_blocks()));
                }
            }
            if found < count {
                break;
            }
            next += found;
            let fit = (piece.room() as u64).saturating_mul(found) / (bytes as u64).max(1);
            if fit == 0 {
                break;
            }
            count = fit.min(count * 2).min(MOST_AT_ONCE);
        }
        Ok(Some(piece.into_blocks()))
    }

    /// Asks for the texts of the blocks `first` to `last`. None if the list no longer begins at the base: it
    /// only ever grows, so the answer is right if the base is the same before and after it.
    fn range(
        self,
        link: &mut RedisConnection,
        first: u64,
        last: u64,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let List { keys: Keys { chain, state, .. }, base } = self;
        let ask_base = || command("HGET", &[state, BASE_FIELD]);
        let index = |height: u64| (height - base).to_string();
        let range = command("LRANGE", &[chain, &index(first), &index(last)]);
        let [before, texts, after] = exactly(link.request(&[ask_base(), range, ask_base()])?)?;
        for found in [before, after] {
            let place = || format!("{state}[{BASE_FIELD}]");
            let found = text(&place(), found)?.map_or(Ok(0), |found| from_text(&found, place))?;
            if base != found {
                return Ok(None);
            }
        }
        elements(chain, first - base, texts).map(Some)
    }

    /// Parses the text of the block at a height.
    fn open(self, height: u64, text: &str) -> Result<SealedBlock, StoreError> {
        let place = || format!("{}[{}]", self.keys.chain, height - self.base);
        let block = SealedBlock::open(text).map_err(|error| corrupt(&place(), explain(&error)))?;
        if block.height() != height {
            let what = format!("the block there has the height {}", block.height());
            return Err(corrupt(&place(), what));
        }
        Ok(block)
    }
}

/// Reads block 0 where it is kept beside the chain.
pub(super) fn genesis(link: &mut RedisConnection, keys: &Keys) -> Result<SealedBlock, StoreError> {
    let key = &keys.genesis;
    let [reply] = exactly(link.request(&[command("GET", &[key])])?)?;
    match reply {
        Value::Nil => Err(corrupt(key, "missing, though block 0 is in a segment")),
        reply => {
            let text = text(key, reply)?.unwrap_or_default();
            let block = SealedBlock::open(&text).map_err(|error| corrupt(key, explain(&error)))?;
            match block.height() {
                0 => Ok(block),
                height => Err(corrupt(key, format!("the block there has the height {height}"))),
            }
        }
    }
}
