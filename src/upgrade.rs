//! The upgrade of stores that an older version of the program wrote.
//!
//! A store is audited as it is, down to the last entry; if anything is wrong, it stays as it is. Then it is taken
//! over in the way of a server that starts: the owner is changed, which ends a server that still runs on it, and
//! the first turn of a new life writes the present format. All of this turn comes in one transaction. A store in
//! which only the owner was changed is still of the older format, and can be upgraded again.

use std::io::Write;
use std::time::Duration;

use crate::audit::examined::Examined;
use crate::audit::finding::Trouble;
use crate::audit::stored::{StoreSource, trouble};
use crate::audit::{SOUND, UNREAD, WRONG};
use crate::bank::blockchain::block::FORMAT;
use crate::bank::ids::ServerId;
use crate::store::redis::viewer::ReadOnlyRedis;
use crate::store::redis::{Options as RedisOptions, RedisStore};
use crate::store::{ATTEMPTS, Store, too_busy};

/// An upgrade's options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The URL of the Redis.
    pub redis: String,
    /// The servers whose stores are upgraded; if none are named, all that are there.
    pub ids: Vec<ServerId>,
    /// True to go on, with a warning, if Redis's settings let it lose confirmed writes.
    pub allow_weak: bool,
    /// How long Redis may take to answer.
    pub timeout: Duration,
}

/// Upgrades, says on `out` what was done and on `errors` what went wrong, and returns an exit status like an
/// audit's.
pub fn run(options: &Options, out: &mut dyn Write, errors: &mut dyn Write) -> u8 {
    let (premises, ids) = match stores(options) {
        Ok(found) => found,
        Err(why) => {
            let _ = writeln!(errors, "paxos-banking upgrade: {why}");
            return UNREAD;
        }
    };
    let mut status = SOUND;
    for id in ids {
        // If this can't be said, the status still tells it.
        match upgrade(options, &premises, &id) {
            Ok(done) => drop(writeln!(out, "{id}: {done}")),
            Err(Trouble::Wrong(finding)) => {
                let _ = writeln!(
                    errors,
                    "{id}: wrong: {finding}. Nothing was changed: what is wrong has to be put right \
                     first, with the version of the program that wrote the store"
                );
                status = if status == UNREAD { UNREAD } else { WRONG };
            }
            Err(Trouble::Unread(why)) => {
                let _ = writeln!(errors, "{id}: {why}. It can be tried again");
                status = UNREAD;
            }
        }
    }
    status
}

/// Finds the stores that are to be upgraded.
fn stores(options: &Options) -> Result<(ReadOnlyRedis, Vec<ServerId>), String> {
    let premises = ReadOnlyRedis::new(&options.redis, &redis_options(options));
    let premises = premises.map_err(|error| error.to_string())?;
    let there = premises.servers().map_err(|error| error.to_string())?;
    if there.is_empty() {
        return Err(format!("Redis at {}: it holds no server's store", premises.place()));
    }
    if let Some(missing) = options.ids.iter().find(|id| !there.contains(*id)) {
        let there: Vec<&str> = there.iter().map(ServerId::as_str).collect();
        let there = there.join(", ");
        return Err(format!("server {missing} has no store there; there are stores of: {there}"));
    }
    let named = options.ids.clone();
    let ids = if named.is_empty() { there.into_iter().collect() } else { named };
    Ok((premises, ids))
}

fn redis_options(options: &Options) -> RedisOptions {
    let Options { allow_weak, timeout, .. } = *options;
    RedisOptions {
        allow_weak,
        upgrade: true,
        connect_timeout: timeout,
        timeout,
        ..RedisOptions::default()
    }
}

/// Upgrades one server's store, and says what was done.
fn upgrade(options: &Options, premises: &ReadOnlyRedis, id: &ServerId) -> Result<String, Trouble> {
    let store = RedisStore::new(&options.redis, id, redis_options(options));
    let mut store = store.map_err(trouble)?;
    for _ in 0..ATTEMPTS {
        store.look().map_err(trouble)?;
        let Some(older) = store.older() else {
            return Ok(format!("of format {FORMAT} already, or empty: nothing was to be done"));
        };
        let examined = Examined::of(Box::new(StoreSource::new(premises, id.clone())));
        let words = in_words(&examined);
        if let Some(trouble) = examined.trouble {
            return Err(trouble);
        }
        // False if somebody wrote since the look: what was audited may be another state.
        if store.begin().map_err(trouble)? {
            return Ok(format!(
                "upgraded from format {older} to {FORMAT}, and otherwise as it was: {words}"
            ));
        }
    }
    Err(trouble(too_busy()))
}

/// Says what a store holds.
fn in_words(examined: &Examined) -> String {
    let replay = &examined.replay;
    let (_, accounts) = replay.counted();
    let log = examined.standing.as_ref().map_or(0, |standing| {
        standing.log.iter().map(|element| element.records().len()).sum::<usize>()
    });
    match replay.chain() {
        None => "its bank was not founded yet".into(),
        Some(chain) => format!(
            "height {}, {accounts} accounts, {log} entries in the local log",
            chain.height()
        ),
    }
}
