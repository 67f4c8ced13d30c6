//! Checks that a Redis keeps the writes it confirms.

use redis::{Cmd, Value};

use crate::store::StoreError;
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::reply::{borrowed, command, elements};
use crate::store::redis::words::refusal;

/// The settings with which Redis answers only when a write is on the disk, never drops a key, and starts
/// with exactly what it had answered. (With `aof-load-truncated yes` it would leave the beginning of a
/// transaction in its file, and execute it together with a later transaction's end.) `replica-read-only`
/// makes it refuse further writes if it becomes a replica while a server writes to it.
const DURABLE: [(&str, &str); 6] = [
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("no-appendfsync-on-rewrite", "no"),
    ("maxmemory-policy", "noeviction"),
    ("aof-load-truncated", "no"),
    ("replica-read-only", "yes"),
];
/// The setting that says which Redis it is a replica of. A replica loses its own writes when it next
/// synchronizes.
const FOLLOWS: &str = "replicaof";

/// Whether a confirmed write can be trusted to stay.
pub(super) enum Durability {
    /// It can.
    Sound,
    /// It can't, and the user allows it.
    Weak,
    /// It can't yet: this has to end first.
    NotYet(String),
}

/// Refuses a Redis whose settings are weaker; with `allow_weak`, warns and goes on. A Redis with
/// `WAITAOF` (`waitaof`) will be asked at each turn. Of another Redis, this examines what is known to
/// make it answer too early.
pub(super) fn check(
    link: &mut RedisConnection,
    waitaof: bool,
    allow_weak: bool,
) -> Result<Durability, StoreError> {
    let (mut wrong, follows) = look_at_settings(link)?;
    let persistence = if waitaof { Persistence::Sound } else { look_at_persistence(link)? };
    let failing = match persistence {
        Persistence::NotYet(why) if wrong.is_empty() => return Ok(Durability::NotYet(why)),
        Persistence::Wrong(why) => {
            wrong.push(why);
            follows
        }
        Persistence::Failing(why) => follows.or(Some(why)),
        Persistence::Sound | Persistence::NotYet(_) => follows,
    };
    let all: Vec<String> = wrong.iter().cloned().chain(failing.clone()).collect();
    let all = all.join("; ");
    match failing {
        None if wrong.is_empty() => Ok(Durability::Sound),
        _ if allow_weak => {
            log::warn!("this Redis may lose what it says it has written: {all}");
            Ok(Durability::Weak)
        }
        Some(why) if wrong.is_empty() => {
            Err(StoreError::Failed(format!("{}: {why}", link.place())))
        }
        _ => Err(StoreError::Unfit(format!(
            "this Redis may lose what it says it has written: {all} \
             (--allow-weak-redis goes on regardless)"
        ))),
    }
}

/// Checks the settings of a sound Redis again. A wrong setting can be set right, so it counts as a failure.
pub(super) fn check_again(link: &mut RedisConnection) -> Result<(), StoreError> {
    let (wrong, follows) = look_at_settings(link)?;
    let all: Vec<String> = wrong.into_iter().chain(follows).collect();
    match &all[..] {
        [] => Ok(()),
        all => Err(StoreError::Failed(format!(
            "{}: its settings were changed, and it may lose what it says it has written: {}",
            link.place(),
            all.join("; ")
        ))),
    }
}

/// Returns what is wrong with the settings for good; and whether it is a replica, which can change.
fn look_at_settings(
    link: &mut RedisConnection,
) -> Result<(Vec<String>, Option<String>), StoreError> {
    let names = DURABLE.iter().map(|(name, _)| *name).chain([FOLLOWS]);
    let ask: Vec<Cmd> = names.map(|name| command("CONFIG", &["GET", name])).collect();
    let mut replies = link.request(&ask)?;
    let follows = match value_of(FOLLOWS, replies.pop().unwrap_or_default())? {
        Ok(whom) if !whom.is_empty() => Some(format!(
            "it is a replica of {whom}, and loses its own writes whenever it synchronizes"
        )),
        // Where this setting can't be seen, the others can't either, and that is told.
        _ => None,
    };
    let mut wrong = Vec::new();
    for ((name, wanted), reply) in DURABLE.into_iter().zip(replies) {
        match value_of(name, reply)? {
            Ok(found) if found == wanted => {}
            Ok(found) => wrong.push(format!("{name} is {found:?} and must be {wanted:?}")),
            Err(why) => wrong.push(format!("{name} must be {wanted:?} and can't be seen ({why})")),
        }
    }
    Ok((wrong, follows))
}

/// Takes a setting's value, or the reason why it can't be seen.
fn value_of(name: &str, reply: Value) -> Result<Result<String, String>, StoreError> {
    match &reply {
        // CONFIG was renamed, or this user may not use it. Other errors, such as LOADING, pass.
        Value::ServerError(error) if matches!(error.code(), "ERR" | "NOPERM") => {
            return Ok(Err(refusal(error)));
        }
        _ => {}
    }
    let [_, value]: [String; 2] = match elements(name, 0, reply)?.try_into() {
        Ok(pair) => pair,
        Err(_) => return Ok(Err("this Redis does not know it".into())),
    };
    Ok(Ok(value))
}

/// What Redis says of its append-only file.
enum Persistence {
    /// It is written.
    Sound,
    /// It is being rewritten. Nobody can tell whether there was a file before, or this is the first.
    NotYet(String),
    /// It is not written, which can change.
    Failing(String),
    /// Redis can't be trusted to write it, which doesn't change.
    Wrong(String),
}

/// Examines the append-only file. Where `appendonly` was switched on a moment ago, Redis says `yes`,
/// confirms writes, and keeps nothing until its first rewrite is done.
fn look_at_persistence(link: &mut RedisConnection) -> Result<Persistence, StoreError> {
    let ask = ["persistence", "server"].map(|section| command("INFO", &[section]));
    let mut info = String::new();
    for reply in link.request(&ask)? {
        match &reply {
            Value::ServerError(error) if matches!(error.code(), "ERR" | "NOPERM") => {
                let why = refusal(error);
                return Ok(Persistence::Wrong(format!(
                    "whether it writes its append-only file can't be seen (INFO: {why})"
                )));
            }
            reply => info.push_str(borrowed(reply, || "INFO".into())?),
        }
    }
    let field = |name: &str| {
        let of = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned());
        info.lines().find_map(of)
    };
    let is = |name: &str, value: &str| field(name).is_some_and(|found| found == value);
    if !is("aof_enabled", "1") {
        return Ok(Persistence::Wrong("it doesn't write an append-only file (aof_enabled)".into()));
    }
    if !is("aof_rewrite_in_progress", "0") || !is("aof_rewrite_scheduled", "0") {
        return Ok(Persistence::NotYet(
            "it is rewriting its append-only file, and if that is the first time since appendonly was \
             switched on, it keeps nothing until it is done"
                .into(),
        ));
    }
    if !is("aof_last_bgrewrite_status", "ok") {
        return Ok(Persistence::Failing(
            "the last rewrite of its append-only file failed (aof_last_bgrewrite_status), and if that \
             was the first, it keeps nothing; its log says why, and BGREWRITEAOF tries again"
                .into(),
        ));
    }
    let major = field("redis_version").and_then(|text| text.split('.').next()?.parse().ok());
    Ok(match major {
        Some(..=7) => Persistence::Sound,
        _ => answers_early(link)?,
    })
}

/// Examines whether Redis answers before it has flushed, as version 8 and later do with several I/O
/// threads. (`WAITAOF` would tell.)
fn answers_early(link: &mut RedisConnection) -> Result<Persistence, StoreError> {
    Ok(match has_one_io_thread(link)? {
        true => Persistence::Sound,
        false => Persistence::Wrong(
            "it lacks WAITAOF, and with io-threads above 1 a Redis from version 8 on answers before \
             it has flushed"
                .into(),
        ),
    })
}

/// True if Redis is known to answer only what it has flushed: a single thread does both in turn.
pub(super) fn has_one_io_thread(link: &mut RedisConnection) -> Result<bool, StoreError> {
    let reply = link.request(&[command("CONFIG", &["GET", "io-threads"])])?.pop();
    let threads = value_of("io-threads", reply.unwrap_or_default())?;
    Ok(threads.is_ok_and(|threads| threads == "1"))
}
