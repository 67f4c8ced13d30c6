//! Plain bookkeeping of what was promised to whom, outside the state machine.

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::blockchain::block::BlockHash;
use paxos_banking::bank::effects::{Batch, Write};
use paxos_banking::bank::ids::{RequestId, ServerId};
use paxos_banking::bank::ledger::entry::Entry;
use paxos_banking::bank::request::Outcome;

use crate::disk::Disk;

/// (server, epoch, seq)
type Name = (ServerId, u64, u64);

fn name(entry: &Entry) -> Name {
    (entry.server.clone(), entry.epoch, entry.seq)
}

/// What the outside has seen.
#[derive(Default)]
pub struct Judge {
    heights: BTreeMap<u64, BlockHash>,
    in_block: BTreeMap<Name, u64>,
    /// Every entry that was ever durable, as it was.
    logged: BTreeMap<Name, Entry>,
    accepted: BTreeMap<RequestId, Name>,
    rejected: BTreeSet<RequestId>,
    pub refused: usize,
    pub unavailable: usize,
}

impl Judge {
    /// Looks at a batch that became durable.
    pub fn durable(&mut self, batch: &Batch) {
        for write in &batch.writes {
            match write {
                Write::Log(entries) => {
                    for entry in entries {
                        let before = self.logged.insert(name(entry), entry.clone());
                        assert_eq!(before, None, "an entry's name is used once");
                    }
                }
                Write::Append { block, .. } => {
                    let known = *self.heights.entry(block.height()).or_insert(block.hash());
                    assert_eq!(known, block.hash(), "two blocks at height {}", block.height());
                    for entry in &block.block().entries {
                        let height = *self.in_block.entry(name(entry)).or_insert(block.height());
                        assert_eq!(height, block.height(), "{entry:?} is in two blocks");
                        assert_eq!(self.logged.get(&name(entry)), Some(entry), "never logged");
                    }
                }
                _ => {}
            }
        }
    }

    /// Looks at an outcome that a client saw.
    pub fn outcome(&mut self, request: &RequestId, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted { server, epoch, seq, .. } => {
                let name = (server.clone(), *epoch, *seq);
                let entry = self.logged.get(&name).expect("accepted is durable");
                assert_eq!(entry.request.as_ref(), Some(request), "the entry is of the request");
                let first = self.accepted.entry(request.clone()).or_insert_with(|| name.clone());
                assert_eq!(*first, name, "a retry has the first outcome");
                assert!(!self.rejected.contains(request), "{request} was rejected before");
            }
            Outcome::Expired { .. } => {}
            other => {
                assert!(!self.accepted.contains_key(request), "{request} was accepted before");
                self.rejected.insert(request.clone());
                match other {
                    Outcome::Refused { .. } => self.refused += 1,
                    Outcome::Unavailable { .. } => self.unavailable += 1,
                    _ => {}
                }
            }
        }
    }

    /// At the end, everything healed and settled: judges the chain that all have.
    pub fn finish(&self, disks: &BTreeMap<ServerId, Disk>, opening: u64) {
        let chains: Vec<Vec<BlockHash>> =
            disks.values().map(|disk| disk.chain.iter().map(|b| b.hash()).collect()).collect();
        assert!(chains.windows(2).all(|pair| pair[0] == pair[1]), "all chains are equal");
        let Some(chain) = disks.values().next().map(|disk| &disk.chain) else { return };
        let mut balances: BTreeMap<&str, i128> =
            disks.keys().map(|id| (id.as_str(), opening as i128)).collect();
        let mut requests = BTreeSet::new();
        let mut names = BTreeSet::new();
        for entry in chain.iter().flat_map(|block| &block.block().entries) {
            assert!(names.insert(name(entry)), "{entry:?} is in the chain twice");
            *balances.get_mut(entry.from.as_str()).expect("a known payer") -=
                entry.amount.units() as i128;
            assert!(balances[entry.from.as_str()] >= 0, "below zero after {entry:?}");
            *balances.get_mut(entry.to.as_str()).expect("a known payee") +=
                entry.amount.units() as i128;
            if let Some(request) = &entry.request {
                assert!(requests.insert(request.clone()), "{request} was paid twice");
                assert!(!self.rejected.contains(request), "{request} was rejected, and paid");
            }
        }
        for (request, name) in &self.accepted {
            assert!(names.contains(name), "{request} was accepted as {name:?} and is lost");
        }
        let total: i128 = balances.values().sum();
        assert_eq!(total, opening as i128 * disks.len() as i128, "the total changes never");
        for disk in disks.values() {
            assert!(disk.stored.log.is_empty(), "settled logs are empty");
        }
    }

    pub fn accepted(&self) -> usize {
        self.accepted.len()
    }
}
