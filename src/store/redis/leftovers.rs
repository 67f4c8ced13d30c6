//! Keys that servers left in a Redis that is theirs only for a while.

use crate::bank::ids::ServerId;
use crate::store::StoreError;
use crate::store::redis::Options;
use crate::store::redis::keys::Keys;
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::reply::{command, length};
use crate::store::redis::target::Target;

/// Finds a key that belongs to one of these servers.
///
/// # Errors
/// If Redis can't be asked.
pub fn any<'a>(
    url: &str,
    servers: impl IntoIterator<Item = &'a ServerId>,
) -> Result<Option<String>, StoreError> {
    let mut link = connect(url)?;
    for server in servers {
        let keys = Keys::of(server);
        let asked = keys.all().map(|key| command("EXISTS", &[key]));
        for (key, reply) in keys.all().into_iter().zip(link.request(&asked)?) {
            if length(key, reply)? > 0 {
                return Ok(Some(key.to_owned()));
            }
        }
    }
    Ok(None)
}

/// Removes all keys of these servers.
///
/// # Errors
/// If Redis can't be asked.
pub fn forget<'a>(
    url: &str,
    servers: impl IntoIterator<Item = &'a ServerId>,
) -> Result<(), StoreError> {
    let mut link = connect(url)?;
    for server in servers {
        for reply in link.request(&[command("DEL", &Keys::of(server).all())])? {
            length("DEL", reply)?;
        }
    }
    Ok(())
}

fn connect(url: &str) -> Result<RedisConnection, StoreError> {
    let Options { connect_timeout, timeout, .. } = Options::default();
    RedisConnection::open(&Target::parse(url, connect_timeout, timeout)?)
}
