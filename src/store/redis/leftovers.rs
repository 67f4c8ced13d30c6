//! What servers have left in a Redis that is theirs only for a while.

use std::time::Duration;

use redis::Connection;

use crate::bank::ids::ServerId;
use crate::store::redis::keys::Keys;

/// How long Redis may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A key there that belongs to a server of one of these names, if there is any.
///
/// # Errors
/// If Redis can't be asked.
pub fn any<'a>(
    url: &str,
    servers: impl IntoIterator<Item = &'a ServerId>,
) -> Result<Option<String>, String> {
    let mut connection = connect(url)?;
    for server in servers {
        for key in Keys::of(server).all() {
            let exists: bool =
                redis::cmd("EXISTS").arg(key).query(&mut connection).map_err(said)?;
            if exists {
                return Ok(Some(key.to_owned()));
            }
        }
    }
    Ok(None)
}

/// Removes all keys of servers of these names.
///
/// # Errors
/// If Redis can't be asked.
pub fn forget<'a>(
    url: &str,
    servers: impl IntoIterator<Item = &'a ServerId>,
) -> Result<(), String> {
    let mut connection = connect(url)?;
    servers.into_iter().try_for_each(|server| {
        redis::cmd("DEL").arg(&Keys::of(server).all()).exec(&mut connection).map_err(said)
    })
}

fn connect(url: &str) -> Result<Connection, String> {
    let client = redis::Client::open(url).map_err(said)?;
    let connection = client.get_connection_with_timeout(TIMEOUT).map_err(said)?;
    connection.set_read_timeout(Some(TIMEOUT)).map_err(said)?;
    Ok(connection)
}

fn said(error: redis::RedisError) -> String {
    error.to_string()
}
