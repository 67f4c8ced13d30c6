//! Where a simulated store has its blocks: the newest in a list, as in Redis, the oldest in segments, as in an
//! archive's folder. An archivist copies them over, a step at a time, and dies with its server between any two.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};

use crate::bank::blockchain::block::SealedBlock;

/// A mistake of whoever archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Careless {
    /// A segment gets its name before its content is on the disk.
    NamesUnflushed,
    /// A segment counts as sealed before its name is on the disk.
    SealsUnnamed,
    /// A segment is noted before its file is there.
    NotesUnwritten,
    /// Blocks are forgotten, and no segment is noted.
    NotesNothing,
    /// The base is the height after the next block's.
    BaseTooHigh,
    /// Blocks are forgotten that pages of balances don't count yet.
    TrimsUncounted,
    /// The last block leaves, too.
    TrimsAll,
    /// Block 0 isn't kept beside the list.
    ForgetsGenesis,
    /// A start removes noted segments with the strays.
    RemovesNoted,
    /// Blocks of a segment are handed out whatever its hash is.
    ReadsUnchecked,
}

/// What the store notes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub first: u64,
    pub last: u64,
    sum: u64,
}

/// A file in the folder.
#[derive(Clone, Debug)]
struct File {
    texts: Vec<String>,
    /// Its content, and its name, are there after a power cut.
    flushed: bool,
    named: bool,
}

/// How far the sealing of a segment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Step {
    #[default]
    Copying,
    Written,
    Flushed,
    Named,
}

/// What the archivist has in mind.
#[derive(Clone, Debug, Default)]
struct Archivist {
    next: u64,
    part: Vec<String>,
    step: Step,
    copied: usize,
    /// Sealed segments that are not noted, each with how much was copied up to its end.
    sealed: VecDeque<(Note, usize)>,
    staged: Option<Note>,
    damaged: VecDeque<Note>,
    restoring: Vec<String>,
}

/// How a segment is harmed.
#[derive(Clone, Copy, Debug)]
pub enum Harm {
    Lost,
    Cut,
    Changed,
}

#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// A segment has so many blocks, and so many newer ones stay in the list at least.
    pub size: usize,
    pub keep: usize,
    pub careless: Option<Careless>,
    base: u64,
    notes: Vec<Note>,
    genesis: Option<String>,
    list: Vec<SealedBlock>,
    files: BTreeMap<(u64, u64), File>,
    archivist: Archivist,
    /// How many strays of a crash the last start removed.
    pub removed: usize,
    /// Where the segments begin that were harmed, for the judges.
    pub harmed: BTreeSet<u64>,
}

fn sum(texts: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish()
}

impl Shelf {
    pub fn new(size: usize, keep: usize, careless: Option<Careless>) -> Shelf {
        Shelf { size, keep, careless, ..Shelf::default() }
    }

    /// For another store, with the same folder or with an empty one.
    pub fn anew(&self, same_folder: bool) -> Shelf {
        let files = if same_folder { self.files.clone() } else { BTreeMap::new() };
        Shelf { files, ..Shelf::new(self.size, self.keep, self.careless) }
    }

    fn is(&self, careless: Careless) -> bool {
        self.careless == Some(careless)
    }

    pub fn base(&self) -> u64 {
        self.base
    }

    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    pub fn append(&mut self, block: &SealedBlock) {
        self.list.push(block.clone());
    }

    /// The blocks in the list from a height on.
    pub fn list_from(&self, height: u64) -> &[SealedBlock] {
        assert!(
            height >= self.base,
            "a start needs block {height}, and has those from {}",
            self.base
        );
        &self.list[(height - self.base) as usize..]
    }

    /// Reads a block; none if its segment is missing or isn't what was noted.
    pub fn read(&self, height: u64) -> Option<SealedBlock> {
        let open = |text: &String| SealedBlock::open(text).ok();
        match height {
            _ if height >= self.base => self.list.get((height - self.base) as usize).cloned(),
            0 => self.genesis.as_ref().and_then(open),
            _ => {
                let note = self.notes.iter().find(|note| note.last >= height)?;
                let texts = self.texts_of(note)?;
                texts.get((height - note.first) as usize).and_then(open)
            }
        }
    }

    fn texts_of(&self, note: &Note) -> Option<&Vec<String>> {
        let texts = &self.files.get(&(note.first, note.last))?.texts;
        let is_it = sum(texts) == note.sum || self.is(Careless::ReadsUnchecked);
        is_it.then_some(texts)
    }

    /// What a turn that comes anyway does first: notes the segment that was left for it, and forgets its blocks.
    /// True if there was one.
    pub fn trim(&mut self, checkpoint: u64) -> bool {
        let blocks = self.base + self.list.len() as u64;
        let counted = |note: &&Note| note.last <= checkpoint || self.is(Careless::TrimsUncounted);
        let follows = |note: &&Note| note.last + 1 < blocks || self.is(Careless::TrimsAll);
        let due = self.archivist.staged.as_ref().filter(|note| note.first == self.base);
        let Some(note) = due.filter(counted).filter(follows).cloned() else { return false };
        if note.first == 0 && !self.is(Careless::ForgetsGenesis) {
            self.genesis = Some(self.list[0].text().to_owned());
        }
        self.list.drain(..(note.last + 1 - self.base) as usize);
        self.base = note.last + 1 + u64::from(self.is(Careless::BaseTooHigh));
        if !self.is(Careless::NotesNothing) {
            self.notes.push(note);
        }
        true
    }

    /// Does one step. Returns how far the sealing is then.
    pub fn work(&mut self) -> Step {
        let base = self.base;
        self.archivist.sealed.retain(|(note, _)| note.first >= base);
        self.archivist.step = match self.archivist.step {
            Step::Copying => self.copy(),
            Step::Written => {
                if self.is(Careless::NotesUnwritten) {
                    self.seal();
                }
                Step::Flushed
            }
            Step::Flushed => {
                let texts = self.archivist.part.clone();
                let flushed = !self.is(Careless::NamesUnflushed);
                self.files.insert(self.heights(), File { texts, flushed, named: false });
                Step::Named
            }
            Step::Named => {
                let named = !self.is(Careless::SealsUnnamed);
                self.files.get_mut(&self.heights()).expect("it is there").named = named;
                if !self.is(Careless::NotesUnwritten) {
                    self.seal();
                }
                self.archivist.part.clear();
                Step::Copying
            }
        };
        let (copied, keep) = (self.archivist.copied, self.keep);
        let front = self.archivist.sealed.front();
        if let Some((note, _)) = front.filter(|(_, end)| copied - end >= keep) {
            self.archivist.staged = Some(note.clone());
        }
        self.archivist.step
    }

    fn heights(&self) -> (u64, u64) {
        let Archivist { next, part, .. } = &self.archivist;
        (next - part.len() as u64, next - 1)
    }

    fn copy(&mut self) -> Step {
        let place = self.archivist.next.checked_sub(self.base);
        let block = place.and_then(|place| self.list.get(place as usize));
        if let Some(block) = block.filter(|_| self.archivist.part.len() < self.size) {
            self.archivist.part.push(block.text().to_owned());
            (self.archivist.next, self.archivist.copied) =
                (self.archivist.next + 1, self.archivist.copied + 1);
        }
        match self.archivist.part.len() < self.size {
            true => Step::Copying,
            false => Step::Written,
        }
    }

    fn seal(&mut self) {
        let (first, last) = self.heights();
        let note = Note { first, last, sum: sum(&self.archivist.part) };
        self.archivist.sealed.push_back((note, self.archivist.copied));
    }

    /// The server dies; or the power fails, and with it what was not on the disk. Returns where the archivist was.
    pub fn die(&mut self, power_fails: bool) -> Step {
        if power_fails {
            self.files.retain(|_, file| file.named);
            for file in self.files.values_mut().filter(|file| !file.flushed) {
                file.texts.pop();
            }
        }
        std::mem::take(&mut self.archivist).step
    }

    /// The archivist begins: it removes the strays of a crash.
    pub fn start(&mut self) {
        let blocks = self.base + self.list.len() as u64;
        let noted: BTreeSet<(u64, u64)> =
            self.notes.iter().map(|note| (note.first, note.last)).collect();
        let removes_noted = self.is(Careless::RemovesNoted);
        let before = self.files.len();
        self.files.retain(|heights, _| {
            (noted.contains(heights) && !removes_noted) || heights.1 >= blocks
        });
        self.archivist = Archivist { next: self.base, ..Archivist::default() };
        self.removed = before - self.files.len();
        self.look();
    }

    /// Looks whether the segments are what was noted.
    pub fn look(&mut self) {
        let damaged = self.notes.iter().filter(|note| self.texts_of(note).is_none());
        let damaged: Vec<Note> = damaged.cloned().collect();
        for note in damaged {
            if !self.archivist.damaged.contains(&note) {
                self.archivist.damaged.push_back(note);
            }
        }
    }

    /// The blocks that a damaged segment lacks.
    pub fn wanted(&self) -> Option<(u64, u64)> {
        let note = self.archivist.damaged.front()?;
        Some((note.first + self.archivist.restoring.len() as u64, note.last))
    }

    /// Takes blocks that a peer has sent. True if a segment is whole again.
    pub fn take(&mut self, blocks: &[SealedBlock]) -> bool {
        let Some(note) = self.archivist.damaged.front().cloned() else { return false };
        for block in blocks {
            let next = note.first + self.archivist.restoring.len() as u64;
            if block.height() == next && next <= note.last {
                self.archivist.restoring.push(block.text().to_owned());
            }
        }
        if (self.archivist.restoring.len() as u64) <= note.last - note.first {
            return false;
        }
        let texts = std::mem::take(&mut self.archivist.restoring);
        if sum(&texts) != note.sum {
            self.archivist.damaged.rotate_left(1);
            return false;
        }
        self.archivist.damaged.pop_front();
        self.files.insert((note.first, note.last), File { texts, flushed: true, named: true });
        self.harmed.remove(&note.first);
        true
    }

    /// Somebody harms a segment.
    pub fn harm(&mut self, index: usize, harm: Harm) {
        let heights = (self.notes[index].first, self.notes[index].last);
        self.harmed.insert(heights.0);
        let Some(file) = self.files.get_mut(&heights) else { return };
        match harm {
            Harm::Lost => drop(self.files.remove(&heights)),
            Harm::Cut => drop(file.texts.pop()),
            Harm::Changed => {
                let last = file.texts.last_mut();
                last.into_iter()
                    .for_each(|text| *text = text.replace("\"height\":", "\"height\": "));
            }
        }
    }

    /// The judges' word: each block is in the list or in a segment that survives whatever comes, unless somebody
    /// harmed it, and a start needs the list alone.
    pub fn judge(&self, chain: &[SealedBlock], checkpoint: u64) {
        let end = self.notes.iter().fold(0, |end, note| {
            assert_eq!(note.first, end, "segments follow each other");
            note.last + 1
        });
        let in_segments = end.min(chain.len() as u64) as usize;
        assert_eq!(self.list, chain[in_segments..], "the list goes on where the segments end");
        assert_eq!(self.base, end, "the base is where the segments end");
        assert_eq!(self.genesis.is_some(), end > 0, "block 0 is kept beside the list");
        assert!(end == 0 || end <= checkpoint + 1, "pages count all blocks that have left");
        assert!(end == 0 || !self.list.is_empty(), "the last block stays");
        for note in self.notes.iter().filter(|note| !self.harmed.contains(&note.first)) {
            let file = self.files.get(&(note.first, note.last));
            let file = file.unwrap_or_else(|| panic!("blocks from {} on are nowhere", note.first));
            assert!(
                file.flushed && file.named,
                "blocks from {} on have left too early",
                note.first
            );
            let blocks = &chain[note.first as usize..=note.last as usize];
            assert!(
                file.texts.iter().eq(blocks.iter().map(SealedBlock::text)),
                "the segment from block {} on is not the chain's",
                note.first
            );
        }
    }
}
