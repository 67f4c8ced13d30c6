//! Entries, blocks and batches to store.

use std::collections::BTreeMap;

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{Block, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::effects::{Batch, Write};
use paxos_banking::bank::ids::{AccountId, InstanceId, LifeId, ServerId, TurnNumber};
use paxos_banking::bank::ledger::entry::{Entry, Via};
use paxos_banking::bank::paxos::ballot::Ballot;

/// A server's id.
pub fn server(id: &str) -> ServerId {
    id.parse().expect("a server id")
}

/// An account's id.
pub fn account(id: &str) -> AccountId {
    id.parse().expect("an account")
}

/// An amount.
pub fn amount(units: u64) -> Amount {
    Amount::new(units).expect("an amount")
}

/// A ballot of server B's.
pub fn ballot(round: u64) -> Ballot {
    Ballot { round, server: server("B"), life: LifeId(0xb) }
}

/// An entry of server A's.
pub fn entry(seq: u64) -> Entry {
    Entry {
        server: server("A"),
        epoch: 1,
        seq,
        from: account("A"),
        to: account("B/bob"),
        amount: amount(seq),
        request: Some(format!("A.1.0.00000000000000aa.1#{seq}").parse().expect("a request id")),
        via: if seq.is_multiple_of(2) { Via::Local } else { Via::Paxos },
    }
}

/// Block 0.
pub fn genesis() -> SealedBlock {
    SealedBlock::genesis(Genesis {
        format: FORMAT,
        opening_balance: amount(100),
        servers: BTreeMap::from([(server("A"), InstanceId(1)), (server("B"), InstanceId(2))]),
    })
}

/// The block after `previous`, written down with spaces: its text must survive to the byte.
pub fn block_after(previous: &SealedBlock, entries: Vec<Entry>) -> SealedBlock {
    let block = SealedBlock::seal(Block {
        height: previous.height() + 1,
        previous: previous.hash(),
        proposer: Some(server("A")),
        genesis: None,
        entries,
    });
    let spaced = block.text().replacen(',', ",\u{20} ", 2);
    SealedBlock::open(&spaced).expect("the same block")
}

/// A chain of so many blocks, genesis included; each of the others has `entries` entries.
pub fn chain(blocks: usize, entries: u64) -> Vec<SealedBlock> {
    let mut chain = vec![genesis()];
    while chain.len() < blocks {
        let last = &chain[chain.len() - 1];
        let seq = last.height() * entries + 1;
        chain.push(block_after(last, (seq..seq + entries).map(entry).collect()));
    }
    chain.truncate(blocks);
    chain
}

/// Appends a block that was not accepted here, with nothing else.
pub fn append(block: &SealedBlock) -> Write {
    Write::Append { block: block.clone(), from_accepted: false, trim: 0, balances: Vec::new() }
}

/// Accepts a block.
pub fn accept(round: u64, block: &SealedBlock) -> Write {
    Write::Accept { ballot: ballot(round), block: block.clone() }
}

/// A turn's writes.
pub fn batch(number: u64, writes: Vec<Write>) -> Batch {
    Batch { number: TurnNumber(number), writes }
}
