//! Every kind of store, seen as the data that outlives a process.

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::effects::Write;
use paxos_banking::bank::ids::TurnNumber;
use paxos_banking::bank::stored::Stored;
use paxos_banking::store::Store;
use paxos_banking::store::memory::MemoryStore;
use paxos_banking::store::redis::{Options, RedisStore};

use super::redis::TestRedis;
use super::samples::{accept, append_with, ballot, batch, chain, element, server};

/// Where one server's data is.
pub trait Disk {
    /// What opens it.
    type Store: Store;
    /// An empty one.
    fn new() -> Self;
    /// Opens the data as a process does that knows nothing of it.
    fn open(&self) -> Self::Store;
    /// Loses everything.
    fn wipe(&self);
}

impl Disk for MemoryStore {
    type Store = MemoryStore;
    fn new() -> Self {
        MemoryStore::new()
    }
    fn open(&self) -> MemoryStore {
        self.clone()
    }
    fn wipe(&self) {
        MemoryStore::wipe(self);
    }
}

impl Disk for TestRedis {
    type Store = RedisStore;
    fn new() -> Self {
        TestRedis::start()
    }
    fn open(&self) -> RedisStore {
        RedisStore::new(&self.url(), &server("A"), Options::default()).unwrap()
    }
    fn wipe(&self) {
        redis::cmd("FLUSHALL").exec(&mut self.connect()).unwrap();
    }
}

/// Makes one test per store of each function, which takes the store's [`Disk`] as a parameter.
#[macro_export]
macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $test() { super::$test::<paxos_banking::store::memory::MemoryStore>(); })*
        }
        mod redis {
            $(#[test] fn $test() { super::$test::<$crate::support::redis::TestRedis>(); })*
        }
    };
}

/// Commits turns one after the other, on from the last one.
pub fn commit(store: &mut impl Store, last: &mut u64, writes: Vec<Write>) {
    *last += 1;
    let receipt = store.commit(batch(*last, writes)).unwrap();
    assert_eq!(receipt.batch().number, TurnNumber(*last));
}

/// Commits turns in a new store, and returns what another process finds then.
pub fn after<D: Disk>(turns: Vec<Vec<Write>>) -> Stored {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    for writes in turns {
        commit(&mut store, &mut last, writes);
    }
    let stored = disk.open().load().unwrap();
    assert_eq!(stored.turn.0, last + 1);
    stored
}

/// The blocks' texts, to be compared to the byte.
pub fn texts(blocks: &[SealedBlock]) -> Vec<&str> {
    blocks.iter().map(SealedBlock::text).collect()
}

/// Does everything that a server ever does with its store.
pub fn use_all_of_it(store: &mut impl Store) {
    let mut last = store.load().unwrap().turn.0;
    let blocks = chain(3, 2);
    let moved = |block| append_with(block, true, 0, &[("A", 70), ("B", 130)]);
    commit(store, &mut last, vec![accept(1, &blocks[0]), moved(&blocks[0]), Write::Activate]);
    commit(store, &mut last, vec![Write::Log(element(3..=4)), Write::Promise(ballot(1))]);
    commit(store, &mut last, vec![accept(1, &blocks[1])]);
    commit(store, &mut last, vec![append_with(&blocks[1], true, 1, &[("A", 70)])]);
    assert_eq!(store.pages(0, 1).unwrap().len(), 1);
    assert_eq!(store.blocks(0, 9, 1 << 20).unwrap().len(), 2);
    assert_eq!(store.reader().blocks(0, 9, 1 << 20).unwrap().len(), 2);
    assert_eq!(store.load().unwrap().blocks, 2);
}
