//! What must hold in every state: DESIGN's "Never" list, by plain bookkeeping over disks, messages
//! and what clients were told. Nothing here asks the state machine.

use std::collections::BTreeSet;

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::ids::ServerId;
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Record};
use paxos_banking::bank::paxos::message::{Message, Vote};
use stateright::Property;

use crate::abacus::Abacus;
use crate::delivery::place;
use crate::state::{State, Story, Told, Wish};
use crate::steps::Bank;
use crate::{NAMES, OPENING};

pub fn properties() -> Vec<Property<Bank>> {
    let mut properties = of_servers();
    properties.extend(of_clients());
    properties
}

fn of_servers() -> Vec<Property<Bank>> {
    let always = Property::<Bank>::always;
    vec![
        always("no server panics or has to stop", |_, state| {
            state.nodes.iter().all(|node| !node.panicked && node.stopped.is_none())
        }),
        always("chains agree at every height", |_, state| chains_agree(state)),
        always("no entry is in the chain twice", |_, state| {
            (0..3).all(|place| entries_are_unique(state, place))
        }),
        always("sequences have no gap", |_, state| {
            (0..3).all(|place| sequence_has_no_gap(state, place))
        }),
        always("only durable elements are spoken of", |_, state| only_durable_is_spoken_of(state)),
        always("money is kept, and nothing is below zero or paid to nobody", |_, state| {
            (0..3).all(|place| money_is_kept(state, place))
        }),
        always("an account is opened once, by its home", |_, state| {
            (0..3).all(|place| accounts_are_opened_once(state, place))
        }),
    ]
}

fn of_clients() -> Vec<Property<Bank>> {
    let always = Property::<Bank>::always;
    vec![
        always("what was accepted is durable at its home, for ever", |_, state| {
            all(state, accepted_is_durable)
        }),
        always("what was said to be settled is in a block that a majority holds", |_, state| {
            all(state, settled_is_chosen)
        }),
        always("what was rejected never happens", |_, state| {
            all(state, |state, number, story| {
                !story.was_rejected()
                    || happened(state, number, story).iter().all(|paid| *paid == 0)
            })
        }),
        always("what is wanted happens once", |_, state| {
            all(state, |state, number, story| {
                happened(state, number, story).iter().all(|paid| *paid <= 1)
            })
        }),
        always("what is linked happens together, in one element, or not at all", |_, state| {
            all(state, linked_is_one)
        }),
        always("a wish has one outcome", |_, state| {
            all(state, |_, _, story| story.told.len() <= 1)
        }),
        always("a refusal is true by those it names", |_, state| {
            all(state, |_, _, story| !story.wronged)
        }),
    ]
}

/// Whether something holds for every wish, which it is told with its number.
fn all(state: &State, holds: impl Fn(&State, usize, &Story) -> bool) -> bool {
    state.stories.iter().enumerate().all(|(number, story)| holds(state, number, story))
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

fn entries_are_unique(state: &State, place: usize) -> bool {
    let mut names = BTreeSet::new();
    chain(state, place).iter().flat_map(elements_of).all(|(server, element)| {
        let seqs = element.first().seq..=element.last().seq;
        seqs.into_iter().all(|seq| names.insert((server, element.first().epoch, seq)))
    })
}

fn sequence_has_no_gap(state: &State, place: usize) -> bool {
    let mut next = 1;
    state.elements(place).all(|element| {
        let expected = std::mem::replace(&mut next, element.last().seq + 1);
        element.first().seq == expected && element.first().epoch == 1
    })
}

fn elements_of(block: &SealedBlock) -> impl Iterator<Item = (&ServerId, &Element)> {
    let logs = block.block().logs.iter();
    logs.flat_map(|(server, log)| log.iter().map(move |element| (server, element)))
}

/// Whatever somebody holds of another's log, or is being told of, stands so on the other's disk.
fn only_durable_is_spoken_of(state: &State) -> bool {
    let chains = state.nodes.iter().flat_map(|node| &node.disk.chain);
    let accepted = state.nodes.iter().filter_map(|node| node.disk.stored.accepted.as_ref());
    let mut held = chains.chain(accepted.map(|(_, block)| block));
    held.all(|block| is_durable(state, block))
        && state.network.iter().all(|flight| match &*flight.message {
            Message::Promise { vote: Vote::Log { elements, .. }, .. } => {
                elements.iter().all(|spoken| state.elements(flight.from).any(|own| own == spoken))
            }
            Message::Promise { vote: Vote::Accepted { block, .. }, .. }
            | Message::Accept { block, .. } => is_durable(state, block),
            Message::BlocksResponse { blocks } => {
                blocks.iter().all(|block| is_durable(state, block))
            }
            _ => true,
        })
}

fn is_durable(state: &State, block: &SealedBlock) -> bool {
    elements_of(block)
        .all(|(server, spoken)| state.elements(place(server)).any(|own| own == spoken))
}

/// Follows a server's chain and then its log.
fn money_is_kept(state: &State, place: usize) -> bool {
    let chain = chain(state, place).iter().flat_map(elements_of).map(|(_, element)| element);
    let mut elements = chain.chain(&state.nodes[place].disk.stored.log);
    let mut abacus = Abacus::opening(&NAMES);
    elements.all(|element| element.records().iter().all(|record| abacus.follow(&record.action)))
        && abacus.total() == 3 * OPENING as i64
}

fn accounts_are_opened_once(state: &State, place: usize) -> bool {
    let mut opened = BTreeSet::new();
    state.records(place).all(|(_, record)| match &record.action {
        Action::Open { account, .. } => {
            account.home() == state.nodes[place].id().as_str() && opened.insert(account)
        }
        Action::Transfer { from, .. } => from.home() == state.nodes[place].id().as_str(),
        Action::Mint { .. }
        | Action::Burn { .. }
        | Action::Rekey { .. }
        | Action::Pin { .. }
        | Action::Rejoin { .. }
        | Action::Member(_) => false,
    })
}

fn is_of(record: &Record, number: usize, member: usize) -> bool {
    let wanted = Wish::number(number, member);
    record.request.as_ref().is_some_and(|request| request.number == wanted)
}

/// The seqs that a client was told, each with the place in the group.
fn accepted(story: &Story) -> impl Iterator<Item = (usize, u64)> + '_ {
    story.told.iter().flat_map(|told| told.iter().enumerate()).filter_map(|(member, told)| {
        match told {
            Told::Accepted { seq, .. } => Some((member, *seq)),
            _ => None,
        }
    })
}

fn accepted_is_durable(state: &State, number: usize, story: &Story) -> bool {
    accepted(story).all(|(member, wanted)| {
        let mut records = state.records(story.wish.home);
        records.any(|(seq, record)| seq == wanted && is_of(record, number, member))
    })
}

fn settled_is_chosen(state: &State, _: usize, story: &Story) -> bool {
    let home = &state.nodes[story.wish.home];
    let holds_seq = |block: &&SealedBlock, wanted: u64| {
        let mut log = block.block().log(home.id()).iter();
        log.any(|element| (element.first().seq..=element.last().seq).contains(&wanted))
    };
    !story.settled
        || accepted(story).all(|(_, seq)| {
            let block = home.disk.chain.iter().find(|block| holds_seq(block, seq));
            block.is_some_and(|block| held_by_majority(state, block))
        })
}

fn held_by_majority(state: &State, wanted: &SealedBlock) -> bool {
    let holds = state.nodes.iter().filter(|node| {
        let accepted = node.disk.stored.accepted.as_ref().map(|(_, block)| block);
        node.disk.chain.iter().chain(accepted).any(|block| block.hash() == wanted.hash())
    });
    holds.count() >= 2
}

/// How often each of a wish's group happened, by what its home holds.
fn happened(state: &State, number: usize, story: &Story) -> Vec<usize> {
    let times = |member| {
        let records = state.records(story.wish.home);
        records.filter(|(_, record)| is_of(record, number, member)).count()
    };
    (0..story.wish.group.len()).map(times).collect()
}

/// Elements are never divided, so what is in one element is in one block.
fn linked_is_one(state: &State, number: usize, story: &Story) -> bool {
    let size = story.wish.group.len();
    state.elements(story.wish.home).all(|element| {
        let records = element.records();
        let Some(first) = records.iter().position(|record| is_of(record, number, 0)) else {
            return !records.iter().any(|r| (0..size).any(|member| is_of(r, number, member)));
        };
        let group = &records[first..records.len().min(first + size)];
        group.len() == size
            && group.iter().enumerate().all(|(member, record)| {
                is_of(record, number, member) && record.linked == (member + 1 < size)
            })
    })
}
