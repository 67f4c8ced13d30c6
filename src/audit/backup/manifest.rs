//! What a backup's folder holds, by its own account: `backup.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bank::blockchain::block::{BlockHash, FORMAT, OLDEST_FORMAT};
use crate::bank::ids::{InstanceId, ServerId, TurnNumber};
use crate::explain::explain;
use crate::store::archive::disk;
use crate::store::archive::error::ArchiveError;
use crate::store::archive::segment::{FileHash, Segment};

/// The manifest's name. A folder with this file is a backup.
pub const MANIFEST: &str = "backup.json";
/// The format of the manifest.
const MANIFEST_FORMAT: u32 = 1;

/// A file of blocks, or one beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blocks {
    /// The height of the first block.
    pub first: u64,
    /// The height of the last block.
    pub last: u64,
    /// The file's length.
    pub bytes: u64,
    /// The file's SHA-256.
    pub sha256: FileHash,
}

impl Blocks {
    /// Returns the same as a segment, whose file's name it has.
    pub fn segment(&self) -> Segment {
        let Blocks { first, last, bytes, sha256 } = *self;
        Segment { first, last, bytes, sha256 }
    }
}

impl From<&Segment> for Blocks {
    fn from(segment: &Segment) -> Blocks {
        let Segment { first, last, bytes, sha256 } = *segment;
        Blocks { first, last, bytes, sha256 }
    }
}

/// A file with something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Other {
    /// The file's name.
    pub file: String,
    /// The file's length.
    pub bytes: u64,
    /// The file's SHA-256.
    pub sha256: FileHash,
    /// The number of lines.
    pub lines: u64,
}

/// The content of `backup.json`: one moment of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format of the manifest.
    pub backup: u32,
    /// The format of the store.
    pub format: u32,
    /// The hash of block 0, by which the bank is known.
    pub bank: BlockHash,
    /// The server.
    pub server: ServerId,
    /// The store's instance.
    pub instance: InstanceId,
    /// The epoch of the server's log.
    pub epoch: u64,
    /// The store's last turn.
    pub turn: TurnNumber,
    /// The time by the clock of the machine on which the backup was taken, for people.
    pub time: String,
    /// The height of the last block.
    pub height: u64,
    /// The hash of the last block.
    pub head: BlockHash,
    /// The files with the chain's beginning, which never change.
    pub segments: Vec<Blocks>,
    /// The file with the rest of the chain, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<Blocks>,
    /// The local log, an element a line.
    pub log: Other,
    /// The number of entries in the local log.
    pub entries: u64,
    /// The block that the server has accepted for the next height, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Other>,
}

/// Why a manifest can't be used.
#[derive(Debug)]
pub enum BadManifest {
    /// The system refuses to read it.
    Unread(String),
    /// There is something wrong with it.
    Wrong(String),
}

impl Manifest {
    /// The format of the manifests that this program writes.
    pub const FORMAT: u32 = MANIFEST_FORMAT;

    /// Returns all files of blocks, in the order of their heights.
    pub fn blocks(&self) -> impl Iterator<Item = &Blocks> {
        self.segments.iter().chain(&self.tail)
    }

    /// Returns the files beside the blocks.
    pub fn others(&self) -> impl Iterator<Item = &Other> {
        [&self.log].into_iter().chain(&self.accepted)
    }

    /// Returns the names of all files.
    pub fn names(&self) -> Vec<String> {
        let name = |blocks: &Blocks| file_name(&blocks.segment().path(Path::new("")));
        let others = self.others().map(|other| other.file.clone());
        self.blocks().map(name).chain(others).collect()
    }

    /// Reads the manifest of a folder. None if the folder has none.
    ///
    /// # Errors
    /// If it can't be read, or is wrong by itself.
    pub fn read(folder: &Path) -> Result<Option<Manifest>, BadManifest> {
        let path = folder.join(MANIFEST);
        let text = disk::read_if_there(&path)
            .map_err(|error| BadManifest::Unread(format!("{}: {error}", path.display())))?;
        let Some(text) = text else { return Ok(None) };
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| BadManifest::Wrong(explain(&error)))?;
        manifest.check().map_err(BadManifest::Wrong)?;
        Ok(Some(manifest))
    }

    /// Checks what the manifest says by itself.
    fn check(&self) -> Result<(), String> {
        if self.backup != MANIFEST_FORMAT {
            return Err(format!(
                "the backup is of format {}, and this program reads only format {MANIFEST_FORMAT}",
                self.backup
            ));
        }
        if !(OLDEST_FORMAT..=FORMAT).contains(&self.format) {
            return Err(format!(
                "the store was of format {}, and this program reads only {OLDEST_FORMAT} to {FORMAT}",
                self.format
            ));
        }
        let mut next = 0;
        for blocks in self.blocks() {
            if blocks.first != next || blocks.last < blocks.first {
                return Err(format!(
                    "it names a file with the blocks {} to {}, where block {next} begins one",
                    blocks.first, blocks.last
                ));
            }
            next = blocks.last.checked_add(1).ok_or("it names a block that no chain has")?;
        }
        if self.height.checked_add(1) != Some(next) {
            return Err(format!(
                "the height is {}, and the files end before block {next}",
                self.height
            ));
        }
        match self.others().find(|other| !is_of_a_turn(&other.file)) {
            Some(other) => Err(format!("{:?} is no name of a backup's file", other.file)),
            None => Ok(()),
        }
    }

    /// Writes the manifest, whole or not at all, in the place of the one before.
    pub fn write(&self, folder: &Path) -> Result<(), ArchiveError> {
        let mut text = serde_json::to_string_pretty(self).expect("texts and numbers");
        text.push('\n');
        disk::write_whole(&folder.join(MANIFEST), text.as_bytes())
    }
}

/// Returns the last part of a path of ours.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns the path of a file that belongs to one turn of a store.
pub fn of_turn(folder: &Path, instance: InstanceId, turn: TurnNumber, kind: &str) -> PathBuf {
    folder.join(format!("{instance}-{:012}.{kind}", turn.0))
}

/// The kinds of files that belong to one turn.
pub const LOG: &str = "log";
/// The kind of the accepted block's file.
pub const ACCEPTED: &str = "accepted";

/// True if a file of one turn has this name.
pub fn is_of_a_turn(name: &str) -> bool {
    let parts = name.split_once('.').and_then(|(stem, kind)| Some((stem.split_once('-')?, kind)));
    let Some(((instance, turn), kind)) = parts else { return false };
    let digits =
        |text: &str, is: fn(&char) -> bool| !text.is_empty() && text.chars().all(|c| is(&c));
    let is_turn = turn.len() >= 12 && digits(turn, |c| c.is_ascii_digit());
    digits(instance, |c| c.is_ascii_hexdigit()) && is_turn && [LOG, ACCEPTED].contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_turn_have_names_of_their_own() {
        let path = of_turn(Path::new("x"), InstanceId(0x67bb), TurnNumber(12), LOG);
        assert!(is_of_a_turn(&file_name(&path)), "{path:?}");
        for other in
            ["../x-000000000001.log", "67bb-12.log", "67bb-000000000012.txt", "log", "a.log"]
        {
            assert!(!is_of_a_turn(other), "{other}");
        }
    }
}
