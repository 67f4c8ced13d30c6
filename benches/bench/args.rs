//! What is to be measured, and where.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use super::Fallible;
use super::bank::Running;
use super::starve::Row;

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// what this Redis takes from bare loops that do nothing but write durably
    Limit,
    /// transfers that their home covers: batched, pipelined, and one in flight each
    Local,
    /// the same while servers settle continuously: transfers in committed blocks
    Settled,
    /// transfers that force a run, alone and in competition
    Overdraft,
    /// servers 50 ms apart, beside the same with every transfer through Paxos
    Wan,
    /// what a long chain costs, up to a hundred million transfers: throughput, memory, disk, pages, start
    Growth,
    /// a server is killed under load and comes back
    Fault,
    /// ten thousand and a million accounts
    Accounts,
    /// what keys cost: the same bank with and without
    Keys,
    /// how long a run takes that gathers the logs of 3, 10, 30 and 60 branches
    Branches,
    /// what moving old blocks to segments costs, and how fast a server catches up from segments
    Archive,
    /// pages of statements from the middle of two million blocks
    History,
    /// what 50 followers and 5 browsers cost; one follower from the beginning of ten million entries
    Followers,
    /// greedy clients and peers that lie, row by row, on this build and on another one; only if named
    Starve,
}

impl Scenario {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Limit => "limit",
            Scenario::Local => "local",
            Scenario::Settled => "settled",
            Scenario::Overdraft => "overdraft",
            Scenario::Wan => "wan",
            Scenario::Growth => "growth",
            Scenario::Fault => "fault",
            Scenario::Accounts => "accounts",
            Scenario::Keys => "keys",
            Scenario::Branches => "branches",
            Scenario::Archive => "archive",
            Scenario::History => "history",
            Scenario::Followers => "followers",
            Scenario::Starve => "starve",
        }
    }

    /// Whether it can be played on a bank that runs already.
    fn joins(self) -> bool {
        matches!(self, Scenario::Local | Scenario::Settled)
    }
}

/// Measures a bank of three servers that it starts itself, or one that runs already. Results are in
/// target/bench: a page with plots, and JSON. After each scenario all stores are checked; one whose
/// check fails has no figures, and the exit status is 1.
#[derive(Parser)]
#[command(
    name = "./dev.sh bench",
    override_usage = "./dev.sh bench [compare PROGRAM] [OPTIONS] [SCENARIO]...",
    after_help = "PAXOS_BANKING_BIN names a server program to measure instead of this one's."
)]
pub struct Arguments {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,

    /// How long each measurement takes [default: 2 to 5 seconds, as the scenario needs it]
    #[arg(long, value_name = "N", value_parser = parse_seconds)]
    pub seconds: Option<f64>,

    /// How often each is repeated: wan, fault and accounts at most three times, growth once. Figures are
    /// medians, and ratios medians of the ratios of each run
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u16).range(1..=99))]
    runs: u16,

    /// Drive this bank, which runs already, with accounts that hold enough (--opening-balance)
    #[arg(long, value_name = "ID=HOST:PORT,…")]
    cluster: Option<String>,

    /// The Redis of that bank, or of each of its servers in their order: to check what is stored
    #[arg(long, value_name = "URL,…", requires = "cluster", value_delimiter = ',')]
    redis: Vec<String>,

    /// The archives of that bank's servers: to check what is in segments
    #[arg(long, value_name = "DIR,…", requires = "cluster", value_delimiter = ',')]
    archive: Vec<PathBuf>,

    /// Play the scenarios on this server program and on the present one in turns, and print each figure of both and their
    /// ratio, as `compare PROGRAM SCENARIO…` does
    #[arg(long, value_name = "PROGRAM", conflicts_with = "cluster", value_parser = parse_file)]
    pub compare: Option<PathBuf>,

    /// Servers reach Redis by its Unix socket, not over loopback; with `compare`, those of the present build only
    #[arg(long, conflicts_with = "cluster")]
    pub socket: bool,

    /// Play `starve`, `growth`, `archive` and `history` with this server program too, and print what is found
    /// beside this build's
    #[arg(long, value_name = "PROGRAM", value_parser = parse_file)]
    pub beside: Option<PathBuf>,

    /// The settings of the other build's Redis in `growth`, `archive` and `history` [default: ./redis.conf]
    #[arg(long, value_name = "FILE", requires = "beside", value_parser = parse_file)]
    pub beside_redis_conf: Option<PathBuf>,

    /// What of `starve` to play [default: everything; all of it takes about ten minutes for two builds]
    #[arg(long, value_name = "ROW,…", value_enum, value_delimiter = ',')]
    pub rows: Vec<Row>,

    /// How far `growth` goes, if memory and disk suffice
    #[arg(long, value_name = "TRANSFERS", default_value = "100000000")]
    pub most: u64,

    /// Where stores are kept while it runs; on a disk [default: target/bench]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,

    /// Small sizes and one run: to see that all works. Its figures mean nothing
    #[arg(long)]
    pub small: bool,
}

/// Reads the words, and ends the program with a message if they make no sense.
pub fn parse(mut words: Vec<String>) -> Arguments {
    if let Some(first) = words.first_mut().filter(|first| *first == "compare") {
        *first = "--compare".to_owned();
    }
    Arguments::parse_from(std::iter::once("bench".to_owned()).chain(words))
}

impl Arguments {
    /// What is to be measured, in the usual order.
    pub fn scenarios(&self) -> Vec<Scenario> {
        let all = Scenario::value_variants().iter().copied();
        let wanted = |one: &Scenario| match (self.scenarios.is_empty(), &self.cluster) {
            (false, _) => self.scenarios.contains(one),
            (true, Some(_)) => one.joins(),
            // It says nothing of how fast a server is; small, it is to work like all others.
            (true, None) => *one != Scenario::Starve || self.small,
        };
        all.filter(wanted).collect()
    }

    /// How often each measurement is made.
    pub fn runs(&self) -> usize {
        if self.small { 1 } else { usize::from(self.runs) }
    }

    /// The bank that runs already, if one is to be driven.
    pub fn running(&self) -> Fallible<Option<Running>> {
        let Some(cluster) = &self.cluster else { return Ok(None) };
        if let Some(other) = self.scenarios.iter().find(|one| !one.joins()) {
            return Err(format!(
                "{} starts and kills servers of its own: not with --cluster",
                other.name()
            ));
        }
        let entry = |entry: &str| {
            let (id, address) = entry.split_once('=')?;
            (!id.is_empty() && address.contains(':')).then(|| (id.to_owned(), address.to_owned()))
        };
        let addresses: Option<_> = cluster.split(',').map(entry).collect();
        let addresses =
            addresses.ok_or_else(|| format!("--cluster is ID=HOST:PORT,…, not {cluster}"))?;
        let (redis, archives) = (self.redis.clone(), self.archive.clone());
        Ok(Some(Running { addresses, redis, archives }))
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=600.0).contains(seconds));
    seconds.ok_or_else(|| "a number of seconds is from 0.1 to 600".to_owned())
}

fn parse_file(text: &str) -> Result<PathBuf, String> {
    let file = std::fs::canonicalize(text).map_err(|error| error.to_string())?;
    if file.is_file() { Ok(file) } else { Err("it is no file".to_owned()) }
}
