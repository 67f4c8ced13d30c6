//! Who is a member at a height, whose vote counts there, and what each account holds: read from the blocks below by
//! the table of DESIGN.md, "Members", without the machine.

use std::collections::{BTreeMap, BTreeSet};

use super::state::State;
use crate::abacus::Abacus;
use crate::bank::address::Address;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::member_change::MemberChange;

/// A change that took effect: the block, and the change.
pub type Done = (u64, MemberChange);

/// What follows from a chain.
#[derive(Clone, Default)]
pub struct Table {
    named: BTreeMap<ServerId, InstanceId>,
    branches: BTreeSet<ServerId>,
    addresses: BTreeMap<ServerId, Address>,
    /// The stores of those that were dismissed.
    over: BTreeSet<InstanceId>,
    /// For each server that was ever a member, how often it became one.
    epochs: BTreeMap<ServerId, u64>,
    abacus: Abacus,
    /// The changes that took effect.
    pub done: Vec<Done>,
}

impl Table {
    pub fn of(chain: &[SealedBlock]) -> Table {
        let mut table = Table::default();
        chain.iter().for_each(|block| table.follow(block));
        table
    }

    pub fn follow(&mut self, block: &SealedBlock) {
        if let Some(genesis) = &block.block().genesis {
            self.named = genesis.servers.clone();
            self.epochs = self.named.keys().map(|id| (id.clone(), 1)).collect();
            let founders: Vec<&str> = self.named.keys().map(ServerId::as_str).collect();
            self.abacus = Abacus::opening(&founders);
        }
        for (_, record) in block.block().records() {
            self.abacus.note(&record.action);
        }
        let mut dismisses = false;
        for (by, log) in &block.block().logs {
            let mut records = log.iter().flat_map(Element::records).peekable();
            while let Some(record) = records.next() {
                let Action::Member(change) = &record.action else { continue };
                let goes = matches!(**change, MemberChange::Dismiss { .. });
                let may_go = !dismisses && change.server() == by && records.peek().is_none();
                if !self.is_void(change) && (may_go || !goes) {
                    dismisses |= goes;
                    self.apply(change);
                    self.done.push((block.height(), MemberChange::clone(change)));
                }
            }
        }
    }

    /// Whether a change is void whoever has logged it.
    fn is_void(&self, change: &MemberChange) -> bool {
        let comes = matches!(change, MemberChange::Admit(_));
        self.is_member(change.server()) == comes
            || match change {
                MemberChange::Dismiss { server } => self.holds(server) || self.is_alone(server),
                MemberChange::Demote { server } => self.is_alone(server) || !self.votes(server),
                MemberChange::Promote { server } => self.votes(server),
                MemberChange::Move { at, .. } => self.is_taken(at),
                MemberChange::Admit(admission) => {
                    let instance = &admission.instance;
                    let is_named = self.named.values().any(|named| named == instance);
                    is_named || self.over.contains(instance) || self.is_taken(&admission.at)
                }
            }
    }

    fn apply(&mut self, change: &MemberChange) {
        let id = change.server().clone();
        match change {
            MemberChange::Admit(admission) => {
                *self.epochs.entry(id.clone()).or_default() += 1;
                if admission.branch {
                    self.branches.insert(id.clone());
                }
                self.addresses.insert(id.clone(), admission.at.clone());
                self.named.insert(id, admission.instance);
            }
            MemberChange::Dismiss { .. } => {
                self.branches.remove(&id);
                self.addresses.remove(&id);
                self.over.extend(self.named.remove(&id));
            }
            MemberChange::Move { at, .. } => drop(self.addresses.insert(id, at.clone())),
            MemberChange::Promote { .. } => drop(self.branches.remove(&id)),
            MemberChange::Demote { .. } => drop(self.branches.insert(id)),
        }
    }

    pub fn is_member(&self, server: &ServerId) -> bool {
        self.named.contains_key(server)
    }

    fn votes(&self, server: &ServerId) -> bool {
        self.is_member(server) && !self.branches.contains(server)
    }

    /// Whether it is the last one that votes.
    fn is_alone(&self, server: &ServerId) -> bool {
        self.votes(server) && self.voters() == 1
    }

    fn is_taken(&self, at: &Address) -> bool {
        self.addresses.values().any(|taken| taken == at)
    }

    fn holds(&self, server: &ServerId) -> bool {
        self.abacus.holds(server)
    }

    /// How many vote.
    pub fn voters(&self) -> usize {
        self.named.keys().filter(|id| self.votes(id)).count()
    }

    /// Whether this very store is a member's.
    pub fn names(&self, state: &State, place: usize) -> bool {
        self.named.get(state.id(place)) == Some(&state.stores[place].disk.stored.instance)
    }

    /// Whether this very store's votes count.
    pub fn counts(&self, state: &State, place: usize) -> bool {
        self.names(state, place) && self.votes(state.id(place))
    }

    /// Whether this very store was dismissed.
    pub fn is_over(&self, state: &State, place: usize) -> bool {
        self.over.contains(&state.stores[place].disk.stored.instance)
    }

    /// Whether these stores are a majority of those that vote.
    pub fn is_majority(&self, state: &State, stores: impl IntoIterator<Item = usize>) -> bool {
        let stores: BTreeSet<usize> = stores.into_iter().collect();
        2 * stores.iter().filter(|place| self.counts(state, **place)).count() > self.voters()
    }

    /// The epoch in which a server counts its entries.
    pub fn epoch(&self, server: &ServerId) -> u64 {
        self.epochs.get(server).copied().unwrap_or(0)
    }
}
