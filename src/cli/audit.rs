//! The command line of `audit` and `export`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use paxos_banking::audit::export::{Form, From};
use paxos_banking::audit::{self, backup};
use paxos_banking::bank::ids::ServerId;
use paxos_banking::client::time::parse_time;

use super::doors::Expected;
use super::environment::Environment;
use super::keys::{self, OwnKey, Plain};
use super::redis::{self, PasswordFile};
use super::values::Cluster;

#[derive(Args)]
#[command(after_help = "It writes nothing, and servers may run meanwhile.\n\n\
                        Exit status: 0 all is sound; 1 something is wrong; 2 wrong usage; \
                        3 something can't be read, and nothing wrong was found in the rest; \
                        4 all could be read and nothing is wrong, but a store holds no bank.")]
pub struct Audit {
    /// Files that `export` wrote, or of an archive; or the folder of a backup. Of an archive, name all files, or
    /// some that follow each other: without the beginning, less can be verified
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// A Redis with servers' stores; may be repeated [default: what PAXOS_BANKING_REDIS holds, if
    /// nothing else is to be audited]
    #[arg(long, value_name = "URL")]
    pub redis: Vec<String>,

    #[command(flatten)]
    pub password_file: PasswordFile,

    /// The folder of a server's segments, for a store whose oldest blocks are in segments; may be repeated
    #[arg(long = "archive", value_name = "DIR")]
    pub archives: Vec<PathBuf>,

    /// Only this server's store; may be repeated [default: all that are there]
    #[arg(long = "id", value_name = "ID")]
    pub ids: Vec<ServerId>,

    /// A running server, asked as a client asks it; may be repeated, or name several, separated by
    /// commas. It doesn't tell its blocks' texts, so their hashes are its word
    #[arg(long = "server", value_name = "ID=HOST:PORT")]
    pub servers: Vec<Cluster>,

    #[command(flatten)]
    pub own_key: OwnKey,

    /// The keys that the servers have to prove, each its fingerprint or the file beside its secret key. They
    /// are then remembered in known_servers, instead of what was known of these addresses
    /// [default: those in known_servers; where there is none, the first one seen is put there]
    #[arg(long, value_name = "ID=KEY,…", requires = "servers", conflicts_with = "plain")]
    pub server_key: Option<Expected>,

    #[command(flatten)]
    pub plain: Plain,

    /// Print the report as exactly one line of JSON
    #[arg(long)]
    pub json: bool,

    /// How long Redis or a server may take to answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub timeout: Duration,
}

/// The store of one server, and how long it may take to answer.
#[derive(Args)]
pub struct OneStore {
    /// The Redis with the server's store [default: what PAXOS_BANKING_REDIS holds]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,

    #[command(flatten)]
    pub password_file: PasswordFile,

    /// The folder of the server's segments, if its oldest blocks are in segments
    #[arg(long, value_name = "DIR")]
    pub archive: Option<PathBuf>,

    /// The server whose store it is [default: the only one there]
    #[arg(long, value_name = "ID")]
    pub id: Option<ServerId>,

    /// How long Redis may take to answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub timeout: Duration,
}

impl OneStore {
    /// Returns the URL of the Redis. `variable` is the one in the environment.
    fn url(&self, variable: Option<String>) -> Result<String, String> {
        let named = redis::url(self.redis.clone(), variable, &self.password_file)?;
        named.ok_or_else(|| {
            "the Redis with the server's store is not named: --redis <URL> names it, or \
             PAXOS_BANKING_REDIS"
                .to_owned()
        })
    }
}

#[derive(Args)]
#[command(after_help = "Chain and log are of one moment, also while the server runs.\n\n\
                        Exit status: 0 all is written; 1 the store is wrong; 2 wrong usage; 3 it can't \
                        be read, or the output not written.")]
pub struct Export {
    /// A file that `export` wrote as lines of JSON, or the folder of a backup, instead of a store in a Redis
    #[arg(value_name = "FILE", conflicts_with_all = ["redis", "redis_password_file", "archive", "id"])]
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub store: OneStore,

    /// Write a table with one entry a row, instead of lines of JSON that `audit` can read
    #[arg(long)]
    pub csv: bool,

    /// Write a journal for `ledger` and `hledger`: a transaction for each opening balance and each transfer
    #[arg(long, conflicts_with = "csv")]
    pub ledger: bool,

    /// The file to write [default: the standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "The backup is of one moment, also while the server runs. A later one into the same folder writes \
                        only what is new, and stays out of the way of the earlier one until it is whole.\n\n\
                        Exit status: 0 done, or sound; 1 something is wrong; 2 wrong usage; 3 the store can't be \
                        read, or the folder not written."
)]
pub struct Backup {
    /// The folder of the backup: new, empty, or with an earlier backup of this server
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Verify the backup that is there, instead of taking one: each file, and the whole chain with its log
    #[arg(long, conflicts_with_all = ["redis", "archive", "id", "quick"])]
    pub verify: bool,

    #[command(flatten)]
    pub store: OneStore,

    /// Compare only the lengths of files that are there already, not what they hold
    #[arg(long)]
    pub quick: bool,
}

/// Checks what only the flags together can get wrong.
pub fn check_audit(arguments: Audit, environment: &Environment) -> Result<audit::Options, String> {
    let Audit { files, redis, password_file, archives, ids, servers, server_key, .. } = arguments;
    let Audit { json, timeout, .. } = arguments;
    if let Some(mistaken) = files.iter().find_map(|file| flag_for(file.to_str()?)) {
        return Err(mistaken);
    }
    let servers: Vec<_> = servers
        .into_iter()
        .flat_map(|some| some.0.into_iter().map(|(id, at)| (id, at.into_string())))
        .collect();
    let nothing_else = servers.is_empty() && files.is_empty();
    let named = server_key.map(|Expected(keys)| keys).unwrap_or_default();
    if let Some(id) = named.keys().find(|id| !servers.iter().any(|(known, _)| known == *id)) {
        return Err(format!("--server-key names {id}, which no --server names"));
    }
    let doors = match servers.is_empty() {
        // A key has nobody to be shown to.
        true => None,
        false => keys::doors(&arguments.own_key, arguments.plain.plain, None, environment)?,
    };
    if doors.is_none() && !named.is_empty() {
        return Err(
            "--server-key needs a key of yours: over plain lines no server proves its own; \
                    --key FILE names one, and `paxos-banking key` makes one"
                .into(),
        );
    }
    let variable = environment.redis.clone().filter(|_| nothing_else || !ids.is_empty());
    let redis = redis::urls(redis, variable, &password_file)?;
    if redis.is_empty() && !ids.is_empty() {
        return Err("--id picks among the stores of a Redis, which --redis <URL> names".into());
    }
    if redis.is_empty() && !archives.is_empty() {
        return Err("--archive goes with the store that its segments left, which --redis <URL> names; segments \
                    alone are files, and need no flag"
            .into());
    }
    if redis.is_empty() && nothing_else {
        return Err("there is nothing to audit: name a Redis by --redis URL, a running server by \
                    --server ID=HOST:PORT, or files that export wrote"
            .into());
    }
    let server_keys = named;
    Ok(audit::Options { redis, archives, ids, servers, doors, server_keys, files, json, timeout })
}

/// Suggests the flag that was forgotten, if a file's name looks like its value.
fn flag_for(name: &str) -> Option<String> {
    // The URL may hold a password, and is not repeated.
    if ["redis://", "rediss://", "unix://", "valkey://"].iter().any(|at| name.starts_with(at)) {
        return Some(
            "the URL of a Redis is no file's name: it goes with --redis, as in --redis \
             redis://HOST:PORT"
                .into(),
        );
    }
    name.parse::<Cluster>().ok()?;
    Some(format!("{name} is no file's name: it goes with --server, as in --server {name}"))
}

/// Does the same for an export. `variable` is the URL in the environment.
pub fn check_export(
    arguments: Export,
    variable: Option<String>,
) -> Result<audit::export::Options, String> {
    let Export { file, store, csv, ledger, output } = arguments;
    let form = match (csv, ledger) {
        (true, _) => Form::Csv,
        (_, true) => Form::Journal,
        (false, false) => Form::Json,
    };
    let from = match file {
        Some(file) => From::File(file),
        None => {
            let redis = store.url(variable)?;
            let OneStore { archive, id, timeout, .. } = store;
            From::Store { redis, archive, id, timeout }
        }
    };
    Ok(audit::export::Options { from, output, form })
}

/// Does the same for a backup.
pub fn check_backup(arguments: Backup, variable: Option<String>) -> Result<backup::Order, String> {
    let Backup { folder, verify, store, quick } = arguments;
    if folder.as_os_str().is_empty() {
        return Err("the name of the backup's folder is empty".into());
    }
    if verify {
        return Ok(backup::Order::Verify(folder));
    }
    let redis = store.url(variable)?;
    let OneStore { archive, id, timeout, .. } = store;
    let options = backup::Options { folder, redis, archive, id, quick, timeout };
    Ok(backup::Order::Take(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_flag_is_named() {
        let url = flag_for("redis://:secret@127.0.0.1:6379?db=1").unwrap();
        assert!(url.contains("with --redis") && !url.contains("secret"), "{url}");
        assert!(flag_for("A=127.0.0.1:8001,B=h:2").unwrap().contains("with --server"));
        assert_eq!(flag_for("bank.jsonl"), None);
    }
}
