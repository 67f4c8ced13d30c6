//! What must happen somewhere: each shows that a rare path is among those explored.

use paxos_banking::bank::effects::Write;
use paxos_banking::bank::ledger::entry::{Action, Via};
use paxos_banking::bank::paxos::message::{Message, Vote};
use stateright::Property;

use crate::node::{Node, Stage};
use crate::state::{State, Story, Told, Wish};
use crate::steps::Bank;

pub fn properties() -> Vec<Property<Bank>> {
    let mut properties = outcomes();
    properties.extend(runs());
    properties.extend(crashes());
    properties
}

fn outcomes() -> Vec<Property<Bank>> {
    let sometimes = Property::<Bank>::sometimes;
    vec![
        sometimes("a transfer is accepted at once", |_, state| was_accepted(state, Via::Local)),
        sometimes("a transfer is accepted after a run", |_, state| was_accepted(state, Via::Paxos)),
        sometimes("a transfer is refused", |_, state| was_told(state, Told::Refused)),
        sometimes("a transfer is unavailable", |_, state| was_told(state, Told::Unavailable)),
        sometimes("a retry is answered with the first outcome", |_, state| {
            state.stories.iter().any(|story| story.repeated)
        }),
        sometimes("an account that a run has found is paid", |_, state| {
            stories_accepted(state, Via::Paxos).any(|story| pays_another_home(&story.wish))
        }),
        sometimes("an account that nobody asked knows is not paid", |_, state| {
            was_told(state, Told::Unknown)
        }),
        sometimes("a linked group waits for a run, and happens", |_, state| {
            stories_accepted(state, Via::Paxos).any(|story| story.wish.group.len() > 1)
        }),
        sometimes("a linked group does not happen because of one of it", |_, state| {
            was_told(state, Told::LinkedFailed)
        }),
        sometimes("a client hears that its transfer is in a block", |_, state| {
            state.stories.iter().any(|story| story.settled)
        }),
        sometimes("what waited for money is granted when there is some", |_, state| {
            stories_accepted(state, Via::Paxos).any(|story| story.wish.patient)
        }),
        sometimes("what waited for money is refused in the end", |_, state| {
            (state.stories.iter()).any(|story| story.wish.patient && story.was_rejected())
        }),
        sometimes("a log is settled though nobody waits for that", |_, state| {
            let served = |s: &Story| {
                !s.wish.settled && !was_accepted(state, Via::Paxos) && !s.was_rejected()
            };
            all_is_done(state) && state.stories.iter().all(served)
        }),
        sometimes("everything is answered, committed and the same everywhere", |_, state| {
            all_is_done(state)
        }),
    ]
}

fn runs() -> Vec<Property<Bank>> {
    let sometimes = Property::<Bank>::sometimes;
    vec![
        sometimes("a proposer is beaten by a higher ballot", |_, state| {
            on_the_way(state, |_, message| matches!(message, Message::Nack { .. }))
        }),
        sometimes("a promise tells of an accepted block", |_, state| {
            let tells = |vote: &Vote| matches!(vote, Vote::Accepted { .. });
            on_the_way(
                state,
                |_, message| matches!(message, Message::Promise { vote, .. } if tells(vote)),
            )
        }),
        sometimes("a block of another's is adopted", |_, state| {
            on_the_way(state, |_, message| match message {
                Message::Accept { ballot, block, .. } => {
                    block.block().proposer.as_ref() != Some(&ballot.server)
                }
                _ => false,
            })
        }),
        sometimes("a block is chosen by another than who built it", |_, state| {
            on_the_way(state, |from, message| match message {
                Message::Commit { height, .. } => {
                    let block = &state.nodes[from].disk.chain[*height as usize];
                    block.block().proposer.as_ref() != Some(state.nodes[from].id())
                }
                _ => false,
            })
        }),
        sometimes("a commit names a block that was accepted here", |_, state| {
            appends(state, |_, from_accepted, _| from_accepted)
        }),
        sometimes("a block is learnt by reconciling", |_, state| {
            appends(state, |_, from_accepted, _| !from_accepted)
        }),
        sometimes("a promise is cut, and says what the rest brings", |_, state| {
            on_the_way(state, |_, message| match message {
                Message::Promise { vote: Vote::Log { whole: Some(whole), .. }, .. } => {
                    !whole.brings.is_empty()
                }
                _ => false,
            })
        }),
        sometimes("what a cut log does not cover is refused in the first run", |_, state| {
            was_told(state, Told::Refused)
                && state.nodes.iter().any(|node| node.disk.chain.len() == 2)
                && state.nodes.iter().any(|node| node.disk.stored.log.len() == 1)
        }),
        sometimes("an entry logged after the promise waits for the next block", |_, state| {
            appends(state, |node, _, trim| trim > 0 && node.disk.stored.log.len() > trim)
        }),
        sometimes("two blocks follow on genesis", |_, state| {
            state.nodes.iter().any(|node| node.disk.chain.len() == 3)
        }),
    ]
}

fn crashes() -> Vec<Property<Bank>> {
    let sometimes = Property::<Bank>::sometimes;
    vec![
        sometimes("a crash between saving and sending is survived", |_, state| {
            state.crashes.before_send && all_is_done(state)
        }),
        sometimes("a crash before saving is survived", |_, state| {
            state.crashes.before_save && all_is_done(state)
        }),
        sometimes("a server comes back with a block that it had accepted", |_, state| {
            state.nodes.iter().any(|node| {
                node.life > 1 && node.server.is_some() && node.disk.stored.accepted.is_some()
            })
        }),
    ]
}

fn was_accepted(state: &State, wanted: Via) -> bool {
    stories_accepted(state, wanted).next().is_some()
}

fn stories_accepted(state: &State, wanted: Via) -> impl Iterator<Item = &Story> {
    let is_it = move |told: &Told| matches!(told, Told::Accepted { via, .. } if *via == wanted);
    state.stories.iter().filter(move |story| story.told.iter().flatten().any(is_it))
}

fn was_told(state: &State, wanted: Told) -> bool {
    state.stories.iter().any(|story| story.told.iter().flatten().any(|told| *told == wanted))
}

/// It pays to an account that was opened after the founding, elsewhere.
fn pays_another_home(wish: &Wish) -> bool {
    wish.group.iter().any(|action| match action {
        Action::Transfer { from, to, .. } => to.home() != from.home() && to.as_str() != to.home(),
        _ => false,
    })
}

fn on_the_way(state: &State, wanted: impl Fn(usize, &Message) -> bool) -> bool {
    state.network.iter().any(|flight| wanted(flight.from, &flight.message))
}

/// Some server is about to make such an append durable.
fn appends(state: &State, wanted: impl Fn(&Node, bool, usize) -> bool) -> bool {
    state.nodes.iter().any(|node| {
        let Stage::Decided { batch, .. } = &node.stage else { return false };
        batch.writes.iter().any(|write| match write {
            Write::Append { from_accepted, trim, .. } => wanted(node, *from_accepted, *trim),
            _ => false,
        })
    })
}

fn all_is_done(state: &State) -> bool {
    let heights: Vec<usize> = state.nodes.iter().map(|node| node.disk.chain.len()).collect();
    (0..3).all(|place| state.is_up(place))
        && heights[0] > 1
        && heights.iter().all(|height| *height == heights[0])
        && state.stories.iter().all(|story| !story.told.is_empty())
}
