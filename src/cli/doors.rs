//! The flags that say whom a server lets in, and what they can get wrong together.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use paxos_banking::bank::fingerprint::Fingerprint;
use paxos_banking::bank::ids::ServerId;
use paxos_banking::client::doors::key_of;
use paxos_banking::node;
use paxos_banking::noise::NoKey;

#[derive(Args)]
#[command(next_help_heading = "Keys")]
pub struct Doors {
    /// The file of this server's secret key, made at the first start. By its key the others know this
    /// server, and nobody listens in [default: no key, and plain lines]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// Who may found the bank and use it: everybody who reaches the port, or who proves a key. A bank that
    /// was founded with keys stays so [default: keys with --key; open without, if all addresses are
    /// loopback's]
    #[arg(long, value_name = "WHO")]
    pub access: Option<Access>,

    /// With --access open beyond loopback: whoever reaches the port may debit every account
    #[arg(long)]
    pub let_everybody_debit: bool,

    /// The keys that the other servers have to prove before the chain names them, such as
    /// B=SHA256:…,C=SHA256:… (or B=FILE.pub,…); needed beyond loopback to found a bank with keys, and to rejoin one
    /// [default: none]
    #[arg(long, value_name = "ID=KEY,…")]
    pub expect: Option<Expected>,

    /// The file of the keys with a role, a line each: operator SHA256:… NAME, or: auditor SHA256:… NAME;
    /// read again on SIGHUP [default: none]
    #[arg(long, value_name = "FILE")]
    pub authorized: Option<PathBuf>,
}

/// Who may use the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Access {
    /// Everybody who reaches the port
    Open,
    /// Who proves a key
    Keys,
}

/// The keys that servers have to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(pub BTreeMap<ServerId, Fingerprint>);

impl FromStr for Expected {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut expected = BTreeMap::new();
        for item in text.split(',') {
            let Some((id, key)) = item.trim().split_once('=') else {
                return Err(format!("{item:?} is not ID=KEY, such as B=SHA256:…"));
            };
            let id: ServerId = id.parse().map_err(|error| format!("{error}"))?;
            let key = key_of(key).map_err(|error| format!("server {id}: {error}"))?;
            if expected.values().any(|other| *other == key) {
                return Err(format!("two servers have the key {key}; each needs its own"));
            }
            if expected.insert(id.clone(), key).is_some() {
                return Err(format!("server {id} is there twice; each id may be there once"));
            }
        }
        Ok(Expected(expected))
    }
}

/// Where a server is, and what it is about to do.
pub struct Place<'a> {
    pub id: &'a ServerId,
    /// All servers' addresses.
    pub cluster: &'a BTreeMap<ServerId, String>,
    pub listen: &'a str,
    pub rejoin: bool,
}

impl Doors {
    /// Checks the flags together. Returns the file of the key beside what follows from them.
    ///
    /// # Errors
    /// What doesn't go together, and the ways out.
    pub fn check(self, place: &Place<'_>) -> Result<(Option<PathBuf>, node::Doors), String> {
        let wants_keys = self.key.is_some() || self.authorized.is_some() || self.expect.is_some();
        if !cfg!(feature = "noise") && (wants_keys || self.access == Some(Access::Keys)) {
            return Err(NoKey::BuiltWithout.to_string());
        }
        let addresses = place.cluster.values().map(String::as_str).chain([place.listen]);
        let beyond = addresses.into_iter().find(|address| !is_loopback(address));
        let keys = match (self.access, &self.key) {
            (Some(Access::Keys), None) => {
                return Err(
                    "--access keys needs a key of this server's: --key FILE (the file is made \
                            if it isn't there)"
                        .to_owned(),
                );
            }
            (Some(access), _) => access == Access::Keys,
            (None, key) => key.is_some(),
        };
        match beyond {
            _ if keys && self.let_everybody_debit => {
                return Err(
                    "--let-everybody-debit goes with --access open alone: with keys, only its \
                            owner debits an account"
                        .to_owned(),
                );
            }
            Some(address) if !keys && !self.let_everybody_debit => return Err(no_way_out(address)),
            _ => {}
        }
        let expect = self.expect.map(|Expected(expect)| expect).unwrap_or_default();
        if let Some(id) = expect.keys().find(|id| !place.cluster.contains_key(*id)) {
            return Err(format!("--expect names {id}, which is no server of --cluster"));
        }
        if expect.contains_key(place.id) {
            return Err(format!(
                "--expect names {} itself; its own key is the one in --key FILE",
                place.id
            ));
        }
        if !expect.is_empty() && self.key.is_none() {
            return Err(
                "--expect needs --key FILE: without a key of its own this server dials plain \
                        lines, over which nobody proves one"
                    .to_owned(),
            );
        }
        let must_expect = keys && beyond.is_some();
        let doors =
            node::Doors { key: None, keys, expect, must_expect, authorized: self.authorized };
        match doors.unexpected(place.id, place.cluster.keys()) {
            Some(words) if place.rejoin => Err(format!("--rejoin {words}")),
            _ => Ok((self.key, doors)),
        }
    }
}

fn no_way_out(address: &str) -> String {
    format!(
        "{address} is not this machine's loopback, so whoever reaches the server could debit every account. \
         There are two ways out: `--access keys --key FILE`, by which only its owner debits an account \
         (the file is made if it isn't there); or, if everybody there may do everything, `--access open \
         --let-everybody-debit`"
    )
}

/// True if nothing but this machine reaches the address.
/// True if only this machine reaches an address.
pub(super) fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Arguments;
    use clap::Parser;

    const KEYS: [&str; 3] = ["a", "b", "c"];

    fn key(of: &str) -> Fingerprint {
        Fingerprint::of(of.as_bytes())
    }

    /// Checks the flags of server A, whose others are at these addresses.
    fn check(
        flags: &str,
        others: &[&str],
        rejoin: bool,
    ) -> Result<(Option<PathBuf>, node::Doors), String> {
        let flags = KEYS.iter().fold(flags.to_owned(), |flags, of| {
            flags.replace(&format!("={of}"), &format!("={}", key(of)))
        });
        let words = ["paxos-banking", "server", "--id", "A"].into_iter();
        let parsed = Arguments::try_parse_from(words.chain(flags.split_whitespace()));
        let parsed = parsed.map_err(|error| error.to_string())?;
        let crate::cli::args::Command::Server(server) = parsed.command else { unreachable!() };
        let ids = ["A", "B", "C"].map(|id| id.parse::<ServerId>().unwrap());
        let addresses = ["127.0.0.1:1"].iter().chain(others).map(|at| (*at).to_owned());
        let cluster = ids.iter().cloned().zip(addresses).collect();
        let place = Place { id: &ids[0], cluster: &cluster, listen: "127.0.0.1:1", rejoin };
        server.doors.check(&place)
    }

    fn error(flags: &str, others: &[&str]) -> String {
        check(flags, others, false).expect_err(flags)
    }

    #[test]
    fn on_loopback_all_is_open_until_a_key_is_given() {
        let near = ["localhost:2", "[::1]:3"];
        let (key_file, doors) = check("", &near, false).unwrap();
        assert_eq!((key_file, doors), (None, node::Doors::default()));
        let (key_file, doors) = check("--key k", &near, false).unwrap();
        assert_eq!(key_file, Some("k".into()));
        assert!(doors.keys && !doors.must_expect);
        let (_, doors) = check("--key k --access open --expect B=b", &near, false).unwrap();
        assert!(!doors.keys);
        assert_eq!(doors.expect[&"B".parse::<ServerId>().unwrap()], key("b"));
        check("--key k", &near, true).expect("nobody else is there");
    }

    #[test]
    fn beyond_loopback_somebody_has_to_say_who_may_debit() {
        for far in ["10.0.0.2:2", "bank-b:2", "0.0.0.0:2", "[2001:db8::1]:2", "localhost.example:2"]
        {
            let words = error("", &["127.0.0.1:2", far]);
            for word in [far, "--access keys --key FILE", "--access open --let-everybody-debit"] {
                assert!(words.contains(word), "{words}");
            }
            assert_eq!(error("--access open", &[far]), words.replace("127.0.0.1:2", far));
            let (_, doors) = check("--access open --let-everybody-debit", &[far], false).unwrap();
            assert!(!doors.keys);
            let (_, doors) = check("--key k", &[far], false).unwrap();
            assert!(doors.keys && doors.must_expect);
        }
    }

    #[test]
    fn who_rejoins_beyond_loopback_says_whom_it_expects() {
        let far = ["10.0.0.2:2", "10.0.0.3:3"];
        let words = check("--key k --expect B=b", &far, true).unwrap_err();
        assert!(words.contains("lacks C: --expect C=SHA256:…"), "{words}");
        check("--key k --expect B=b,C=c", &far, true).expect("all are named");
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let near = ["127.0.0.1:2"];
        for (flags, words) in [
            ("--access keys", "--key FILE"),
            ("--key k --let-everybody-debit", "goes with --access open alone"),
            ("--key k --expect A=a", "A itself"),
            ("--key k --expect Z=a", "no server of --cluster"),
            ("--expect B=b", "needs --key FILE"),
            ("--key k --expect B", "is not ID=KEY"),
            ("--key k --expect B=SHA256:x", "43 digits"),
            ("--key k --expect B=x", "neither a fingerprint (SHA256:…) nor a file"),
            ("--key k --expect B=b,C=b", "two servers have the key"),
            ("--key k --expect B=b,B=c", "B is there twice"),
            ("--access nobody", "possible values: open, keys"),
        ] {
            assert!(error(flags, &near).contains(words), "{flags}: {}", error(flags, &near));
        }
    }
}
