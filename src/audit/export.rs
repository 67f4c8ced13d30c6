//! Writes a store's chain and local log out, in the form of [`exported`](crate::audit::exported) or as a
//! table.
//!
//! Both are of one moment, even while the server runs. Each block's text is written as it is stored, so an
//! audit of the file computes the very same hashes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::audit::exported::{EndLine, Ends, Header};
use crate::audit::finding::{Finding, Spot, Trouble};
use crate::audit::stored::{spot, trouble};
use crate::audit::{SOUND, UNREAD, WRONG, redis_options};
use crate::audit::{archives, csv};
use crate::bank::blockchain::block::FORMAT;
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::stored::{Place, Stored};
use crate::store::redis::viewer::{ReadOnlyRedis, StoreViewer};
use crate::wire::to_line;

/// The amount of blocks' text that is read at a time, in bytes.
pub(super) const PIECE: usize = 8 << 20;

/// An export's options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The URL of the Redis.
    pub redis: String,
    /// The folder of the server's segments, if it has any.
    pub archive: Option<PathBuf>,
    /// The server whose store it is; may be omitted where there is only one.
    pub id: Option<ServerId>,
    /// The file to write; the standard output if there is none.
    pub output: Option<PathBuf>,
    /// True for a table with one entry a row.
    pub csv: bool,
    /// How long Redis may take to answer.
    pub timeout: Duration,
}

/// Exports, says on `errors` what went wrong, and returns an exit status like an audit's.
pub fn run(options: &Options, out: &mut dyn Write, errors: &mut dyn Write) -> u8 {
    let (status, said) = match export(options, out) {
        Ok(()) => return SOUND,
        Err(Trouble::Wrong(finding)) => (WRONG, format!("wrong: {finding}")),
        Err(Trouble::Unread(why)) => (UNREAD, why),
    };
    // If this can't be said, there is nobody left to tell.
    let _ = writeln!(errors, "paxos-banking export: {said}");
    status
}

fn export(options: &Options, out: &mut dyn Write) -> Result<(), Trouble> {
    let folders = archives::of(&options.archive).map_err(Trouble::Unread)?;
    let premises = ReadOnlyRedis::new(&options.redis, &redis_options(options.timeout));
    let premises = premises.map_err(trouble)?.with_folders(folders);
    let id = find(&premises, options.id.as_ref())?;
    let mut visitor = premises.visit(&id);
    let contents = visitor.contents().map_err(trouble)?;
    let Some(stored) = contents else {
        return Err(Trouble::Unread(format!("the store of {id} was never used")));
    };
    match &options.output {
        None => write_all(&id, &mut visitor, &stored, options.csv, out),
        Some(path) => {
            let failed = |error| unwritten(&path.display().to_string(), &error);
            let mut file = File::create(path).map_err(failed)?;
            write_all(&id, &mut visitor, &stored, options.csv, &mut file)?;
            file.sync_all().map_err(failed)
        }
    }
}

fn unwritten(place: &str, error: &io::Error) -> Trouble {
    Trouble::Unread(format!("{place} can't be written: {error}"))
}

/// Finds the server that is meant.
pub(super) fn find(premises: &ReadOnlyRedis, id: Option<&ServerId>) -> Result<ServerId, Trouble> {
    let servers = premises.servers().map_err(trouble)?;
    let all: Vec<&str> = servers.iter().map(ServerId::as_str).collect();
    let place = premises.place();
    let unread = |why| Err(Trouble::Unread(why));
    match (id, servers.first()) {
        (_, None) => unread(format!("Redis at {place}: it holds no server's store")),
        (Some(id), _) if servers.contains(id) => Ok(id.clone()),
        (Some(id), _) => unread(format!(
            "Redis at {place}: it holds no store of server {id}; it holds those of {}",
            all.join(", ")
        )),
        (None, Some(only)) if servers.len() == 1 => Ok(only.clone()),
        (None, _) => unread(format!(
            "Redis at {place} holds the stores of {}: say which one by --id",
            all.join(", ")
        )),
    }
}

fn write_all(
    id: &ServerId,
    visitor: &mut StoreViewer,
    stored: &Stored,
    as_table: bool,
    to: &mut dyn Write,
) -> Result<(), Trouble> {
    let mut to = BufWriter::new(to);
    let failed = |error| unwritten("the export", &error);
    let header = Header { server: id.clone(), format: FORMAT, instance: stored.instance };
    let begin = if as_table { csv::HEADER.to_owned() } else { to_line(&header) };
    to.write_all(begin.as_bytes()).map_err(failed)?;
    let mut next = 0;
    while next < stored.blocks {
        let piece = visitor.blocks(next, stored.blocks - 1, PIECE).map_err(trouble)?;
        if piece.is_empty() {
            return Err(Finding::new(spot(visitor, &Place::Block(next)), "missing").into());
        }
        for block in piece {
            let place = || spot(visitor, &Place::Block(next));
            let lines = if as_table {
                block.block().logs.values().flatten().try_for_each(|one| named(one, place))?;
                csv::of_block(block.block())
            } else {
                format!("{}\n", one_line(block.text(), place)?)
            };
            to.write_all(lines.as_bytes()).map_err(failed)?;
            next += 1;
        }
    }
    for (index, element) in stored.log.iter().enumerate() {
        let place = || spot(visitor, &Place::Element(index));
        let lines = if as_table {
            named(element, place)?;
            csv::of_log(id, element)
        } else {
            format!("{{\"log\":{}}}\n", one_line(element.text(), place)?)
        };
        to.write_all(lines.as_bytes()).map_err(failed)?;
    }
    if !as_table {
        let end = Ends { blocks: next, elements: stored.log.len() as u64 };
        to.write_all(to_line(&EndLine { end }).as_bytes()).map_err(failed)?;
    }
    to.flush().map_err(failed)
}

fn named(element: &Element, place: impl FnOnce() -> Spot) -> Result<(), Trouble> {
    match csv::can_be_named(element) {
        true => Ok(()),
        false => {
            let what = format!("the entries from seq {} on can't be numbered", element.first().seq);
            Err(Finding::new(place(), what).into())
        }
    }
}

/// Checks that a text fits on a line of its own. No server writes any other.
pub(super) fn one_line(text: &str, place: impl FnOnce() -> Spot) -> Result<&str, Trouble> {
    match text.contains(['\n', '\r']) {
        false => Ok(text),
        true => {
            let what = "the text is broken over lines, which no server writes";
            Err(Finding::new(place(), what).into())
        }
    }
}
