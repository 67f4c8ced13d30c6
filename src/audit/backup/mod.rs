//! Backups: a copy of a server's chain and log of one moment, in a folder that can be audited.
//!
//! ```text
//! backup.json                          the manifest: names all files, with their lengths and SHA-256
//! 000000000000-000000000511.jsonl      a segment, as an archive has them; later ones follow
//! 000000000512-000000000812.jsonl      the tail: the rest of the chain
//! 67bbd708fbe2d296-000000000901.log    the local log, an element a line
//! 67bbd708fbe2d296-000000000901.accepted    the accepted block for the next height, if there is one
//! lock                                 locked while a backup is being taken
//! ```
//!
//! Files never change. What a later backup replaces gets another name, and the manifest is put in the place
//! of the earlier one when all that it names is on the disk. Only then is anything removed. So whenever a
//! backup is cut off, the folder holds the earlier one or the later one, whole.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::audit::finding::Trouble;
use crate::audit::{SOUND, UNREAD, WRONG};
use crate::bank::ids::ServerId;
use crate::store::archive::error::ArchiveError;

pub mod going_on;
pub mod manifest;
pub mod source;
pub mod store_for;
mod taking;
mod target;
pub mod verify;

/// The options for taking a backup.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the backup.
    pub folder: PathBuf,
    /// The URL of the Redis.
    pub redis: String,
    /// The folder of the server's segments, if it has any.
    pub archive: Option<PathBuf>,
    /// The server whose store it is; may be omitted where there is only one.
    pub id: Option<ServerId>,
    /// True to compare only the lengths of files that are there already.
    pub quick: bool,
    /// How long Redis may take to answer.
    pub timeout: Duration,
}

/// What is to be done with backups.
#[derive(Clone, Debug)]
pub enum Order {
    /// Take one.
    Take(Options),
    /// Verify the one in this folder.
    Verify(PathBuf),
}

/// Takes or verifies a backup, says on `out` what there is and on `errors` what went wrong, and returns an exit
/// status like an audit's.
pub fn run(order: &Order, out: &mut dyn Write, errors: &mut dyn Write) -> u8 {
    let done = match order {
        Order::Take(options) => take(options, out).map_err(|trouble| vec![trouble]),
        Order::Verify(folder) => verify::verify(folder).and_then(|verified| {
            verified.write(folder, out).map_err(|e| vec![Trouble::Unread(e.to_string())])
        }),
    };
    let troubles = done.err().unwrap_or_default();
    let mut status = SOUND;
    for trouble in &troubles {
        // If this can't be said, there is nobody left to tell.
        let _ = writeln!(errors, "paxos-banking backup: {}", in_words(trouble));
        status = match trouble {
            Trouble::Wrong(_) => WRONG,
            Trouble::Unread(_) if status == SOUND => UNREAD,
            Trouble::Unread(_) => status,
        };
    }
    status
}

fn take(options: &Options, out: &mut dyn Write) -> Result<(), Trouble> {
    let (manifest, counts) = taking::take(options)?;
    let manifest::Manifest { server, height, head, entries, turn, .. } = &manifest;
    let taking::Counts { kept, linked, copied, written } = counts;
    let folder = options.folder.display();
    writeln!(
        out,
        "{folder}: server {server}, height {height}, head {}, entries in the log: {entries}, turn {turn}\n\
         files that were there: {kept}; segments linked: {linked}, copied: {copied}; blocks written: {written}",
        head.short()
    )
    .map_err(|error| Trouble::Unread(error.to_string()))
}

fn in_words(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Wrong(finding) => format!("wrong: {finding}"),
        Trouble::Unread(why) => why.clone(),
    }
}

/// Says what the system refused.
fn unread(error: ArchiveError) -> Trouble {
    Trouble::Unread(format!("{error}; an earlier backup that is there stays as it was"))
}
