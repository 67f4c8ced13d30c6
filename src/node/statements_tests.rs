//! Statements over a chain of which a part is in segments, with more and with less of an index.

use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;

use super::*;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Position, Record};
use crate::store::archive::claim::Claim;
use crate::store::archive::folder::Folder;
use crate::store::archive::owner::Owner;
use crate::store::archive::reader::SegmentReader;
use crate::store::archive::segment::Segment;

const BLOCKS: u64 = 600;
const ACCOUNTS: u64 = 30;
/// More than any test needs.
const PLENTY: usize = 1 << 20;

fn account(number: u64) -> AccountId {
    format!("A/{number}").parse().unwrap()
}

/// Makes block `height`: A pays 1 to each account whose number divides the height.
fn block(height: u64, previous: BlockHash) -> SealedBlock {
    let payment = |number: u64| {
        let (from, to) = ("A".parse().unwrap(), account(number));
        let action = Action::Transfer { from, to, amount: Amount::new(1).unwrap() };
        Record::plain(action)
    };
    let paid = (1..=ACCOUNTS).filter(|number| height > 0 && height.is_multiple_of(*number));
    let records: Vec<Record> = paid.map(payment).collect();
    let element = |records| Element::seal(Position { epoch: 1, seq: 100 * height }, records);
    let elements = if records.is_empty() { Vec::new() } else { vec![element(records)] };
    let logs = BTreeMap::from([("A".parse().unwrap(), elements)]);
    let (proposer, genesis, opening) = (None, None, None);
    SealedBlock::seal(Block { height, previous, proposer, genesis, opening, logs })
}

fn all_blocks() -> Vec<SealedBlock> {
    let mut blocks: Vec<SealedBlock> = Vec::new();
    for height in 0..BLOCKS {
        let previous = blocks.last().map_or(BlockHash::NONE, SealedBlock::hash);
        blocks.push(block(height, previous));
    }
    blocks
}

/// A chain whose first blocks are in segments, if it has a place for them.
struct Chain {
    blocks: Vec<SealedBlock>,
    place: TempDir,
    folder: Option<Folder>,
    reader: Option<SegmentReader>,
    segments: Vec<Segment>,
    claim: Claim,
    /// How often blocks were read.
    reads: usize,
}

impl Chain {
    fn new() -> Chain {
        let (blocks, place) = (all_blocks(), tempfile::tempdir().unwrap());
        let folder = Folder::new(place.path().to_owned());
        let owner = Owner { server: "A".parse().unwrap(), bank: blocks[0].hash() };
        let claim = folder.claim(&owner).unwrap();
        let reader = Some(folder.reader());
        Chain { blocks, place, folder: Some(folder), reader, segments: Vec::new(), claim, reads: 0 }
    }

    /// Puts all blocks below this height into segments of fifty.
    fn archive(&mut self, height: u64) {
        for first in (self.base()..height).step_by(50) {
            let mut writer = self.claim.begin(first).unwrap();
            let blocks = self.blocks[first as usize..].iter().take(50);
            blocks.for_each(|block| writer.append(block.text()).unwrap());
            self.segments.push(writer.seal().unwrap());
        }
    }

    fn base(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.last + 1)
    }

    fn remove(&self, segment: usize, kind: &str) {
        let stem = self.segments[segment].stem();
        fs::remove_file(self.place.path().join(format!("{stem}.{kind}"))).unwrap();
    }
}

impl BlockSource for Chain {
    fn blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError> {
        self.reads += 1;
        if 0 < from && from < self.base() {
            let segment = self.segments.iter().find(|segment| segment.holds(from)).unwrap();
            let no_folder = || StoreError::Past { file: None, what: "no --archive".into() };
            let reader = self.reader.as_mut().ok_or_else(no_folder)?;
            return Ok(reader.blocks(segment, from, to, max_bytes)?);
        }
        let mut read = 0;
        let blocks = self.blocks.iter().skip(from as usize).take_while(|block| {
            let is_first = read == 0;
            read += block.text().len();
            block.height() <= to && (read <= max_bytes || is_first)
        });
        Ok(blocks.cloned().collect())
    }

    fn segments(&self) -> (Option<&Folder>, &[Segment]) {
        (self.folder.as_ref(), &self.segments)
    }
}

/// Indexes all of the chain that can be indexed, or its end only.
fn indexed(chain: &mut Chain, memory: usize) -> Statements {
    let mut statements = Statements::new("A".parse().unwrap(), memory);
    while statements.index_piece(chain).unwrap() {}
    assert!(statements.covers(BLOCKS));
    statements
}

/// The heights in an account's statement; and, if it breaks off, why.
fn statement(
    statements: &mut Statements,
    chain: &mut Chain,
    account: &AccountId,
    limit: usize,
) -> (Vec<u64>, Option<String>) {
    let (committed, balance) = (Amount::new(10_000), Amount::new(10_000).unwrap());
    let state = AccountState { blocks: BLOCKS, committed, log: Vec::new(), older: false, balance };
    let (mut heights, mut before) = (Vec::new(), None);
    loop {
        let page = match statements.page(chain, account, before, limit, &state) {
            Ok(page) => page,
            Err(error) => return (heights, Some(error.to_string())),
        };
        let Reply::History { lines, next, .. } = page else { panic!("{page:?}") };
        heights.extend(lines.iter().filter_map(|line| line.height));
        match next {
            Some(_) if next == before => panic!("it goes nowhere"),
            Some(_) => before = next,
            None => return (heights, None),
        }
    }
}

fn expected(number: u64) -> Vec<u64> {
    (1..BLOCKS).rev().filter(|height| height.is_multiple_of(number)).collect()
}

fn check_all(statements: &mut Statements, chain: &mut Chain) {
    for number in [1, 2, 7, 29, 30] {
        for limit in [3, 1_000] {
            let (heights, why) = statement(statements, chain, &account(number), limit);
            assert_eq!((heights, why), (expected(number), None), "account {number}");
        }
    }
    assert_eq!(statement(statements, chain, &account(ACCOUNTS + 1), 9), (vec![], None));
}

#[test]
fn answers_are_the_same_with_any_memory() {
    for memory in [PLENTY, 10_000, 3_000, 0] {
        let mut chain = Chain::new();
        let mut statements = indexed(&mut chain, memory);
        let IndexStatus { blocks, bytes, searched } = statements.standing();
        assert!(blocks == BLOCKS && bytes <= memory as u64, "{bytes} of {memory}");
        assert_eq!(searched > 0, memory < PLENTY, "{searched} with {memory}");
        check_all(&mut statements, &mut chain);
        // The same when they leave for segments: what isn't in memory is indexed from these.
        chain.archive(400);
        while statements.index_piece(&mut chain).unwrap() {}
        assert!(statements.standing().searched <= searched.min(BLOCKS - 400));
        check_all(&mut statements, &mut chain);
    }
}

#[test]
fn a_start_makes_only_the_indexes_that_are_missing_or_wrong() {
    let mut chain = Chain::new();
    chain.archive(400);
    indexed(&mut chain, PLENTY);
    let written = |chain: &Chain, segment: usize| {
        let path = chain.place.path().join(format!("{}.accounts", chain.segments[segment].stem()));
        fs::metadata(path).unwrap().modified().unwrap()
    };
    let before = [0, 1, 2].map(|segment| written(&chain, segment));
    chain.remove(1, "accounts");
    check_all(&mut indexed(&mut chain, PLENTY), &mut chain);
    let after = [0, 1, 2].map(|segment| written(&chain, segment));
    assert_eq!((before[0], before[2]), (after[0], after[2]));
    assert!(before[1] < after[1]);
}

#[test]
fn while_an_index_is_made_again_its_segment_is_searched() {
    let mut chain = Chain::new();
    chain.archive(400);
    let mut statements = indexed(&mut chain, PLENTY);
    for damaged in ["short", "x".repeat(4096).as_str()] {
        let path = chain.place.path().join(format!("{}.accounts", chain.segments[3].stem()));
        fs::write(&path, damaged).unwrap();
        check_all(&mut statements, &mut chain);
        assert_eq!(statements.standing().searched, 50, "it is in use no more");
        while statements.index_piece(&mut chain).unwrap() {}
        assert_eq!(statements.standing().searched, 0);
        check_all(&mut statements, &mut chain);
    }
}

/// Blocks 150 to 199 are in the lost segment. Account 29 has none there but block 174, and account 30 blocks 150
/// and 180.
#[test]
fn what_can_be_read_is_told_when_a_segment_is_lost() {
    let mut chain = Chain::new();
    chain.archive(400);
    let mut statements = indexed(&mut chain, PLENTY);
    chain.remove(3, "jsonl");
    let of_far = account(28);
    let newer = |number: u64, from: u64| -> Vec<u64> {
        expected(number).into_iter().filter(|height| *height >= from).collect()
    };
    for index_too in [false, true] {
        if index_too {
            chain.remove(3, "accounts");
            statements = indexed(&mut chain, PLENTY);
        }
        for number in [1, 29, 30] {
            let (heights, why) = statement(&mut statements, &mut chain, &account(number), 1_000);
            let why = why.unwrap_or_default();
            assert!(why.contains("blocks 150 to 199 are missing"), "{number}: {why}");
            assert!(heights == newer(number, 200) || heights == newer(number, 175), "{number}");
        }
        // By its index, an account that the segment doesn't touch needs none of it.
        let (_, why) = statement(&mut statements, &mut chain, &account(ACCOUNTS + 1), 9);
        assert_eq!(why.is_some(), index_too);
        // Older pages, too: that of account 28 below the gap.
        let state = AccountState {
            blocks: BLOCKS,
            committed: None,
            log: Vec::new(),
            older: false,
            balance: Amount::ZERO,
        };
        let below = Cursor { height: 149, place: u64::MAX >> 1, balance: Amount::new(99).unwrap() };
        let page = statements.page(&mut chain, &of_far, Some(below), 9, &state).unwrap();
        let Reply::History { lines, next: None, .. } = page else { panic!("{page:?}") };
        assert_eq!(lines.len(), 5);
    }
    // New blocks are indexed all the same, and the segment when it is back.
    assert_eq!(statements.standing().searched, 50);
}

#[test]
fn without_a_folder_the_newer_part_is_told() {
    let mut chain = Chain::new();
    chain.archive(400);
    (chain.folder, chain.reader) = (None, None);
    let mut statements = indexed(&mut chain, PLENTY);
    for memory in [PLENTY, 0] {
        if memory == 0 {
            statements = indexed(&mut chain, memory);
        }
        let (heights, why) = statement(&mut statements, &mut chain, &account(7), 1_000);
        let newer = expected(7).into_iter().filter(|height| *height >= 400);
        assert_eq!(heights, newer.collect::<Vec<_>>());
        let why = why.unwrap();
        assert!(why.contains("blocks 1 to 399 are missing") && why.contains("--archive"), "{why}");
    }
}

#[test]
fn a_block_that_fills_several_pages_is_read_once() {
    let mut chain = Chain::new();
    chain.archive(500);
    let mut statements = indexed(&mut chain, PLENTY);
    let (committed, balance) = (Amount::new(10_000), Amount::new(10_000).unwrap());
    let state = AccountState { blocks: BLOCKS, committed, log: Vec::new(), older: false, balance };
    // In block 420 A pays 15 accounts.
    let mut before = Some(Cursor { height: 420, place: Amount::MAX.units(), balance });
    let mut seqs = Vec::new();
    let reads = chain.reads;
    for _ in 0..5 {
        let page = statements.page(&mut chain, &"A".parse().unwrap(), before, 3, &state).unwrap();
        let Reply::History { lines, next, .. } = page else { panic!("{page:?}") };
        assert!(lines.iter().all(|line| line.height == Some(420)));
        seqs.extend(lines.iter().map(|line| line.entry.seq));
        before = next;
    }
    assert_eq!(seqs, (42_000..42_015).rev().collect::<Vec<u64>>());
    // That the last page is full is known by the block before.
    assert_eq!(chain.reads - reads, 2);
    // The first page once more.
    let before = Some(Cursor { height: 420, place: Amount::MAX.units(), balance });
    statements.page(&mut chain, &"A".parse().unwrap(), before, 15, &state).unwrap();
    assert_eq!(chain.reads - reads, 2);
}
