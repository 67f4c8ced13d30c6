//! What must happen somewhere: each shows that a rare path is among those explored.

use stateright::Property;

use super::Bank;
use super::audit::{chain, longest};
use super::state::{State, Told};
use super::table::{Done, Table};
use crate::bank::ledger::member_change::MemberChange;

pub fn properties() -> Vec<Property<Bank>> {
    let mut properties = of_changes();
    properties.extend(of_leavers());
    properties
}

fn of_changes() -> Vec<Property<Bank>> {
    let sometimes = Property::<Bank>::sometimes;
    vec![
        sometimes("a server that was admitted votes", |bank, state| {
            let mut votes = state.votes.iter();
            votes.any(|(_, by)| *by >= bank.founders.len())
        }),
        sometimes("a vote is given", |_, state| {
            has(state, |change| matches!(change, MemberChange::Promote { .. }))
        }),
        sometimes("a vote is taken", |_, state| {
            has(state, |change| matches!(change, MemberChange::Demote { .. }))
        }),
        sometimes("who loses its vote helps to choose the block that says so", |_, state| {
            changes(state).into_iter().any(|(height, change)| {
                let hash = longest(state)[height as usize].hash();
                let mut accepts = state.accepts.iter().filter(|(of, ..)| *of == hash);
                matches!(change, MemberChange::Demote { .. })
                    && accepts.any(|(_, _, by)| state.id(*by) == change.server())
            })
        }),
        sometimes("a change is void", |_, state| {
            let mut told = state.told.iter().flatten().flatten();
            told.any(|told| matches!(told, Told::No(why) if why.contains("nothing has changed")))
        }),
    ]
}

fn of_leavers() -> Vec<Property<Bank>> {
    let sometimes = Property::<Bank>::sometimes;
    vec![
        sometimes("a dismissed server stays, and holds the block that says so", |_, state| {
            state.places().any(|place| state.is_up(place) && knows_its_dismissal(state, place))
        }),
        sometimes("a dismissed server lacks the block that says so", |_, state| {
            let is_over = |place| Table::of(longest(state)).is_over(state, place);
            state.places().any(|place| is_over(place) && !knows_its_dismissal(state, place))
        }),
        sometimes("a dismissed server stops", |_, state| {
            state.stores.iter().any(|node| node.stopped.is_some())
        }),
        sometimes("a dismissed server crashes, comes back and stops", |_, state| {
            let mut crashed = state.crashed.iter();
            crashed.any(|place| state.stores[*place].stopped.is_some())
        }),
        sometimes("a server is a member again while its old store is alive", |_, state| {
            let table = Table::of(longest(state));
            let is_old = |place| state.is_up(place) && table.is_over(state, place);
            state.places().any(|place| is_old(place) && table.is_member(state.id(place)))
        }),
    ]
}

fn changes(state: &State) -> Vec<Done> {
    Table::of(longest(state)).done
}

fn has(state: &State, is_it: fn(&MemberChange) -> bool) -> bool {
    changes(state).iter().any(|(_, change)| is_it(change))
}

fn knows_its_dismissal(state: &State, place: usize) -> bool {
    Table::of(chain(state, place)).is_over(state, place)
}
