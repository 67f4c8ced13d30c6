//! What must happen somewhere: each shows that a rare path is among those explored.

use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::Action;
use paxos_banking::bank::paxos::message::Message;
use stateright::Property;

use super::audit::{chain, is_in, longest, table};
use super::state::State;
use super::{Bank, LOST};

pub fn properties() -> Vec<Property<Bank>> {
    let mut properties = of_the_old_store();
    properties.extend(of_newer_stores());
    properties
}

fn of_the_old_store() -> Vec<Property<Bank>> {
    let sometimes = Property::<Bank>::sometimes;
    vec![
        sometimes("the old store votes when a newer one is connected", |_, state| {
            state.voted_late
        }),
        sometimes("it helps to choose the block by which it is replaced", |_, state| {
            let deposing = longest(state).iter().find(|block| {
                let height = block.height() as usize;
                height > 0 && table(&longest(state)[..=height]).is_over(state, LOST)
            });
            let accepted = |hash| state.accepts.iter().any(|(of, _, by)| (*of, *by) == (hash, LOST));
            deposing.is_some_and(|block| accepted(block.hash()))
        }),
        sometimes("it lives when it is replaced", |_, state| {
            is_replaced(state) && state.is_up(LOST)
        }),
        sometimes("it stops at the block that replaces it", |_, state| {
            stopped(state, LOST, "what is not in the chain by now is lost")
                || stopped(state, LOST, "What it accepted and what is not in the chain")
        }),
        sometimes("it stops when it comes back", |_, state| {
            stopped(state, LOST, "was lost or swapped")
        }),
        sometimes("a late word of it is under way to one that has replaced it", |_, state| {
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
        }),
        sometimes("what it accepted is lost", |bank, state| {
            is_replaced(state)
                && granted(bank, state, LOST).any(|action| !is_in(longest(state), action))
        }),
        sometimes("what it accepted is kept", |bank, state| {
            is_replaced(state)
                && granted(bank, state, LOST).any(|action| is_in(longest(state), action))
        }),
    ]
}

fn of_newer_stores() -> Vec<Property<Bank>> {
    let sometimes = Property::<Bank>::sometimes;
    vec![
        sometimes("a newer store serves, in the next epoch", |bank, state| {
            state.newer().any(|store| granted(bank, state, store).next().is_some())
        }),
        sometimes("a newer store votes", |_, state| {
            state.votes.iter().any(|(_, by)| state.newer().contains(by))
        }),
        sometimes("two have logged one rejoin", |_, state| {
            let logged = |place: usize| {
                let log = state.stores[place].disk.stored.log.iter();
                log.flat_map(Element::records).any(|record| rejoins(&record.action))
            };
            (0..state.stores.len()).filter(|place| logged(*place)).count() > 1
        }),
        sometimes("a crash of the one who has logged it is survived", |_, state| {
            state.crashed_meanwhile && is_replaced(state)
        }),
        sometimes("a rejoin is void", |_, state| {
            let table = table(longest(state));
            state.newer().any(|store| table.is_over(state, store))
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
fn granted<'a>(
    bank: &'a Bank,
    state: &'a State,
    store: usize,
) -> impl Iterator<Item = &'a Action> {
    let asks = bank.asks.iter().zip(&state.told);
    let granted = asks.filter(move |((of, _), told)| {
        *of == store && matches!(told, Some(Some(Ok(_))))
    });
    granted.map(|((_, action), _)| action)
}

pub fn rejoins(action: &Action) -> bool {
    matches!(action, Action::Rejoin { .. })
}
