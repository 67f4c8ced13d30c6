//! Banks whose members come and go.
//!
//! Places are stores, as in `rejoin`: those of the servers that founded the bank, then those that join it, in an order
//! of their own; several may be of one server. `before` and `begun` have happened when the exploring begins. `links` brings
//! everything on its way; `table` reads the chain for the audit, without the machine; `audit` says what must hold in
//! every state, `going_on` that the bank finds on from there, `marks` what must be seen in some, `banks` what is
//! explored.

mod audit;
pub mod banks;
mod going_on;
mod links;
pub mod marks;
mod state;
mod table;

#[allow(unused_imports, reason = "only tests/planted explores servers with mistakes")]
pub use going_on::forget;

use stateright::{Model, Property};

use crate::bank::effects::{Event, Timer, Write};
use crate::bank::ids::ConnectionId;
use crate::bank::ledger::entry::Action;
use crate::bank::member_order::Order;
use crate::bank::paxos::message::Message;
use crate::bank::request::{Instruction, Request};
use crate::node::{Node, Stage};
use crate::state::Flight;
use state::{Budget, State};

/// What is asked of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    Act(Action),
    Order(Order),
    Settle,
}

impl Ask {
    fn request(&self) -> Request {
        match self {
            Ask::Act(action) => Request::One(Instruction::plain(action.clone())),
            Ask::Order(order) => Request::Members(order.clone()),
            Ask::Settle => Request::Settle,
        }
    }
}

/// Something that has happened before the exploring begins. All that follows from it has, too, and then all servers
/// have begun a new life.
#[derive(Clone, Debug)]
pub enum Before {
    Start(usize),
    Ask(usize, Ask),
}

/// Something that has happened since; it is over the rest.
#[derive(Clone, Debug)]
pub enum Begun {
    Ask(usize, Ask),
    /// All messages of this name have arrived at this one.
    Arrived(&'static str, usize),
    /// What it accepted was not committed, and it has finished the round with all whom it reaches.
    Finished(usize),
    /// A store was started, and admitted by a member that was told so.
    Joined(usize, usize, Ask),
    CutOff(usize),
}

/// What is explored: everything is bounded, and every bound is here.
pub struct Bank {
    pub founders: &'static [&'static str],
    /// The stores that join: each one's server, and the member that it is told.
    pub joiners: Vec<(&'static str, &'static str)>,
    pub before: Vec<Before>,
    pub begun: Vec<Begun>,
    /// What is asked of which store, at any time, each once. What is asked of one is asked in this order.
    pub asks: Vec<(usize, Ask)>,
    pub budget: Budget,
    /// What a store is told of heights and blocks that it has yet to learn arrives at once.
    pub chatter_at_once: bool,
    /// No run is begun in a higher round than this, counted from the one that stands at the beginning.
    pub rounds: u64,
}

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
    /// Nobody reaches it any more, nor does it reach anybody. What it has sent may still arrive.
    CutOff(usize),
    /// Another notices it; what has not arrived by now never does.
    Notice(usize),
    /// It can be reached again.
    Return(usize),
    /// Two dial each other.
    Meet(usize, usize),
    /// It is time to tell the others that one is there.
    Beat(usize),
}

impl Model for Bank {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::begun(self)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let found = |wanted: fn(&Node) -> bool| state.stores.iter().position(|node| wanted(node));
        if let Some(place) = found(|node| node.stage != Stage::Idle) {
            let is_saved = matches!(state.stores[place].stage, Stage::Durable(_));
            steps.push(if is_saved { Step::Send(place) } else { Step::Save(place) });
            steps.extend((state.budget.crashes > 0).then_some(Step::Crash(place)));
            return;
        }
        if let Some(place) = found(|node| !node.own.is_empty()) {
            return self.steps_of(state, place, steps);
        }
        for place in 0..state.stores.len() {
            self.steps_of(state, place, steps);
        }
        steps.extend(state.meetings().into_iter().map(|(one, other)| Step::Meet(one, other)));
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::Take(place, input) => {
                let event = self.event(&mut next, place, input);
                next.take_in(place, event);
            }
            Step::Save(place) => next.save(place),
            Step::Send(place) => next.send_bound(place),
            Step::Crash(place) => {
                next.budget.crashes -= 1;
                next.crashed.insert(place);
                next.change(place, Node::crash);
                next.hang_up_all(place);
            }
            Step::Start(place) => next.start(place),
            Step::CutOff(place) => {
                next.budget.cuts -= 1;
                next.cut_off(place);
            }
            Step::Notice(place) => next.notice(place),
            Step::Return(place) => {
                next.apart.remove(&place);
            }
            Step::Meet(one, other) => next.meet(one, other),
            Step::Beat(place) => {
                next.budget.beats -= 1;
                next.take_in(place, Event::Timer(Timer::Heartbeat));
            }
        }
        if self.chatter_at_once {
            next.chatter();
        }
        Some(next)
    }

    fn within_boundary(&self, state: &State) -> bool {
        let last = self.rounds + state.stood;
        let proposes_beyond = |node: &Node| match &node.stage {
            Stage::Decided { batch, .. } => batch
                .writes
                .iter()
                .any(|write| matches!(write, Write::Promise(ballot) if ballot.round > last)),
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
    fn steps_of(&self, state: &State, place: usize, steps: &mut Vec<Step>) {
        let (node, budget) = (&state.stores[place], state.budget);
        let is_cut = |link: &state::Link| link.is_cut && link.to == place;
        if state.links.iter().any(is_cut) {
            steps.push(Step::Notice(place));
        }
        if node.stopped.is_some() {
            return;
        }
        if state.apart.contains(&place) && budget.returns {
            steps.push(Step::Return(place));
        }
        if !state.is_up(place) {
            // A server's newer store is put in place by an operator who sees that the older is silent.
            let is_silent =
                |older: usize| state.id(older) != state.id(place) || !state.is_heard(older);
            return steps.extend((0..place).all(is_silent).then_some(Step::Start(place)));
        }
        steps.extend(self.inputs(state, place).into_iter().map(|input| Step::Take(place, input)));
        if budget.crashes > 0 {
            steps.push(Step::Crash(place));
        }
        if budget.cuts > 0 && !state.apart.contains(&place) {
            steps.push(Step::CutOff(place));
        }
        if budget.beats > 0 && node.own.is_empty() {
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
                // Clients' connections are numbered beyond those of servers.
                let connection = ConnectionId(1_000 + ask as u64);
                Event::Request(connection, Some(ask as u64), self.asks[ask].1.request())
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
}
