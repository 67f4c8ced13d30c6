//! Whether a Redis keeps what it says it has written.

use redis::{Cmd, Value};

use crate::store::StoreError;
use crate::store::redis::link::Link;
use crate::store::redis::reply::{borrowed, command, elements};
use crate::store::redis::words::refusal;

/// The settings with which Redis answers only when a write is on the disk, never drops a key, and
/// starts with nothing but what it had answered. (A file that ends within a transaction it would
/// mend by leaving the transaction's beginning there, to be executed with a later one's end.)
const DURABLE: [(&str, &str); 5] = [
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("no-appendfsync-on-rewrite", "no"),
    ("maxmemory-policy", "noeviction"),
    ("aof-load-truncated", "no"),
];
/// Whom it follows. A replica that can be written to loses that when it next synchronizes.
const FOLLOWS: &str = "replicaof";

/// Whether what was written can be believed to be there.
pub(super) enum Durability {
    /// It can.
    Sound,
    /// It can't, which is allowed.
    Weak,
    /// Not before this has come to its end.
    NotYet(String),
}

/// Refuses a Redis whose settings are weaker; with `allow_weak`, warns and goes on. One that can say of
/// a turn whether it is on the disk (`waitaof`) will be asked; of another one this looks for what is
/// known to answer too early.
pub(super) fn check(
    link: &mut Link,
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

/// What is wrong with its settings for good; and whether it is a replica, which can change.
fn look_at_settings(link: &mut Link) -> Result<(Vec<String>, Option<String>), StoreError> {
    let names = DURABLE.iter().map(|(name, _)| *name).chain([FOLLOWS]);
    let ask: Vec<Cmd> = names.map(|name| command("CONFIG", &["GET", name])).collect();
    let mut replies = link.request(&ask)?;
    let follows = match value_of(FOLLOWS, replies.pop().unwrap_or_default())? {
        Ok(whom) if !whom.is_empty() => Some(format!(
            "it is a replica of {whom}, and loses its own writes whenever it synchronizes"
        )),
        // Where this can't be seen, nor can the others, which is told.
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

/// A setting's value, or why it can't be seen.
fn value_of(name: &str, reply: Value) -> Result<Result<String, String>, StoreError> {
    match &reply {
        // Renamed away, or not for this user. Anything else, such as LOADING, passes.
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

/// What Redis tells of its append-only file.
enum Persistence {
    /// It is written to.
    Sound,
    /// While it is rewritten nobody can tell whether it was one before, or is the first.
    NotYet(String),
    /// It is not written to; that can change.
    Failing(String),
    /// It is not believed, and that doesn't change.
    Wrong(String),
}

/// A Redis whose `appendonly` was switched on a moment ago says `yes`, confirms, and keeps nothing until
/// its first rewrite is done.
fn look_at_persistence(link: &mut Link) -> Result<Persistence, StoreError> {
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

/// From version 8 on, a Redis with several I/O threads answers before it has flushed; `WAITAOF` would
/// tell.
fn answers_early(link: &mut Link) -> Result<Persistence, StoreError> {
    Ok(match has_one_io_thread(link)? {
        true => Persistence::Sound,
        false => Persistence::Wrong(
            "it lacks WAITAOF, and with io-threads above 1 a Redis from version 8 on answers before \
             it has flushed"
                .into(),
        ),
    })
}

/// True if it is known to answer only what it has flushed: one thread does the one after the other.
pub(super) fn has_one_io_thread(link: &mut Link) -> Result<bool, StoreError> {
    let reply = link.request(&[command("CONFIG", &["GET", "io-threads"])])?.pop();
    let threads = value_of("io-threads", reply.unwrap_or_default())?;
    Ok(threads.is_ok_and(|threads| threads == "1"))
}
