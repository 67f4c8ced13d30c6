//! Where an export reads: a store in Redis, a file that was exported before, or a backup.

use std::path::Path;

use crate::audit::backup::source::BackupSource;
use crate::audit::exported::FileSource;
use crate::audit::finding::{Spot, Trouble};
use crate::audit::replay::BlockFound;
use crate::audit::source::{Source, Standing};
use crate::audit::stored::{spot, trouble};
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::stored::Place;
use crate::store::redis::viewer::StoreViewer;

/// The amount of blocks' text that is read at a time, in bytes.
const PIECE: usize = 8 << 20;

/// A server's chain, as its blocks' texts.
pub trait Past {
    /// Reads a bounded number of blocks, from height `from` to at most height `to`.
    ///
    /// # Errors
    /// If the blocks can't be read or understood.
    fn blocks(&mut self, from: u64, to: u64) -> Result<Vec<SealedBlock>, Trouble>;

    /// Names a place in it as people find it.
    fn spot(&self, place: &Place) -> Spot;
}

impl Past for StoreViewer {
    fn blocks(&mut self, from: u64, to: u64) -> Result<Vec<SealedBlock>, Trouble> {
        StoreViewer::blocks(self, from, to, PIECE).map_err(trouble)
    }

    fn spot(&self, place: &Place) -> Spot {
        spot(self, place)
    }
}

impl Past for Box<dyn Source> {
    fn blocks(&mut self, from: u64, to: u64) -> Result<Vec<SealedBlock>, Trouble> {
        let texts = (**self).blocks(from, to)?.into_iter().filter_map(|found| match found {
            BlockFound::Text(block) => Some(block),
            // Only running servers tell blocks without their texts.
            BlockFound::Told(_) => None,
        });
        Ok(texts.collect())
    }

    fn spot(&self, place: &Place) -> Spot {
        (**self).spot(place)
    }
}

/// Opens a file that was exported, or the folder of a backup; returns it with what it holds beside the chain.
///
/// # Errors
/// If it can't be read, is wrong, or is something else.
pub fn open(path: &Path) -> Result<(Box<dyn Source>, Standing), Trouble> {
    let mut source: Box<dyn Source> = match path.is_dir() {
        true => Box::new(BackupSource::open(path)?),
        false => Box::new(FileSource::new(path.to_owned())),
    };
    let standing = source.standing()?;
    let standing =
        standing.ok_or_else(|| Trouble::Unread(format!("{}: it holds nothing", source.name())))?;
    Ok((source, standing))
}
