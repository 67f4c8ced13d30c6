//! What must hold in every state, by plain bookkeeping over disks, votes and what clients were told.
//! Nothing here asks the state machine.

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::ids::{InstanceId, ServerId};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Record};
use stateright::Property;

use super::state::State;
use super::{Bank, LOST};
use crate::OPENING;
use crate::abacus::Abacus;

pub fn properties() -> Vec<Property<Bank>> {
    let mut properties = of_chains();
    properties.extend(of_stores());
    properties
}

fn of_chains() -> Vec<Property<Bank>> {
    let always = Property::<Bank>::always;
    vec![
        always("any two stores' chains agree at every height", |_, state| chains_agree(state)),
        always("a block is chosen by a majority of the stores named before it", |_, state| {
            each(state, was_chosen)
        }),
        always("two stores of one server never vote for one height", |_, state| {
            let votes = state.votes.iter().map(|(height, store)| (height, state.id(*store)));
            votes.collect::<BTreeSet<_>>().len() == state.votes.len()
        }),
        always("an entry's name is used once", |_, state| names_are_used_once(state)),
        always("sequences have no gap, and begin anew with each epoch", |_, state| {
            each(state, sequences_have_no_gap)
        }),
        always("money is kept, and nothing is below zero", |_, state| each(state, money_is_kept)),
    ]
}

fn of_stores() -> Vec<Property<Bank>> {
    let always = Property::<Bank>::always;
    vec![
        always("no server panics", |_, state| state.stores.iter().all(|node| !node.panicked)),
        always("who is replaced stops, or comes too late, and nobody else stops", |_, state| {
            each(state, stops_rightly)
        }),
        always("no store holds the block by which it is replaced", |_, state| {
            each(state, |state, place| !table(chain(state, place)).is_over(state, place))
        }),
        always("a newer store is silent until the chain that it holds names it", |_, state| {
            state.newer().all(|place| is_silent_until_named(state, place))
        }),
        always("what a store accepted is on it for ever", |bank, state| {
            bank.asks.iter().zip(&state.told).all(|((store, action), told)| match told {
                Some(Some(Ok(name))) => {
                    let mut entries = entries(state, *store);
                    entries.any(|(of, record)| of == *name && record.action == *action)
                }
                _ => true,
            })
        }),
        always("what was rejected never happens", |bank, state| {
            bank.asks.iter().zip(&state.told).all(|((_, action), told)| {
                !matches!(told, Some(Some(Err(())))) || !happened_anywhere(state, action)
            })
        }),
    ]
}

/// Whether something holds for every store.
fn each(state: &State, holds: fn(&State, usize) -> bool) -> bool {
    (0..state.stores.len()).all(|place| holds(state, place))
}

pub fn chain(state: &State, place: usize) -> &[SealedBlock] {
    &state.stores[place].disk.chain
}

fn instance(state: &State, place: usize) -> InstanceId {
    state.stores[place].disk.stored.instance
}

/// Which store each server has, by the rule of DESIGN.md, "Rejoin".
#[derive(Default)]
pub struct Table {
    named: BTreeMap<ServerId, InstanceId>,
    /// Those that were replaced, and those that came too late.
    over: BTreeSet<InstanceId>,
    /// For each server that has rejoined, how often.
    rejoined: BTreeMap<ServerId, u64>,
}

impl Table {
    fn follow(&mut self, block: &SealedBlock) {
        if let Some(genesis) = &block.block().genesis {
            self.named = genesis.servers.clone();
        }
        for (_, record) in block.block().records() {
            let Action::Rejoin { server, old, new, .. } = &record.action else { continue };
            let named = self.named.get_mut(server).expect("a server of the bank");
            if *named == *old && !self.over.contains(new) {
                self.over.insert(std::mem::replace(named, *new));
                *self.rejoined.entry(server.clone()).or_default() += 1;
            } else if *named != *new {
                self.over.insert(*new);
            }
        }
    }

    pub fn names(&self, state: &State, place: usize) -> bool {
        self.named.get(state.id(place)) == Some(&instance(state, place))
    }

    pub fn is_over(&self, state: &State, place: usize) -> bool {
        self.over.contains(&instance(state, place))
    }

    fn epoch(&self, server: &ServerId) -> u64 {
        1 + self.rejoined.get(server).unwrap_or(&0)
    }
}

pub fn table(chain: &[SealedBlock]) -> Table {
    let mut table = Table::default();
    chain.iter().for_each(|block| table.follow(block));
    table
}

/// The longest chain that anybody holds.
pub fn longest(state: &State) -> &[SealedBlock] {
    let chains = state.stores.iter().map(|node| &node.disk.chain[..]);
    chains.max_by_key(|chain| chain.len()).unwrap_or_default()
}

fn chains_agree(state: &State) -> bool {
    let longest = longest(state);
    state.stores.iter().all(|node| {
        node.disk.chain.iter().zip(longest).all(|(one, other)| one.hash() == other.hash())
    })
}

fn was_chosen(state: &State, place: usize) -> bool {
    let mut table = Table::default();
    chain(state, place).iter().all(|block| {
        let accepts = || state.accepts.iter().filter(|(hash, ..)| *hash == block.hash());
        let counted = |(_, _, by): &&(_, _, usize)| table.names(state, *by);
        let chosen = accepts().any(|(_, ballot, _)| {
            let in_it = accepts().filter(|(_, other, _)| other == ballot);
            2 * in_it.filter(counted).count() > state.servers()
        });
        table.follow(block);
        block.height() == 0 || chosen
    })
}

fn elements_of(block: &SealedBlock) -> impl Iterator<Item = (&ServerId, &Element)> {
    let logs = block.block().logs.iter();
    logs.flat_map(|(server, log)| log.iter().map(move |element| (server, element)))
}

/// Everybody's elements that a store holds: its chain's, then those of its log.
fn elements(state: &State, place: usize) -> impl Iterator<Item = (&ServerId, &Element)> {
    let log = state.stores[place].disk.stored.log.iter();
    let log = log.map(move |element| (state.id(place), element));
    chain(state, place).iter().flat_map(elements_of).chain(log)
}

/// What a store holds of its own server's.
fn entries(state: &State, place: usize) -> impl Iterator<Item = ((u64, u64), &Record)> {
    let own = elements(state, place).filter(move |(server, _)| *server == state.id(place));
    own.flat_map(|(_, element)| {
        let first = element.first();
        let names = (first.seq..).map(move |seq| (first.epoch, seq));
        names.zip(element.records())
    })
}

fn names_are_used_once(state: &State) -> bool {
    let mut known: BTreeMap<(&ServerId, u64, u64), &Record> = BTreeMap::new();
    (0..state.stores.len()).all(|place| {
        let mut own = BTreeSet::new();
        elements(state, place).all(|(server, element)| {
            let first = element.first();
            (first.seq..).zip(element.records()).all(|(seq, record)| {
                let name = (server, first.epoch, seq);
                own.insert(name) && *known.entry(name).or_insert(record) == record
            })
        })
    })
}

fn sequences_have_no_gap(state: &State, place: usize) -> bool {
    let mut table = Table::default();
    let mut last: BTreeMap<&ServerId, (u64, u64)> = BTreeMap::new();
    let mut goes_on = |table: &Table, server, element: &Element| {
        let epoch = table.epoch(server);
        let (of, seq) = last.get(server).copied().unwrap_or((epoch, 0));
        let expected = if of == epoch { seq + 1 } else { 1 };
        last.insert(server, (epoch, element.last().seq));
        (element.first().epoch, element.first().seq) == (epoch, expected)
    };
    let chain_goes_on = chain(state, place).iter().all(|block| {
        let all = elements_of(block).all(|(server, element)| goes_on(&table, server, element));
        table.follow(block);
        all
    });
    let mut log = state.stores[place].disk.stored.log.iter();
    chain_goes_on && log.all(|element| goes_on(&table, state.id(place), element))
}

/// Follows a store's chain and then its log.
fn money_is_kept(state: &State, place: usize) -> bool {
    let servers = state.stores[place].config.configuration.servers.iter();
    let names: Vec<&str> = servers.map(ServerId::as_str).collect();
    let mut abacus = Abacus::opening(&names);
    let mut records = elements(state, place).flat_map(|(_, element)| element.records());
    records.all(|record| abacus.follow(&record.action))
        && abacus.total() == names.len() as i64 * OPENING as i64
}

fn stops_rightly(state: &State, place: usize) -> bool {
    if state.stores[place].stopped.is_none() {
        return true;
    }
    let table = table(longest(state));
    // Another store was named.
    state.id(place) == state.id(LOST)
        && !table.names(state, place)
        && table.epoch(state.id(LOST)) > 1
}

fn is_silent_until_named(state: &State, place: usize) -> bool {
    let stored = &state.stores[place].disk.stored;
    let mut table = Table::default();
    let mut may_vote = BTreeSet::new();
    for block in chain(state, place) {
        table.follow(block);
        if table.names(state, place) {
            may_vote.insert(block.height() + 1);
        }
    }
    let mut votes = state.votes.iter().filter(|(_, by)| *by == place);
    votes.all(|(height, _)| may_vote.contains(height))
        && (table.names(state, place) || stored.log.is_empty())
}

pub fn is_in(chain: &[SealedBlock], action: &Action) -> bool {
    let mut records = chain.iter().flat_map(|block| block.block().records());
    records.any(|(_, record)| record.action == *action)
}

fn happened_anywhere(state: &State, action: &Action) -> bool {
    state.stores.iter().any(|node| {
        let mut log = node.disk.stored.log.iter().flat_map(Element::records);
        is_in(&node.disk.chain, action) || log.any(|record| record.action == *action)
    })
}
