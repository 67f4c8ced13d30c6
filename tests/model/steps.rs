//! The model: which steps there are in a state, and what each leads to.
//!
//! Two things keep the space small without hiding a behaviour. A server that has taken something
//! in does nothing else until its turn is durable and handed out (as in `event_loop`), and what it
//! does meanwhile touches nobody else; so those steps are taken before any other server's. They
//! are steps of their own all the same, with a crash as the alternative to each. And what a server
//! tells itself is the first thing that it takes in next, as under the threads.

use paxos_banking::bank::effects::{Event, Timer, Write};
use paxos_banking::bank::limits::Limits;
use paxos_banking::bank::paxos::message::Message;
use paxos_banking::bank::server::Habit;
use stateright::{Model, Property};

use crate::node::{Node, Stage};
use crate::state::{Budget, Flight, State, Wish};
use crate::{audit, marks};

/// What is explored: everything is bounded, and every bound is here.
pub struct Bank {
    /// What clients want. What is wanted of one home is asked for in this order.
    pub wishes: Vec<Wish>,
    /// How many wishes are granted before the exploring begins; it is over the others.
    pub granted: usize,
    pub budget: Budget,
    /// When its servers settle by themselves.
    pub habit: Habit,
    /// How much its servers hold at a time.
    pub limits: Limits,
    /// What one server says to another arrives in its order.
    pub in_order: bool,
    /// No run is begun in a higher round than this.
    pub rounds: u64,
}

/// Something that a server takes in.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "few of them live at a time")]
pub enum Input {
    /// A client asks for what it wants, for the first time.
    Ask(usize),
    /// It asks again, on a new connection.
    Retry(usize),
    /// A copy of an earlier asking comes late, on the connection before.
    Late(usize),
    Arrive(Flight),
    Own(Message),
    Timer(Timer),
}

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A server takes something in, and its turn ends.
    Take(usize, Input),
    /// The same, but the turn goes on with one more input.
    TakeAndGoOn(usize, Input),
    /// A message arrives, and will arrive once more.
    ArriveTwice(Flight),
    /// A turn becomes durable.
    Save(usize),
    /// What was bound to it leaves.
    Send(usize),
    /// A server dies; what it had not saved is gone, and what it had not sent is never said.
    Crash(usize),
    /// It begins its next life with what is on its disk.
    Start(usize),
}

impl Model for Bank {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::founded(self)]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let found = |wanted: fn(&Node) -> bool| (0..3).find(|place| wanted(&state.nodes[*place]));
        let may_crash = state.budget.crashes > 0;
        if let Some(place) = found(|node| node.stage == Stage::Open) {
            let inputs = self.inputs(state, place);
            return steps.extend(inputs.into_iter().map(|input| Step::Take(place, input)));
        }
        if let Some(place) = found(|node| node.stage != Stage::Idle) {
            let is_saved = matches!(state.nodes[place].stage, Stage::Durable(_));
            steps.push(if is_saved { Step::Send(place) } else { Step::Save(place) });
            steps.extend(may_crash.then_some(Step::Crash(place)));
            return;
        }
        let busy = found(|node| !node.own.is_empty());
        for place in (0..3).filter(|place| busy.is_none_or(|busy| busy == *place)) {
            self.steps_of(state, place, steps);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::Take(place, input) => {
                let event = Self::event(&mut next, place, &input);
                next.take_in(place, event, true);
            }
            Step::TakeAndGoOn(place, input) => {
                next.budget.shared_turns -= 1;
                let event = Self::event(&mut next, place, &input);
                next.take_in(place, event, false);
                if self.inputs(&next, place).is_empty() {
                    return None;
                }
            }
            Step::ArriveTwice(flight) => {
                next.budget.duplicates -= 1;
                let event = Self::event(&mut next, flight.to, &Input::Arrive(flight.clone()));
                next.network = state.network.clone();
                next.take_in(flight.to, event, true);
            }
            Step::Save(place) => {
                next.change(place, Node::save);
                next.watch();
            }
            Step::Send(place) => {
                let bound = next.change(place, Node::send);
                next.hand_out(place, bound);
            }
            Step::Crash(place) => Self::crash(&mut next, place),
            Step::Start(place) => next.start(place),
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
        !state.nodes.iter().any(|node| proposes_beyond(node))
    }

    fn properties(&self) -> Vec<Property<Bank>> {
        let mut properties = audit::properties();
        properties.extend(marks::properties());
        properties
    }
}

impl Bank {
    fn steps_of(&self, state: &State, place: usize, steps: &mut Vec<Step>) {
        let budget = state.budget;
        if !state.is_up(place) {
            return steps.push(Step::Start(place));
        }
        for input in self.inputs(state, place) {
            if budget.duplicates > 0
                && let Input::Arrive(flight) = &input
            {
                steps.push(Step::ArriveTwice(flight.clone()));
            }
            if budget.shared_turns > 0 {
                steps.push(Step::TakeAndGoOn(place, input.clone()));
            }
            steps.push(Step::Take(place, input));
        }
        if budget.crashes > 0 {
            steps.push(Step::Crash(place));
        }
    }

    /// What a server can take in now.
    fn inputs(&self, state: &State, place: usize) -> Vec<Input> {
        let node = &state.nodes[place];
        if let Some(message) = node.own.front() {
            return vec![Input::Own(message.clone())];
        }
        let arriving = state.network.arriving(place).cloned();
        let mut inputs: Vec<Input> = arriving.map(Input::Arrive).collect();
        let may_run_out = |timer: &&Timer| match timer {
            Timer::Heartbeat => false,
            Timer::Gather { .. } | Timer::Comeback | Timer::BackOff { .. } => true,
            Timer::Repeat | Timer::FinishRound | Timer::Reconcile | Timer::Deadline(_) => {
                state.budget.impatience > 0
            }
            Timer::LookUp | Timer::Rest | Timer::Settle | Timer::Patience { .. } => {
                state.budget.passing > 0
            }
        };
        inputs.extend(node.timers.iter().filter(may_run_out).copied().map(Input::Timer));
        self.askings(state, place, &mut inputs);
        inputs
    }

    /// The first thing that its clients haven't asked for, and retries of those that they have.
    fn askings(&self, state: &State, place: usize, inputs: &mut Vec<Input>) {
        let stories = state.stories.iter().enumerate();
        let mut own = stories.filter(|(_, story)| story.wish.home == place);
        let client = &state.clients[place];
        for (number, story) in own.by_ref() {
            if !story.asked {
                inputs.push(Input::Ask(number));
                break;
            }
            // One that was told no takes a new number; told yes, it may not have heard.
            if state.budget.retries > 0 && !story.was_rejected() {
                inputs.push(Input::Retry(number));
            }
            if state.budget.retries > 0 && client.has_older {
                inputs.push(Input::Late(number));
            }
        }
    }

    fn event(state: &mut State, place: usize, input: &Input) -> Event {
        match input {
            Input::Ask(story) => state.ask(*story, false),
            Input::Retry(story) => {
                state.budget.retries -= 1;
                state.clients[place].connection += 1;
                state.clients[place].has_older = true;
                state.ask(*story, false)
            }
            Input::Late(story) => {
                state.budget.retries -= 1;
                state.ask(*story, true)
            }
            Input::Arrive(flight) => {
                state.network.take(flight);
                let connection = state.nodes[flight.from].connection(flight.from);
                Event::Received(connection, Message::clone(&flight.message))
            }
            Input::Own(_) => {
                let own = state.change(place, |node| node.own.pop_front());
                Event::Own(own.expect("it was offered"))
            }
            Input::Timer(timer) => {
                match timer {
                    Timer::Heartbeat
                    | Timer::Gather { .. }
                    | Timer::Comeback
                    | Timer::BackOff { .. } => {}
                    Timer::LookUp | Timer::Rest | Timer::Settle | Timer::Patience { .. } => {
                        state.budget.passing -= 1;
                    }
                    Timer::Repeat | Timer::FinishRound | Timer::Reconcile | Timer::Deadline(_) => {
                        state.budget.impatience -= 1
                    }
                }
                state.change(place, |node| node.timers.remove(timer));
                Event::Timer(*timer)
            }
        }
    }

    fn crash(state: &mut State, place: usize) {
        state.budget.crashes -= 1;
        match &state.nodes[place].stage {
            Stage::Idle | Stage::Open => state.crashes.idle = true,
            Stage::Decided { .. } => state.crashes.before_save = true,
            Stage::Durable(_) => state.crashes.before_send = true,
        }
        state.change(place, Node::crash);
        state.network.lose_to(place);
    }
}
