//! The care for segments that are there: they are checked, and what is damaged is made again from blocks that
//! peers send.

use std::collections::VecDeque;
use std::time::Duration;

use crate::bank::blockchain::block::SealedBlock;
use crate::store::archive::claim::Claim;
use crate::store::archive::error::{ArchiveError, Damage};
use crate::store::archive::folder::Folder;
use crate::store::archive::segment::Segment;
use crate::store::archive::writer::SegmentWriter;

/// What is known of the state of a folder's segments.
#[derive(Debug, Default)]
pub struct Keeper {
    /// Segments whose content is still to be checked.
    unchecked: VecDeque<Segment>,
    /// Segments that are damaged.
    damaged: VecDeque<Segment>,
    restoring: Option<SegmentWriter>,
}

impl Keeper {
    /// Compares the sizes of all segments at once, and leaves their content to be checked.
    pub fn begin(folder: &Folder, segments: &[Segment]) -> Keeper {
        let mut keeper = Keeper::default();
        for segment in segments {
            match folder.check_size(segment) {
                Ok(()) => keeper.unchecked.push_back(segment.clone()),
                Err(damage) => keeper.note(segment, &damage),
            }
        }
        keeper
    }

    /// Has a segment checked next: somebody couldn't read it.
    pub fn suspect(&mut self, segment: &Segment) {
        if !self.damaged.contains(segment) {
            self.unchecked.retain(|other| other != segment);
            self.unchecked.push_front(segment.clone());
        }
    }

    fn note(&mut self, segment: &Segment, damage: &Damage) {
        log::warn!(
            "{damage}; its blocks {} to {} are asked of the other servers",
            segment.first,
            segment.last
        );
        self.damaged.push_back(segment.clone());
    }

    /// Checks the content of the next segment. False if none is left to be checked. `rest` is called with the
    /// time that a part of the work took, and says whether to go on.
    pub fn check_next(&mut self, folder: &Folder, rest: &mut dyn FnMut(Duration) -> bool) -> bool {
        let Some(segment) = self.unchecked.pop_front() else { return false };
        match folder.verify(&segment, rest) {
            Ok(true) => {}
            Ok(false) => self.unchecked.push_front(segment),
            Err(damage) => self.note(&segment, &damage),
        }
        true
    }

    /// Returns how many segments are damaged.
    pub fn damaged(&self) -> usize {
        self.damaged.len()
    }

    /// Returns the heights of the first and the last block that the next damaged segment lacks.
    pub fn wanted(&self) -> Option<(u64, u64)> {
        let segment = self.damaged.front()?;
        let next = self.restoring.as_ref().map_or(segment.first, SegmentWriter::next);
        Some((next, segment.last))
    }

    /// Takes blocks that came from a peer. The segment is in its place again when all have come, and are the very
    /// ones that the store has noted.
    pub fn take(&mut self, folder: &Folder, claim: &Claim, blocks: &[SealedBlock]) {
        let Some(segment) = self.damaged.front().cloned() else { return };
        match self.restore(claim, &segment, blocks) {
            Ok(false) => {}
            Ok(true) => {
                self.damaged.pop_front();
                log::info!("{} is whole again", segment.path(folder.path()).display());
            }
            Err(error) => {
                log::warn!("{error}; it is tried again");
                // Another segment may fare better meanwhile.
                self.damaged.rotate_left(1);
            }
        }
    }

    /// Adds blocks to the segment that is being made again. True if that was the last of them.
    fn restore(
        &mut self,
        claim: &Claim,
        segment: &Segment,
        blocks: &[SealedBlock],
    ) -> Result<bool, ArchiveError> {
        let mut writer = match self.restoring.take() {
            Some(writer) => writer,
            None => claim.begin_again(segment)?,
        };
        for block in blocks {
            if block.height() == writer.next() && segment.holds(block.height()) {
                writer.append(block.text())?;
            }
        }
        if writer.next() <= segment.last {
            self.restoring = Some(writer);
            return Ok(false);
        }
        writer.seal().map(|_| true)
    }
}
