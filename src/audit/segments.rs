//! Files with a part of a chain each, as an archive holds them, as one source.

use std::path::{Path, PathBuf};

use crate::audit::exported::FileSource;
use crate::audit::finding::{Finding, Spot, Trouble};
use crate::audit::replay::BlockFound;
use crate::audit::source::{AccountsPiece, Source, Standing};
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::ServerId;
use crate::bank::stored::Place;

/// A file with nothing but blocks.
struct Part {
    file: FileSource,
    first: u64,
    blocks: u64,
}

/// Files whose blocks follow each other.
pub struct SegmentFiles {
    folder: PathBuf,
    parts: Vec<Part>,
    /// What came up when the last file was read through.
    trouble: Option<Trouble>,
}

/// Sorts files: those with blocks that follow each other go together, if they are in the same folder. All
/// others, such as exports, are by themselves.
pub fn sort(files: &[PathBuf]) -> (Vec<FileSource>, Vec<SegmentFiles>) {
    let mut alone = Vec::new();
    let mut parts: Vec<(u64, &Path, FileSource)> = Vec::new();
    for path in files {
        let file = FileSource::new(path.clone());
        match file.first_height() {
            Some(first) => parts.push((first, path.parent().unwrap_or(path), file)),
            None => alone.push(file),
        }
    }
    parts.sort_by_key(|(first, ..)| *first);
    let mut together: Vec<SegmentFiles> = Vec::new();
    for (first, folder, file) in parts {
        let goes_on = together.iter_mut().find(|other| other.goes_on_at(folder) == Some(first));
        match goes_on {
            Some(other) => other.add(first, file),
            None => {
                let folder = folder.to_owned();
                let mut other = SegmentFiles { folder, parts: Vec::new(), trouble: None };
                other.add(first, file);
                together.push(other);
            }
        }
    }
    let (single, together): (Vec<_>, Vec<_>) =
        together.into_iter().partition(|files| files.first() == 0 && files.parts.len() == 1);
    alone.extend(single.into_iter().flat_map(|files| files.parts).map(|part| part.file));
    (alone, together)
}

impl SegmentFiles {
    /// Makes one source of the files of a folder, each with the height of its first block.
    pub fn of(folder: &Path, files: impl Iterator<Item = (u64, PathBuf)>) -> SegmentFiles {
        let folder = folder.to_owned();
        let mut together = SegmentFiles { folder, parts: Vec::new(), trouble: None };
        files.for_each(|(first, path)| together.add(first, FileSource::new(path)));
        together
    }

    /// Adds the file whose blocks come next.
    fn add(&mut self, first: u64, mut file: FileSource) {
        let trouble = match file.standing() {
            Ok(Some(standing)) if !standing.log.is_empty() => {
                let spot = file.spot(&Place::Element(0));
                Some(Finding::new(spot, "no block, and only blocks can go on from blocks").into())
            }
            standing => standing.err(),
        };
        self.trouble = self.trouble.take().or(trouble);
        let blocks = file.length().unwrap_or_default();
        self.parts.push(Part { file, first, blocks });
    }

    /// Returns the height at which a file of this folder would go on.
    fn goes_on_at(&self, folder: &Path) -> Option<u64> {
        (self.folder == folder && self.trouble.is_none()).then(|| self.end())
    }

    /// Returns the height of the first block.
    pub fn first(&self) -> u64 {
        self.parts[0].first
    }

    /// Returns the height after the last block's.
    pub fn end(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.first + part.blocks)
    }

    /// Reads a bounded number of blocks, from height `from` to at most height `to`.
    pub fn texts(&mut self, from: u64, to: u64) -> Result<Vec<SealedBlock>, Trouble> {
        let text = |found| match found {
            BlockFound::Text(block) => Some(block),
            BlockFound::Told(_) => None,
        };
        Ok(self.blocks(from, to)?.into_iter().filter_map(text).collect())
    }

    /// Returns what came up when the files were read through.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Returns the file in which the block of this height is, or would be.
    fn part(&self, height: u64) -> &Part {
        let after = self.parts.partition_point(|part| part.first <= height);
        &self.parts[after.saturating_sub(1)]
    }
}

impl Source for SegmentFiles {
    fn name(&self) -> String {
        let first = self.parts[0].file.name();
        match &self.parts[..] {
            [_] => first,
            parts => format!("{first} and {} that follow it", parts.len() - 1),
        }
    }

    fn server(&self) -> Option<ServerId> {
        None
    }

    fn spot(&self, place: &Place) -> Spot {
        match place {
            Place::Block(height) => {
                let part = self.part(*height);
                part.file.spot(&Place::Block(height - part.first))
            }
            place => self.parts[0].file.spot(place),
        }
    }

    fn standing(&mut self) -> Result<Option<Standing>, Trouble> {
        match &self.trouble {
            Some(trouble) => Err(trouble.clone()),
            None => Ok(Some(Standing {
                blocks: self.end(),
                log: Vec::new(),
                instance: None,
                kept: None,
            })),
        }
    }

    fn length(&mut self) -> Result<u64, Trouble> {
        Ok(self.end())
    }

    fn blocks(&mut self, from: u64, to: u64) -> Result<Vec<BlockFound>, Trouble> {
        let after = self.parts.partition_point(|part| part.first <= from);
        let Some(part) = after.checked_sub(1).map(|at| &mut self.parts[at]) else {
            return Ok(Vec::new());
        };
        part.file.blocks(from - part.first, to - part.first)
    }

    fn accounts_piece(&mut self) -> Result<Option<AccountsPiece>, Trouble> {
        Ok(None)
    }
}
