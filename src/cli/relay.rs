//! The command line of `relay`.

use std::time::Duration;

use clap::Args;
use paxos_banking::bank::address::Address;
use paxos_banking::bank::request::Place;
use paxos_banking::client;
use paxos_banking::client::time::parse_time;
use paxos_banking::relay::{Form, Options, Outlet};

use super::environment::Environment;
use super::keys::{self, OwnKey, Plain, TheirKey};
use super::membership::{Membership, place};
use super::redis::{self, PasswordFile};

/// What names a stream.
const RIGHT: &str = "a stream is redis://HOST:PORT/KEY, or redis://HOST:PORT/DATABASE/KEY, with USER:PASSWORD@ before \
                     HOST if need be: what stands last is the key";

#[derive(Args)]
#[command(
    after_help = "It follows the server without end, goes on by itself after each restart of the server or of Redis, and \
                        may be killed at any time. In the stream each entry has its place, HEIGHT-NUMBER, as its \
                        id, and the fields bank and entry. Only what is in a block is relayed. In a bank with keys, \
                        --key names an auditor's key.\n\n\
                        Exit status: 0 all up to --to is relayed, or nobody reads on; 1 it can't go on; 2 wrong usage."
)]
pub struct Relay {
    #[command(flatten)]
    pub membership: Membership,

    /// The address of the server [default: its address in --cluster]
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Option<Address>,

    /// Put the entries into this stream, after those that are there: redis://HOST:PORT/KEY, or
    /// redis://HOST:PORT/DATABASE/KEY
    #[arg(long, value_name = "URL", required_unless_present_any = ["csv", "json"], conflicts_with_all = ["csv", "json", "after"])]
    pub stream: Option<String>,

    #[command(flatten)]
    pub password_file: PasswordFile,

    /// Write a table to the standard output, with one entry a row
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,

    /// Write lines of JSON to the standard output, one an entry
    #[arg(long)]
    pub json: bool,

    /// With --csv and --json: begin after this place, HEIGHT-NUMBER, the last one that you have, and write no first row
    /// [default: begin with the chain]
    #[arg(long, value_name = "PLACE")]
    pub after: Option<Place>,

    /// End when all up to this block is relayed [default: go on]
    #[arg(long, value_name = "HEIGHT")]
    pub to: Option<u64>,

    #[command(flatten)]
    pub own_key: OwnKey,

    #[command(flatten)]
    pub their_key: TheirKey,

    #[command(flatten)]
    pub plain: Plain,

    /// How long the server may take to answer, and how long Redis may
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    pub timeout: Duration,
}

/// Checks what is to be relayed.
pub(super) fn check(relay: Relay, environment: &Environment) -> Result<Options, String> {
    let Relay { membership, connect, stream, password_file, csv, after, to, .. } = relay;
    let Relay { own_key, their_key, plain, timeout, .. } = relay;
    let (address, others) = place(&membership, connect)?;
    let doors = keys::doors(&own_key, plain.plain, Some(&their_key), environment)?;
    let server = client::Options {
        id: membership.id,
        address,
        others,
        doors,
        session: None,
        timeout,
        give_up_after: timeout,
        json: false,
        commands: Vec::new(),
    };
    let form = if csv { Form::Csv } else { Form::Json };
    let outlet = match stream {
        None => Outlet::Rows(form, after),
        Some(stream) => {
            let (url, key) = parts(&stream)?;
            let url = redis::url(Some(url), None, &password_file);
            let url = url.map_err(|why| why.replace("--redis ", "--stream "))?.ok_or(RIGHT)?;
            Outlet::Stream { url, key, timeout }
        }
    };
    Ok(Options { server, to: outlet, last: to })
}

/// Takes the URL of a stream apart: that of its Redis, and the key.
fn parts(stream: &str) -> Result<(String, String), String> {
    // The URL itself may hold a password.
    let wrong = |why: &str| format!("--stream: {why}; {RIGHT}");
    let (scheme, rest) = stream.split_once("://").ok_or_else(|| wrong("it is no URL"))?;
    let mut pieces = rest.split('/');
    let (host, first, second) = (pieces.next().unwrap_or_default(), pieces.next(), pieces.next());
    let (database, key) = match (first, second, pieces.next()) {
        (Some(key), None, _) => (None, key),
        (Some(database), Some(key), None) => (Some(database), key),
        (None, ..) => return Err(wrong("it names no key")),
        _ => return Err(wrong("it has too many parts")),
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match (database, key) {
        (_, "") => Err(wrong("it names no key")),
        (_, key) if key.contains(['?', '#', '%']) => Err(wrong("a key may hold no ?, # and %")),
        (None, key) if is_number(key) => Err(wrong(&format!(
            "{key} could be a database or a key; with a key of digits alone, name the database too"
        ))),
        (Some(database), _) if database.is_empty() || !is_number(database) => {
            Err(wrong(&format!("a database is a number, not {database:?}")))
        }
        (None, key) => Ok((format!("{scheme}://{host}"), key.to_owned())),
        (Some(database), key) => Ok((format!("{scheme}://{host}/{database}"), key.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_last_is_the_key() {
        let of = |stream| parts(stream).map(|(url, key)| format!("{url} {key}"));
        for (stream, taken) in [
            ("redis://h:1/ledger", "redis://h:1 ledger"),
            ("redis://h:1/2/ledger:a", "redis://h:1/2 ledger:a"),
            ("redis://u:p@h/0/7", "redis://u:p@h/0 7"),
        ] {
            assert_eq!(of(stream), Ok(taken.to_owned()));
        }
        for (stream, why) in [
            ("h:1/ledger", "it is no URL"),
            ("redis://h:1", "it names no key"),
            ("redis://h:1/", "it names no key"),
            ("redis://h:1/2/", "it names no key"),
            ("redis://h:1/2", "2 could be a database or a key"),
            ("redis://h:1/a/b", "a database is a number, not \"a\""),
            ("redis://h:1/1/a/b", "it has too many parts"),
            ("redis://h:1/a?db=2", "a key may hold no ?"),
        ] {
            let said = of(stream).unwrap_err();
            assert!(said.starts_with(&format!("--stream: {why}")), "{stream}: {said}");
            assert!(said.ends_with(RIGHT));
        }
    }
}
