//! The balances, read in pieces.

use redis::{Cmd, Value};

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::store::StoreError;
use crate::store::redis::link::Link;
use crate::store::redis::reply::{borrowed, command, from_text, unexpected, values};

/// About how many are read at a time.
const PIECE: &str = "10000";

/// A piece of the hash `key` from the cursor `from`, and the cursor of the next one.
pub(super) fn read(
    link: &mut Link,
    key: &str,
    from: u64,
) -> Result<(Vec<(AccountId, Amount)>, u64), StoreError> {
    let replies = link.request(&[scan("HSCAN", key, from)])?;
    scanned(key, replies.into_iter().next().unwrap_or_default())
}

/// What to ask for a piece of a hash or a sorted set from the cursor `from`, for [`scanned`].
pub(super) fn scan(command_name: &str, key: &str, from: u64) -> Cmd {
    command(command_name, &[key, &from.to_string(), "COUNT", PIECE])
}

/// The accounts in a piece with a number each, and the cursor of the next one.
pub(super) fn scanned(
    key: &str,
    reply: Value,
) -> Result<(Vec<(AccountId, Amount)>, u64), StoreError> {
    let Value::Array(pair) = reply else { return Err(unexpected(key, &reply)) };
    let Ok([next, piece]) = <[Value; 2]>::try_from(pair) else {
        return Err(StoreError::Failed(format!("the scan of {key} has a reply of another form")));
    };
    let next = from_text(borrowed(&next, || key.to_owned())?, || key.to_owned())?;
    Ok((parse(key, piece)?, next))
}

fn parse(key: &str, reply: Value) -> Result<Vec<(AccountId, Amount)>, StoreError> {
    let values = values(key, reply)?;
    let balance = |pair: &[Value]| {
        let account = borrowed(&pair[0], || key.to_owned())?;
        let place = || format!("{key}[{account}]");
        let amount = borrowed(&pair[1], place)?;
        Ok((from_text(account, place)?, from_text(amount, place)?))
    };
    values.chunks_exact(2).map(balance).collect()
}
