//! Writes a store's chain and local log out, in the form of [`exported`](crate::audit::exported), as a table, or as a
//! journal of plain-text accounting.
//!
//! Chain and log are of one moment, even while the server runs. Each block's text is written as it is stored, so an
//! audit of the file computes the very same hashes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::audit::exported::{EndLine, Ends, Header};
use crate::audit::finding::{Finding, Spot, Trouble};
use crate::audit::past::{self, Past};
use crate::audit::source::Standing;
use crate::audit::stored::trouble;
use crate::audit::{SOUND, UNREAD, WRONG, redis_options};
use crate::audit::{archives, csv, journal};
use crate::bank::blockchain::block::{FORMAT, SealedBlock};
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::stored::{Place, Stored};
use crate::store::redis::viewer::ReadOnlyRedis;
use crate::wire::to_line;

/// An export's options.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is read.
    pub from: From,
    /// The file to write; the standard output if there is none.
    pub output: Option<PathBuf>,
    /// What is written.
    pub form: Form,
}

/// Where an export is read.
#[derive(Clone, Debug)]
pub enum From {
    /// A store in a Redis.
    Store {
        /// The URL of the Redis.
        redis: String,
        /// The folder of the server's segments, if it has any.
        archive: Option<PathBuf>,
        /// The server whose store it is; may be omitted where there is only one.
        id: Option<ServerId>,
        /// How long Redis may take to answer.
        timeout: Duration,
    },
    /// A file that was exported, or the folder of a backup.
    File(PathBuf),
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines of JSON, which can be audited.
    Json,
    /// A table with one entry a row.
    Csv,
    /// A journal of plain-text accounting.
    Journal,
}

/// What is read at one moment, beside the blocks.
struct Moment {
    header: Header,
    blocks: u64,
    log: Vec<Element>,
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
    let (mut past, moment) = match &options.from {
        From::Store { redis, archive, id, timeout } => {
            of_store(redis, archive.as_ref(), id.as_ref(), *timeout)?
        }
        From::File(path) => of_file(path)?,
    };
    match &options.output {
        None => write_all(&mut *past, &moment, options.form, out),
        Some(path) => {
            let failed = |error| unwritten(&path.display().to_string(), &error);
            let mut file = File::create(path).map_err(failed)?;
            write_all(&mut *past, &moment, options.form, &mut file)?;
            file.sync_all().map_err(failed)
        }
    }
}

fn of_store(
    redis: &str,
    archive: Option<&PathBuf>,
    id: Option<&ServerId>,
    timeout: Duration,
) -> Result<(Box<dyn Past>, Moment), Trouble> {
    let folders = archives::of(archive).map_err(Trouble::Unread)?;
    let premises = ReadOnlyRedis::new(redis, &redis_options(timeout));
    let premises = premises.map_err(trouble)?.with_folders(folders);
    let server = find(&premises, id)?;
    let mut visitor = premises.visit(&server);
    let contents = visitor.contents().map_err(trouble)?;
    let Some(Stored { instance, blocks, log, .. }) = contents else {
        return Err(Trouble::Unread(format!("the store of {server} was never used")));
    };
    let header = Header { server, format: FORMAT, instance };
    Ok((Box::new(visitor), Moment { header, blocks, log }))
}

fn of_file(path: &Path) -> Result<(Box<dyn Past>, Moment), Trouble> {
    let (source, Standing { blocks, log, instance, .. }) = past::open(path)?;
    let (Some(server), Some(instance)) = (source.server(), instance) else {
        let place = path.display();
        return Err(Trouble::Unread(format!(
            "{place}: it doesn't say whose it is, as an export does"
        )));
    };
    let header = Header { server, format: FORMAT, instance };
    Ok((Box::new(source), Moment { header, blocks, log }))
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
    past: &mut dyn Past,
    moment: &Moment,
    form: Form,
    to: &mut dyn Write,
) -> Result<(), Trouble> {
    let mut to = BufWriter::new(to);
    let failed = |error| unwritten("the export", &error);
    let Moment { header, blocks, log } = moment;
    to.write_all(begin(header, form).as_bytes()).map_err(failed)?;
    let mut next = 0;
    while next < *blocks {
        let piece = past.blocks(next, blocks - 1)?;
        if piece.is_empty() {
            return Err(Finding::new(past.spot(&Place::Block(next)), "missing").into());
        }
        for block in piece {
            let lines = of_block(&block, form, || past.spot(&Place::Block(next)))?;
            to.write_all(lines.as_bytes()).map_err(failed)?;
            next += 1;
        }
    }
    if form == Form::Journal {
        to.write_all(journal::before_log(log).as_bytes()).map_err(failed)?;
    }
    for (index, element) in log.iter().enumerate() {
        let lines = of_log(&header.server, element, form, || past.spot(&Place::Element(index)))?;
        to.write_all(lines.as_bytes()).map_err(failed)?;
    }
    if form == Form::Json {
        let end = Ends { blocks: next, elements: log.len() as u64 };
        to.write_all(to_line(&EndLine { end }).as_bytes()).map_err(failed)?;
    }
    to.flush().map_err(failed)
}

fn begin(header: &Header, form: Form) -> String {
    match form {
        Form::Json => to_line(header),
        Form::Csv => csv::HEADER.to_owned(),
        Form::Journal => journal::begin(header),
    }
}

fn of_block(block: &SealedBlock, form: Form, place: impl Fn() -> Spot) -> Result<String, Trouble> {
    if form == Form::Json {
        return Ok(format!("{}\n", one_line(block.text(), place)?));
    }
    let block = block.block();
    block.logs.values().flatten().try_for_each(|element| named(element, &place))?;
    Ok(match form {
        Form::Csv => csv::of_block(block),
        _ => journal::of_block(block),
    })
}

fn of_log(
    server: &ServerId,
    element: &Element,
    form: Form,
    place: impl Fn() -> Spot,
) -> Result<String, Trouble> {
    if form == Form::Json {
        return Ok(format!("{{\"log\":{}}}\n", one_line(element.text(), place)?));
    }
    named(element, place)?;
    Ok(match form {
        Form::Csv => csv::of_log(server, element),
        _ => journal::of_log(server, element),
    })
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
