//! What happens in one step: an event in, and what leaves a server on its way.

use paxos_banking::bank::effects::{Bound, Event};
use paxos_banking::bank::ids::{ConnectionId, RequestId, ServerId};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Record};
use paxos_banking::bank::paxos::message::Message;
use paxos_banking::bank::request::{Instruction, Outcome, Reply, Request};
use paxos_banking::bank::server::Config;

use crate::abacus::Abacus;
use crate::node::{Node, Stage};
use crate::state::{Client, Crashes, Network, Shared, State, Story, Told, Wish};
use crate::steps::Bank;
use crate::{NAMES, config};

pub fn place(id: &ServerId) -> usize {
    NAMES.iter().position(|name| *name == id.as_str()).expect("a server of this bank")
}

/// What stands for another server in a choice of others, at this home.
fn bit(home: usize, other: usize) -> usize {
    1 << ((other + 3 - home) % 3 - 1)
}

/// Clients' connections are numbered beyond those of servers.
fn client_connection(number: u64) -> ConnectionId {
    ConnectionId(1_000 + number)
}

impl State {
    /// A bank that the real machine has founded: active, connected, nothing under way.
    /// The first wishes, which their homes cover, are granted already.
    pub fn founded(bank: &Bank) -> State {
        let node = |place: usize| {
            let config = config(NAMES[place], &NAMES, bank.habit.clone());
            let config = Config { limits: bank.limits.clone(), ..config };
            Shared::new(Node::new(config, place))
        };
        let mut state = State {
            nodes: [node(0), node(1), node(2)],
            network: Network::new(bank.in_order),
            stories: bank.wishes.iter().map(Story::new).collect(),
            clients: Vec::new(),
            budget: bank.budget,
            crashes: Crashes::default(),
        };
        (0..3).for_each(|place| state.start(place));
        while let Some(flight) = (0..3).find_map(|to| state.network.arriving(to).next().cloned()) {
            state.network.take(&flight);
            let connection = state.nodes[flight.from].connection(flight.from);
            let event = Event::Received(connection, (*flight.message).clone());
            state.turn_at_once(flight.to, event);
        }
        state.clients = (0..3).map(|place| state.open_session(place)).collect();
        for story in 0..bank.granted {
            let event = state.ask(story, false);
            state.turn_at_once(bank.wishes[story].home, event);
        }
        state
    }

    fn open_session(&mut self, place: usize) -> Client {
        let request = Event::Request(client_connection(0), None, Request::Session(None));
        self.change(place, |node| node.handle(request));
        self.change(place, Node::end_turn);
        let bound = self.change(place, Node::send);
        match &bound[..] {
            [Bound::Reply(_, _, Reply::Session { session, .. })] => {
                Client { session: session.clone(), connection: 0, has_older: false }
            }
            other => panic!("not a session: {other:?}"),
        }
    }

    /// Begins a server's next life and connects it with all that are up, in one step: handshakes
    /// are the simulator's to test.
    pub fn start(&mut self, place: usize) {
        self.network.lose_to(place);
        self.network.lose_from(place);
        let older = self.nodes[place].connection(place);
        self.change(place, |node| node.start(place));
        for peer in (0..3).filter(|peer| *peer != place) {
            if !self.is_up(peer) {
                continue;
            }
            let id = self.nodes[place].id().clone();
            self.turn_at_once(peer, Event::LinkDown(id));
            self.turn_at_once(peer, Event::Closed(older));
            self.connect(place, peer);
            self.connect(peer, place);
        }
        if let Some(client) = self.clients.get_mut(place) {
            client.connection += 1;
            client.has_older = false;
        }
        for story in self.stories.iter_mut().filter(|story| story.wish.home == place) {
            story.short = None;
        }
    }

    fn connect(&mut self, from: usize, to: usize) {
        let connection = self.nodes[from].connection(from);
        let (dialler, peer) = (self.nodes[from].id().clone(), self.nodes[to].id().clone());
        let hello = self.turn_at_once(from, Event::LinkUp(peer.clone()));
        let Some(Bound::Peer(_, Message::Hello(hello))) = hello else {
            panic!("{dialler} must greet: {hello:?}");
        };
        let answer = self.turn_at_once(to, Event::Greeted(connection, hello));
        let Some(Bound::Answer(_, answer)) = answer else { panic!("{peer} must answer") };
        self.turn_at_once(from, Event::LinkAnswered(peer, answer));
    }

    /// A whole turn in one step. What belongs to a handshake is returned; the rest leaves.
    fn turn_at_once(&mut self, place: usize, event: Event) -> Option<Bound> {
        self.take_in(place, event, true);
        self.change(place, Node::save);
        self.watch();
        if self.nodes[place].stage == Stage::Idle {
            return None;
        }
        let bound = self.change(place, Node::send);
        let is_greeting =
            |b: &Bound| matches!(b, Bound::Answer(..) | Bound::Peer(_, Message::Hello(_)));
        let (greeting, rest) = bound.into_iter().partition(is_greeting);
        self.hand_out(place, rest);
        Vec::into_iter(greeting).next()
    }

    /// A server takes in an event. If that ends its turn, what is free to leave does.
    pub fn take_in(&mut self, place: usize, event: Event, ends_turn: bool) {
        let free = self.change(place, |node| {
            node.handle(event);
            if ends_turn { node.end_turn() } else { Vec::new() }
        });
        for (to, message) in free {
            self.send(place, &to, message);
        }
    }

    fn send(&mut self, from: usize, to: &ServerId, message: Message) {
        let to = self::place(to);
        if self.is_up(to) {
            self.network.send(from, to, message);
        }
    }

    /// What a turn's end has released goes where it belongs.
    pub fn hand_out(&mut self, place: usize, bound: Vec<Bound>) {
        for bound in bound {
            match bound {
                Bound::Peer(to, message) => self.send(place, &to, message),
                Bound::Own(message) => self.change(place, |node| node.own.push_back(message)),
                Bound::SendBlocks { to, from, up_to } => {
                    let chain = &self.nodes[place].disk.chain;
                    let blocks = chain[from as usize..=up_to as usize].to_vec();
                    self.send(place, &to, Message::BlocksResponse { blocks });
                }
                Bound::Reply(_, Some(story), Reply::One(outcome)) => {
                    self.tell(story as usize, &[outcome]);
                }
                Bound::Reply(_, Some(story), Reply::Batch { outcomes }) => {
                    self.tell(story as usize, &outcomes);
                }
                Bound::Tell(_, Reply::TakenOver { .. })
                | Bound::Reply(_, _, Reply::TakenOver { .. }) => {}
                other => panic!("nobody asked for this: {other:?}"),
            }
        }
    }

    /// The event that is a client's asking, or asking again, for what it wants; on its present
    /// connection, or on the one before.
    pub fn ask(&mut self, story: usize, on_older: bool) -> Event {
        let told = &mut self.stories[story];
        told.asked = true;
        told.short.get_or_insert([false; 4]);
        self.watch();
        let Wish { home, group, settled, patient } = &*self.stories[story].wish;
        let client = &self.clients[*home];
        let instruction = |(member, action): (usize, &Action)| Instruction {
            action: action.clone(),
            request: Some(RequestId {
                session: client.session.clone(),
                number: Wish::number(story, member),
            }),
            linked: member + 1 < group.len(),
            settled: *settled,
            wait_ms: patient.then_some(1),
            reference: None,
        };
        let mut instructions: Vec<Instruction> =
            group.iter().enumerate().map(instruction).collect();
        let request = match instructions.pop() {
            Some(only) if instructions.is_empty() => Request::One(only),
            last => {
                instructions.extend(last);
                Request::Batch(instructions)
            }
        };
        let number = client.connection - u64::from(on_older);
        Event::Request(client_connection(number), Some(story as u64), request)
    }

    fn tell(&mut self, story: usize, outcomes: &[Outcome]) {
        let told = outcomes.iter().map(|outcome| self.hear(story, outcome)).collect();
        self.stories[story].told.insert(told);
    }

    fn hear(&mut self, story: usize, outcome: &Outcome) -> Told {
        match outcome {
            Outcome::Accepted { seq, via, repeated, settled, .. } => {
                self.stories[story].repeated |= *repeated;
                self.stories[story].settled |= *settled == Some(true);
                Told::Accepted { seq: *seq, via: *via }
            }
            Outcome::Refused { reason, consulted, .. } => {
                self.stories[story].wronged |= !self.was_short(story, consulted);
                let unknown = reason.starts_with("there is no account");
                if unknown { Told::Unknown } else { Told::Refused }
            }
            Outcome::Unavailable { .. } => Told::Unavailable,
            Outcome::Invalid { .. } => Told::Invalid,
            Outcome::LinkedFailed { .. } => Told::LinkedFailed,
            Outcome::Expired { .. } => Told::Expired,
            Outcome::WrongServer { .. } => panic!("all ask at home: {outcome:?}"),
        }
    }

    /// Something may be durable that was not before: notes for each wish that waits whether it could
    /// be granted now.
    pub fn watch(&mut self) {
        for number in 0..self.stories.len() {
            let story = &self.stories[number];
            let Some(mut short) = story.short.filter(|_| story.told.is_empty()) else { continue };
            for (choice, short) in short.iter_mut().enumerate() {
                *short = *short || !self.could_happen(&story.wish, choice);
            }
            self.stories[number].short = Some(short);
        }
    }

    /// Whether a wish could be granted by all that its home knows, and what the chosen others do.
    fn could_happen(&self, wish: &Wish, choice: usize) -> bool {
        let included = &self.nodes[wish.home].disk.stored.derived.included;
        let mut abacus = Abacus::opening(&NAMES);
        for (place, node) in self.nodes.iter().enumerate() {
            let all = place == wish.home || choice & bit(wish.home, place) > 0;
            for (seq, record) in self.records(place) {
                if all || seq <= included[node.id()].seq {
                    abacus.note(&record.action);
                }
            }
        }
        wish.group.iter().all(|action| abacus.follow(action))
    }

    /// Whether those consulted, and the home, once had too little since the wish came.
    fn was_short(&self, story: usize, consulted: &[ServerId]) -> bool {
        let Story { wish, short: Some(short), .. } = &self.stories[story] else { return false };
        let others = consulted.iter().map(place).filter(|place| *place != wish.home);
        short[others.map(|place| bit(wish.home, place)).sum::<usize>()]
    }

    /// All elements that a server ever made durable: in its chain, then in its log.
    pub fn elements(&self, place: usize) -> impl Iterator<Item = &Element> {
        let node = &self.nodes[place];
        let chain = node.disk.chain.iter().flat_map(|block| block.block().log(&node.config.id));
        chain.chain(&node.disk.stored.log)
    }

    /// What they hold, each with its seq.
    pub fn records(&self, place: usize) -> impl Iterator<Item = (u64, &Record)> {
        self.elements(place).flat_map(|element| (element.first().seq..).zip(element.records()))
    }
}
