//! What is written to a store comes back from it; each test runs against every kind.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::blockchain::derived::{Derived, SessionsInChain};
use paxos_banking::bank::effects::Write;
use paxos_banking::bank::ids::{InstanceId, SessionId, TurnNumber};
use paxos_banking::bank::ledger::entry::Position;
use paxos_banking::bank::ledger::sessions::SessionChanges;
use paxos_banking::bank::stored::Stored;
use paxos_banking::store::{BlockSource, Store, StoreError};
use support::disk::{Disk, after, commit, texts};
use support::samples::*;

contract! {
    an_empty_store_gets_an_instance,
    a_second_load_finds_the_same_instance_and_begins_a_new_life,
    the_local_log_comes_back_element_by_element,
    a_promise_comes_back,
    the_last_accepted_block_counts,
    a_block_accepted_again_in_a_higher_ballot_stays,
    appending_moves_the_accepted_block,
    a_promise_that_stands_outlives_an_appended_block,
    appending_another_block_forgets_the_accepted_one,
    one_batch_may_hold_everything,
    a_page_replaces_the_one_that_was_there,
    pages_come_back_in_pieces,
    a_block_may_come_with_more_pages_than_one_command_takes,
    the_checkpoint_comes_back,
    a_page_that_is_not_there_is_named,
    what_is_included_comes_back,
    who_has_which_instance_comes_back,
    what_is_known_of_sessions_comes_back,
    activation_stays,
    blocks_come_in_bounded_pieces,
    a_reader_follows_the_chain,
}

fn an_empty_store_gets_an_instance<D: Disk>() {
    let disk = D::new();
    let stored = disk.open().load().unwrap();
    let nothing = Stored {
        instance: stored.instance,
        lives: vec![(stored.lives[0].0, TurnNumber(1))],
        turn: TurnNumber(1),
        active: false,
        blocks: 0,
        pages: 0,
        checkpoint: 0,
        derived: Derived::default(),
        sessions: SessionsInChain::default(),
        log: Vec::new(),
        promised: None,
        accepted: None,
    };
    assert_eq!(stored, nothing);
    let another = D::new();
    assert_ne!(another.open().load().unwrap().instance, stored.instance);
}

fn a_second_load_finds_the_same_instance_and_begins_a_new_life<D: Disk>() {
    let disk = D::new();
    let first = disk.open().load().unwrap();
    let second = disk.open().load().unwrap();
    let third = disk.open().load().unwrap();
    assert_eq!((second.lives.len(), third.lives.len()), (2, 3));
    assert_eq!([second.instance, third.instance], [first.instance; 2]);
    assert_eq!(second.lives[..1], first.lives);
    assert_eq!(third.lives[..2], second.lives);
    let lives: BTreeSet<_> = third.lives.iter().map(|(life, _)| life).collect();
    assert_eq!(lives.len(), 3);
    let turns: Vec<u64> = third.lives.iter().map(|(_, turn)| turn.0).collect();
    assert_eq!((turns, third.turn.0), (vec![1, 2, 3], 3));
}

fn the_local_log_comes_back_element_by_element<D: Disk>() {
    let elements = [element(1..=2), element(3..=3), element(4..=5)];
    let logs: Vec<Write> = elements.iter().cloned().map(Write::Log).collect();
    let stored = after::<D>(vec![vec![logs[0].clone(), logs[1].clone()], vec![logs[2].clone()]]);
    assert_eq!(stored.log, elements);

    let trimmed = append_with(&genesis(), false, 2, &[]);
    let stored = after::<D>(vec![logs.clone(), vec![trimmed]]);
    assert_eq!(stored.log, elements[2..]);

    let all = append_with(&genesis(), false, 3, &[]);
    let stored = after::<D>(vec![logs.clone(), vec![all, logs[0].clone()]]);
    assert_eq!(stored.log, elements[..1]);
}

fn a_promise_comes_back<D: Disk>() {
    let promise = |round| vec![Write::Promise(ballot(round))];
    let stored = after::<D>(vec![promise(3), promise(7)]);
    assert_eq!((stored.promised, stored.accepted), (Some(ballot(7)), None));
}

fn the_last_accepted_block_counts<D: Disk>() {
    let blocks = chain(2, 3);
    let other = block_after(&blocks[0], vec![element(9..=9)]);
    let stored = after::<D>(vec![
        vec![append(&blocks[0])],
        vec![accept(4, &blocks[1])],
        vec![accept(5, &other), Write::Promise(ballot(6))],
    ]);
    let (found, block) = stored.accepted.unwrap();
    assert_eq!((found, block.text()), (ballot(5), other.text()));
    assert_eq!(stored.promised, Some(ballot(6)));
}

fn a_block_accepted_again_in_a_higher_ballot_stays<D: Disk>() {
    let blocks = chain(2, 3);
    let stored = after::<D>(vec![
        vec![append(&blocks[0])],
        vec![accept(4, &blocks[1])],
        vec![accept(5, &blocks[1])],
    ]);
    let (found, block) = stored.accepted.unwrap();
    assert_eq!((found, block.text()), (ballot(5), blocks[1].text()));
    assert_eq!(stored.promised, Some(ballot(5)));
}

fn appending_moves_the_accepted_block<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let blocks = chain(2, 3);
    commit(&mut store, &mut last, vec![append(&blocks[0]), accept(1, &blocks[1])]);
    commit(&mut store, &mut last, vec![append_with(&blocks[1], true, 0, &[])]);
    assert_eq!(texts(&store.blocks(0, 9, 1 << 20).unwrap()), texts(&blocks));
    let stored = disk.open().load().unwrap();
    assert_eq!((stored.blocks, stored.promised, stored.accepted), (2, None, None));
}

fn a_promise_that_stands_outlives_an_appended_block<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let blocks = chain(2, 3);
    commit(&mut store, &mut last, vec![append(&blocks[0]), accept(6, &blocks[1])]);
    let mut next = append_with(&blocks[1], true, 0, &[]);
    let Write::Append { promise_stands, .. } = &mut next else { unreachable!() };
    *promise_stands = true;
    commit(&mut store, &mut last, vec![next]);
    let stored = disk.open().load().unwrap();
    assert_eq!((stored.promised, stored.accepted), (Some(ballot(6)), None));
}

fn appending_another_block_forgets_the_accepted_one<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let blocks = chain(2, 3);
    let other = block_after(&blocks[0], vec![element(9..=9)]);
    commit(&mut store, &mut last, vec![append(&blocks[0]), accept(1, &other)]);
    commit(&mut store, &mut last, vec![append(&blocks[1])]);
    assert_eq!(texts(&store.blocks(0, 9, 1 << 20).unwrap()), texts(&blocks));
    let stored = disk.open().load().unwrap();
    assert_eq!((stored.blocks, stored.promised, stored.accepted), (2, None, None));
}

fn one_batch_may_hold_everything<D: Disk>() {
    let blocks = chain(3, 1);
    let stored = after::<D>(vec![vec![
        append(&blocks[0]),
        Write::Activate,
        Write::Log(element(1..=1)),
        Write::Promise(ballot(1)),
        accept(2, &blocks[1]),
        append_with(&blocks[1], true, 1, &[("A", 99), ("B", 101)]),
        Write::Log(element(2..=2)),
        accept(3, &blocks[2]),
    ]]);
    assert!(stored.active);
    assert_eq!((stored.blocks, stored.log), (2, vec![element(2..=2)]));
    assert_eq!((stored.pages, stored.checkpoint), (1, 1));
    assert_eq!(stored.accepted, Some((ballot(3), blocks[2].clone())));
    assert_eq!(stored.promised, Some(ballot(3)));
}

fn a_page_replaces_the_one_that_was_there<D: Disk>() {
    let blocks = chain(3, 1);
    let most = (1 << 53) - 1;
    // In the order in which the chain opened them, which need not be that of their names.
    let first = page(0, 0, &[("B", 100), ("A/alice", most), ("A", 100)]);
    let second = page(1, 0, &[("A/bob", 7)]);
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let both = append_pages(&blocks[0], vec![first, second.clone()], 0);
    commit(&mut store, &mut last, vec![both]);
    let newer = page(0, 1, &[("B", 0), ("A/alice", most), ("A", 200)]);
    // A page may also become longer, and a block may come with none at all.
    let longer = page(1, 2, &[("A/bob", 7), ("A/carol", 0)]);
    commit(&mut store, &mut last, vec![append_pages(&blocks[1], vec![newer.clone()], 1)]);
    assert_eq!(store.pages(0, 2).unwrap(), [newer.clone(), second]);
    commit(&mut store, &mut last, vec![append_pages(&blocks[2], vec![longer.clone()], 2)]);
    commit(&mut store, &mut last, vec![append(&block_after(&blocks[2], vec![element(9..=9)]))]);
    assert_eq!(store.pages(0, 2).unwrap(), [newer.clone(), longer.clone()]);
    let mut again = disk.open();
    assert_eq!(again.load().unwrap().pages, 2);
    assert_eq!(again.pages(0, 2).unwrap(), [newer, longer]);
}

fn pages_come_back_in_pieces<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let names: Vec<String> = (0..12).map(|number| format!("A/{number}")).collect();
    let pages: Vec<_> =
        (0..12).map(|number| page(number, 0, &[(&names[number as usize], 1)])).collect();
    // Stored in another order than that of their numbers.
    let turned = pages.iter().rev().cloned().collect();
    commit(&mut store, &mut last, vec![append_pages(&genesis(), turned, 0)]);
    for count in [1, 5, 12] {
        let mut found = Vec::new();
        while found.len() < pages.len() {
            let from = found.len() as u64;
            let piece = store.pages(from, count.min(12 - from)).unwrap();
            assert_eq!(piece.len() as u64, count.min(12 - from));
            found.extend(piece);
        }
        assert_eq!(found, pages);
    }
    assert_eq!(store.pages(10, 1).unwrap(), pages[10..11]);
}

fn a_block_may_come_with_more_pages_than_one_command_takes<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let names: Vec<String> = (0..200 * 256).map(|number| format!("A/{number:05}")).collect();
    let balances: Vec<_> =
        names.iter().zip(0..).map(|(name, units)| (name.as_str(), units)).collect();
    let pages: Vec<_> =
        (0..).zip(balances.chunks(256)).map(|(number, some)| page(number, 0, some)).collect();
    commit(&mut store, &mut last, vec![append_pages(&genesis(), pages.clone(), 0)]);
    let mut again = disk.open();
    assert_eq!(again.load().unwrap().pages, 200);
    assert!(again.pages(0, 200).unwrap() == pages, "as they were written");
}

fn the_checkpoint_comes_back<D: Disk>() {
    let blocks = chain(4, 1);
    let at = |index: usize, checkpoint| append_pages(&blocks[index], Vec::new(), checkpoint);
    let first = vec![append(&blocks[0]), at(1, 0), at(2, 0)];
    assert_eq!(after::<D>(vec![first.clone()]).checkpoint, 0);
    let stored = after::<D>(vec![first.clone(), vec![at(3, 2)]]);
    assert_eq!((stored.blocks, stored.checkpoint), (4, 2));
    assert_eq!(after::<D>(vec![first, vec![at(3, 3)]]).checkpoint, 3);
}

fn a_page_that_is_not_there_is_named<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let [first, third] = [0, 2].map(|number| page(number, 0, &[("A", 100)]));
    commit(&mut store, &mut last, vec![append_pages(&genesis(), vec![first, third], 0)]);
    for (from, count, missing) in [(0, 3, 1), (1, 1, 1), (2, 2, 3), (7, 2, 7)] {
        let mut store = disk.open();
        store.look().unwrap();
        match store.pages(from, count) {
            Err(StoreError::Corrupt { key, what }) => {
                assert!(key.contains(&missing.to_string()) && what == "missing", "{key}: {what}");
            }
            other => panic!("{from}, {count}: {other:?}"),
        }
    }
}

fn what_is_included_comes_back<D: Disk>() {
    let blocks = chain(3, 2);
    for (count, seq) in [(1, 0), (2, 2), (3, 4)] {
        let stored = after::<D>(vec![blocks[..count].iter().map(append).collect()]);
        let ends = [("A", seq), ("B", 0)];
        let expected = ends.map(|(id, seq)| (server(id), Position { epoch: 1, seq }));
        assert_eq!(stored.derived.included, expected.into());
    }
}

/// Appends a block, changed.
fn append_but(block: &SealedBlock, change: impl FnOnce(&mut Write)) -> Write {
    let mut append = append(block);
    change(&mut append);
    append
}

fn who_has_which_instance_comes_back<D: Disk>() {
    let blocks = chain(2, 2);
    let rejoined = BTreeMap::from([(server("A"), InstanceId(1)), (server("B"), InstanceId(7))]);
    let after_both = append_but(&blocks[1], |append| {
        let Write::Append { derived, .. } = append else { return };
        derived.instances.clone_from(&rejoined);
        derived.deposed.extend([InstanceId(2), InstanceId(5)]);
    });
    let stored = after::<D>(vec![vec![append(&blocks[0])], vec![after_both]]);
    assert_eq!(stored.derived.instances, rejoined);
    assert_eq!(stored.derived.deposed, BTreeSet::from([InstanceId(2), InstanceId(5)]));
    let stored = after::<D>(vec![vec![append(&blocks[0])]]);
    assert_eq!((stored.derived.instances, stored.derived.deposed), (instances(), BTreeSet::new()));
}

fn what_is_known_of_sessions_comes_back<D: Disk>() {
    let blocks = chain(4, 2);
    let session =
        |count: u64| -> SessionId { format!("A.1.0.00000000000000aa.{count}").parse().unwrap() };
    let with = |block, highest: &[(u64, u64)], forgotten: &[u64], horizon: Option<u64>| {
        let sessions_are = SessionChanges {
            highest: highest.iter().map(|(count, number)| (session(*count), *number)).collect(),
            forgotten: forgotten.iter().map(|count| session(*count)).collect(),
            horizon: horizon.map(|seq| Position { epoch: 1, seq }),
        };
        append_but(block, |append| {
            if let Write::Append { sessions, .. } = append {
                *sessions = sessions_are;
            }
        })
    };
    let first = vec![append(&blocks[0]), with(&blocks[1], &[(1, 4), (2, 1)], &[], None)];
    let second = vec![with(&blocks[2], &[(3, 9), (2, 6)], &[1], Some(1))];
    let stored = after::<D>(vec![first.clone()]);
    assert_eq!(stored.sessions.highest, BTreeMap::from([(session(1), 4), (session(2), 1)]));
    assert_eq!(stored.sessions.horizon, None);
    let both = BTreeMap::from([(session(2), 6), (session(3), 9)]);
    let stored = after::<D>(vec![first.clone(), second.clone()]);
    assert_eq!(
        (stored.sessions.highest, stored.sessions.horizon),
        (both.clone(), Some(Position { epoch: 1, seq: 1 }))
    );
    let third = vec![append(&blocks[3])];
    let stored = after::<D>(vec![first, second, third]);
    assert_eq!(
        (stored.sessions.highest, stored.sessions.horizon),
        (both, Some(Position { epoch: 1, seq: 1 }))
    );
}

fn activation_stays<D: Disk>() {
    assert!(after::<D>(vec![vec![append(&genesis())], vec![Write::Activate]]).active);
}

fn blocks_come_in_bounded_pieces<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    assert_eq!(store.blocks(0, u64::MAX, 1000).unwrap(), []);
    // Small blocks, then ones ten times as large.
    let mut blocks = chain(150, 1);
    while blocks.len() < 200 {
        let first = blocks.len() as u64 * 10;
        blocks.push(block_after(&blocks[blocks.len() - 1], vec![element(first..=first + 9)]));
    }
    commit(&mut store, &mut last, blocks.iter().map(append).collect());

    for max_bytes in [0, 1000, 20_000, usize::MAX] {
        let mut found = Vec::new();
        while found.len() < blocks.len() {
            let piece = store.blocks(found.len() as u64, u64::MAX, max_bytes).unwrap();
            let bytes: usize = piece.iter().map(|block| block.text().len()).sum();
            assert!(piece.len() == 1 || bytes <= max_bytes, "{bytes} of {max_bytes}");
            assert!(!piece.is_empty());
            found.extend(piece);
        }
        assert_eq!(texts(&found), texts(&blocks));
    }
    let heights = |from, to, max_bytes| -> Vec<u64> {
        let blocks = disk_blocks(&disk, from, to, max_bytes);
        blocks.iter().map(SealedBlock::height).collect()
    };
    assert_eq!(heights(3, 5, usize::MAX), [3, 4, 5]);
    assert_eq!(heights(199, 300, 0), [199]);
    assert!(heights(200, 300, 1000).is_empty());
    assert!(heights(5, 3, 1000).is_empty());
    assert!(heights(u64::MAX, u64::MAX, 1000).is_empty());
}

/// What a reader without the least connection to anything earlier finds.
fn disk_blocks<D: Disk>(disk: &D, from: u64, to: u64, max_bytes: usize) -> Vec<SealedBlock> {
    disk.open().reader().blocks(from, to, max_bytes).unwrap()
}

fn a_reader_follows_the_chain<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let mut reader = store.reader();
    assert_eq!(reader.blocks(0, 9, 1 << 20).unwrap(), []);
    let blocks = chain(3, 2);
    for (index, block) in blocks.iter().enumerate() {
        commit(&mut store, &mut last, vec![append(block)]);
        assert_eq!(texts(&reader.blocks(0, 9, 1 << 20).unwrap()), texts(&blocks[..=index]));
    }
    drop(store);
    assert_eq!(texts(&reader.blocks(1, 1, 1 << 20).unwrap()), texts(&blocks[1..2]));
}
