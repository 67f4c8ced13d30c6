//! What must hold in every state: DESIGN's "Never" list, by plain bookkeeping over disks, messages
//! and what clients were told. Nothing here asks the state machine.

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::ledger::entry::Entry;
use paxos_banking::bank::paxos::message::{Message, Vote};
use stateright::Property;

use crate::OPENING;
use crate::delivery::place;
use crate::state::{State, Told};
use crate::steps::Bank;

pub fn properties() -> Vec<Property<Bank>> {
    let always = Property::<Bank>::always;
    vec![
        always("no server panics or has to stop", |_, state| {
            state.nodes.iter().all(|node| node.failure.is_none())
        }),
        always("chains agree at every height", |_, state| chains_agree(state)),
        always("no entry is in the chain twice", |_, state| entries_are_unique(state)),
        always("sequences have no gap", |_, state| sequences_have_no_gap(state)),
        always("only durable entries are spoken of", |_, state| {
            entries_elsewhere(state).all(|entry| is_durable_at_home(state, entry))
        }),
        always("money is kept, and nothing is below zero", |_, state| {
            (0..3).all(|place| money_is_kept(state, place))
        }),
        always("what was accepted is durable at its home, for ever", |_, state| {
            accepted_is_durable(state)
        }),
        always("what was rejected never happens", |_, state| {
            payments(state)
                .iter()
                .zip(&state.stories)
                .all(|(paid, s)| *paid == 0 || !s.was_rejected())
        }),
        always("a transfer is paid once", |_, state| payments(state).iter().all(|paid| *paid <= 1)),
        always("a transfer has one outcome", |_, state| {
            state.stories.iter().all(|story| story.told.len() <= 1)
        }),
        always("a refusal is true by those it names", |_, state| {
            state.stories.iter().all(|story| !story.wronged)
        }),
    ]
}

fn chain(state: &State, place: usize) -> &[SealedBlock] {
    &state.nodes[place].disk.chain
}

fn chains_agree(state: &State) -> bool {
    [(0, 1), (1, 2), (0, 2)].iter().all(|(one, other)| {
        let pairs = chain(state, *one).iter().zip(chain(state, *other));
        pairs.into_iter().all(|(a, b)| a.hash() == b.hash())
    })
}

fn entries_are_unique(state: &State) -> bool {
    (0..3).all(|place| {
        let mut names = BTreeSet::new();
        let mut entries = chain(state, place).iter().flat_map(|block| &block.block().entries);
        entries.all(|entry| names.insert((&entry.server, entry.epoch, entry.seq)))
    })
}

fn sequences_have_no_gap(state: &State) -> bool {
    (0..3).all(|place| {
        state.durable(place).map(|entry| entry.seq).eq(1..=state.durable(place).count() as u64)
    })
}

/// Entries that somebody holds, or is being told of, beside their own server's log.
fn entries_elsewhere(state: &State) -> impl Iterator<Item = &Entry> {
    let chains = state.nodes.iter().flat_map(|node| &node.disk.chain);
    let accepted = state.nodes.iter().filter_map(|node| node.disk.stored.accepted.as_ref());
    let held = chains.chain(accepted.map(|(_, block)| block));
    let told = state.network.iter().flat_map(|flight| spoken_of(&flight.message));
    held.flat_map(|block| &block.block().entries).chain(told)
}

fn spoken_of(message: &Message) -> Vec<&Entry> {
    let of = |blocks| -> Vec<&Entry> {
        <[SealedBlock]>::iter(blocks).flat_map(|block| &block.block().entries).collect()
    };
    match message {
        Message::Promise { vote: Vote::Log { entries, .. }, .. } => entries.iter().collect(),
        Message::Promise { vote: Vote::Accepted { block, .. }, .. }
        | Message::Accept { block, .. } => of(std::slice::from_ref(block)),
        Message::BlocksResponse { blocks } => of(blocks),
        _ => Vec::new(),
    }
}

fn is_durable_at_home(state: &State, entry: &Entry) -> bool {
    state.durable(place(&entry.server)).any(|own| own == entry)
}

/// Follows a server's chain and then its log, with an abacus.
fn money_is_kept(state: &State, place: usize) -> bool {
    let node = &state.nodes[place];
    let mut balances: BTreeMap<&str, u64> =
        state.nodes.iter().map(|node| (node.id().as_str(), OPENING)).collect();
    let chain = node.disk.chain.iter().flat_map(|block| &block.block().entries);
    for entry in chain.chain(node.disk.stored.log.iter().flatten()) {
        let units = entry.amount.units();
        let Some(rest) = balances[entry.from.as_str()].checked_sub(units) else { return false };
        balances.insert(entry.from.as_str(), rest);
        *balances.get_mut(entry.to.as_str()).expect("an account") += units;
    }
    balances.values().sum::<u64>() == 3 * OPENING
}

fn is_of(entry: &Entry, story: usize) -> bool {
    entry.request.as_ref().is_some_and(|request| request.number == story as u64 + 1)
}

fn accepted_is_durable(state: &State) -> bool {
    state.stories.iter().enumerate().all(|(number, story)| {
        let is_there = |wanted: u64| {
            state.durable(story.wish.home).any(|entry| entry.seq == wanted && is_of(entry, number))
        };
        story.told.iter().all(|told| match told {
            Told::Accepted { seq, .. } => is_there(*seq),
            _ => true,
        })
    })
}

/// How often each transfer was paid, by what its home holds.
fn payments(state: &State) -> Vec<usize> {
    let paid = |(number, story): (usize, &crate::state::Story)| {
        state.durable(story.wish.home).filter(|entry| is_of(entry, number)).count()
    };
    state.stories.iter().enumerate().map(paid).collect()
}
