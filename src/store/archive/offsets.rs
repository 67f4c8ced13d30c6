//! Where each block's line begins in a segment.
//!
//! The file is made from the segment. It begins with 128 bytes: a title, the segment's first and last height,
//! its length and SHA-256, and the hash of its last block in digits. Then, for each block and for the end, 8
//! bytes with the place in the segment. Numbers are little-endian.
//!
//! Nothing vouches for the places: a reader finds out by the lines that it reads there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::bank::blockchain::block::BlockHash;
use crate::store::archive::disk::Unfinished;
use crate::store::archive::error::ArchiveError;
use crate::store::archive::names::Kind;
use crate::store::archive::segment::Segment;

const TITLE: [u8; 8] = *b"PBlines1";
const HEADER: usize = 128;
/// The bytes of the last block's hash are the header's end.
const LAST_BLOCK: usize = HEADER - 64;
const PLACE: usize = 8;

/// The beginnings of lines, as they are found while a segment is written or read through.
#[derive(Debug, Default)]
pub(super) struct Lines {
    starts: Vec<u64>,
    end: u64,
}

impl Lines {
    /// Adds a line, without its break.
    pub(super) fn add(&mut self, bytes: usize) {
        self.starts.push(self.end);
        self.end += bytes as u64 + 1;
    }

    /// Returns the number of lines.
    pub(super) fn count(&self) -> u64 {
        self.starts.len() as u64
    }

    /// Returns where the last line ends: the file's length.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Returns where the last line begins.
    pub(super) fn last_start(&self) -> u64 {
        self.starts.last().copied().unwrap_or_default()
    }

    /// Returns the beginning of a line; the one after the last begins at the end.
    fn start(&self, line: usize) -> Option<u64> {
        match line == self.starts.len() {
            true => Some(self.end),
            false => self.starts.get(line).copied(),
        }
    }

    /// Writes the file of a segment that consists of these lines, under a name that it doesn't keep.
    pub(super) fn write(
        &self,
        folder: &Path,
        segment: &Segment,
        last_block: BlockHash,
    ) -> Result<Unfinished, ArchiveError> {
        let mut bytes = Vec::with_capacity(HEADER + (self.starts.len() + 1) * PLACE);
        bytes.extend(about(segment));
        bytes.extend(last_block.to_string().bytes());
        for place in self.starts.iter().chain([&self.end]) {
            bytes.extend(place.to_le_bytes());
        }
        let mut file = Unfinished::create_for(&segment.path_of(Kind::Offsets, folder))?;
        file.write(&bytes)?;
        Ok(file)
    }
}

/// Returns what a header says of the segment.
fn about(segment: &Segment) -> Vec<u8> {
    let mut bytes = TITLE.to_vec();
    for number in [segment.first, segment.last, segment.bytes] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(segment.sha256.bytes());
    bytes
}

/// The beginnings of a segment's lines: in a file, or in memory if the file could not be written.
#[derive(Debug)]
pub(super) enum Places {
    /// An open file.
    File(File),
    /// All of them.
    Memory(Lines),
}

impl Places {
    /// Opens the file of a segment; also returns the hash of the segment's last block.
    ///
    /// # Errors
    /// Says why it has to be made again.
    pub(super) fn open(folder: &Path, segment: &Segment) -> Result<(Places, BlockHash), String> {
        let file = File::open(segment.path_of(Kind::Offsets, folder))
            .map_err(|error| format!("it can't be opened: {error}"))?;
        let unread = |error: io::Error| format!("it can't be read: {error}");
        let length = file.metadata().map_err(unread)?.len();
        if length != HEADER as u64 + (segment.blocks() + 1) * PLACE as u64 {
            return Err(format!("{length} bytes are not its length"));
        }
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0).map_err(unread)?;
        if header[..LAST_BLOCK] != about(segment) {
            return Err("it is not of this segment".into());
        }
        let last = str::from_utf8(&header[LAST_BLOCK..]).ok().and_then(|last| last.parse().ok());
        let last = last.ok_or("it does not hold the last block's hash")?;
        Ok((Places::File(file), last))
    }

    /// Reads the beginnings of `count` lines from a line on; the one after the last begins at the end.
    pub(super) fn read(&self, line: u64, count: usize) -> io::Result<Vec<u64>> {
        match self {
            Places::Memory(lines) => {
                let starts = (line as usize..).take(count).map(|line| lines.start(line));
                starts.collect::<Option<_>>().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
            Places::File(file) => {
                let mut bytes = vec![0; count * PLACE];
                file.read_exact_at(&mut bytes, HEADER as u64 + line * PLACE as u64)?;
                let places = bytes.chunks_exact(PLACE);
                Ok(places.map(|place| u64::from_le_bytes(place.try_into().expect("8"))).collect())
            }
        }
    }
}
