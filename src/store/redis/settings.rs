//! Whether a Redis keeps what it says it has written.

use redis::Value;

use crate::store::StoreError;
use crate::store::redis::link::Link;
use crate::store::redis::reply::{command, elements, words};

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

/// Refuses a Redis whose settings are weaker; with `allow_weak`, warns and goes on.
pub(super) fn check(link: &mut Link, allow_weak: bool) -> Result<(), StoreError> {
    let ask = DURABLE.map(|(name, _)| command("CONFIG", &["GET", name]));
    let replies = link.request(&ask)?;
    let mut wrong = Vec::new();
    for ((name, wanted), reply) in DURABLE.into_iter().zip(replies) {
        match value_of(name, reply)? {
            Ok(found) if found == wanted => {}
            Ok(found) => wrong.push(format!("{name} is {found:?} and must be {wanted:?}")),
            Err(why) => wrong.push(format!("{name} must be {wanted:?} and can't be seen ({why})")),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong = wrong.join("; ");
    if allow_weak {
        log::warn!("this Redis may lose what it says it has written: {wrong}");
        return Ok(());
    }
    Err(StoreError::Unfit(format!(
        "this Redis may lose what it says it has written: {wrong} \
         (--allow-weak-redis goes on regardless)"
    )))
}

/// A setting's value, or why it can't be seen.
fn value_of(name: &str, reply: Value) -> Result<Result<String, String>, StoreError> {
    match &reply {
        // Renamed away, or not for this user. Anything else, such as LOADING, passes.
        Value::ServerError(error) if matches!(error.code(), "ERR" | "NOPERM") => {
            return Ok(Err(words(error)));
        }
        _ => {}
    }
    let [_, value]: [String; 2] = match elements(name, 0, reply)?.try_into() {
        Ok(pair) => pair,
        Err(_) => return Ok(Err("this Redis does not know it".into())),
    };
    Ok(Ok(value))
}
