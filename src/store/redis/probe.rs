//! Checks on connecting that a Redis has every command that a server will ever use, and lets this user use
//! it on this server's keys. Otherwise the first block to be committed would find out.
//!
//! Each command is queued in a transaction that is then discarded. Redis looks up a command, and the user's
//! right to it, when it queues it, and carries out nothing before `EXEC`. So the check needs no rights
//! beyond the ones it checks, on any version.

use redis::{Cmd, Value};

use crate::store::StoreError;
use crate::store::redis::keys::Keys;
use crate::store::redis::redis_connection::{RedisConnection, wait_for_flush};
use crate::store::redis::reply::command;
use crate::store::redis::words::refusal;

/// What was found.
pub(super) enum Probed {
    /// Everything needed is there.
    Everything {
        /// True if there is `WAITAOF`, which says whether a write is on the disk: from Redis 7.2 on.
        waitaof: bool,
    },
    /// Redis is still reading its file.
    Loading,
}

/// A command that a server uses, and its keys.
struct Use {
    command: Cmd,
    name: &'static str,
    keys: String,
}

/// Checks all of them; with `waits`, for a server that waits for replicas.
pub(super) fn check(
    link: &mut RedisConnection,
    keys: &Keys,
    waits: bool,
) -> Result<Probed, StoreError> {
    let uses = uses(keys, waits);
    // Alone: without a transaction, the commands after it would be carried out.
    let begun = link.request(&[command("MULTI", &[])])?;
    if let Some(Value::ServerError(error)) = begun.first() {
        return match error.code() {
            "LOADING" => Ok(Probed::Loading),
            "ERR" | "NOPERM" => Err(link.missing("MULTI", "", error)),
            _ => Err(link.failed(error)),
        };
    }
    let mut commands: Vec<Cmd> = uses.iter().map(|one| one.command.clone()).collect();
    // The empty transaction ends the watch, too.
    let others = [("DISCARD", ""), ("WATCH", keys.owner.as_str()), ("MULTI", ""), ("EXEC", "")];
    commands.extend(others.map(|(name, on)| match on {
        "" => command(name, &[]),
        key => command(name, &[key]),
    }));
    let replies = link.request(&commands)?;
    let named = uses.iter().map(|one| (one.name, one.keys.as_str())).chain(others);
    let mut waitaof = true;
    for ((name, on), reply) in named.zip(replies) {
        let Value::ServerError(error) = reply else { continue };
        match (error.code(), name) {
            ("LOADING", _) => return Ok(Probed::Loading),
            ("ERR", "WAITAOF") => waitaof = false,
            ("ERR" | "NOPERM", _) | ("EXECABORT", "EXEC") => {
                return Err(link.missing(name, on, &error));
            }
            ("MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN", _) => {
                return Err(StoreError::Unfit(format!("{}: {}", link.place(), refusal(&error))));
            }
            ("READONLY" | "MASTERDOWN" | "NOAUTH", _) => return Err(link.failed(&error)),
            // Redis is full, or short of replicas. It has the command; the refusal comes up later.
            _ => {}
        }
    }
    Ok(Probed::Everything { waitaof })
}

/// Lists every command that a server uses, on each key it uses it on.
fn uses(keys: &Keys, waits: bool) -> Vec<Use> {
    let Keys { chain, log, accepted, balances, sessions, state, lives, owner, turn, .. } = keys;
    let genesis = &keys.genesis;
    // The youngest command first: its error says best what is missing.
    let mut moved = command("LMOVE", &[accepted, chain]);
    moved.arg(&["LEFT", "RIGHT"]);
    let mut uses =
        vec![Use { command: moved, name: "LMOVE", keys: format!("{accepted} and {chain}") }];
    let each: [(&str, &[&String], &[&str]); 13] = [
        ("GET", &[owner, turn, genesis], &[]),
        ("SET", &[owner, genesis], &["x"]),
        ("INCR", &[turn], &[]),
        ("RPUSH", &[chain, log, accepted, lives], &["x"]),
        ("LRANGE", &[chain, log, accepted, lives], &["0", "-1"]),
        ("LTRIM", &[chain, log, accepted, lives], &["0", "-1"]),
        ("LLEN", &[chain, log], &[]),
        ("HSET", &[balances, sessions, state], &["x", "x"]),
        ("HDEL", &[sessions, state], &["x"]),
        ("HGET", &[state], &["x"]),
        ("HGETALL", &[sessions, state], &[]),
        ("HLEN", &[balances], &[]),
        ("HMGET", &[balances], &["x"]),
    ];
    for (name, keys, arguments) in each {
        uses.extend(keys.iter().map(|key| {
            let mut command = command(name, &[key]);
            command.arg(arguments);
            Use { command, name, keys: key.to_string() }
        }));
    }
    let wait = || Use { command: command("WAIT", &["0", "1"]), name: "WAIT", keys: String::new() };
    uses.extend(waits.then(wait));
    uses.push(Use { command: wait_for_flush("0", 1), name: "WAITAOF", keys: String::new() });
    uses
}
