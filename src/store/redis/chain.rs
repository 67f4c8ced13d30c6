//! Reading the chain in pieces.

use crate::bank::blockchain::block::SealedBlock;
use crate::store::StoreError;
use crate::store::piece::Piece;
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::reply::{command, corrupt, elements};

/// The most blocks asked for at once.
const MOST_AT_ONCE: u64 = 64;

/// Reads blocks from height `from` to height `to`, as many as fit in `max_bytes` of text.
///
/// Blocks differ in size, and Redis can't be asked for bytes. So the first request is for one block, and
/// each further request for as many as seem to fit, at most twice as many as before.
pub(super) fn read(
    link: &mut RedisConnection,
    key: &str,
    from: u64,
    to: u64,
    max_bytes: usize,
) -> Result<Vec<SealedBlock>, StoreError> {
    let mut piece = Piece::new(max_bytes);
    let mut next = from;
    let mut count = 1;
    // A negative index would count from the end of the list.
    let to = to.min(i64::MAX.unsigned_abs() - MOST_AT_ONCE);
    while next <= to {
        let last = to.min(next + count - 1);
        let range = command("LRANGE", &[key, &next.to_string(), &last.to_string()]);
        let texts = elements(key, next, one(link.request(&[range])?))?;
        let found = texts.len() as u64;
        let mut bytes = 0;
        for (height, text) in (next..).zip(texts) {
            bytes += text.len();
            if !piece.take(open(key, height, &text)?) {
                return Ok(piece.into_blocks());
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
    Ok(piece.into_blocks())
}

/// Parses the text at an index of the list of blocks.
fn open(key: &str, height: u64, text: &str) -> Result<SealedBlock, StoreError> {
    let place = format!("{key}[{height}]");
    let block = SealedBlock::open(text).map_err(|error| corrupt(&place, error.to_string()))?;
    if block.height() != height {
        return Err(corrupt(&place, format!("the block there has the height {}", block.height())));
    }
    Ok(block)
}

/// Returns the only reply to a request of one command.
fn one(replies: Vec<redis::Value>) -> redis::Value {
    replies.into_iter().next().unwrap_or_default()
}
