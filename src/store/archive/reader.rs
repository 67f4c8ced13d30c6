//! Reading blocks of segments.
//!
//! No reader takes a segment on trust. A block is compared with the hash that the next block names as its
//! predecessor's; the last one's hash is in the file of `offsets`. At any doubt the whole
//! segment is read through once and compared with the SHA-256 that the store recorded.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::explain::explain;
use crate::store::archive::error::{ArchiveError, Damage};
use crate::store::archive::names::Kind;
use crate::store::archive::offsets::{Lines, Places};
use crate::store::archive::segment::{FileHash, Segment};

/// The bytes of a segment that are hashed at a time.
const PIECE: usize = 1 << 20;
/// The places of lines that are read at first; then twice as many each time.
const PLACES_AT_FIRST: usize = 16;
/// The most places of lines that are read at a time.
const MOST_PLACES: usize = 4096;
/// The bytes of a block's text in which it names the block before.
const BEGINNING: u64 = 256;

/// Opens a segment, and checks its length.
pub(super) fn open(folder: &Path, segment: &Segment) -> Result<File, Damage> {
    open_file(segment.path(folder), segment.bytes)
}

/// Opens a file of which `bytes` bytes were written, and checks its length.
fn open_file(path: PathBuf, bytes: u64) -> Result<File, Damage> {
    let unread = |error| Damage::unread(&path, &error);
    let file = File::open(&path).map_err(unread)?;
    let metadata = file.metadata().map_err(unread)?;
    let what = match (metadata.len(), bytes) {
        _ if !metadata.is_file() => "it is not a file".to_owned(),
        (0, 1..) => "it is empty".to_owned(),
        (found, recorded) if found < recorded => {
            format!("it is cut short: it has {found} bytes, and {recorded} were written")
        }
        (found, recorded) if found > recorded => {
            format!("something was added to it: it has {found} bytes, and {recorded} were written")
        }
        _ => return Ok(file),
    };
    Err(Damage::new(path, what))
}

/// Reads a whole segment and compares it with what is recorded. `each` gets each piece, and how long it took;
/// if it returns false, reading ends, and nothing is said about the segment: false.
pub(super) fn read_through(
    folder: &Path,
    segment: &Segment,
    each: &mut dyn FnMut(&[u8], Duration) -> bool,
) -> Result<bool, Damage> {
    read_file(segment.path(folder), segment.bytes, &segment.sha256, each)
}

/// Compares a whole file with its length and its SHA-256 when it was written.
///
/// # Errors
/// How it differs.
pub fn check_file(path: &Path, bytes: u64, sha256: &FileHash) -> Result<(), Damage> {
    read_file(path.to_owned(), bytes, sha256, &mut |_, _| true).map(drop)
}

fn read_file(
    path: PathBuf,
    bytes: u64,
    sha256: &FileHash,
    each: &mut dyn FnMut(&[u8], Duration) -> bool,
) -> Result<bool, Damage> {
    let file = open_file(path.clone(), bytes)?;
    let (mut hasher, mut piece, mut read) = (Sha256::new(), vec![0; PIECE], 0);
    while read < bytes {
        let begun = Instant::now();
        let length = (bytes - read).min(PIECE as u64) as usize;
        let piece = &mut piece[..length];
        file.read_exact_at(piece, read).map_err(|error| Damage::unread(&path, &error))?;
        hasher.update(&*piece);
        read += length as u64;
        if !each(piece, begun.elapsed()) {
            return Ok(false);
        }
    }
    let found = FileHash::of(hasher);
    if found == *sha256 {
        return Ok(true);
    }
    let what = format!("it was changed: its SHA-256 is {found}, and {sha256} was written");
    Err(Damage::new(path, what))
}

/// Reads blocks of segments. It keeps the segment that was last read open.
#[derive(Debug)]
pub struct SegmentReader {
    folder: PathBuf,
    kept: Option<Opened>,
}

impl SegmentReader {
    pub(super) fn new(folder: &Path) -> SegmentReader {
        SegmentReader { folder: folder.to_owned(), kept: None }
    }

    /// Reads blocks of a segment from height `from` to height `to`, as many as fit in `max_bytes` of text, but
    /// at least one. Both heights should be in the segment; what is beyond its end is left out.
    ///
    /// # Errors
    /// If the segment is not what was written. What a reader returns is what was written.
    pub fn blocks(
        &mut self,
        segment: &Segment,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, Damage> {
        let to = to.min(segment.last);
        if from > to || !segment.holds(from) {
            return Ok(Vec::new());
        }
        let read = |opened: Opened| Some((opened.read(from, to, max_bytes).ok()?, opened));
        // A segment that was put right meanwhile has the same name, so what is kept open may be the wrong one.
        let kept = self.kept.take().filter(|kept| kept.segment == *segment);
        if let Some((blocks, opened)) = kept.and_then(read) {
            self.kept = Some(opened);
            return Ok(blocks);
        }
        let doubt = match self.open(segment)? {
            Ok(opened) => match opened.read(from, to, max_bytes) {
                Ok(blocks) => {
                    self.kept = Some(opened);
                    return Ok(blocks);
                }
                Err(doubt) => doubt,
            },
            Err(doubt) => doubt,
        };
        let opened = self.open_anew(segment, &doubt)?;
        let blocks = opened.read(from, to, max_bytes);
        let blocks = blocks.map_err(|what| Damage::new(segment.path(&self.folder), what))?;
        self.kept = Some(opened);
        Ok(blocks)
    }

    /// Opens a segment with the places of its lines. The inner error says why they have to be made again.
    fn open(&self, segment: &Segment) -> Result<Result<Opened, String>, Damage> {
        let file = open(&self.folder, segment)?;
        let segment = segment.clone();
        Ok(match Places::open(&self.folder, &segment) {
            Ok((places, last)) => Ok(Opened { segment, file, places, last: Some(last) }),
            Err(what) => Err(format!("{}.offsets: {what}", segment.stem())),
        })
    }

    /// Opens a segment, reads it through because of a doubt, and makes the places of its lines again.
    fn open_anew(&self, segment: &Segment, doubt: &str) -> Result<Opened, Damage> {
        log::info!("{} is read through: {doubt}", segment.path(&self.folder).display());
        let file = open(&self.folder, segment)?;
        let lines = find_lines(&self.folder, segment)
            .map_err(|damage| Damage { what: format!("{}; {doubt}", damage.what), ..damage })?;
        if let Err(error) = self.keep_lines(&lines, segment, &file) {
            log::warn!("the places of a segment's lines are kept in memory only: {error}");
        }
        let places = Places::Memory(lines);
        Ok(Opened { segment: segment.clone(), file, places, last: None })
    }

    fn keep_lines(
        &self,
        lines: &Lines,
        segment: &Segment,
        file: &File,
    ) -> Result<(), ArchiveError> {
        let path = segment.path(&self.folder);
        let last = last_block(lines, file).map_err(ArchiveError::io("read", &path))?;
        let unfinished = lines.write(&self.folder, segment, last)?;
        // After a power cut it is missing at worst.
        unfinished.name(&segment.path_of(Kind::Offsets, &self.folder))
    }
}

/// Reads a segment through and finds its lines.
fn find_lines(folder: &Path, segment: &Segment) -> Result<Lines, Damage> {
    let (mut lines, mut open) = (Lines::default(), 0);
    read_through(folder, segment, &mut |piece, _| {
        let mut pieces = piece.split(|byte| *byte == b'\n');
        // What is behind the last line break is the beginning of a line.
        let rest = pieces.next_back().unwrap_or_default();
        for line in pieces {
            lines.add(open + line.len());
            open = 0;
        }
        open += rest.len();
        true
    })?;
    if open == 0 && lines.count() == segment.blocks() {
        return Ok(lines);
    }
    let (found, wanted) = (lines.count(), segment.blocks());
    let what = format!("it was written with {found} lines, and should have {wanted}");
    Err(Damage::new(segment.path(folder), what))
}

/// Reads a segment's last line, and computes the block's hash.
fn last_block(lines: &Lines, file: &File) -> io::Result<BlockHash> {
    let start = lines.last_start();
    let mut text = vec![0; (lines.end() - start) as usize - 1];
    file.read_exact_at(&mut text, start)?;
    Ok(BlockHash::of(&String::from_utf8_lossy(&text)))
}

/// A segment that is open.
#[derive(Debug)]
struct Opened {
    segment: Segment,
    file: File,
    places: Places,
    /// The last block's hash. None if the segment was read through and is as it was written.
    last: Option<BlockHash>,
}

impl Opened {
    /// Reads blocks. The error says why the segment has to be read through.
    fn read(&self, from: u64, to: u64, max_bytes: usize) -> Result<Vec<SealedBlock>, String> {
        let places = self.places_of(from, to, max_bytes as u64)?;
        let (start, end) = (places[0], places[places.len() - 1]);
        let behind = (end + BEGINNING).min(self.segment.bytes);
        let mut bytes = vec![0; (behind - start) as usize];
        self.file.read_exact_at(&mut bytes, start).map_err(|error| error.to_string())?;
        let mut blocks: Vec<SealedBlock> = Vec::with_capacity(places.len() - 1);
        for (height, ends) in (from..).zip(places.windows(2)) {
            let line = &bytes[(ends[0] - start) as usize..(ends[1] - start) as usize];
            let block = parse(line, height);
            let block = block.map_err(|what| self.of_line(height, &what))?;
            if blocks.last().is_some_and(|before| before.hash() != block.block().previous) {
                return Err(self.of_line(height, "it does not go on from the block before"));
            }
            blocks.push(block);
        }
        self.check_end(blocks.last().expect("one"), &bytes[(end - start) as usize..])?;
        Ok(blocks)
    }

    fn of_line(&self, height: u64, what: &str) -> String {
        format!("line {}: {what}", height - self.segment.first + 1)
    }

    /// Compares the last block that was read with what is known of it: the beginning of the next line, or
    /// what was written of the segment's last block.
    fn check_end(&self, block: &SealedBlock, behind: &[u8]) -> Result<(), String> {
        let is_last = block.height() == self.segment.last;
        match self.last {
            None => Ok(()),
            Some(last) if is_last && last == block.hash() => Ok(()),
            Some(_) if !is_last && previous(behind) == Some(block.hash()) => Ok(()),
            Some(_) => Err(self.of_line(block.height(), "its hash is not the one it had")),
        }
    }

    /// Returns where the lines of these blocks begin, and where the last one ends.
    fn places_of(&self, from: u64, to: u64, max_bytes: u64) -> Result<Vec<u64>, String> {
        let line = from - self.segment.first;
        let most = (to - from) as usize + 2;
        let (mut places, mut count) = (Vec::<u64>::new(), PLACES_AT_FIRST);
        while places.len() < most && !self.is_enough(&places, max_bytes) {
            let next = line + places.len() as u64;
            let read = self.places.read(next, count.min(most - places.len()));
            places.extend(read.map_err(|error| format!("the places of lines: {error}"))?);
            count = (count * 2).min(MOST_PLACES);
        }
        let ascend = places.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascend || places.last().is_none_or(|end| *end > self.segment.bytes) {
            return Err("the places of lines are wrong".into());
        }
        let fit = places.partition_point(|place| place - places[0] <= max_bytes);
        places.truncate(fit.max(2));
        Ok(places)
    }

    fn is_enough(&self, places: &[u64], max_bytes: u64) -> bool {
        let ends = places.first().zip(places.last());
        places.len() > 1 && ends.is_some_and(|(start, end)| end.saturating_sub(*start) > max_bytes)
    }
}

/// Parses the line of the block of this height.
fn parse(line: &[u8], height: u64) -> Result<SealedBlock, String> {
    let text = line.strip_suffix(b"\n").ok_or("it does not end where it should")?;
    let text = str::from_utf8(text).map_err(|error| error.to_string())?;
    let block = SealedBlock::open(text).map_err(|error| explain(&error))?;
    match block.height() == height {
        true => Ok(block),
        false => Err(format!("there is block {}, and should be block {height}", block.height())),
    }
}

/// Returns the hash that a block names as its predecessor's, by the beginning of its text.
fn previous(text: &[u8]) -> Option<BlockHash> {
    let text = str::from_utf8(text.get(..BEGINNING as usize).unwrap_or(text)).ok()?;
    let (_, rest) = text.split_once("\"previous\":\"")?;
    rest.get(..64)?.parse().ok()
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
