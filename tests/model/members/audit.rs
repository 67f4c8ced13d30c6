//! What must hold in every state, by plain bookkeeping over disks, votes and what was told. Nothing here asks the state
//! machine.

use std::collections::{BTreeMap, BTreeSet};

use stateright::Property;

use super::going_on;
use super::state::{State, Told};
use super::table::Table;
use super::{Ask, Bank};
use crate::abacus::Abacus;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Record};
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::member_order::Order;
use crate::bounds::OPENING;

pub fn properties() -> Vec<Property<Bank>> {
    let mut properties = of_chains();
    properties.extend(of_stores());
    properties.extend(going_on::properties());
    properties
}

fn of_chains() -> Vec<Property<Bank>> {
    let always = Property::<Bank>::always;
    vec![
        always("any two stores' chains agree at every height", |_, state| chains_agree(state)),
        always("a block is chosen by a majority of those who vote at its height", |_, state| {
            was_chosen(state)
        }),
        always(
            "only stores vote that the chain below names, and that have a vote there",
            |_, state| votes_are_of_voters(state),
        ),
        always("an entry's name is used once", |_, state| names_are_used_once(state)),
        always("sequences have no gap, and begin anew with each membership", |_, state| {
            each(state, sequences_have_no_gap)
        }),
        always("money is kept, and nothing is below zero", |bank, state| {
            state.places().all(|place| money_is_kept(bank, state, place))
        }),
    ]
}

fn of_stores() -> Vec<Property<Bank>> {
    let always = Property::<Bank>::always;
    vec![
        always("no server panics", |_, state| state.stores.iter().all(|node| !node.panicked)),
        always(
            "a server stops if it is dismissed and enough others hold the block, or never",
            |_, state| each(state, stops_rightly),
        ),
        always(
            "a store learns nothing before it is ordered that its server is admitted",
            |bank, state| {
                let is_new =
                    |place: &usize| *place >= bank.founders.len() && bank.before.is_empty();
                let mut told =
                    state.places().filter(is_new).filter(|place| !chain(state, *place).is_empty());
                told.all(|place| was_ordered(bank, state, place))
            },
        ),
        always("a store logs nothing unless its chain names it", |_, state| {
            each(state, |state, place| {
                let named = Table::of(chain(state, place)).names(state, place);
                named || state.stores[place].disk.stored.log.is_empty()
            })
        }),
        always(
            "what a member accepted is in the chain, or in its log while it is a member",
            |bank, state| {
                bank.asks.iter().zip(&state.told).all(|((store, ask), told)| match (ask, told) {
                    (Ask::Act(action), Some(Some(Told::Accepted(epoch, seq)))) => {
                        is_kept(state, *store, action, (*epoch, *seq))
                    }
                    _ => true,
                })
            },
        ),
        always("what is told to be done about the members took effect", |bank, state| {
            bank.asks.iter().zip(&state.told).all(|((store, ask), told)| match (ask, told) {
                (Ask::Order(order), Some(Some(Told::Done))) => took_effect(state, *store, order),
                _ => true,
            })
        }),
    ]
}

/// Whether something holds for every store.
fn each(state: &State, holds: fn(&State, usize) -> bool) -> bool {
    state.places().all(|place| holds(state, place))
}

pub fn chain(state: &State, place: usize) -> &[SealedBlock] {
    &state.stores[place].disk.chain
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

fn was_chosen(state: &State) -> bool {
    let mut table = Table::default();
    longest(state).iter().all(|block| {
        let accepts = || state.accepts.iter().filter(|(hash, ..)| *hash == block.hash());
        let chosen = accepts().any(|(_, ballot, _)| {
            let in_it = accepts().filter(|(_, other, _)| other == ballot);
            table.is_majority(state, in_it.map(|(_, _, by)| *by))
        });
        table.follow(block);
        block.height() == 0 || chosen
    })
}

fn votes_are_of_voters(state: &State) -> bool {
    let mut table = Table::default();
    let mut by_height = Vec::new();
    for block in longest(state) {
        let votes = |place: &usize| table.counts(state, *place);
        by_height.push(state.places().filter(votes).collect::<BTreeSet<_>>());
        table.follow(block);
    }
    by_height.push(state.places().filter(|place| table.counts(state, *place)).collect());
    state.votes.iter().all(|(height, by)| {
        by_height.get(*height as usize).is_some_and(|voters| voters.contains(by))
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

fn names_are_used_once(state: &State) -> bool {
    let mut known: BTreeMap<(&ServerId, u64, u64), &Record> = BTreeMap::new();
    state.places().all(|place| {
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
        let mut elements = elements_of(block);
        let all = elements
            .all(|(server, element)| table.is_member(server) && goes_on(&table, server, element));
        table.follow(block);
        all
    });
    let mut log = state.stores[place].disk.stored.log.iter();
    chain_goes_on && log.all(|element| goes_on(&table, state.id(place), element))
}

/// Follows a store's chain and then its log.
fn money_is_kept(bank: &Bank, state: &State, place: usize) -> bool {
    let mut abacus = Abacus::opening(bank.founders);
    let mut records = elements(state, place).flat_map(|(_, element)| element.records());
    records.all(|record| abacus.follow(&record.action))
        && abacus.total() == bank.founders.len() as i64 * OPENING as i64
}

fn was_ordered(bank: &Bank, state: &State, place: usize) -> bool {
    bank.asks.iter().zip(&state.told).any(|((_, ask), told)| match ask {
        Ask::Order(Order::Admit { server, .. }) => server == state.id(place) && told.is_some(),
        _ => false,
    })
}

/// A dismissed server may go when those who are left can do without it.
fn stops_rightly(state: &State, place: usize) -> bool {
    if state.stores[place].stopped.is_none() {
        return true;
    }
    let mut table = Table::default();
    for block in longest(state) {
        table.follow(block);
        if table.is_over(state, place) {
            let holds = |place: &usize| chain(state, *place).len() as u64 > block.height();
            return table.is_majority(state, state.places().filter(holds));
        }
    }
    false
}

fn is_kept(state: &State, store: usize, action: &Action, name: (u64, u64)) -> bool {
    let id = state.id(store);
    let is_it = |(server, element): (&ServerId, &Element)| {
        let first = element.first();
        let mut records = (first.seq..).zip(element.records());
        server == id
            && records.any(|(seq, record)| (first.epoch, seq) == name && record.action == *action)
    };
    let stored = &state.stores[store].disk.stored;
    let is_member = || Table::of(longest(state)).names(state, store);
    longest(state).iter().flat_map(elements_of).any(is_it)
        || stored.log.iter().map(|element| (id, element)).any(is_it) && is_member()
}

fn took_effect(state: &State, store: usize, order: &Order) -> bool {
    // What the store's own chain says: it was told by nothing else.
    let done = Table::of(chain(state, store)).done;
    done.iter().any(|(_, change)| match (order, change) {
        (Order::Admit { server, .. }, MemberChange::Admit(admission)) => {
            *server == admission.server
        }
        (Order::Change(ordered), change) => ordered == change,
        _ => false,
    })
}
