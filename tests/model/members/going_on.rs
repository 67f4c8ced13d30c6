//! From wherever a bank has come to, it goes on: all who can be are started and reach each other, time passes, and a
//! block is made of whatever is logged.

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::Property;

use super::Bank;
use super::audit::{chain, longest};
use super::state::{State, Told};
use super::table::Table;
use crate::bank::effects::{Event, Timer};
use crate::bank::ids::ConnectionId;
use crate::bank::request::Request;
use crate::node::Node;
use crate::state::Flight;

/// After so many heartbeats of everybody, what does not come never will.
const PATIENCE: usize = 12;

pub fn properties() -> Vec<Property<Bank>> {
    let always = Property::<Bank>::always;
    vec![
        always("the bank goes on from here", |_, state| !state.is_quiet() || goes_on(state)),
        always("so it does after everybody has crashed", |_, state| {
            !state.is_quiet() || goes_on(&restarted(state))
        }),
    ]
}

thread_local! {
    /// From which states a bank was found to go on. Many that differ in what was said and promised differ in nothing
    /// that matters from then on.
    static KNOWN: RefCell<HashSet<u64>> = RefCell::default();
}

/// Forgets what was found of a bank: another one may be of servers that make a mistake.
#[allow(dead_code, reason = "only tests/planted explores servers with mistakes")]
pub fn forget() {
    KNOWN.with_borrow_mut(HashSet::clear);
}

fn goes_on(state: &State) -> bool {
    let mut hasher = DefaultHasher::new();
    (&state.stores, &state.links).hash(&mut hasher);
    let key = hasher.finish();
    if KNOWN.with_borrow(|known| known.contains(&key)) {
        return true;
    }
    let hangs = what_hangs(state.clone());
    match &hangs {
        None => drop(KNOWN.with_borrow_mut(|known| known.insert(key))),
        Some(what) => println!("{what}"),
    }
    hangs.is_none()
}

fn restarted(state: &State) -> State {
    let mut state = state.clone();
    for place in state.places() {
        state.change(place, Node::crash);
        state.hang_up_all(place);
    }
    state
}

/// Says what does not come to its end.
fn what_hangs(mut state: State) -> Option<String> {
    state.apart.clear();
    for place in state.places() {
        let may_start = !state.is_up(place) && state.stores[place].stopped.is_none();
        if may_start && !is_replaced(&state, place) {
            state.start(place);
        }
    }
    state.calm_down();
    for place in state.places() {
        state.told = vec![None];
        let request = Event::Request(ConnectionId(2_000), Some(0), Request::Settle);
        if is_member(&state, place) {
            state.turn_at_once(place, request);
            state.calm_down();
        }
        let told = &state.told[0];
        if is_member(&state, place) && *told != Some(Some(Told::Done)) {
            return Some(format!("{} can't settle: {told:?}", state.id(place)));
        }
    }
    state.places().find_map(|place| what_lacks(&state, place))
}

fn is_member(state: &State, place: usize) -> bool {
    Table::of(longest(state)).names(state, place)
}

fn is_over(state: &State, place: usize) -> bool {
    Table::of(longest(state)).is_over(state, place)
}

/// Whether a store was dismissed, and its server has another by now.
fn is_replaced(state: &State, place: usize) -> bool {
    let mut others = state.places().filter(|other| *other != place);
    is_over(state, place)
        && others.any(|other| state.id(other) == state.id(place) && state.is_up(other))
}

/// Whether a store lacks the block that dismissed it, and only one is left that could say so: one word ends nobody.
fn has_one_to_ask(state: &State, place: usize) -> bool {
    let knows = !Table::of(chain(state, place)).names(state, place);
    let left = state.places().filter(|other| is_member(state, *other)).count();
    !knows && left == 1
}

fn what_lacks(state: &State, place: usize) -> Option<String> {
    let (id, node) = (state.id(place), &state.stores[place]);
    if !is_member(state, place) {
        let goes = node.stopped.is_some()
            || !is_over(state, place)
            || is_replaced(state, place)
            || has_one_to_ask(state, place);
        return (!goes).then(|| format!("{id} is dismissed and does not stop"));
    }
    if chain(state, place).len() < longest(state).len() {
        return Some(format!("{id} does not learn the chain"));
    }
    let is_settled = node.disk.stored.log.is_empty();
    (!is_settled).then(|| format!("{id}'s log does not come into a block"))
}

impl State {
    /// Lets everything that is under way arrive, and all that has to wait come to its time.
    pub fn calm_down(&mut self) {
        for _ in 0..PATIENCE {
            let before = self.clone();
            for (one, other) in self.meetings() {
                self.meet(one, other);
            }
            self.deliver_all();
            for place in self.places() {
                let runs_out =
                    |timer: &&Timer| !matches!(timer, Timer::Deadline(_) | Timer::Patience { .. });
                let timers: Vec<Timer> =
                    self.stores[place].timers.iter().filter(runs_out).copied().collect();
                for timer in timers {
                    let was_set = self.change(place, |node| node.timers.remove(&timer));
                    if was_set {
                        self.turn_at_once(place, Event::Timer(timer));
                        self.deliver_all();
                    }
                }
                self.turn_at_once(place, Event::Timer(Timer::Heartbeat));
                self.deliver_all();
            }
            if *self == before {
                return;
            }
        }
    }

    /// Lets everything arrive that is under way on a connection that holds.
    pub fn deliver_all(&mut self) {
        let cut = self.links.iter().filter(|link| link.is_cut);
        let cut: Vec<(usize, usize)> = cut.map(|link| (link.name as usize, link.to)).collect();
        self.deliver(|flight| !cut.contains(&(flight.from, flight.to)));
    }

    /// Lets such messages arrive, and what servers tell themselves.
    pub fn deliver(&mut self, wanted: impl Fn(&Flight) -> bool) {
        loop {
            let busy = self.places().find(|place| !self.stores[*place].own.is_empty());
            if let Some(place) = busy {
                if let Some(own) = self.change(place, |node| node.own.pop_front()) {
                    self.turn_at_once(place, Event::Own(own));
                }
            } else if let Some(flight) = self.next_of(&wanted) {
                self.arrive(flight);
            } else {
                return;
            }
        }
    }
}
