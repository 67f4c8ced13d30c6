//! The values of flags: addresses, clusters, numbers. Each error says what was wrong and what
//! would be right.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use paxos_banking::bank::address::Address;
use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ids::ServerId;
use paxos_banking::bank::limits::{Limits, MAX_FOUNDED, MAX_SERVERS};
use paxos_banking::client;
use paxos_banking::store::redis::MAX_COPIES;

/// Where a bank is found if nobody says otherwise.
pub const USUAL_CLUSTER: &str = "A=127.0.0.1:8001,B=127.0.0.1:8002,C=127.0.0.1:8003";

/// All servers of a bank, and their addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster(pub BTreeMap<ServerId, Address>);

impl Cluster {
    /// Returns the servers' ids in a row, for messages.
    pub fn ids(&self) -> String {
        self.0.keys().map(ServerId::as_str).collect::<Vec<_>>().join(", ")
    }
}

impl FromStr for Cluster {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut servers = BTreeMap::new();
        for item in text.split(',') {
            // Spaces are often typed in lists.
            let Some((id, address)) = item.trim().split_once('=') else {
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
                    address.as_str()
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

/// Reads how many entries the local log may hold before it is settled.
pub fn parse_entries(text: &str) -> Result<usize, String> {
    let most = Limits::default().log;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let entries = text.parse().ok().filter(|entries| digits && (1..=most).contains(entries));
    entries.ok_or_else(|| format!("a number of entries is from 1 to {most}, which a log can hold"))
}

/// Reads on how many replicas' disks a turn has to be.
pub fn parse_copies(text: &str) -> Result<u8, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let copies = text.parse().ok().filter(|copies| digits && *copies <= MAX_COPIES);
    copies.ok_or_else(|| format!("a number of copies is from 0 to {MAX_COPIES}"))
}

/// Checks that no sum of balances can ever be too large.
pub fn check_total(opening_balance: Amount, servers: usize, issuing: bool) -> Result<(), String> {
    let (most, bank) = match issuing {
        true => (MAX_FOUNDED, "a bank that issues money can begin with"),
        false => (Amount::MAX, "a bank can hold"),
    };
    let total = opening_balance.units().checked_mul(servers as u64);
    match total.and_then(Amount::new) {
        Some(total) if total <= most => Ok(()),
        _ => Err(format!(
            "--opening-balance {opening_balance} for {servers} servers is more than the {most} that {bank}; {} each \
             is the most",
            most.units() / servers as u64
        )),
    }
}

/// Reads the number of a payment in a session.
pub fn parse_number(text: &str) -> Result<u64, String> {
    let most = Amount::MAX.units();
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && *number <= most);
    number.ok_or_else(|| format!("a number in a session is from 0 to {most}"))
}

/// Returns how long one attempt may take, and all together. Of two times that don't go together the one that was given
/// counts.
pub fn patience(
    one: Option<Duration>,
    all: Option<Duration>,
) -> Result<(Duration, Duration), String> {
    let (usual_one, usual_all) = (client::DEFAULT_TIMEOUT, client::DEFAULT_GIVE_UP_AFTER);
    match (one, all) {
        (Some(one), Some(all)) if one > all => Err(format!(
            "--timeout ({one:?}) must not be longer than --give-up-after ({all:?}), which is the time for \
             all attempts together"
        )),
        (Some(one), all) => Ok((one, all.unwrap_or(usual_all.max(one)))),
        (None, all) => {
            let all = all.unwrap_or(usual_all);
            Ok((usual_one.min(all), all))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_one_to_nine_servers_each_with_its_own_address() {
        let nine: Vec<_> = (1..=9).map(|n| format!("S{n}=h:{n}")).collect();
        assert_eq!(nine.join(",").parse::<Cluster>().unwrap().0.len(), 9);
        let one: Cluster = "north=h:1".parse().unwrap();
        assert_eq!(one.ids(), "north");
        assert_eq!("A=h:1, B=h:2".parse::<Cluster>().unwrap().ids(), "A, B");
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
    fn a_number_of_entries_is_one_that_a_log_can_hold() {
        assert_eq!(parse_entries("1"), Ok(1));
        assert_eq!(parse_entries("4000000"), Ok(4_000_000));
        for wrong in ["0", "4000001", "-1", "+1", "1.5", "", "many", "99999999999999999999"] {
            let error = parse_entries(wrong).unwrap_err();
            assert!(error.contains("from 1 to 4000000"), "{wrong:?}: {error}");
        }
    }
    #[test]
    fn a_number_of_copies_is_small() {
        assert_eq!(parse_copies("0"), Ok(0));
        assert_eq!(parse_copies("8"), Ok(8));
        for wrong in ["9", "-1", "+1", "1.5", "", "many", "256"] {
            let error = parse_copies(wrong).unwrap_err();
            assert!(error.contains("from 0 to 8"), "{wrong:?}: {error}");
        }
    }
}
