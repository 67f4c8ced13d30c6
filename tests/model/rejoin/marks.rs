//! What must happen somewhere: each shows that a rare path is among those explored.

use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::Action;
use paxos_banking::bank::paxos::message::Message;
use stateright::Property;

use super::audit::{chain, is_in, longest, table};
use super::state::State;
use super::{Bank, LOST};

pub fn properties() -> Vec<Property<Bank>> {
    let mut properties = of_few();
    properties.extend(of_many());
    properties
}

/// In the explorations of few states.
pub fn of_few() -> Vec<Property<Bank>> {
    let sometimes = Property::<Bank>::sometimes;
    vec![
        sometimes("the old store votes when a newer one is connected", |_, state| state.voted_late),
        sometimes("the old store lives when it is replaced", |_, state| {
            is_replaced(state) && state.is_up(LOST)
        }),
        sometimes("the old store stops when it comes back", |_, state| {
            stopped(state, LOST, "was lost or swapped")
        }),
        sometimes("what the old store accepted is lost", |bank, state| {
            is_replaced(state)
                && granted(bank, state, LOST).any(|action| !is_in(longest(state), action))
        }),
        sometimes("a newer store serves, in the next epoch", |bank, state| {
            state.newer().any(|store| granted(bank, state, store).next().is_some())
        }),
        sometimes("a newer store votes", |_, state| {
            state.votes.iter().any(|(_, by)| state.newer().contains(by))
        }),
        sometimes("two have logged one rejoin", |_, state| {
            let places = 0..state.stores.len();
            places.filter(|place| has_logged_a_rejoin(state, *place)).count() > 1
        }),
        sometimes("a rejoin is void", |_, state| {
            let table = table(longest(state));
            state.newer().any(|store| table.is_over(state, store))
        }),
    ]
}

/// In those of many.
pub fn of_many() -> Vec<Property<Bank>> {
    let sometimes = Property::<Bank>::sometimes;
    vec![
        sometimes("the old store helps to choose the block by which it is replaced", |_, state| {
            let deposing = longest(state).iter().find(|block| {
                let height = block.height() as usize;
                height > 0 && table(&longest(state)[..=height]).is_over(state, LOST)
            });
            let accepted =
                |hash| state.accepts.iter().any(|(of, _, by)| (*of, *by) == (hash, LOST));
            deposing.is_some_and(|block| accepted(block.hash()))
        }),
        sometimes("the old store stops at the block that replaces it", |_, state| {
            stopped(state, LOST, "what is not in the chain by now is lost")
                || stopped(state, LOST, "What it accepted and what is not in the chain")
        }),
        sometimes(
            "a late word of the old store is under way to one that has replaced it",
            |_, state| {
                let mut cut = state.links.iter().filter(|link| link.is_cut);
                cut.any(|link| {
                    let votes = state.network.iter().any(|flight| {
                        (flight.from, flight.to) == (link.name as usize, link.to)
                            && matches!(
                                &*flight.message,
                                Message::Promise { .. } | Message::Accepted { .. }
                            )
                    });
                    votes && table(chain(state, link.to)).is_over(state, LOST)
                })
            },
        ),
        sometimes("what the old store accepted is kept", |bank, state| {
            is_replaced(state)
                && granted(bank, state, LOST).any(|action| is_in(longest(state), action))
        }),
        sometimes("a crash of the one who has logged it is survived", |_, state| {
            state.crashed_meanwhile && is_replaced(state)
        }),
        sometimes("a third store comes too late and stops", |_, state| {
            state.newer().any(|store| {
                stopped(state, store, "was to come") || stopped(state, store, "comes too late")
            })
        }),
    ]
}

fn stopped(state: &State, place: usize, why: &str) -> bool {
    state.stores[place].stopped.as_ref().is_some_and(|reason| reason.contains(why))
}

fn is_replaced(state: &State) -> bool {
    table(longest(state)).is_over(state, LOST)
}

/// What clients were told by a store that it has happened.
fn granted<'a>(bank: &'a Bank, state: &'a State, store: usize) -> impl Iterator<Item = &'a Action> {
    let asks = bank.asks.iter().zip(&state.told);
    let granted =
        asks.filter(move |((of, _), told)| *of == store && matches!(told, Some(Some(Ok(_)))));
    granted.map(|((_, action), _)| action)
}

/// It is in its log, and in no block that it holds.
pub fn has_logged_a_rejoin(state: &State, place: usize) -> bool {
    let mut log = state.stores[place].disk.stored.log.iter().flat_map(Element::records);
    log.any(|record| matches!(record.action, Action::Rejoin { .. }))
}
