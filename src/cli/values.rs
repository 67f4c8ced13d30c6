//! The values that flags take: times, addresses, clusters, URLs. Each error says what was wrong
//! and what would be right.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use paxos_banking::bank::ids::ServerId;
use redis::IntoConnectionInfo;

/// The most servers that a bank may have.
pub const MAX_SERVERS: usize = 9;
/// The longest time that a flag may ask for. Longer ones are slips of the keyboard.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a time such as `500ms`, `2s` or `1m`.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    const RIGHT: &str = "a time is a whole number and a unit: 500ms, 2s or 1m";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(RIGHT.into());
    }
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "" => return Err(format!("the unit is missing; {RIGHT}")),
        _ => return Err(format!("{unit:?} is not a unit of time; {RIGHT}")),
    };
    let time = number.parse().ok().and_then(|n: u64| n.checked_mul(millis_per_unit));
    match time.map(Duration::from_millis) {
        Some(Duration::ZERO) => Err("the time must be longer than nothing, such as 1ms".into()),
        Some(time) if time <= MAX_TIME => Ok(time),
        _ => Err("the time must not be longer than a day (1440m)".into()),
    }
}

/// Where a server can be reached, or listens: `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(String);

impl Address {
    /// In its only spelling: the host in lower case, the port without leading zeros.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        const RIGHT: &str = "an address is HOST:PORT, such as 127.0.0.1:8001 or [::1]:8001";
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(format!("{text:?} has no port; {RIGHT}"));
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        // Of the two colons in `::1:8001` nobody can say which one the port follows.
        let is_host = bare.is_some_and(|bare| bare.parse::<std::net::Ipv6Addr>().is_ok())
            || (!host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
        if !is_host {
            return Err(format!("{host:?} is not a host; {RIGHT}"));
        }
        match port.parse::<u16>() {
            Ok(0) => Err("port 0 can't be reached by anybody; take one from 1 to 65535".into()),
            Ok(port) if !text.contains('+') => {
                Ok(Address(format!("{}:{port}", host.to_ascii_lowercase())))
            }
            _ => Err(format!("{port:?} is not a port from 1 to 65535; {RIGHT}")),
        }
    }
}

/// All servers of a bank, and where each one can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster(pub BTreeMap<ServerId, Address>);

impl Cluster {
    /// The servers' ids in a row, for messages.
    pub fn ids(&self) -> String {
        self.0.keys().map(ServerId::as_str).collect::<Vec<_>>().join(", ")
    }
}

impl FromStr for Cluster {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut servers = BTreeMap::new();
        for item in text.split(',') {
            let Some((id, address)) = item.split_once('=') else {
                return Err(format!(
                    "{item:?} is not ID=HOST:PORT; a cluster is A=127.0.0.1:8001,B=127.0.0.1:8002,…"
                ));
            };
            let id: ServerId = id.parse().map_err(|error| format!("{error}"))?;
            let address: Address =
                address.parse().map_err(|error| format!("server {id}: {error}"))?;
            if let Some((other, _)) = servers.iter().find(|(_, known)| **known == address) {
                return Err(format!(
                    "servers {other} and {id} have the same address {}; each needs its own",
                    address.0
                ));
            }
            if servers.insert(id.clone(), address).is_some() {
                return Err(format!("server {id} is there twice; each id may be there once"));
            }
        }
        match servers.len() {
            1..=MAX_SERVERS => Ok(Cluster(servers)),
            n => Err(format!("these are {n} servers; a bank has 1 to {MAX_SERVERS}")),
        }
    }
}

/// Checks that `text` is a Redis URL. It isn't connected to.
pub fn parse_redis_url(text: &str) -> Result<String, String> {
    match text.into_connection_info() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "{error}; right is redis://HOST:PORT, or redis://:PASSWORD@HOST:PORT/DATABASE"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_time("1m"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_time("1440m"), Ok(MAX_TIME));
    }

    #[test]
    fn what_is_wrong_with_a_time_is_said() {
        for (text, part) in [
            ("2", "unit is missing"),
            ("2h", "\"h\" is not a unit"),
            ("2 s", "\" s\" is not a unit"),
            ("1.5s", "\".5s\" is not a unit"),
            ("", "500ms, 2s or 1m"),
            ("s", "500ms, 2s or 1m"),
            ("-1s", "500ms, 2s or 1m"),
            ("0ms", "longer than nothing"),
            ("0m", "longer than nothing"),
            ("1441m", "not be longer than a day"),
            ("99999999999999999999s", "not be longer than a day"),
            ("18446744073709551615m", "not be longer than a day"),
        ] {
            let error = parse_time(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn an_address_has_one_spelling() {
        for (text, spelled) in [
            ("127.0.0.1:8001", "127.0.0.1:8001"),
            ("LocalHost:08001", "localhost:8001"),
            ("[::1]:65535", "[::1]:65535"),
            ("bank_a.example-net:1", "bank_a.example-net:1"),
        ] {
            assert_eq!(text.parse::<Address>().map(Address::into_string), Ok(spelled.into()));
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (text, part) in [
            ("localhost", "has no port"),
            (":8001", "\"\" is not a host"),
            ("::1:8001", "\"::1\" is not a host"),
            ("[localhost]:1", "is not a host"),
            ("a b:1", "is not a host"),
            ("a:0", "port 0"),
            ("a:65536", "\"65536\" is not a port"),
            ("a:+1", "\"+1\" is not a port"),
            ("a:", "\"\" is not a port"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_cluster_is_one_to_nine_servers_each_with_its_own_address() {
        let nine: Vec<_> = (1..=9).map(|n| format!("S{n}=h:{n}")).collect();
        assert_eq!(nine.join(",").parse::<Cluster>().unwrap().0.len(), 9);
        let one: Cluster = "north=h:1".parse().unwrap();
        assert_eq!(one.ids(), "north");
        for (text, part) in [
            (format!("{},S10=h:10", nine.join(",")), "these are 10 servers"),
            ("".into(), "is not ID=HOST:PORT"),
            ("A=h:1,".into(), "is not ID=HOST:PORT"),
            ("A=h:1,A=h:2".into(), "server A is there twice"),
            ("A=h:1,B=H:01".into(), "servers A and B have the same address h:1"),
            ("A/x=h:1".into(), "is not a server id"),
            ("A=h:0".into(), "server A: port 0"),
        ] {
            let error = text.parse::<Cluster>().unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_redis_url_is_checked_without_connecting() {
        assert!(parse_redis_url("redis://127.0.0.1:6379").is_ok());
        assert!(parse_redis_url("redis://:secret@example.org/3").is_ok());
        for wrong in ["127.0.0.1:6379", "http://127.0.0.1", "redis://:x", ""] {
            let error = parse_redis_url(wrong).unwrap_err();
            assert!(error.contains("redis://HOST:PORT"), "{wrong:?}: {error}");
        }
    }
}
