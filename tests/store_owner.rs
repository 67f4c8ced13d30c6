//! Only one process writes to a store, what does not fit is refused, and a store that was lost is
//! noticed; each test runs against every kind.

mod support;

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::effects::Write;
use paxos_banking::bank::ids::TurnNumber;
use paxos_banking::bank::stored::LIVES_KEPT;
use paxos_banking::store::memory::{Fault, MemoryStore};
use paxos_banking::store::{Store, StoreError};
use support::disk::{Disk, commit};
use support::samples::*;

contract! {
    a_wrong_turn_number_writes_nothing,
    a_write_that_does_not_fit_writes_nothing,
    a_batch_without_writes_is_no_turn,
    an_older_owner_is_fenced,
    a_load_fences_even_one_that_has_not_written,
    of_many_processes_that_load_at_once_one_remains,
    a_store_that_failed_must_be_loaded_again,
    nothing_is_written_before_a_life_begins,
    a_process_may_load_again,
    a_lost_store_is_noticed_by_a_write,
    a_lost_store_is_noticed_by_a_load,
    a_store_of_another_instance_is_noticed,
    a_process_that_looks_in_finds_what_it_left,
    only_the_latest_lives_are_kept,
}

fn a_wrong_turn_number_writes_nothing<D: Disk>() {
    let disk = D::new();
    for wrong in [-1, 0, 2] {
        let mut store = disk.open();
        let turn = store.load().unwrap().turn.0;
        let number = turn.checked_add_signed(wrong).unwrap();
        let error = store.commit(batch(number, vec![Write::Log(element(1..=1))])).unwrap_err();
        assert!(matches!(error, StoreError::Strange(_)), "{error}");
    }
    assert_eq!(disk.open().load().unwrap().log, []);
}

fn a_write_that_does_not_fit_writes_nothing<D: Disk>() {
    let disk = D::new();
    let blocks = chain(3, 1);
    let moved = |block: &SealedBlock, trim| append_with(block, true, trim, &[]);
    let misfits = [
        vec![append(&blocks[1])],
        vec![append(&blocks[0]), append(&blocks[0])],
        vec![append(&blocks[0]), accept(1, &blocks[2])],
        vec![moved(&blocks[0], 0)],
        vec![accept(1, &blocks[0]), moved(&blocks[0], 1)],
        vec![accept(1, &blocks[0]), append(&blocks[0]), moved(&blocks[1], 0)],
        vec![
            Write::Log(element(1..=1)),
            accept(1, &blocks[0]),
            moved(&blocks[0], 1),
            accept(1, &blocks[1]),
            moved(&blocks[1], 1),
        ],
    ];
    for writes in misfits {
        let mut store = disk.open();
        let turn = store.load().unwrap().turn.0;
        let error = store.commit(batch(turn + 1, writes)).unwrap_err();
        assert!(matches!(error, StoreError::Strange(_)), "{error}");
        let found = disk.open().load().unwrap();
        assert_eq!((found.turn.0, found.blocks, found.accepted), (turn + 1, 0, None));
    }
}

fn a_batch_without_writes_is_no_turn<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let turn = store.load().unwrap().turn.0;
    let receipt = store.commit(batch(turn, vec![])).unwrap();
    assert_eq!(receipt.batch().number, TurnNumber(turn));
    store.commit(batch(turn + 1, vec![Write::Promise(ballot(1))])).unwrap();
    let error = store.commit(batch(turn, vec![])).unwrap_err();
    assert!(matches!(error, StoreError::Strange(_)), "{error}");
}

fn promise(round: u64) -> Vec<Write> {
    vec![Write::Promise(ballot(round))]
}

fn an_older_owner_is_fenced<D: Disk>() {
    let disk = D::new();
    let (mut older, mut newer) = (disk.open(), disk.open());
    let mut last = older.load().unwrap().turn.0;
    commit(&mut older, &mut last, promise(1));
    let mut next = newer.load().unwrap().turn.0;
    // Even with the number that the newer one is about to use.
    let error = older.commit(batch(last + 1, promise(2))).unwrap_err();
    assert!(matches!(error, StoreError::Fenced(_)), "{error}");
    commit(&mut newer, &mut next, promise(3));
    // It does not take the store back either.
    let error = older.load().unwrap_err();
    assert!(matches!(error, StoreError::Fenced(_)), "{error}");
    commit(&mut newer, &mut next, promise(4));
    assert_eq!(disk.open().load().unwrap().promised, Some(ballot(4)));
}

fn a_load_fences_even_one_that_has_not_written<D: Disk>() {
    let disk = D::new();
    let (mut older, mut newer) = (disk.open(), disk.open());
    let last = older.load().unwrap().turn.0;
    newer.load().unwrap();
    let error = older.commit(batch(last + 1, promise(1))).unwrap_err();
    assert!(matches!(error, StoreError::Fenced(_)), "{error}");
    assert_eq!(disk.open().load().unwrap().promised, None);
}

fn of_many_processes_that_load_at_once_one_remains<D: Disk>() {
    let disk = D::new();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let load = |mut store: D::Store| move || (store.load(), store);
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(load(disk.open()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut owners = 0;
    let mut instances = Vec::new();
    for (loaded, mut store) in outcomes {
        match loaded {
            Ok(stored) => {
                instances.push(stored.instance);
                let turn = stored.turn.0;
                owners += usize::from(store.commit(batch(turn + 1, promise(turn))).is_ok());
            }
            // Another one came between; a loader that is told so may have to try again.
            Err(StoreError::Fenced(_) | StoreError::Failed(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(owners, 1);
    let last = disk.open().load().unwrap();
    assert!(instances.iter().all(|instance| *instance == last.instance));
    // A life may have begun of which its process only heard that it is over.
    assert!(instances.len() < last.lives.len());
}

fn a_store_that_failed_must_be_loaded_again<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let error = store.commit(batch(1, promise(1))).unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error}");
    let turn = store.load().unwrap().turn.0;
    store.commit(batch(turn + 2, promise(1))).unwrap_err();
    let error = store.commit(batch(turn + 1, promise(1))).unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error}");
    let mut last = store.load().unwrap().turn.0;
    commit(&mut store, &mut last, promise(1));
}

fn nothing_is_written_before_a_life_begins<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    commit(&mut store, &mut last, promise(1));
    for next in [last + 1, last + 2] {
        store.look().unwrap();
        let error = store.commit(batch(next, promise(2))).unwrap_err();
        assert!(matches!(error, StoreError::Failed(_)), "{error}");
    }
    let found = disk.open().load().unwrap();
    assert_eq!((found.turn.0, found.promised), (last + 1, Some(ballot(1))));
}

fn a_process_may_load_again<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let first = store.load().unwrap();
    let mut last = first.turn.0;
    commit(&mut store, &mut last, promise(1));
    let second = store.load().unwrap();
    assert_eq!((second.instance, second.promised), (first.instance, Some(ballot(1))));
    assert_eq!((second.lives.len(), second.turn.0), (2, last + 1));
    commit(&mut store, &mut { second.turn.0 }, promise(2));
}

fn a_lost_store_is_noticed_by_a_write<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let turn = store.load().unwrap().turn.0;
    disk.wipe();
    let error = store.commit(batch(turn + 1, promise(1))).unwrap_err();
    assert!(matches!(error, StoreError::Strange(_)), "{error}");
    // And nothing was written to what is another's, or nobody's.
    assert_eq!(disk.open().load().unwrap().lives.len(), 1);
}

fn a_lost_store_is_noticed_by_a_load<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    store.load().unwrap();
    disk.wipe();
    let error = store.load().unwrap_err();
    assert!(matches!(error, StoreError::Strange(_)), "{error}");
}

fn a_store_of_another_instance_is_noticed<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    store.load().unwrap();
    disk.wipe();
    disk.open().load().unwrap();
    let error = store.load().unwrap_err();
    assert!(matches!(error, StoreError::Strange(_)), "{error}");
}

fn a_process_that_looks_in_finds_what_it_left<D: Disk>() {
    let (disk, begun) = (D::new(), |disk: &D| {
        let mut store = disk.open();
        let last = store.load().unwrap().turn.0;
        (store, last)
    });
    assert!(disk.open().look_in().unwrap_err().is_transient(), "there is nothing of its own yet");
    let (mut older, mut last) = begun(&disk);
    older.look_in().unwrap();
    commit(&mut older, &mut last, promise(1));
    older.look_in().unwrap();
    commit(&mut older, &mut last, promise(2));
    let (mut newer, mut next) = begun(&disk);
    let error = older.look_in().unwrap_err();
    assert!(matches!(error, StoreError::Fenced(_)), "{error}");
    assert!(older.commit(batch(last + 1, promise(3))).is_err());
    commit(&mut newer, &mut next, promise(4));
    newer.look_in().unwrap();
    disk.wipe();
    let error = newer.look_in().unwrap_err();
    assert!(matches!(error, StoreError::Strange(_)), "{error}");
}

fn only_the_latest_lives_are_kept<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let first = store.load().unwrap().lives[0];
    for _ in 0..LIVES_KEPT {
        store.load().unwrap();
    }
    let found = disk.open().load().unwrap();
    assert_eq!((found.lives.len(), found.turn.0), (LIVES_KEPT, LIVES_KEPT as u64 + 2));
    assert!(!found.lives.contains(&first));
    let turns = found.lives.iter().map(|(_, turn)| turn.0);
    assert!(turns.eq(3..=found.turn.0), "the latest, in their order");
}

#[test]
fn a_memory_store_fails_on_cue() {
    for (fault, expected) in [(Fault::Before, None), (Fault::After, Some(ballot(1)))] {
        let mut store = MemoryStore::new();
        let turn = store.load().unwrap().turn.0;
        store.fail_next_commit(fault);
        let error = store.commit(batch(turn + 1, promise(1))).unwrap_err();
        assert!(error.is_transient(), "{error}");
        let found = store.load().unwrap();
        assert_eq!(found.promised, expected);
        commit(&mut store, &mut { found.turn.0 }, promise(2));
    }
}

#[test]
fn a_seeded_memory_store_draws_the_same_ids() {
    let load = |seed| MemoryStore::seeded(seed).load().unwrap();
    assert_eq!(load(7), load(7));
    assert_ne!(load(7).instance, load(8).instance);
}
