//! Taking a backup.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::audit::backup::manifest::{
    ACCEPTED, Blocks, LOG, MANIFEST, Manifest, Other, file_name, of_turn,
};
use crate::audit::backup::target::{PART, Target, spot};
use crate::audit::backup::{Options, unread};
use crate::audit::export::{find, one_line};
use crate::audit::finding::{Finding, Trouble};
use crate::audit::stored::{self, trouble};
use crate::audit::{archives, redis_options};
use crate::bank::blockchain::block::{BlockHash, FORMAT, SealedBlock};
use crate::bank::ledger::entry::Position;
use crate::bank::stored::{Place, Stored};
use crate::clock;
use crate::store::archive::disk::Unfinished;
use crate::store::archive::error::said;
use crate::store::archive::reader::check_file;
use crate::store::archive::record::Archived;
use crate::store::archive::segment::{FileHash, Segment};
use crate::store::redis::viewer::{ReadOnlyRedis, StoreViewer};

/// How large a file of blocks becomes, about, where the server has no segments.
const SEGMENT: u64 = 64 << 20;
/// The amount of blocks' text that is read at a time, in bytes.
const PIECE: usize = 8 << 20;

/// How the blocks came into the folder.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Files that were there.
    pub(super) kept: u64,
    /// Files that are hard links of the archive's.
    pub(super) linked: u64,
    /// Files that are copies of the archive's.
    pub(super) copied: u64,
    /// The number of blocks that were written.
    pub(super) written: u64,
}

/// A store of which a backup is being taken, at one moment.
struct Taking<'a> {
    visitor: StoreViewer,
    stored: Stored,
    archived: Archived,
    target: &'a Path,
    quick: bool,
    counts: Counts,
}

/// Takes a backup; returns its manifest.
///
/// # Errors
/// If the store is wrong or can't be read, or the folder can't be written, or is not this store's.
pub(super) fn take(options: &Options) -> Result<(Manifest, Counts), Trouble> {
    let folders = archives::of(&options.archive).map_err(Trouble::Unread)?;
    let premises = ReadOnlyRedis::new(&options.redis, &redis_options(options.timeout));
    let premises = premises.map_err(trouble)?.with_folders(folders);
    let id = find(&premises, options.id.as_ref())?;
    let mut visitor = premises.visit(&id);
    let stored = visitor.contents().map_err(trouble)?;
    let stored = stored.filter(|stored| stored.blocks > 0).ok_or_else(|| {
        Trouble::Unread(format!("the store of {id} holds no bank yet: there is nothing to back up"))
    })?;
    let archived = visitor.archived().clone();
    let first = visitor.blocks(0, 0, PIECE).map_err(trouble)?;
    let bank = first.first().map(SealedBlock::hash).ok_or_else(|| missing(&visitor, 0))?;
    let target = Target::take(&options.folder, bank, &id)?;
    let (folder, quick) = (target.folder(), options.quick);
    let counts = Counts::default();
    let mut taking = Taking { visitor, stored, archived, target: folder, quick, counts };
    let head = taking.head()?;
    if let Some(before) = &target.before {
        taking.check_goes_on(before)?;
    }
    let (segments, tail) = taking.blocks(target.before.as_ref())?;
    let (log, accepted) = taking.others()?;
    let Stored { instance, turn, blocks, derived, .. } = &taking.stored;
    let epoch = derived.included.get(&id).unwrap_or(&Position::START).epoch;
    let manifest = Manifest {
        backup: Manifest::FORMAT,
        format: FORMAT,
        bank,
        server: id,
        instance: *instance,
        epoch,
        turn: *turn,
        time: clock::text_of(clock::now()),
        height: blocks - 1,
        head,
        segments,
        tail,
        log,
        entries: taking.stored.log.iter().map(|element| element.records().len() as u64).sum(),
        accepted,
    };
    target.finish(&manifest)?;
    Ok((manifest, taking.counts))
}

fn missing(visitor: &StoreViewer, height: u64) -> Trouble {
    Finding::new(stored::spot(visitor, &Place::Block(height)), "missing").into()
}

impl Taking<'_> {
    fn hash_at(&mut self, height: u64) -> Result<BlockHash, Trouble> {
        let found = self.visitor.blocks(height, height, PIECE).map_err(trouble)?;
        found.first().map(SealedBlock::hash).ok_or_else(|| missing(&self.visitor, height))
    }

    fn head(&mut self) -> Result<BlockHash, Trouble> {
        self.hash_at(self.stored.blocks - 1)
    }

    /// Checks that the store goes on where the backup ends that is there. If it doesn't, that backup may be
    /// the better one, so it stays.
    fn check_goes_on(&mut self, before: &Manifest) -> Result<(), Trouble> {
        const STAYS: &str = "The earlier backup was not touched; take this one into another folder";
        let manifest = spot(&self.target.join(MANIFEST));
        let wrong = |what: String| Err(Finding::new(manifest, format!("{what}. {STAYS}")).into());
        let Stored { blocks, instance, turn, .. } = self.stored;
        if before.height >= blocks {
            return wrong(format!(
                "it holds the blocks up to {}, and the store ends with block {}: the store was put back to \
                 an older state, or has not caught up yet",
                before.height,
                blocks - 1
            ));
        }
        if before.instance == instance && before.turn > turn {
            return wrong(format!(
                "it was taken in turn {}, and the store is in turn {turn}: the store was put back to an older \
                 state",
                before.turn
            ));
        }
        let found = self.hash_at(before.height)?;
        if found != before.head {
            return wrong(format!(
                "block {} is {} in it, and {found} in the store: a fork",
                before.height, before.head
            ));
        }
        Ok(())
    }

    /// Brings all blocks into the folder.
    fn blocks(
        &mut self,
        before: Option<&Manifest>,
    ) -> Result<(Vec<Blocks>, Option<Blocks>), Trouble> {
        let mut segments = Vec::new();
        for known in before.iter().flat_map(|before| &before.segments) {
            segments.push(self.keep(known)?);
        }
        let mut next = segments.last().map_or(0, |known| known.last + 1);
        while let Some(segment) = self.archived.segment_of(next).cloned() {
            segments.push(match segment.first == next {
                true => self.take_segment(&segment)?,
                false => self.write_blocks(next, segment.last, u64::MAX)?,
            });
            next = segment.last + 1;
        }
        let (end, has_archive) = (self.stored.blocks, self.archived.base() > 0);
        let known_tail = before.and_then(|before| before.tail.as_ref());
        if let Some(tail) = known_tail
            && (tail.first, tail.last + 1) == (next, end)
        {
            return Ok((segments, Some(self.keep(tail)?)));
        }
        while next < end {
            let most = if has_archive { u64::MAX } else { SEGMENT };
            let blocks = self.write_blocks(next, end - 1, most)?;
            next = blocks.last + 1;
            // What the archive will seal later begins where it has sealed the last.
            if has_archive || blocks.bytes < SEGMENT {
                return Ok((segments, Some(blocks)));
            }
            segments.push(blocks);
        }
        Ok((segments, None))
    }

    fn path_of(&self, segment: &Segment) -> PathBuf {
        segment.path(self.target)
    }

    /// True if the file is there as it was written, as far as is looked at.
    fn is_there(&self, segment: &Segment) -> bool {
        let path = self.path_of(segment);
        match self.quick {
            true => fs::metadata(&path).is_ok_and(|file| file.len() == segment.bytes),
            false => check_file(&path, segment.bytes, &segment.sha256).is_ok(),
        }
    }

    /// Keeps a file of the earlier backup, or makes it again if it is damaged.
    fn keep(&mut self, known: &Blocks) -> Result<Blocks, Trouble> {
        let segment = known.segment();
        if self.is_there(&segment) {
            self.counts.kept += 1;
            return Ok(known.clone());
        }
        log::warn!("{} is damaged, and is made again", self.path_of(&segment).display());
        let archived = self.archived.segments().iter().find(|archived| **archived == segment);
        let made = match archived.cloned() {
            Some(archived) => self.take_segment(&archived)?,
            None => self.write_blocks(known.first, known.last, u64::MAX)?,
        };
        if made != *known {
            let what = "it was made again from the store, and is not what the manifest says";
            return Err(Finding::new(spot(&self.path_of(&segment)), what).into());
        }
        Ok(made)
    }

    /// Brings a segment of the archive into the folder.
    fn take_segment(&mut self, segment: &Segment) -> Result<Blocks, Trouble> {
        if self.is_there(segment) {
            self.counts.kept += 1;
            return Ok(segment.into());
        }
        let Some(archive) = self.visitor.folder().cloned() else {
            return Err(Trouble::Unread(format!(
                "the blocks up to {} are in segments, and no folder that was given (--archive) holds them",
                self.archived.base() - 1
            )));
        };
        let (from, to) = (segment.path(archive.path()), self.path_of(segment));
        let wrong = |what: &str| {
            let advice = "A server makes a damaged segment again while it runs; then try again";
            Finding::new(spot(&from), format!("{what}. {advice}"))
        };
        check_file(&from, segment.bytes, &segment.sha256).map_err(|damage| wrong(&damage.what))?;
        let part = to.with_file_name(format!("{}.0.{PART}", file_name(&to)));
        let failed = |doing: &str, e| {
            Trouble::Unread(format!("can't {doing} {}: {}", part.display(), said(&e)))
        };
        match fs::remove_file(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed("replace", error));
            }
            _ => {}
        }
        if fs::hard_link(&from, &part).is_ok() {
            self.counts.linked += 1;
        } else {
            fs::copy(&from, &part).map_err(|error| failed("write", error))?;
            let sync = || File::open(&part)?.sync_all();
            sync().map_err(|error| failed("flush", error))?;
            check_file(&part, segment.bytes, &segment.sha256)
                .map_err(|damage| Finding::new(spot(&part), damage.what))?;
            self.counts.copied += 1;
        }
        fs::rename(&part, &to).map_err(|error| failed("name", error))?;
        Ok(segment.into())
    }

    /// Writes the blocks from one height on into a file: up to another height, or until the file has `most`
    /// bytes.
    fn write_blocks(&mut self, from: u64, to: u64, most: u64) -> Result<Blocks, Trouble> {
        // Its last height is in its name, and not known yet.
        let path = Segment { first: from, last: to, bytes: 0, sha256: FileHash::of(Sha256::new()) };
        let mut file = Writer::create(&self.path_of(&path))?;
        let mut next = from;
        while next <= to && file.bytes < most {
            let piece = self.visitor.blocks(next, to, PIECE).map_err(trouble)?;
            if piece.is_empty() {
                return Err(missing(&self.visitor, next));
            }
            for block in piece {
                let place = || stored::spot(&self.visitor, &Place::Block(next));
                file.line(one_line(block.text(), place)?)?;
                next += 1;
                if file.bytes >= most {
                    break;
                }
            }
        }
        self.counts.written += next - from;
        let segment = Segment { last: next - 1, ..path };
        let (bytes, sha256) = file.name(&self.path_of(&segment))?;
        Ok(Blocks { first: from, last: next - 1, bytes, sha256 })
    }

    /// Writes what is beside the chain: the local log, and the accepted block.
    fn others(&self) -> Result<(Other, Option<Other>), Trouble> {
        let Stored { instance, turn, log, accepted, .. } = &self.stored;
        let write = |kind: &str, texts: &mut dyn Iterator<Item = &str>| {
            let path = of_turn(self.target, *instance, *turn, kind);
            let (mut file, mut lines) = (Writer::create(&path)?, 0);
            for text in texts {
                let place = || stored::spot(&self.visitor, &Place::Element(lines as usize));
                file.line(one_line(text, place)?)?;
                lines += 1;
            }
            let (bytes, sha256) = file.name(&path)?;
            Ok::<_, Trouble>(Other { file: file_name(&path), bytes, sha256, lines })
        };
        let log = write(LOG, &mut log.iter().map(|element| element.text()))?;
        let accepted = accepted.as_ref().map(|(_, block)| block.text());
        let accepted = accepted.map(|text| write(ACCEPTED, &mut [text].into_iter())).transpose()?;
        Ok((log, accepted))
    }
}

/// A file that is written line by line, and gets its name when it is whole.
struct Writer {
    file: Unfinished,
    buffer: Vec<u8>,
    hasher: Sha256,
    bytes: u64,
}

impl Writer {
    fn create(path: &Path) -> Result<Writer, Trouble> {
        let file = Unfinished::create_for(path).map_err(unread)?;
        Ok(Writer { file, buffer: Vec::new(), hasher: Sha256::new(), bytes: 0 })
    }

    fn line(&mut self, text: &str) -> Result<(), Trouble> {
        self.buffer.extend(text.as_bytes());
        self.buffer.push(b'\n');
        self.bytes += text.len() as u64 + 1;
        match self.buffer.len() >= 1 << 20 {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        self.hasher.update(&self.buffer);
        self.file.write(&self.buffer).map_err(unread)?;
        self.buffer.clear();
        Ok(())
    }

    fn name(mut self, path: &Path) -> Result<(u64, FileHash), Trouble> {
        self.flush()?;
        self.file.name(path).map_err(unread)?;
        Ok((self.bytes, FileHash::of(self.hasher)))
    }
}
