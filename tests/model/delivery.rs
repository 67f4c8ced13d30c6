//! What happens in one step: an event in, and what leaves a server on its way.

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::effects::{Bound, Event};
use paxos_banking::bank::ids::{AccountId, ConnectionId, RequestId, ServerId};
use paxos_banking::bank::ledger::entry::Entry;
use paxos_banking::bank::paxos::message::Message;
use paxos_banking::bank::request::{Outcome, Reply, Request, TransferRequest};
use paxos_banking::bank::server::Config;

use crate::node::{Node, Stage};
use crate::state::{Client, Crashes, Network, Shared, State, Story, Told};
use crate::steps::Bank;
use crate::{NAMES, OPENING, configuration};

pub fn place(id: &ServerId) -> usize {
    NAMES.iter().position(|name| *name == id.as_str()).expect("a server of this bank")
}

/// Clients' connections are numbered beyond those of servers.
fn client_connection(number: u64) -> ConnectionId {
    ConnectionId(1_000 + number)
}

impl State {
    /// A bank that the real machine has founded: active, connected, nothing under way.
    /// The first transfers, which their homes cover, are served already.
    pub fn founded(bank: &Bank) -> State {
        let node = |place: usize| {
            let id = NAMES[place].parse().expect("a name");
            Shared::new(Node::new(Config { id, configuration: configuration() }, place))
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
        for story in 0..bank.served {
            let event = state.ask(story, false);
            state.turn_at_once(bank.wishes[story].home, event);
        }
        state
    }

    fn open_session(&mut self, place: usize) -> Client {
        let request = Event::Request(client_connection(0), None, Request::Session);
        self.change(place, |node| node.handle(request));
        self.change(place, Node::end_turn);
        let bound = self.change(place, Node::send);
        match &bound[..] {
            [Bound::Reply(_, _, Reply::Session { session })] => {
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
            story.came = None;
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
                Bound::Reply(_, Some(story), Reply::Transfer(outcome)) => {
                    self.tell(story as usize, &outcome);
                }
                other => panic!("nobody asked for this: {other:?}"),
            }
        }
    }

    /// The event that is a client's asking, or asking again, for a transfer; on its present
    /// connection, or on the one before.
    pub fn ask(&mut self, story: usize, on_older: bool) -> Event {
        let wish = self.stories[story].wish;
        let client = &self.clients[wish.home];
        let number = client.connection - u64::from(on_older);
        let request = RequestId { session: client.session.clone(), number: story as u64 + 1 };
        let transfer = TransferRequest {
            from: None,
            to: NAMES[wish.to].parse().expect("an account"),
            amount: Amount::new(wish.amount).expect("an amount"),
            request: Some(request),
        };
        let came = [0, 1, 2].map(|server| self.credits(server, wish.home));
        let told = &mut self.stories[story];
        told.asked = true;
        told.came.get_or_insert(came);
        Event::Request(client_connection(number), Some(story as u64), Request::Transfer(transfer))
    }

    fn tell(&mut self, story: usize, outcome: &Outcome) {
        let told = match outcome {
            Outcome::Accepted { seq, via, repeated, .. } => {
                self.stories[story].repeated |= *repeated;
                Told::Accepted { seq: *seq, via: *via }
            }
            Outcome::Refused { consulted, .. } => {
                self.stories[story].wronged |= self.had_the_money(story, consulted);
                Told::Refused
            }
            Outcome::Unavailable { .. } => Told::Unavailable,
            Outcome::Invalid { .. } => Told::Invalid,
            Outcome::Expired { .. } => Told::Expired,
        };
        self.stories[story].told.insert(told);
    }

    /// Whether those consulted held enough for the transfer when it came.
    fn had_the_money(&self, story: usize, consulted: &[ServerId]) -> bool {
        let Story { wish, came: Some(came), .. } = &self.stories[story] else { return true };
        let credited: u64 = consulted.iter().map(|server| came[place(server)]).sum();
        let debited: u64 = self.durable(wish.home).map(|entry| entry.amount.units()).sum();
        OPENING + credited >= debited + wish.amount
    }

    /// All entries that a server ever made durable: in its chain, then in its log.
    pub fn durable(&self, place: usize) -> impl Iterator<Item = &Entry> {
        let node = &self.nodes[place];
        let chain = node.disk.chain.iter().flat_map(|block| &block.block().entries);
        let own = chain.filter(|entry| entry.server == node.config.id);
        own.chain(node.disk.stored.log.iter().flatten())
    }

    /// What a server's durable entries pay to another's account.
    fn credits(&self, server: usize, payee: usize) -> u64 {
        let payee = AccountId::of(self.nodes[payee].id());
        self.durable(server).filter(|e| e.to == payee).map(|e| e.amount.units()).sum()
    }
}
