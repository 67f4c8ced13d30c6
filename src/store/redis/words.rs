//! What is said of a Redis that refuses, or can't be reached: the reason, and what to do about it.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerError};

/// Explains why a command failed: in our words where we know more, else in Redis's.
pub(super) fn refusal(error: &ServerError) -> String {
    let details = error.details().unwrap_or_default();
    let ours = match error.code() {
        "NOAUTH" => {
            "it asks for a password, and was given none; --redis-password-file FILE gives it one, or \
             PAXOS_BANKING_REDIS=redis://:PASSWORD@HOST:PORT"
        }
        "WRONGPASS" => "the password is wrong, or there is no such user, or it is switched off",
        "DENIED" => {
            "it is in protected mode, in which it takes connections only from its own machine; set a \
             password there, or bind it to the addresses it may be reached at"
        }
        "READONLY" => {
            "it is a replica, which can't be written to; name the Redis that it follows, or make it one \
             of its own by REPLICAOF NO ONE"
        }
        "MASTERDOWN" => "it is a replica that has lost the Redis it follows; name that one",
        "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" | "TRYAGAIN" => {
            "it is in cluster mode, where a server's keys would be on several machines, and no turn is \
             one transaction; a server needs a Redis with cluster-enabled no"
        }
        "LOADING" => "it is still reading its file, and answers when it has",
        "ERR" if details.contains("without any password configured") => {
            "it asks for no password, and was given one; leave it out of the URL, or set it there \
             (requirepass)"
        }
        "ERR" if details.starts_with("DB index is out of range") => {
            "it has no database of that number; its setting `databases` says how many there are"
        }
        "ERR" if details.contains("not allowed in cluster mode") => {
            "it is in cluster mode, where there is only database 0 and no turn is one transaction; a \
             server needs a Redis with cluster-enabled no"
        }
        code => return without_stop(&format!("{code} {details}")).to_owned(),
    };
    ours.to_owned()
}

/// Explains an error on the way to Redis, where `patience` was the time-out.
pub(super) fn lost(error: &RedisError, patience: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {}", span(patience));
    }
    if error.is_connection_refusal() {
        return "nothing listens there (connection refused)".to_owned();
    }
    if error.is_connection_dropped() {
        return "it closed the connection".to_owned();
    }
    if error.kind() == ErrorKind::Parse {
        return "what answers there doesn't speak Redis's protocol".to_owned();
    }
    let text = match error.kind() {
        ErrorKind::Io => error.to_string(),
        // The error kind's own name is of no use to anybody.
        _ => error.detail().map_or_else(|| error.category().to_owned(), str::to_owned),
    };
    let text = text.split(" (os error").next().unwrap_or(&text);
    without_stop(text).to_owned()
}

/// Says that only so many replicas of those asked for (`copies`) have confirmed a write in time.
pub(super) fn unconfirmed(there: i64, copies: u8, within: Duration) -> String {
    format!(
        "only {there} of {copies} copies (--redis-copies): no more replicas have confirmed within {} that a \
         write is on their disks; a replica that is away, has appendonly no, or is still writing its \
         append-only file for the first time confirms nothing",
        span(within)
    )
}

/// Writes a time as people do: 2 s, 300 ms.
pub(super) fn span(time: Duration) -> String {
    match time.as_millis() {
        millis if millis % 1000 == 0 => format!("{} s", millis / 1000),
        millis if millis > 10_000 => format!("{:.1} s", time.as_secs_f64()),
        millis => format!("{millis} ms"),
    }
}

/// Takes the full stop from a text that is quoted within a sentence.
fn without_stop(text: &str) -> &str {
    text.trim_end().trim_end_matches('.')
}
