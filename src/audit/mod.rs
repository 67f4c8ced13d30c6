//! The audit: reads what servers have stored, say or exported, and verifies all of it.
//!
//! It needs no server and writes nothing. Each chain is followed from block 0 ([`replay`]), by the servers'
//! own rules for a block ([`Chain::verify`](crate::bank::blockchain::chain::Chain::verify)) but by none of
//! their shortcuts. What a store holds beside its chain is compared with what follows from the chain
//! ([`examined`], [`kept`], [`log`]); then all stores are compared with each other ([`across`]).
//!
//! Servers may run meanwhile. A chain only grows, so everything else is read together with the chain's
//! length at that moment, and compared with the chain of that length. A chain is read in pieces and never
//! held as a whole. What is held is the accounts, one local log each, and which requests were carried
//! out.
//!
//! [`export`] writes a chain and a log to a file that can be audited in turn, or as a table.
//!
//! Exit status: 0, all is sound; 1, something is wrong; 2, wrong usage; 3, something can't be read, and
//! nothing wrong was found in the rest; 4, all could be read and nothing is wrong, but a store holds no bank.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::audit::across::Across;
use crate::audit::backup::source::BackupSource;
use crate::audit::examined::Examined;
use crate::audit::finding::Trouble;
use crate::audit::report::Report;
use crate::audit::served::ServerSource;
use crate::audit::source::Source;
use crate::audit::stored::StoreSource;
use crate::audit::stretch::Stretch;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ServerId;
use crate::client::doors::Doors;
use crate::store::redis::Options as RedisOptions;
use crate::store::redis::viewer::ReadOnlyRedis;
use crate::wire::to_line;

pub mod across;
pub mod archives;
pub mod backup;
pub mod csv;
pub mod examined;
pub mod export;
pub mod exported;
pub mod finding;
pub mod journal;
pub mod kept;
pub mod log;
pub mod past;
pub mod replay;
pub mod report;
pub mod requests;
pub mod segments;
pub mod served;
pub mod source;
pub mod stored;
pub mod stretch;
pub mod succession;

/// The status if all is sound.
pub const SOUND: u8 = 0;
/// The status if something is wrong.
pub const WRONG: u8 = 1;
/// The status if something can't be read.
pub const UNREAD: u8 = 3;
/// The status if a store holds no bank.
pub const NO_BANK: u8 = 4;

/// An audit's options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The URLs of each Redis.
    pub redis: Vec<String>,
    /// The folders of the servers' segments.
    pub archives: Vec<PathBuf>,
    /// The servers whose stores are looked for there; if none are named, all that are there.
    pub ids: Vec<ServerId>,
    /// Running servers, with their addresses.
    pub servers: Vec<(ServerId, String)>,
    /// The keys with which they are asked; none to ask in plain lines.
    pub doors: Option<Doors>,
    /// The keys that some of these servers have to prove, whatever was known of them.
    pub server_keys: BTreeMap<ServerId, Fingerprint>,
    /// Exported files.
    pub files: Vec<PathBuf>,
    /// True to print one line of JSON.
    pub json: bool,
    /// How long Redis or a server may take to answer.
    pub timeout: Duration,
}

/// Audits, prints the report, and returns the exit status.
pub fn run(options: &Options, out: &mut dyn Write) -> u8 {
    let (mut sources, mut unread) = stores(options);
    let Options { servers, files, .. } = options;
    let server = |(id, address): &(ServerId, String)| -> Box<dyn Source> {
        Box::new(ServerSource::new(id.clone(), address.clone(), options))
    };
    sources.extend(servers.iter().map(server));
    let (folders, files): (Vec<_>, Vec<_>) = files.iter().cloned().partition(|path| path.is_dir());
    let (backups, troubles) = backups(&folders);
    unread.extend(troubles);
    sources.extend(backups);
    let (whole, segments) = segments::sort(&files);
    sources.extend(whole.into_iter().map(|file| -> Box<dyn Source> { Box::new(file) }));
    let (whole, parts): (Vec<_>, Vec<_>) =
        segments.into_iter().partition(|files| files.first() == 0);
    sources.extend(whole.into_iter().map(|files| -> Box<dyn Source> { Box::new(files) }));
    let report = audit(sources, parts.into_iter().map(Stretch::of).collect(), unread);
    let written = match options.json {
        true => out.write_all(to_line(&report).as_bytes()),
        false => report.write(out),
    };
    match &report {
        _ if report.first.is_some() => WRONG,
        _ if report.is_incomplete() || written.is_err() => UNREAD,
        _ if report.lacks_a_bank() => NO_BANK,
        _ => SOUND,
    }
}

/// Opens the backups in these folders; and says which can't be opened, and why.
fn backups(folders: &[PathBuf]) -> (Vec<Box<dyn Source>>, Vec<String>) {
    let (mut sources, mut unread): (Vec<Box<dyn Source>>, _) = (Vec::new(), Vec::new());
    for folder in folders {
        match BackupSource::open(folder) {
            Ok(source) => sources.push(Box::new(source)),
            Err(Trouble::Wrong(finding)) => unread.push(finding.to_string()),
            Err(Trouble::Unread(why)) => unread.push(why),
        }
    }
    (sources, unread)
}

/// Examines each source, and then all of them together, with the stretches of chains. `unread` lists what was
/// looked for in vain.
pub fn audit(
    sources: Vec<Box<dyn Source>>,
    mut stretches: Vec<Stretch>,
    unread: Vec<String>,
) -> Report {
    let mut all: Vec<Examined> = sources.into_iter().map(Examined::of).collect();
    let across = match all.len() {
        0 => Across::default(),
        _ => succession::compare_all(&mut all),
    };
    if let Some(reference) = across.reference {
        stretches.iter_mut().for_each(|stretch| stretch.compare(&mut all[reference]));
    }
    Report::new(&all, across, stretches, unread)
}

/// Returns an auditor's options for Redis. It writes nothing, so weak settings don't matter.
pub(crate) fn redis_options(timeout: Duration) -> RedisOptions {
    RedisOptions { allow_weak: true, connect_timeout: timeout, timeout, ..RedisOptions::default() }
}

/// Finds the stores in every Redis named; and says what was looked for in vain, and why.
fn stores(options: &Options) -> (Vec<Box<dyn Source>>, Vec<String>) {
    let (mut sources, mut unread): (Vec<Box<dyn Source>>, _) = (Vec::new(), Vec::new());
    let mut found = BTreeSet::new();
    let wanted = |id: &ServerId| options.ids.is_empty() || options.ids.contains(id);
    let folders = archives::of(&options.archives).unwrap_or_else(|why| {
        unread.push(why);
        BTreeMap::new()
    });
    for url in &options.redis {
        let there = ReadOnlyRedis::new(url, &redis_options(options.timeout))
            .and_then(|premises| Ok((premises.servers()?, premises.with_folders(folders.clone()))));
        let (servers, premises) = match there {
            Ok(there) => there,
            Err(error) => {
                unread.push(error.to_string());
                continue;
            }
        };
        if servers.is_empty() {
            unread.push(format!("Redis at {}: it holds no server's store", premises.place()));
        }
        for id in servers.iter().filter(|id| wanted(id)) {
            sources.push(Box::new(StoreSource::new(&premises, id.clone())));
        }
        found.extend(servers);
    }
    for id in options.ids.iter().filter(|id| !found.contains(*id)) {
        let there: Vec<&str> = found.iter().map(ServerId::as_str).collect();
        let there = if there.is_empty() { "none".into() } else { there.join(", ") };
        unread.push(format!("server {id} has no store there; there are stores of: {there}"));
    }
    (sources, unread)
}
