//! Whose an archive is.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::ServerId;
use crate::explain::explain;
use crate::store::archive::disk;
use crate::store::archive::error::ArchiveError;
use crate::store::archive::names::OWNER;

/// The server whose blocks an archive holds, and its bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The server.
    pub server: ServerId,
    /// The hash of block 0. No two banks have the same.
    pub bank: BlockHash,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {} of the bank whose block 0 is {}", self.server, self.bank.short())
    }
}

impl Owner {
    /// Reads whose a folder is. None if nobody has used it.
    pub(super) fn read(folder: &Path) -> Result<Option<Owner>, ArchiveError> {
        let file = folder.join(OWNER);
        let text = disk::read_if_there(&file).map_err(ArchiveError::io("read", &file))?;
        let owner = text.map(|text| serde_json::from_slice(&text)).transpose();
        owner.map_err(|error| ArchiveError::NoOwner { file, what: explain(&error) })
    }

    /// Writes whose a folder is, durably.
    pub(super) fn write(&self, folder: &Path) -> Result<(), ArchiveError> {
        let mut text = serde_json::to_string(self).expect("two texts");
        text.push('\n');
        disk::write_whole(&folder.join(OWNER), text.as_bytes())
    }
}
