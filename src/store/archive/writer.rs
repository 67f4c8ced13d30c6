//! Writing a segment.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::bank::blockchain::block::BlockHash;
use crate::store::archive::disk::{self, Unfinished};
use crate::store::archive::error::ArchiveError;
use crate::store::archive::names::{Kind, PART};
use crate::store::archive::offsets::Lines;
use crate::store::archive::segment::{FileHash, Segment};

/// The bytes that are collected before they are written.
const BUFFER: usize = 256 << 10;
/// The bytes after which what was written is brought to the disk, so that the end has little left to do.
const BETWEEN_SYNCS: u64 = 8 << 20;

/// A segment in the making. It disappears unless it is sealed.
///
/// After an error, start again with a new one.
#[derive(Debug)]
pub struct SegmentWriter {
    folder: PathBuf,
    file: Unfinished,
    first: u64,
    lines: Lines,
    hasher: Sha256,
    buffer: Vec<u8>,
    unsynced: u64,
    /// The text of the last block.
    last: String,
    /// True from the beginning of a write to its success.
    failed: bool,
    /// The segment that it has to become.
    wanted: Option<Segment>,
}

impl SegmentWriter {
    /// Begins the segment whose first block is `first`. One at a time: what an earlier one has written is lost.
    pub(super) fn begin(folder: &Path, first: u64) -> Result<SegmentWriter, ArchiveError> {
        let file = Unfinished::create(folder.join(PART))?;
        Ok(SegmentWriter::new(folder, file, first, None))
    }

    /// Begins to write a known segment again.
    pub(super) fn begin_again(
        folder: &Path,
        wanted: &Segment,
    ) -> Result<SegmentWriter, ArchiveError> {
        let file = Unfinished::create_for(&wanted.path(folder))?;
        Ok(SegmentWriter::new(folder, file, wanted.first, Some(wanted.clone())))
    }

    fn new(folder: &Path, file: Unfinished, first: u64, wanted: Option<Segment>) -> SegmentWriter {
        SegmentWriter {
            folder: folder.to_owned(),
            file,
            first,
            lines: Lines::default(),
            hasher: Sha256::new(),
            buffer: Vec::with_capacity(BUFFER),
            unsynced: 0,
            last: String::new(),
            failed: false,
            wanted,
        }
    }

    /// Returns the length of what was appended.
    pub fn bytes(&self) -> u64 {
        self.lines.end()
    }

    /// Returns the height of the next block.
    pub fn next(&self) -> u64 {
        self.first + self.lines.count()
    }

    /// Appends the text of the next block.
    ///
    /// # Errors
    /// If the text can't be a line, or not one of the segment that is to be written again, or if the system
    /// refuses to write.
    pub fn append(&mut self, text: &str) -> Result<(), ArchiveError> {
        self.check(text)?;
        for piece in [text.as_bytes(), b"\n"] {
            self.hasher.update(piece);
            self.buffer.extend(piece);
        }
        self.lines.add(text.len());
        self.last.clear();
        self.last.push_str(text);
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        if self.unsynced >= BETWEEN_SYNCS {
            self.sync()?;
        }
        Ok(())
    }

    fn check(&self, text: &str) -> Result<(), ArchiveError> {
        let unfit = |what: &str| {
            let (file, height) = (self.file.path().to_owned(), self.next());
            Err(ArchiveError::Unfit { file, height, what: what.into() })
        };
        match &self.wanted {
            _ if text.is_empty() => unfit("it is empty"),
            _ if text.as_bytes().contains(&b'\n') => unfit("its text has a line break"),
            _ if self.failed => unfit("the block before it could not be written"),
            Some(wanted) if !wanted.holds(self.next()) => unfit("it is beyond the segment's end"),
            Some(wanted) if self.bytes() + text.len() as u64 >= wanted.bytes => {
                unfit("with it, the segment would be longer than it was")
            }
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), ArchiveError> {
        self.failed = true;
        self.file.write(&self.buffer)?;
        self.failed = false;
        self.unsynced += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), ArchiveError> {
        self.failed = true;
        self.file.sync()?;
        self.failed = false;
        self.unsynced = 0;
        Ok(())
    }

    /// Ends the segment. It has its name, and is there after a power cut, when this returns; a crash before
    /// leaves the whole segment or none.
    ///
    /// # Errors
    /// If the system refuses something, if there are no blocks, or if a segment that was written again is not
    /// the recorded one.
    pub fn seal(mut self) -> Result<Segment, ArchiveError> {
        let file = self.file.path().to_owned();
        if self.failed || self.lines.count() == 0 {
            let what = if self.failed { "a write failed" } else { "there are no blocks before it" };
            return Err(ArchiveError::Unfit { file, height: self.next(), what: what.into() });
        }
        self.flush()?;
        let segment = Segment {
            first: self.first,
            last: self.next() - 1,
            bytes: self.bytes(),
            sha256: FileHash::of(self.hasher),
        };
        if let Some(wanted) = self.wanted.filter(|wanted| *wanted != segment) {
            let what = unlike(&wanted, &segment);
            return Err(ArchiveError::Unlike { file: wanted.path(&self.folder), what });
        }
        let offsets = self.lines.write(&self.folder, &segment, BlockHash::of(&self.last))?;
        // A segment with its name is there for good, so it comes last.
        offsets.name(&segment.path_of(Kind::Offsets, &self.folder))?;
        self.file.name(&segment.path(&self.folder))?;
        disk::sync_folder(&self.folder)?;
        Ok(segment)
    }
}

/// Says how a segment differs from the recorded one.
fn unlike(wanted: &Segment, found: &Segment) -> String {
    if found.last != wanted.last {
        return format!("the blocks end at {} and should end at {}", found.last, wanted.last);
    }
    if found.bytes != wanted.bytes {
        return format!("the blocks have {} bytes and should have {}", found.bytes, wanted.bytes);
    }
    format!("the blocks' SHA-256 is {} and should be {}", found.sha256, wanted.sha256)
}
