//! Ballots, elements, logs and blocks.

use std::collections::BTreeMap;

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{Block, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::blockchain::block_error::BlockError;
use paxos_banking::bank::blockchain::chain::Chain;
use paxos_banking::bank::ids::{InstanceId, ServerId};
use paxos_banking::bank::ledger::balances::Balances;
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Position, Record, Via};
use paxos_banking::bank::ledger::local_log::LocalLog;
use paxos_banking::bank::limits::Share;
use paxos_banking::bank::paxos::ballot::Ballot;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::config;
use crate::values::{ballot, block, element};

const NAMES: [&str; 2] = ["A", "B"];

fn id(name: &str) -> ServerId {
    name.parse().unwrap()
}

/// The log of one of the two, which pays the other 1 with each entry, in elements of these sizes.
fn log(server: &str, sizes: &[usize]) -> Vec<Element> {
    let other = if server == "A" { "B" } else { "A" };
    let (from, to) = (server.parse().unwrap(), other.parse().unwrap());
    let action = Action::Transfer { from, to, amount: Amount::new(1).unwrap() };
    let record = |linked| Record {
        action: action.clone(),
        request: None,
        via: Via::Local,
        linked,
        reference: None,
    };
    let mut last = Position::START;
    let mut element = |size: &usize| {
        let first = last.next();
        last = last.plus(*size);
        // All of an element linked, so that dividing one would divide a group.
        Element::seal(first, (1..=*size).map(|place| record(place < *size)).collect())
    };
    sizes.iter().map(&mut element).collect()
}

/// A chain of two servers, and what its accounts hold.
fn founded() -> (Chain, Balances) {
    let servers = NAMES.map(id).into_iter().zip([1, 2].map(InstanceId)).collect();
    let opening_balance = Amount::new(100).unwrap();
    let chain = Chain::found(&SealedBlock::genesis(Genesis {
        format: FORMAT,
        opening_balance,
        servers,
        keys: BTreeMap::new(),
        origin: None,
        issuing: false,
    }));
    let (chain, mut balances) = (chain.unwrap(), Balances::new(1, 4));
    balances.found(chain.opening_balances());
    (chain, balances)
}

fn next_block(
    chain: &Chain,
    logs: impl IntoIterator<Item = (ServerId, Vec<Element>)>,
) -> SealedBlock {
    SealedBlock::seal(Block {
        height: chain.height() + 1,
        previous: chain.head(),
        proposer: Some(id("B")),
        genesis: None,
        opening: None,
        logs: logs.into_iter().filter(|(_, log)| !log.is_empty()).collect(),
    })
}

fn entries(elements: &[Element]) -> usize {
    elements.iter().map(|element| element.records().len()).sum()
}

/// Sizes of elements, fewer entries together than an account can pay.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(1..5usize, 0..8)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn ballots_are_ordered_by_round_then_server_then_life(a in ballot(), b in ballot()) {
        let key = |of: &Ballot| (of.round, of.server.clone(), of.life);
        prop_assert_eq!(a.cmp(&b), key(&a).cmp(&key(&b)));
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
    }

    #[test]
    fn an_element_is_read_as_it_was_written(element in element()) {
        let read = Element::open(element.text()).unwrap();
        prop_assert_eq!(read.records(), element.records());
        prop_assert_eq!((read.first(), read.last()), (element.first(), element.last()));
        let line = serde_json::to_string(&[&element]).unwrap();
        prop_assert_eq!(&line, &format!("[{}]", element.text()));
        let [back]: [Element; 1] = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(back, element);
    }

    #[test]
    fn a_block_is_read_as_it_was_written(block in block()) {
        let read = SealedBlock::open(block.text()).unwrap();
        prop_assert_eq!(read.hash(), block.hash());
        prop_assert_eq!(read.block(), block.block());
        let records = |block: &SealedBlock| -> Vec<Record> {
            block.block().records().map(|(_, record)| record.clone()).collect()
        };
        prop_assert_eq!(records(&read), records(&block));
        prop_assert_eq!(read.block().len(), read.block().entries().count());
    }

    /// The block after it names its hash, so a stored block that is changed can't be its successor's.
    #[test]
    fn any_changed_byte_of_a_stored_block_is_found(
        block in block(),
        place in any::<Index>(),
        to in any::<u8>(),
    ) {
        let mut bytes = block.text().as_bytes().to_vec();
        let place = place.index(bytes.len());
        prop_assume!(bytes[place] != to);
        bytes[place] = to;
        let opened = String::from_utf8(bytes).ok().and_then(|text| SealedBlock::open(&text).ok());
        if let Some(changed) = opened {
            prop_assert_ne!(changed.hash(), block.hash());
        }
    }

    #[test]
    fn a_promised_beginning_of_a_log_can_be_trimmed(
        sizes in sizes(),
        limit in 0..40usize,
        known in any::<Index>(),
    ) {
        let elements = log("A", &sizes);
        let total = entries(&elements);
        let mut log = LocalLog::new(Position::START, elements.clone()).unwrap();
        let last = log.last();
        let (all, cut) = log.promise(0, Share::of_entries(limit));
        prop_assert!(entries(&all) <= limit && cut == (entries(&all) < total));
        prop_assert_eq!(&all[..], &elements[..all.len()], "cut between elements");
        let next = elements.get(all.len()).map_or(0, |element| element.records().len());
        prop_assert!(!cut || entries(&all) + next > limit, "cut no earlier than need be");
        let known = known.index(all.len() + 1);
        let (rest, _) = log.promise(entries(&all[..known]) as u64, Share::of_entries(limit));
        prop_assert_eq!(&rest[..], &all[known..], "what is known is left out");
        prop_assert_eq!(log.trim(&all), Ok(all.len()));
        prop_assert_eq!((log.len(), log.last()), (total - entries(&all), last));
    }

    /// What a log holds goes into the chain in two blocks, cut anywhere, and nothing is left.
    #[test]
    fn logs_go_into_the_chain_element_by_element(
        of_a in sizes(),
        of_b in sizes(),
        limit in 1..40usize,
    ) {
        let (mut chain, mut balances) = founded();
        let mut logs = BTreeMap::from([(id("A"), log("A", &of_a)), (id("B"), log("B", &of_b))])
            .into_iter()
            .map(|(id, log)| (id, LocalLog::new(Position::START, log).unwrap()))
            .collect::<BTreeMap<_, _>>();
        for limit in [limit, usize::MAX] {
            let promised: BTreeMap<_, _> =
                logs.iter().map(|(id, log)| (id.clone(), log.promise(0, Share::of_entries(limit)).0)).collect();
            let block = next_block(&chain, promised.clone());
            let verified = chain.verify(&balances, &block);
            if block.block().is_empty() {
                prop_assert_eq!(verified, Err(BlockError::Empty));
                continue;
            }
            let changes = chain.append(&block, verified.unwrap());
            balances.commit(changes, block.height());
            for (id, log) in &mut logs {
                let last = log.last();
                prop_assert_eq!(log.trim(&promised[id]), Ok(promised[id].len()));
                let included = chain.included(id);
                prop_assert_eq!(included.plus(log.len()), last, "it goes on where the chain ends");
            }
            prop_assert!(chain.verify(&balances, &next_block(&chain, promised)).is_err(), "not twice");
        }
        prop_assert!(logs.values().all(LocalLog::is_empty));
        let paid = |sizes: &[usize]| sizes.iter().sum::<usize>() as u64;
        let holds = |name: &str| balances.committed(&name.parse().unwrap()).map(Amount::units);
        prop_assert_eq!(holds("A"), Some(100 + paid(&of_b) - paid(&of_a)));
        prop_assert_eq!(holds("B"), Some(100 + paid(&of_a) - paid(&of_b)));
    }
}
