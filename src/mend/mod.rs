//! Mends what a power cut left of Redis's append-only file, and nothing else.
//!
//! Redis's own repair, `redis-check-aof --fix`, cuts at the first place that it can't read: one damaged byte in
//! the middle costs all transactions after it. So `mend` looks first ([`look`]): at the [`folder`], then at each
//! file's [`snapshot`] and [`commands`]. It cuts off ([`mod@cut`]) only an unfinished write at the very end, which
//! nobody was told is durable. All else is damage, which people have to decide about.
//!
//! A byte that changed *within* a value can't be seen here; an audit sees it.
//!
//! Exit status: 0, all is whole, or was mended; 1, something is damaged or can't be read; 2, wrong usage; 3, there
//! is a torn tail, and nobody has said that it may be cut off.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::mend::commands::Whole;
use crate::mend::cut::{Cut, cut};
use crate::mend::folder::Fault;

pub mod commands;
pub mod cut;
pub mod folder;
pub mod snapshot;

/// The status if all is whole, or was mended.
pub const WHOLE: u8 = 0;
/// The status if something is damaged, or can't be read.
pub const DAMAGED: u8 = 1;
/// The status if there is a torn tail, and nobody has said that it may be cut off.
pub const TORN: u8 = 3;

/// The number of bytes read at once.
const BUFFER: usize = 1 << 18;

/// The folder to mend, and how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Redis's folder: `dir` in its settings.
    pub folder: PathBuf,
    /// True to cut off a torn tail.
    pub cut: bool,
    /// True to count a tail of zeros as torn.
    pub zeros: bool,
}

/// A file, and how far it is whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Looked {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// The length in bytes of the snapshot with which it begins, or 0.
    pub snapshot: u64,
    /// The commands after the snapshot.
    pub whole: Whole,
    /// The number of zeros at the end.
    pub zeros: u64,
}

impl Looked {
    /// Returns the length of the torn tail in bytes, or 0.
    pub fn torn(&self) -> u64 {
        self.bytes - self.whole.end
    }
}

/// Looks, and mends if allowed. Says on `out` what is there and on `err` what was done or has to be done.
/// Returns the exit status.
pub fn run(options: &Options, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let said = match mend(options, out) {
        Ok(None) => return WHOLE,
        Ok(Some(Mended { torn, done: Some(done) })) => (WHOLE, words_of_cut(&torn, &done)),
        Ok(Some(Mended { torn, done: None })) => (TORN, words_of_torn(&torn)),
        Err(fault) => (DAMAGED, words_of_damage(&fault, &options.folder)),
    };
    // If this can't be printed, the status still tells it.
    let _ = writeln!(err, "{}", said.1);
    said.0
}

/// A file with a torn tail, and what was done about it.
struct Mended {
    torn: Looked,
    done: Option<Cut>,
}

fn mend(options: &Options, out: &mut dyn Write) -> Result<Option<Mended>, Fault> {
    let all = look(&options.folder, options.zeros)?;
    for looked in &all {
        let _ = writeln!(out, "{}", report(looked));
    }
    if all.is_empty() {
        let _ = writeln!(
            out,
            "{}: there is no append-only file, so a Redis that begins there is empty",
            options.folder.display()
        );
    }
    let Some(torn) = all.into_iter().next_back().filter(|looked| looked.torn() > 0) else {
        return Ok(None);
    };
    let done = match options.cut {
        true => Some(cut(&torn.path, torn.whole.end)?),
        false => None,
    };
    Ok(Some(Mended { torn, done }))
}

/// Looks at all files, in the order in which Redis would load them. Only the last may have a torn tail.
///
/// # Errors
/// If a file is damaged, or can't be read.
pub fn look(folder: &Path, zeros: bool) -> Result<Vec<Looked>, Fault> {
    if let Err(error) = std::fs::read_dir(folder) {
        return Err(Fault::unread(folder, &error));
    }
    let mut all = Vec::new();
    for file in folder::files(folder)? {
        let looked = look_at(&file)?;
        if looked.zeros > 0 && !zeros {
            return Err(zeros_at_end(&looked));
        }
        all.push(looked);
    }
    let before_last = all.len().saturating_sub(1);
    match all[..before_last].iter().find(|looked| looked.torn() > 0) {
        Some(looked) => Err(Fault::new(
            &looked.path,
            format!("it ends, at offset {}, within a write, and others follow it", looked.bytes),
        )),
        None => Ok(all),
    }
}

/// Looks at one file.
fn look_at(path: &Path) -> Result<Looked, Fault> {
    let failed = |error: io::Error| Fault::unread(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let zeros = zeros_at_end_of(&mut file, bytes).map_err(failed)?;
    let mut source = BufReader::with_capacity(BUFFER, file);
    source.seek(SeekFrom::Start(0)).map_err(failed)?;
    let snapshot = snapshot_of(path, &mut source)?;
    let part = snapshot..(bytes - zeros).max(snapshot);
    match commands::scan(&mut source, part).map_err(failed)? {
        Ok(whole) => {
            let zeros = if whole.end == bytes { 0 } else { zeros };
            Ok(Looked { path: path.into(), bytes, snapshot, whole, zeros })
        }
        Err(damage) => Err(Fault::new(path, words_of(&damage))),
    }
}

/// Returns how many bytes of the file are a snapshot: none, its beginning, or all of it.
fn snapshot_of(path: &Path, source: &mut BufReader<File>) -> Result<u64, Fault> {
    let failed = |error: io::Error| Fault::unread(path, &error);
    let must_be = path.extension().is_some_and(|extension| extension == "rdb");
    let mut beginning = Vec::new();
    source.by_ref().take(9).read_to_end(&mut beginning).map_err(failed)?;
    source.seek(SeekFrom::Start(0)).map_err(failed)?;
    match snapshot::begins(&beginning) {
        true => {}
        false if must_be => return Err(Fault::new(path, "it does not begin as a snapshot does")),
        false => return Ok(0),
    }
    let length = snapshot::length(source).map_err(failed)?;
    length.ok_or_else(|| Fault::new(path, "its snapshot is damaged: no checksum in it fits"))
}

fn zeros_at_end_of(file: &mut File, bytes: u64) -> io::Result<u64> {
    let mut end = bytes;
    let mut piece = vec![0; BUFFER];
    while end > 0 {
        let length = end.min(BUFFER as u64);
        file.seek(SeekFrom::Start(end - length))?;
        let piece = &mut piece[..length as usize];
        file.read_exact(piece)?;
        if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
            return Ok(bytes - (end - length + last as u64 + 1));
        }
        end -= length;
    }
    Ok(bytes)
}

fn report(looked: &Looked) -> String {
    let Looked { path, bytes, snapshot, whole, zeros } = looked;
    let mut parts = vec![format!("{bytes} bytes")];
    if *snapshot > 0 {
        parts.push(format!("a snapshot of {snapshot} bytes"));
    }
    if whole.transactions > 0 || *snapshot == 0 {
        parts.push(counted(whole.transactions, "transaction"));
    }
    if whole.commands > 0 {
        parts.push(counted(whole.commands, "command") + " outside of any transaction");
    }
    if looked.torn() > 0 {
        parts.push(format!(
            "then, from offset {} on, {} bytes of a torn write",
            whole.end,
            looked.torn()
        ));
    }
    if *zeros > 0 {
        parts.push(format!("of which the last {zeros} are zeros"));
    }
    format!("{}: {}", path.display(), parts.join(", "))
}

fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn words_of(damage: &commands::Damage) -> String {
    let commands::Damage { offset, what, behind } = damage;
    let behind = match behind {
        0 => String::new(),
        1 => "; a transaction ends behind it".into(),
        more => format!("; {more} transactions end behind it"),
    };
    format!("it is damaged at offset {offset}, or shortly before: {what}{behind}")
}

fn zeros_at_end(looked: &Looked) -> Fault {
    let Looked { path, bytes, zeros, .. } = looked;
    Fault::new(
        path,
        format!(
            "from offset {} on it holds nothing but zeros, {zeros} bytes. A power cut can leave zeros where a write was \
             under way, and a disk where it lost confirmed writes. If you know that it was a power cut, mend --yes \
             --zeros cuts the file off at offset {}",
            bytes - zeros,
            looked.whole.end
        ),
    )
}

fn words_of_torn(torn: &Looked) -> String {
    format!(
        "{}: torn at offset {}: the last {} bytes are of an unfinished write, which nobody was told is durable. \
         Nothing was changed; mend --yes cuts them off, and keeps a copy of the file",
        torn.path.display(),
        torn.whole.end,
        torn.torn()
    )
}

fn words_of_cut(torn: &Looked, done: &Cut) -> String {
    format!(
        "mended: {}: cut off the {} bytes from offset {} on, which were of an unfinished write that nobody was told \
         is durable; {} is a copy of the file as it was",
        torn.path.display(),
        torn.torn(),
        torn.whole.end,
        done.copy.display()
    )
}

fn words_of_damage(fault: &Fault, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "error: {}: {}.\n\
         Nothing was changed. Don't use `redis-check-aof --fix`: it cuts off everything after the first place that \
         it can't read, and with it confirmed payments. What can be done:\n\
         - put back a copy of {folder} that holds what was confirmed last (servers that know better refuse an older \
         one, if one of them still runs);\n\
         - if no other server's store is in {folder}, and the others (both, of three) are well: move {folder} \
         away, start an empty Redis in its place, and the server with --rejoin. It gets everything back from the others but what \
         it had accepted and no block holds: doc/OPERATING.md, \"A store that is lost for good\";\n\
         - in any case keep {folder} as it is, and try things out on a copy; `paxos-banking audit` tells whether the store \
         that a Redis makes of the copy is whole",
        fault.path.display(),
        fault.what
    )
}
