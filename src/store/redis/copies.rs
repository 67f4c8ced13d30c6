//! The replicas whose disks have to have a turn, too, before it counts as durable.
//!
//! Whether a turn is there is `WAITAOF`'s word alone. What `INFO` tells is only looked at beforehand, so that no
//! turn is written that can't be confirmed, and to say what is missing.

use std::time::Duration;

use redis::Value;

use crate::store::StoreError;
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::reply::{borrowed, command};
use crate::store::redis::words::refusal;

/// The most that can be asked for.
pub const MAX_COPIES: u8 = 8;
/// How many seconds a replica may be silent beyond the time that Redis has to answer. A replica says every
/// second how far it is.
const SILENCE: u64 = 3;

/// A replica, as Redis sees it.
struct Replica {
    place: String,
    state: String,
    silent: Option<u64>,
}

/// Refuses a Redis that can't ask its replicas whether they have a write on their disks.
pub(super) fn check_version(
    link: &mut RedisConnection,
    copies: u8,
    waitaof: bool,
) -> Result<(), StoreError> {
    if copies == 0 || waitaof {
        return Ok(());
    }
    let is = match value_of("redis_version", &info(link, "server")?) {
        Some(version) => format!("this is {version}"),
        None => "this one doesn't say which version it is".to_owned(),
    };
    Err(StoreError::Unfit(format!(
        "{}: --redis-copies {copies} needs Redis 7.2 or later, or Valkey, where WAITAOF tells on how many \
         replicas' disks a write is; {is}",
        link.place()
    )))
}

/// Refuses a Redis to which fewer than `copies` replicas are connected: nothing written there now could be
/// confirmed. `patience` is how long Redis may take to answer.
pub(super) fn check(
    link: &mut RedisConnection,
    copies: u8,
    patience: Duration,
) -> Result<(), StoreError> {
    if copies == 0 {
        return Ok(());
    }
    let replicas = replicas(&info(link, "replication")?);
    let longest = patience.as_secs() + SILENCE;
    match too_few(&replicas, copies, longest) {
        None => Ok(()),
        Some(why) => Err(StoreError::Refused(format!("{}: {why}", link.place()))),
    }
}

/// Returns why there are too few; none if there are enough. None may be silent for more than `longest` seconds.
fn too_few(replicas: &[Replica], copies: u8, longest: u64) -> Option<String> {
    let wrong = |replica: &Replica| match replica.silent {
        _ if replica.state != "online" => Some(format!("synchronizes ({})", replica.state)),
        Some(silent) if silent > longest => Some(format!("is silent for {silent} s")),
        _ => None,
    };
    let wrong: Vec<String> = replicas
        .iter()
        .filter_map(|replica| Some(format!("{} {}", replica.place, wrong(replica)?)))
        .collect();
    let there = replicas.len() - wrong.len();
    (there < usize::from(copies)).then(|| {
        let connected = match replicas.len() {
            0 => "no replica is connected to it".to_owned(),
            1 => "1 replica is connected to it".to_owned(),
            many => format!("{many} replicas are connected to it"),
        };
        let list: String = wrong.iter().map(|one| format!("; {one}")).collect();
        format!("only {there} of {copies} copies (--redis-copies): {connected}{list}")
    })
}

/// Reads the replicas from `INFO replication`: `slave0:ip=…,port=…,state=…,offset=…,lag=…`.
fn replicas(info: &str) -> Vec<Replica> {
    let is_replica = |line: &&str| {
        let number = line.strip_prefix("slave").and_then(|rest| rest.split(':').next());
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let read = |line: &str| {
        let (_, fields) = line.split_once(':').unwrap_or_default();
        let field = |name: &str| {
            let pairs = fields.split(',').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value.trim())
        };
        let of = |name| field(name).unwrap_or("?").to_owned();
        let silent = field("lag").and_then(|lag| lag.parse().ok());
        Replica { place: format!("{}:{}", of("ip"), of("port")), state: of("state"), silent }
    };
    info.lines().filter(is_replica).map(read).collect()
}

fn value_of(name: &str, info: &str) -> Option<String> {
    let of = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned());
    info.lines().find_map(of)
}

/// Asks for a section of `INFO`.
fn info(link: &mut RedisConnection, section: &str) -> Result<String, StoreError> {
    let reply = link.request(&[command("INFO", &[section])])?.pop().unwrap_or_default();
    match &reply {
        Value::ServerError(error) if matches!(error.code(), "ERR" | "NOPERM") => {
            Err(StoreError::Unfit(format!(
                "{}: --redis-copies has to see the replicas, and this user may not use INFO ({}); \
                 doc/OPERATING.md has the line for ACL SETUSER that gives a server's user what it needs",
                link.place(),
                refusal(error)
            )))
        }
        Value::ServerError(error) => Err(link.failed(error)),
        reply => Ok(borrowed(reply, || "INFO".into())?.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Replication\r\nrole:master\r\nconnected_slaves:3\r\n\
        slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=0\r\n\
        slave1:ip=10.0.0.3,port=6380,state=wait_bgsave,offset=0,lag=0,type=replica\r\n\
        slave2:ip=10.0.0.4,port=6379,state=online,offset=14,lag=9\r\n\
        slave_priority:100\r\nmaster_failover_state:no-failover\r\n";

    #[test]
    fn replicas_that_synchronize_or_are_silent_do_not_count() {
        let replicas = replicas(INFO);
        assert_eq!(replicas.len(), 3);
        assert_eq!(too_few(&replicas, 1, 5), None);
        assert_eq!(too_few(&replicas, 2, 9), None);
        let why = too_few(&replicas, 2, 5).unwrap();
        assert_eq!(
            why,
            "only 1 of 2 copies (--redis-copies): 3 replicas are connected to it; 10.0.0.3:6380 synchronizes \
             (wait_bgsave); 10.0.0.4:6379 is silent for 9 s"
        );
        let none = too_few(&[], 1, 5).unwrap();
        assert_eq!(none, "only 0 of 1 copies (--redis-copies): no replica is connected to it");
    }
}
