//! A folder with segments of a small chain, for the unit tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, BlockHash, FORMAT, Genesis, SealedBlock};
use crate::bank::ids::InstanceId;
use crate::bank::ledger::element::Element;
use crate::store::archive::claim::Claim;
use crate::store::archive::folder::Folder;
use crate::store::archive::names::Kind;
use crate::store::archive::owner::Owner;
use crate::store::archive::segment::Segment;

/// A chain of blocks with an entry or so each.
pub(super) fn chain(blocks: u64) -> Vec<SealedBlock> {
    let mut chain = vec![SealedBlock::genesis(Genesis {
        format: FORMAT,
        opening_balance: Amount::new(100).unwrap(),
        servers: BTreeMap::from([("A".parse().unwrap(), InstanceId(1))]),
        keys: BTreeMap::new(),
        origin: None,
        issuing: false,
    })];
    for height in 1..blocks {
        let entries: Vec<String> =
            (0..=height % 4).map(|_| format!("[\"A\",\"B\",{height}]")).collect();
        let element =
            format!("{{\"epoch\":1,\"seq\":{height},\"entries\":[{}]}}", entries.join(","));
        let element = Element::open(&element).expect("an element");
        chain.push(SealedBlock::seal(Block {
            height,
            previous: chain[height as usize - 1].hash(),
            proposer: Some("A".parse().unwrap()),
            genesis: None,
            opening: None,
            logs: BTreeMap::from([("A".parse().unwrap(), vec![element])]),
        }));
    }
    chain
}

/// A claimed folder with two segments of one chain, which goes on behind them.
pub(super) struct Archive {
    pub(super) chain: Vec<SealedBlock>,
    pub(super) segments: Vec<Segment>,
    pub(super) claim: Claim,
    pub(super) folder: Folder,
    /// Removes the folder in the end.
    _temporary: TempDir,
}

pub(super) fn owner(server: &str) -> Owner {
    Owner { server: server.parse().unwrap(), bank: BlockHash::of("bank") }
}

impl Archive {
    /// Makes segments of `lengths` blocks, and a few blocks more.
    pub(super) fn of(lengths: &[u64]) -> Archive {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(temporary.path().join("archive/A"));
        let claim = folder.claim(&owner("A")).expect("a claim");
        let chain = chain(lengths.iter().sum::<u64>() + 5);
        let segments = Vec::new();
        let mut archive = Archive { chain, segments, claim, folder, _temporary: temporary };
        for length in lengths {
            let first = archive.segments.last().map_or(0, |last| last.last + 1);
            let segment = archive.seal(first, first + length - 1);
            archive.segments.push(segment);
        }
        archive
    }

    /// Seals a segment.
    pub(super) fn seal(&self, first: u64, last: u64) -> Segment {
        let mut writer = self.claim.begin(first).expect("a writer");
        for block in &self.chain[first as usize..=last as usize] {
            writer.append(block.text()).expect("a line");
        }
        writer.seal().expect("a segment")
    }

    pub(super) fn path(&self, segment: usize) -> PathBuf {
        self.segments[segment].path(self.folder.path())
    }

    pub(super) fn offsets(&self, segment: usize) -> PathBuf {
        self.segments[segment].path_of(Kind::Offsets, self.folder.path())
    }

    /// Changes the bytes of a file.
    pub(super) fn change(path: &PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).expect("there");
        change(&mut bytes);
        fs::write(path, bytes).expect("written");
    }

    /// The names of the files there.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}
