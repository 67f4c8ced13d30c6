//! Which blocks can be the next one, and what is said of those that can't.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use paxos_banking::bank::blockchain::block::{Block, BlockHash, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::blockchain::block_error::BlockError;
use paxos_banking::bank::blockchain::chain::Chain;
use paxos_banking::bank::ledger::balances::Balances;
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Position};
use paxos_banking::bank::ledger::rule::LedgerError;

use crate::stage::*;

/// The chain and the balances after block 0.
fn founded() -> (Chain, Balances) {
    let chain = Chain::found(&genesis()).unwrap();
    let mut balances = Balances::new(1, 4);
    balances.found(chain.opening_balances());
    (chain, balances)
}

/// What is wrong with a block after block 0 that differs from a good one in this.
fn wrong(change: impl FnOnce(&mut Block)) -> BlockError {
    let (chain, balances) = founded();
    let mut block = block_after(&genesis(), &[("B", 1), ("C", 2)]).block().clone();
    assert!(chain.verify(&balances, &SealedBlock::seal(block.clone())).is_ok());
    change(&mut block);
    chain.verify(&balances, &SealedBlock::seal(block)).unwrap_err()
}

/// The same for one that B's log goes on with in this way.
fn wrong_log(element: Element) -> BlockError {
    wrong(|block| drop(block.logs.insert(id("B"), vec![element])))
}

fn wrong_action(action: Action) -> BlockError {
    wrong_log(element_of(1, [action]))
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
    assert_eq!(wrong(|b| b.logs.clear()), BlockError::Empty);
    assert_eq!(wrong(|b| drop(b.logs.insert(id("A"), vec![]))), BlockError::Empty);
}

#[test]
fn an_entry_that_can_not_be_the_next_one_is_told_why() {
    let of_z = |b: &mut Block| drop(b.logs.insert(id("Z"), vec![element("B", 1)]));
    assert_eq!(wrong(of_z), BlockError::Stranger(id("Z")));
    let (expected, found) = (Position { epoch: 1, seq: 1 }, Position { epoch: 1, seq: 2 });
    let sequence = BlockError::Sequence { server: id("B"), expected, found };
    assert_eq!(wrong_log(element_of(2, [pays("B", "A", 1)])), sequence);
    let not_home = |name| ledger(LedgerError::NotHome(account(name)));
    assert_eq!(wrong_action(pays("A", "C", 1)), not_home("A"));
    assert_eq!(wrong_action(opens("A/alice")), not_home("A/alice"));
    let nobody = ledger(LedgerError::UnknownAccount(account("Z")));
    assert_eq!(wrong_action(pays("B", "Z", 1)), nobody);
    assert_eq!(wrong_action(pays("B", "B", 1)), ledger(LedgerError::ToItself));
    assert_eq!(wrong_action(pays("B", "A", 0)), ledger(LedgerError::Nothing));
    let overdraft = LedgerError::Overdraft { account: account("B"), balance: units(OPENING) };
    assert_eq!(wrong_action(pays("B", "A", OPENING + 1)), ledger(overdraft));
    assert_eq!(wrong_action(opens("B")), ledger(LedgerError::Exists(account("B"))));
}

#[test]
fn a_log_is_of_its_own_server_and_in_sequence() {
    let (chain, balances) = founded();
    let verify = |log: &[Element]| chain.verify_log(&balances, &id("B"), log);
    assert_eq!(verify(&[element("B", 1)]), Ok(()));
    assert_eq!(verify(&[element("C", 1)]), Err(ledger(LedgerError::NotHome(account("C")))));
    assert!(verify(&[element("B", 1), element("B", 1)]).is_err());
    let of_nobody = chain.verify_log(&balances, &id("Z"), &[]);
    assert_eq!(of_nobody, Err(BlockError::Stranger(id("Z"))));
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
    assert_eq!(wrong(|b| drop(b.logs.insert(id("B"), vec![element("B", 1)]))), first);
    let spelling = BlockError::Genesis("block 0 is not written as a genesis block is");
    assert_eq!(wrong(|b| b.proposer = Some(id("A"))), spelling);
    let (format, opening_balance) = (FORMAT + 1, units(1));
    let servers = BTreeMap::from([(id("A"), instance("A"))]);
    let other = SealedBlock::genesis(Genesis {
        format,
        opening_balance,
        servers,
        keys: BTreeMap::new(),
        origin: None,
        issuing: false,
    });
    assert_eq!(Chain::found(&other), Err(BlockError::Genesis("block 0 is of another format")));
}

#[test]
fn what_is_wrong_is_said_in_words() {
    let words =
        |error: BlockError, words: &str| assert!(error.to_string().contains(words), "{error}");
    words(wrong(|b| b.height = 3), "it is block 3 where block 1 should be");
    words(wrong(|b| b.previous = BlockHash::NONE), "block 1 does not link to the block before");
    words(
        wrong_log(element_of(2, [pays("B", "A", 1)])),
        "entry 2 (epoch 1) of B stands where 1 (epoch 1) should",
    );
    words(wrong(|b| b.proposer = Some(id("Z"))), "server Z is not of this bank");
    words(wrong_action(pays("B", "A", OPENING + 1)), "entry 1 of B: B holds only 10000");
    words(wrong_action(pays("A", "C", 1)), "only by its home, server A");
}

#[test]
fn blocks_are_told_apart_by_their_hashes() {
    let (one, other) = (genesis(), block_after(&genesis(), &[("B", 1)]));
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
