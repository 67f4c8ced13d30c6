//! Elements, blocks and batches to store.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{Block, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::blockchain::derived::{Derived, Membership};
use paxos_banking::bank::effects::{Batch, Write};
use paxos_banking::bank::ids::{AccountId, InstanceId, LifeId, ServerId, TurnNumber};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Position, Record, Via};
use paxos_banking::bank::ledger::pages::Page;
use paxos_banking::bank::ledger::sessions::SessionChanges;
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

/// What server A's entry of that seq holds: a transfer.
pub fn record(seq: u64) -> Record {
    let action = Action::Transfer { from: account("A"), to: account("B/bob"), amount: amount(seq) };
    Record {
        action,
        request: Some(format!("A.1.0.00000000000000aa.1#{seq}").parse().expect("a request id")),
        via: if seq.is_multiple_of(2) { Via::Local } else { Via::Paxos },
        linked: false,
        reference: None,
    }
}

/// The opening of an account.
pub fn opening(name: &str) -> Record {
    let action = Action::open(account(name));
    Record::plain(action)
}

/// An element of these records, written down with a space: its text must survive to the byte.
pub fn element_of(first: u64, records: Vec<Record>) -> Element {
    let element = Element::seal(Position { epoch: 1, seq: first }, records);
    let spaced = element.text().replacen(',', ",\u{20}", 1);
    Element::open(&spaced).expect("the same element")
}

/// An element of server A's entries with these seqs.
pub fn element(seqs: RangeInclusive<u64>) -> Element {
    element_of(*seqs.start(), seqs.map(record).collect())
}

/// Block 0.
pub fn genesis() -> SealedBlock {
    SealedBlock::genesis(Genesis {
        format: FORMAT,
        opening_balance: amount(100),
        servers: instances(),
        keys: BTreeMap::new(),
        origin: None,
        issuing: false,
    })
}

/// The block after `previous` with this part of server A's log, written down with spaces: its text
/// must survive to the byte.
pub fn block_after(previous: &SealedBlock, log: Vec<Element>) -> SealedBlock {
    block_of(previous, BTreeMap::from([(server("A"), log)]))
}

/// The same with parts of several servers' logs.
pub fn block_of(previous: &SealedBlock, logs: BTreeMap<ServerId, Vec<Element>>) -> SealedBlock {
    let block = SealedBlock::seal(Block {
        height: previous.height() + 1,
        previous: previous.hash(),
        proposer: Some(server("A")),
        genesis: None,
        opening: None,
        logs,
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
        chain.push(block_after(last, vec![element(seq..=seq + entries - 1)]));
    }
    chain.truncate(blocks);
    chain
}

/// Where the servers' logs end that a block holds; their beginnings for block 0.
pub fn included(block: &SealedBlock) -> BTreeMap<ServerId, Position> {
    let end = |log: &[Element]| log.last().map_or(Position::START, Element::last);
    ["A", "B"].map(|id| (server(id), end(block.block().log(&server(id))))).into()
}

/// Each server's instance.
pub fn instances() -> BTreeMap<ServerId, InstanceId> {
    BTreeMap::from([(server("A"), InstanceId(1)), (server("B"), InstanceId(2))])
}

/// A page of balances.
pub fn page(number: u32, height: u64, balances: &[(&str, u64)]) -> Page {
    let balances = balances.iter().map(|(name, units)| (account(name), amount(*units))).collect();
    Page { number, height, balances, keys: BTreeMap::new() }
}

/// Appends a block, with page 0 of the balances if there are any.
pub fn append_with(
    block: &SealedBlock,
    from_accepted: bool,
    trim: usize,
    balances: &[(&str, u64)],
) -> Write {
    let first = (!balances.is_empty()).then(|| page(0, block.height(), balances));
    Write::Append {
        block: block.clone(),
        from_accepted,
        trim,
        pages: first.into_iter().collect(),
        checkpoint: block.height(),
        derived: Box::new(Derived {
            included: included(block),
            instances: instances(),
            deposed: BTreeSet::new(),
            keys: BTreeMap::new(),
            former: BTreeSet::new(),
            membership: Membership::default(),
            issued: Default::default(),
            times: Default::default(),
        }),
        sessions: SessionChanges::default(),
        promise_stands: false,
    }
}

/// Appends a block that was not accepted here, with nothing else but the opening balances.
pub fn append(block: &SealedBlock) -> Write {
    let opening: &[_] = if block.height() == 0 { &[("A", 100), ("B", 100)] } else { &[] };
    append_with(block, false, 0, opening)
}

/// Appends a block as [`append`] does, but with these pages.
pub fn append_pages(block: &SealedBlock, with: Vec<Page>, checkpoint_is: u64) -> Write {
    let mut write = append(block);
    if let Write::Append { pages, checkpoint, .. } = &mut write {
        (*pages, *checkpoint) = (with, checkpoint_is);
    }
    write
}

/// Accepts a block.
pub fn accept(round: u64, block: &SealedBlock) -> Write {
    Write::Accept { ballot: ballot(round), block: block.clone() }
}

/// A turn's writes.
pub fn batch(number: u64, writes: Vec<Write>) -> Batch {
    Batch { number: TurnNumber(number), writes }
}
