//! The command line of `audit` and `export`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use paxos_banking::audit;
use paxos_banking::bank::ids::ServerId;
use paxos_banking::client::time::parse_time;

use super::values::{Cluster, parse_redis_url};

#[derive(Args)]
#[command(after_help = "It writes nothing, and servers may run meanwhile.\n\n\
                        Exit status: 0 all is sound; 1 something is wrong; 2 wrong usage; \
                        3 something can't be read, and nothing wrong was found in the rest; \
                        4 all could be read and nothing is wrong, but a store holds no bank.")]
pub struct Audit {
    /// Files that `export` wrote
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// A Redis with servers' stores; may be repeated
    #[arg(long, value_name = "URL", value_parser = parse_redis_url)]
    pub redis: Vec<String>,

    /// Only this server's store; may be repeated [default: all that are there]
    #[arg(long = "id", value_name = "ID", requires = "redis")]
    pub ids: Vec<ServerId>,

    /// A running server, asked as clients ask it; may be repeated, or name several, separated by
    /// commas. It doesn't tell its blocks' texts, so their hashes are then its word
    #[arg(long = "server", value_name = "ID=HOST:PORT")]
    pub servers: Vec<Cluster>,

    /// Print the report as exactly one line of JSON
    #[arg(long)]
    pub json: bool,

    /// How long Redis or a server may take to answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub timeout: Duration,
}

#[derive(Args)]
#[command(after_help = "Both are of one moment, also while the server runs.\n\n\
                        Exit status: 0 all is written; 1 the store is wrong; 2 wrong usage; 3 it can't \
                        be read, or the output not written.")]
pub struct Export {
    /// The Redis with the server's store
    #[arg(long, value_name = "URL", value_parser = parse_redis_url)]
    pub redis: String,

    /// Whose store [default: the only one that is there]
    #[arg(long, value_name = "ID")]
    pub id: Option<ServerId>,

    /// A table, one entry a row, in place of lines of JSON that `audit` can read
    #[arg(long)]
    pub csv: bool,

    /// The file to write [default: the standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// How long Redis may take to answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub timeout: Duration,
}

pub fn check_audit(arguments: Audit) -> Result<audit::Options, String> {
    let Audit { files, redis, ids, servers, json, timeout } = arguments;
    if let Some(mistaken) = files.iter().find_map(|file| flag_for(file.to_str()?)) {
        return Err(mistaken);
    }
    let servers: Vec<_> = servers
        .into_iter()
        .flat_map(|some| some.0.into_iter().map(|(id, at)| (id, at.into_string())))
        .collect();
    if redis.is_empty() && servers.is_empty() && files.is_empty() {
        return Err("there is nothing to audit: name a Redis by --redis URL, a running server by \
                    --server ID=HOST:PORT, or files that export wrote"
            .into());
    }
    Ok(audit::Options { redis, ids, servers, files, json, timeout })
}

/// What is to be said of a file's name that looks as if a flag had been forgotten.
fn flag_for(name: &str) -> Option<String> {
    let flag = match name {
        _ if parse_redis_url(name).is_ok() => "--redis",
        _ if name.parse::<Cluster>().is_ok() => "--server",
        _ => return None,
    };
    Some(format!("{name} is no file's name: it goes with {flag}, as in {flag} {name}"))
}

pub fn check_export(arguments: Export) -> audit::export::Options {
    let Export { redis, id, csv, output, timeout } = arguments;
    audit::export::Options { redis, id, csv, output, timeout }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_flag_is_named() {
        assert!(flag_for("redis://127.0.0.1:6379").unwrap().contains("with --redis"));
        assert!(flag_for("A=127.0.0.1:8001,B=h:2").unwrap().contains("with --server"));
        assert_eq!(flag_for("bank.jsonl"), None);
    }
}
