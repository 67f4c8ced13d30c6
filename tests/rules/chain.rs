//! Which blocks can be the next one, and what is said of those that can't.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{Block, BlockHash, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::blockchain::chain::{BlockError, Chain};
use paxos_banking::bank::ledger::balances::LedgerError;
use paxos_banking::bank::ledger::entry::{Entry, Position};

use crate::stage::*;

/// What is wrong with a block after block 0 that differs from a good one in this.
fn wrong(change: impl FnOnce(&mut Block)) -> BlockError {
    let chain = Chain::found(&genesis()).unwrap();
    let mut block = block_after(&genesis(), vec![entry("B", 1), entry("C", 2)]).block().clone();
    assert!(chain.verify(&SealedBlock::seal(block.clone())).is_ok());
    change(&mut block);
    chain.verify(&SealedBlock::seal(block)).unwrap_err()
}

fn wrong_entry(change: impl FnOnce(&mut Entry)) -> BlockError {
    wrong(|block| change(&mut block.entries[0]))
}

fn ledger(error: LedgerError) -> BlockError {
    BlockError::Entry { server: id("B"), position: Position { epoch: 1, seq: 1 }, error }
}

#[test]
fn a_block_that_can_not_be_the_next_one_is_told_why() {
    assert_eq!(wrong(|b| b.height = 3), BlockError::Height { expected: 1, found: 3 });
    assert_eq!(wrong(|b| b.previous = BlockHash::NONE), BlockError::Link { height: 1 });
    let only_0 = BlockError::Genesis("only block 0 may hold a genesis");
    assert_eq!(wrong(|b| b.genesis = genesis().block().genesis.clone()), only_0);
    let proposer = BlockError::Genesis("only block 0 may be without a proposer");
    assert_eq!(wrong(|b| b.proposer = None), proposer);
    assert_eq!(wrong(|b| b.proposer = Some(id("Z"))), BlockError::Stranger(id("Z")));
    assert_eq!(wrong(|b| b.entries.clear()), BlockError::Order);
    assert_eq!(wrong(|b| b.entries.reverse()), BlockError::Order);
}

#[test]
fn an_entry_that_can_not_be_the_next_one_is_told_why() {
    assert_eq!(wrong(|b| b.entries[1].server = id("Z")), BlockError::Stranger(id("Z")));
    let (expected, found) = (Position { epoch: 1, seq: 1 }, Position { epoch: 1, seq: 2 });
    let sequence = BlockError::Sequence { server: id("B"), expected, found };
    assert_eq!(wrong_entry(|e| e.seq = 2), sequence);
    let a = "A".parse().unwrap();
    assert_eq!(wrong_entry(|e| e.from = "A".parse().unwrap()), ledger(LedgerError::NotHome(a)));
    let nobody = LedgerError::UnknownAccount("Z".parse().unwrap());
    assert_eq!(wrong_entry(|e| e.to = "Z".parse().unwrap()), ledger(nobody));
    assert_eq!(wrong_entry(|e| e.to = "B".parse().unwrap()), ledger(LedgerError::ToItself));
    assert_eq!(wrong_entry(|e| e.amount = Amount::ZERO), ledger(LedgerError::Nothing));
    let (account, balance) = ("B".parse().unwrap(), units(OPENING));
    let overdraft = LedgerError::Overdraft { account, balance };
    assert_eq!(wrong_entry(|e| e.amount = units(OPENING + 1)), ledger(overdraft));
}

#[test]
fn a_log_is_of_its_own_server_and_in_sequence() {
    let chain = Chain::found(&genesis()).unwrap();
    assert_eq!(chain.verify_log(&id("B"), &[entry("B", 1)]), Ok(()));
    let of_another = chain.verify_log(&id("B"), &[entry("C", 1)]);
    assert_eq!(of_another, Err(BlockError::Stranger(id("C"))));
    assert!(chain.verify_log(&id("B"), &[entry("B", 1), entry("B", 1)]).is_err());
}

#[test]
fn block_0_has_one_form() {
    let wrong = |change: fn(&mut Block)| {
        let mut block = genesis().block().clone();
        change(&mut block);
        Chain::found(&SealedBlock::seal(block)).unwrap_err()
    };
    let first = BlockError::Genesis("block 0 must be the first and hold no entries");
    assert_eq!(wrong(|b| b.height = 1), BlockError::Height { expected: 0, found: 1 });
    assert_eq!(wrong(|b| b.genesis = None), BlockError::Genesis("block 0 holds no genesis"));
    assert_eq!(wrong(|b| b.previous = genesis().hash()), first);
    assert_eq!(wrong(|b| b.entries.push(entry("B", 1))), first);
    let spelling = BlockError::Genesis("block 0 is not written as a genesis block is");
    assert_eq!(wrong(|b| b.proposer = Some(id("A"))), spelling);
    let (format, opening_balance) = (FORMAT + 1, units(1));
    let servers = BTreeMap::from([(id("A"), instance("A"))]);
    let other = SealedBlock::genesis(Genesis { format, opening_balance, servers });
    assert_eq!(Chain::found(&other), Err(BlockError::Genesis("block 0 is of another format")));
}

#[test]
fn what_is_wrong_is_said_in_words() {
    let words =
        |error: BlockError, words: &str| assert!(error.to_string().contains(words), "{error}");
    words(wrong(|b| b.height = 3), "it is block 3 where block 1 should be");
    words(wrong(|b| b.previous = BlockHash::NONE), "block 1 does not link to the block before");
    words(wrong_entry(|e| e.seq = 2), "entry 2 (epoch 1) of B stands where 1 (epoch 1) should");
    words(wrong(|b| b.proposer = Some(id("Z"))), "server Z is not of this bank");
    words(wrong_entry(|e| e.amount = units(OPENING + 1)), "entry 1 of B: B holds only 10000");
    words(wrong_entry(|e| e.from = "A".parse().unwrap()), "only by its home, server A");
}

#[test]
fn blocks_are_told_apart_by_their_hashes() {
    let (one, other) = (genesis(), block_after(&genesis(), vec![entry("B", 1)]));
    let hashed = |block: &SealedBlock| {
        let mut hasher = DefaultHasher::new();
        Hash::hash(block, &mut hasher);
        hasher.finish()
    };
    assert_eq!(one, genesis());
    assert_ne!(one, other);
    assert_ne!(hashed(&one), hashed(&other));
    assert_eq!(format!("{:?}", other.hash()), other.hash().to_string());
    assert_eq!(format!("{other:?}"), format!("block 1 ({}, 1 entries)", other.hash().short()));
}
