//! A server that rejoins, under the model checker: the store it had is lost, or is in truth alive and
//! cut off, while others crash, compete, and hear of it late.
//!
//! Beside the three servers of `steps` there are stores here: several of server C. Which of them
//! answers where C should be is left to the order of steps. Handshakes are the machine's; what it
//! refuses is refused. `links` brings everything on its way, `audit` says what must hold in every
//! state, `marks` what must be seen in some, `banks` what is explored.

mod audit;
pub mod banks;
mod links;
pub mod marks;
mod state;

use paxos_banking::bank::effects::{Event, Timer, Write};
use paxos_banking::bank::ids::ConnectionId;
use paxos_banking::bank::ledger::entry::Action;
use paxos_banking::bank::paxos::message::Message;
use paxos_banking::bank::request::{Instruction, Request};
use stateright::{Model, Property};

use crate::node::{Node, Stage};
use crate::state::Flight;
use state::{Budget, State};

/// What is explored: everything is bounded, and every bound is here.
pub struct Bank {
    pub servers: &'static [&'static str],
    /// How many stores of C there are beside the one that the bank was founded with.
    pub newer: usize,
    /// What clients ask of which store, at any time, each once.
    pub asks: Vec<(usize, Action)>,
    pub budget: Budget,
    /// What has happened before the exploring begins; it is over the rest.
    pub begun: Vec<Step>,
    /// Heartbeats, and what a store asks and is told that has yet to learn the chain, arrive at once.
    pub chatter_at_once: bool,
    /// Who dials another is not dialled by it in the same step.
    pub one_way: bool,
    /// No run is begun in a higher round than this.
    pub rounds: u64,
}

/// The server whose store is lost.
pub const LOST: usize = 2;

/// Something that a store's server takes in.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "few of them live at a time")]
pub enum Input {
    Ask(usize),
    Arrive(Flight),
    Own(Message),
    Timer(Timer),
}

/// A step.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "few of them live at a time")]
pub enum Step {
    /// A server takes something in, and its turn ends.
    Take(usize, Input),
    /// A turn becomes durable.
    Save(usize),
    /// What was bound to it leaves.
    Send(usize),
    /// A server dies; what it had not saved is gone, and what it had not sent is never said.
    Crash(usize),
    /// It begins a life with what is on its disk.
    Start(usize),
    /// The old store and this one can't reach each other any more. What was under way may arrive.
    CutOff(usize),
    /// This one notices it; what has not arrived by now never does.
    Notice(usize),
    /// A store of C's and another server dial each other.
    Meet(usize, usize),
    /// The first dials the second.
    Dial(usize, usize),
    /// It is time to tell the others that one is there.
    Beat(usize),
}

impl Model for Bank {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let begun = self.begun.iter().cloned();
        let take = |state: State, step| self.next_state(&state, step).expect("it can be taken");
        vec![begun.fold(State::founded(self), take)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let found = |wanted: fn(&Node) -> bool| state.stores.iter().position(|node| wanted(node));
        if let Some(place) = found(|node| node.stage != Stage::Idle) {
            let is_saved = matches!(state.stores[place].stage, Stage::Durable(_));
            steps.push(if is_saved { Step::Send(place) } else { Step::Save(place) });
            steps.extend(self.may_crash(state, place).then_some(Step::Crash(place)));
            return;
        }
        if let Some(place) = found(|node| !node.own.is_empty()) {
            return self.steps_of(state, place, steps);
        }
        for place in 0..state.stores.len() {
            self.steps_of(state, place, steps);
        }
        self.steps_of_links(state, steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::Take(place, input) => {
                let event = self.event(&mut next, place, input);
                next.take_in(place, event);
            }
            Step::Save(place) => next.save(place),
            Step::Send(place) => {
                let bound = next.change(place, Node::send);
                next.hand_out(place, bound);
            }
            Step::Crash(place) => {
                next.budget.crashes -= 1;
                next.crashed_meanwhile |= marks::has_logged_a_rejoin(&next, place);
                next.change(place, Node::crash);
                next.hang_up_all(place);
            }
            Step::Start(place) => next.start(place),
            Step::CutOff(other) => {
                next.budget.cuts -= 1;
                next.cut_off(other);
            }
            Step::Notice(place) => next.notice(place),
            Step::Meet(store, other) => next.meet(store, other),
            Step::Dial(from, to) => next.dial_if_free(from, to),
            Step::Beat(place) => {
                let beats = next.budget.beats(place, self.servers.len());
                *beats.expect("it was offered") -= 1;
                next.take_in(place, Event::Timer(Timer::Heartbeat));
            }
        }
        if self.chatter_at_once {
            next.chatter();
        }
        Some(next)
    }

    fn within_boundary(&self, state: &State) -> bool {
        let proposes_beyond = |node: &Node| match &node.stage {
            Stage::Decided { batch, .. } => batch
                .writes
                .iter()
                .any(|write| matches!(write, Write::Promise(ballot) if ballot.round > self.rounds)),
            _ => false,
        };
        !state.stores.iter().any(|node| proposes_beyond(node))
    }

    fn properties(&self) -> Vec<Property<Bank>> {
        let mut properties = audit::properties();
        properties.extend(marks::properties());
        properties
    }
}

impl Bank {
    fn may_crash(&self, state: &State, place: usize) -> bool {
        // That the old store may be dead for good is among what is explored: nothing comes of it.
        state.budget.crashes > 0 && place != LOST && state.is_up(place)
    }

    fn steps_of(&self, state: &State, place: usize, steps: &mut Vec<Step>) {
        let node = &state.stores[place];
        if node.stopped.is_some() {
            return;
        }
        if !state.is_up(place) {
            // A newer store is put in place by an operator who sees that the older is silent.
            let wanted = match place.checked_sub(self.servers.len()) {
                None => true,
                Some(0) => !state.is_linked_everywhere(LOST),
                Some(_) => state.stores[place - 1].life > 0,
            };
            return steps.extend(wanted.then_some(Step::Start(place)));
        }
        let inputs = self.inputs(state, place).into_iter();
        steps.extend(inputs.map(|input| Step::Take(place, input)));
        if self.may_crash(state, place) {
            steps.push(Step::Crash(place));
        }
        let mut budget = state.budget;
        if node.own.is_empty() && budget.beats(place, self.servers.len()).is_some() {
            steps.push(Step::Beat(place));
        }
    }

    fn inputs(&self, state: &State, place: usize) -> Vec<Input> {
        let node = &state.stores[place];
        if let Some(message) = node.own.front() {
            return vec![Input::Own(message.clone())];
        }
        let arriving = state.network.arriving(place).cloned();
        let mut inputs: Vec<Input> = arriving.map(Input::Arrive).collect();
        let may_run_out = |timer: &&Timer| match timer {
            Timer::Gather { .. } | Timer::BackOff { .. } => true,
            Timer::Repeat | Timer::FinishRound | Timer::Reconcile => state.budget.impatience > 0,
            _ => false,
        };
        inputs.extend(node.timers.iter().filter(may_run_out).copied().map(Input::Timer));
        let mut asks = self.asks.iter().zip(&state.told).enumerate();
        let next = asks.find(|(_, ((of, _), told))| *of == place && told.is_none());
        inputs.extend(next.map(|(ask, _)| Input::Ask(ask)));
        inputs
    }

    fn event(&self, state: &mut State, place: usize, input: Input) -> Event {
        match input {
            Input::Ask(ask) => {
                state.told[ask] = Some(None);
                let instruction = Instruction::plain(self.asks[ask].1.clone());
                // Clients' connections are numbered beyond those of servers.
                let connection = ConnectionId(1_000 + ask as u64);
                Event::Request(connection, Some(ask as u64), Request::One(instruction))
            }
            Input::Arrive(flight) => {
                state.network.take(&flight);
                let connection = ConnectionId(flight.from as u64);
                Event::Received(connection, Message::clone(&flight.message))
            }
            Input::Own(_) => {
                let own = state.change(place, |node| node.own.pop_front());
                Event::Own(own.expect("it was offered"))
            }
            Input::Timer(timer) => {
                if !matches!(timer, Timer::Gather { .. } | Timer::BackOff { .. }) {
                    state.budget.impatience -= 1;
                }
                state.change(place, |node| node.timers.remove(&timer));
                Event::Timer(timer)
            }
        }
    }

    fn steps_of_links(&self, state: &State, steps: &mut Vec<Step>) {
        let others = || (0..self.servers.len()).filter(|other| *other != LOST);
        let stores = || [LOST].into_iter().chain(self.servers.len()..state.stores.len());
        for other in others() {
            if state.budget.cuts > 0 && state.reaches(LOST, other) {
                steps.push(Step::CutOff(other));
            }
            if state.links.iter().any(|link| link.is_cut && link.to == other) {
                steps.push(Step::Notice(other));
            }
        }
        for store in stores() {
            let comes_back = store != LOST || state.budget.returns;
            for other in others().filter(|_| comes_back) {
                let ways = [(store, other), (other, store)];
                let free = ways.into_iter().filter(|(from, to)| state.is_free(*from, *to));
                match self.one_way {
                    true => steps.extend(free.map(|(from, to)| Step::Dial(from, to))),
                    false => steps.extend(free.map(|_| Step::Meet(store, other)).next()),
                }
            }
        }
    }
}
