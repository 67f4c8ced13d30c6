//! A stretch of a chain without its beginning: what can be verified of it by itself.

use std::io::{self, Write};

use serde::Serialize;

use crate::audit::across;
use crate::audit::examined::Examined;
use crate::audit::finding::{Finding, Spot, Trouble};
use crate::audit::segments::SegmentFiles;
use crate::audit::source::Source;
use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::stored::Place;

/// A stretch of a chain, and what was found in it.
#[derive(Debug, Serialize)]
pub struct Stretch {
    /// The name of the source.
    pub name: String,
    /// The height of the first block.
    pub first: u64,
    /// The hash of the block before, by the first block.
    pub previous: BlockHash,
    /// The height of the last block, as far as the stretch is sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// The hash of that block.
    pub head: BlockHash,
    /// The number of entries.
    pub entries: u64,
    /// The place of that block.
    #[serde(skip)]
    spot: Option<Spot>,
    /// The name of a whole chain that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<String>,
    /// The first thing that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<Finding>,
    /// Why it can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

impl Stretch {
    /// Follows the blocks, each of which has to be linked to the one before.
    pub fn of(mut files: SegmentFiles) -> Stretch {
        let (name, first) = (files.name(), files.first());
        let (previous, head) = (BlockHash::NONE, BlockHash::NONE);
        let mut stretch = Stretch {
            name,
            first,
            previous,
            last: None,
            head,
            entries: 0,
            spot: None,
            fits: None,
            wrong: None,
            unread: None,
        };
        let followed = stretch.follow(&mut files);
        match followed.err().or_else(|| files.trouble().cloned()) {
            None => {}
            Some(Trouble::Wrong(finding)) => stretch.wrong = Some(finding),
            Some(Trouble::Unread(why)) => stretch.unread = Some(why),
        }
        stretch
    }

    fn follow(&mut self, files: &mut SegmentFiles) -> Result<(), Trouble> {
        let mut next = self.first;
        while next < files.end() {
            let piece = files.texts(next, files.end() - 1)?;
            if piece.is_empty() {
                return Err(Finding::new(files.spot(&Place::Block(next)), "missing").into());
            }
            for block in &piece {
                let spot = files.spot(&Place::Block(next));
                self.append(block, next).map_err(|what| Finding::new(spot.clone(), what))?;
                self.spot = Some(spot);
                next += 1;
            }
        }
        Ok(())
    }

    fn append(&mut self, block: &SealedBlock, height: u64) -> Result<(), String> {
        if block.height() != height {
            return Err(format!("it is block {} where block {height} should be", block.height()));
        }
        if block.block().genesis.is_some() {
            return Err(format!("block {height} holds founding terms"));
        }
        match self.last {
            None => self.previous = block.block().previous,
            Some(_) if block.block().previous == self.head => {}
            Some(_) => return Err(format!("block {height} does not link to the block before")),
        }
        (self.last, self.head) = (Some(height), block.hash());
        self.entries += block.block().len() as u64;
        Ok(())
    }

    /// Compares the last block with the one in a whole chain, if the chain reaches so far.
    pub fn compare(&mut self, chain: &mut Examined) {
        let (Some(last), Some(spot)) = (self.last, &self.spot) else { return };
        if last >= chain.first || !self.is_sound() {
            return;
        }
        match across::hash_at(&mut *chain.source, last) {
            Ok(hash) if hash == self.head => self.fits = Some(chain.source.name()),
            Ok(hash) => {
                let name = chain.source.name();
                let what = format!("block {last} is {} here and {hash} in {name}", self.head);
                self.wrong = Some(Finding::new(spot.clone(), what));
            }
            Err(Trouble::Wrong(finding)) => self.unread = Some(finding.to_string()),
            Err(Trouble::Unread(why)) => self.unread = Some(why),
        }
    }

    /// True if nothing is wrong with it, as far as can be known.
    pub fn is_sound(&self) -> bool {
        self.wrong.is_none() && self.unread.is_none()
    }

    /// Writes what was found for people.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        writeln!(to, "{}", self.name)?;
        if let Some(last) = self.last {
            let as_far = if self.is_sound() { "" } else { ", as far as they are sound" };
            let (first, head, entries) = (self.first, self.head.short(), self.entries);
            writeln!(to, "  blocks   {first} to {last}, head {head}, entries: {entries}{as_far}")?;
            let before = first - 1;
            writeln!(to, "  before   block {before}, of hash {}", self.previous.short())?;
        }
        match (&self.wrong, &self.unread) {
            (Some(finding), _) => writeln!(to, "  WRONG    {finding}"),
            (None, Some(why)) => writeln!(to, "  UNREAD   {why}"),
            (None, None) if self.fits.is_some() => {
                let fits = self.fits.as_deref().unwrap_or_default();
                writeln!(to, "  sound    it is a part of the chain of {fits}")
            }
            (None, None) => writeln!(
                to,
                "  sound    each block is linked to the one before; whether its transfers are right \
                 depends on the blocks before the first"
            ),
        }
    }
}
