//! What goes between stores: links that are dialled, cut and noticed to be cut, and what is said on them.

use super::state::{Link, State, Told};
use super::{Ask, Bank, Before, Begun};
use crate::bank::effects::{Bound, Event, Timer};
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::paxos::message::{Configuration, Message};
use crate::bank::request::{Outcome, Reply};
use crate::bank::server::{Config, Server};
use crate::bounds::OPENING;
use crate::machine::config_of;
use crate::node::{Node, Stage};
use crate::state::{Flight, Network, Shared};

/// What a store's server is told when it starts.
fn config(bank: &Bank, place: usize) -> Config {
    let id = |name: &str| -> ServerId { name.parse().expect("a name") };
    let founders: Vec<ServerId> = bank.founders.iter().map(|name| id(name)).collect();
    let Some((name, at)) = place.checked_sub(founders.len()).map(|joiner| bank.joiners[joiner])
    else {
        return config_of(&founders[place], &founders, OPENING);
    };
    let config = config_of(&id(name), &[id(at)], OPENING);
    let configuration = Configuration { servers: Vec::new(), ..config.configuration };
    Config { join: true, configuration, ..config }
}

impl State {
    /// A bank that the real machine has founded, in which `before` has happened. All servers have begun a new life
    /// since, and nothing is under way.
    pub fn begun(bank: &Bank) -> State {
        let founders = bank.founders.len();
        let store = |place| Shared::new(Node::new(config(bank, place), place));
        let stores: Vec<_> = (0..founders + bank.joiners.len()).map(store).collect();
        let mut state = State {
            links: Vec::new(),
            taken: vec![0; stores.len()],
            stores,
            network: Network::new(true),
            apart: Default::default(),
            told: Vec::new(),
            budget: bank.budget,
            votes: Default::default(),
            accepts: Default::default(),
            crashed: Default::default(),
            stood: 0,
        };
        (0..founders).for_each(|place| state.start(place));
        state.calm_down();
        for what in &bank.before {
            match what {
                Before::Start(place) => state.start(*place),
                Before::Ask(place, ask) => {
                    state.told = vec![None];
                    state.ask(*place, ask, 0);
                    state.calm_down();
                    let told = &state.told[0];
                    let no = matches!(told, None | Some(None | Some(Told::No(_))));
                    assert!(!no, "before: {ask:?}: {told:?}");
                }
            }
            state.calm_down();
        }
        state.begin_anew();
        let promised = state.stores.iter().filter_map(|node| node.disk.stored.promised.as_ref());
        state.stood = promised.map(|ballot| ballot.round).max().unwrap_or_default();
        state.told.clear();
        for what in &bank.begun {
            match what {
                Begun::Ask(place, ask) => state.ask(*place, ask, 999),
                Begun::Arrived(name, at) => {
                    state.deliver(|flight| flight.message.name() == *name && flight.to == *at);
                }
                Begun::Finished(place) => state.finish_round(*place),
                Begun::Joined(place, member, ask) => {
                    state.start(*place);
                    state.ask(*member, ask, 999);
                    state.calm_down();
                }
                Begun::CutOff(place) => state.cut_off(*place),
            }
        }
        state.told = vec![None; bank.asks.len()];
        state
    }

    fn ask(&mut self, place: usize, ask: &Ask, number: u64) {
        self.turn_at_once(place, Event::Request(ConnectionId(999), Some(number), ask.request()));
    }

    fn finish_round(&mut self, place: usize) {
        self.change(place, |node| node.timers.remove(&Timer::FinishRound));
        self.turn_at_once(place, Event::Timer(Timer::FinishRound));
        self.deliver_all();
    }

    /// Has all who are up begin a new life.
    fn begin_anew(&mut self) {
        let up: Vec<usize> = self.places().filter(|place| self.is_up(*place)).collect();
        for place in &up {
            self.change(*place, Node::crash);
            self.hang_up_all(*place);
        }
        up.into_iter().for_each(|place| self.start(place));
        self.deliver_all();
    }

    /// Begins a server's next life. It meets the others in the same step.
    pub fn start(&mut self, place: usize) {
        self.change(place, |node| node.start(place));
        self.finish_turn(place);
        for other in self.places() {
            self.meet(place, other);
        }
    }

    fn link(&self, from: usize, to: &ServerId) -> Option<&Link> {
        let is_it = |link: &&Link| link.from == from && self.id(link.to) == to && !link.is_cut;
        self.links.iter().find(is_it)
    }

    /// Whether one would dial another's server, and reach this store.
    fn would_dial(&self, from: usize, to: usize) -> bool {
        let id = self.id(to);
        let dials = |server: &Server| server.dials().iter().any(|(peer, _)| peer == id);
        let differ = self.id(from) != id && self.is_heard(from) && self.is_heard(to);
        differ
            && self.link(from, id).is_none()
            && self.stores[from].server.as_ref().is_some_and(dials)
    }

    /// Who might connect.
    pub fn meetings(&self) -> Vec<(usize, usize)> {
        let pairs = self.places().flat_map(|one| (0..one).map(move |other| (other, one)));
        pairs
            .filter(|(one, other)| self.would_dial(*one, *other) || self.would_dial(*other, *one))
            .collect()
    }

    /// Each dials the other, if it would. What is refused may be tried again.
    pub fn meet(&mut self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            if self.would_dial(from, to) {
                self.dial(from, to);
            }
        }
    }

    fn dial(&mut self, from: usize, to: usize) {
        let (dialler, peer) = (self.id(from).clone(), self.id(to).clone());
        let name = self.taken[to] + 1;
        let hello = self.turn_at_once(from, Event::LinkUp(peer.clone()));
        let Some(Bound::Peer(_, Message::Hello(hello))) = hello else {
            panic!("{dialler} must greet: {hello:?}");
        };
        let answer = self.turn_at_once(to, Event::Greeted(ConnectionId(name), hello));
        let Some(Bound::Answer(_, answer)) = answer else {
            // It had to stop.
            self.turn_at_once(from, Event::LinkDown(peer));
            return;
        };
        let refuses = matches!(answer, Message::Reject { .. });
        if !refuses {
            self.taken[to] = name;
            self.end_older(to, &dialler);
            self.links.push(Link { from, to, name, is_cut: false });
            self.links.sort();
        }
        self.turn_at_once(from, Event::LinkAnswered(peer.clone(), answer));
        if refuses {
            self.turn_at_once(from, Event::LinkDown(peer));
        }
    }

    /// A connection is over that another of the same server's has replaced; at its other end may be another store.
    fn end_older(&mut self, to: usize, dialler: &ServerId) {
        let is_older = |link: &&Link| link.to == to && self.id(link.from) == dialler;
        let older: Vec<Link> = self.links.iter().filter(is_older).cloned().collect();
        older.iter().for_each(|link| self.end(link));
    }

    /// Nobody reaches this one any more. All but those whom it dialled know at once that nothing comes; what is
    /// under way to them may still arrive.
    pub fn cut_off(&mut self, place: usize) {
        self.apart.insert(place);
        let id = self.id(place).clone();
        for link in self.links.clone() {
            let other = self.id(link.to).clone();
            if link.to == place {
                self.remove(&link);
                self.turn_at_once(link.from, Event::LinkDown(id.clone()));
                self.turn_at_once(place, Event::Closed(ConnectionId(link.name)));
            } else if link.from == place && !link.is_cut {
                self.turn_at_once(place, Event::LinkDown(other));
                self.links
                    .iter_mut()
                    .filter(|other| **other == link)
                    .for_each(|link| link.is_cut = true);
            }
        }
    }

    /// The connections to this one are over whose other ends were cut off.
    pub fn notice(&mut self, place: usize) {
        for link in self.links.clone() {
            if link.is_cut && link.to == place {
                self.remove(&link);
                self.turn_at_once(place, Event::Closed(ConnectionId(link.name)));
            }
        }
    }

    fn remove(&mut self, link: &Link) {
        self.links.retain(|other| other != link);
        self.network.lose_on(link.name as usize, link.to);
    }

    fn end(&mut self, link: &Link) {
        self.remove(link);
        let to = self.id(link.to).clone();
        if !link.is_cut {
            self.turn_at_once(link.from, Event::LinkDown(to));
        }
        self.turn_at_once(link.to, Event::Closed(ConnectionId(link.name)));
    }

    /// All connections of one that is gone are over.
    pub fn hang_up_all(&mut self, place: usize) {
        for link in self.links.clone() {
            if (link.from == place || link.to == place) && self.links.contains(&link) {
                self.end(&link);
            }
        }
    }

    /// What connects one to a server that it takes for no peer any more is over.
    fn part(&mut self, place: usize, server: &ServerId) {
        for link in self.links.clone() {
            let ends = [(link.from, link.to), (link.to, link.from)];
            let is_it = |(one, other): &(usize, usize)| *one == place && self.id(*other) == server;
            if ends.iter().any(is_it) && self.links.contains(&link) {
                self.end(&link);
            }
        }
    }

    /// A whole turn in one step. What belongs to a handshake is returned; the rest leaves.
    pub fn turn_at_once(&mut self, place: usize, event: Event) -> Option<Bound> {
        if !self.is_up(place) {
            return None;
        }
        self.take_in(place, event);
        self.finish_turn(place)
    }

    fn finish_turn(&mut self, place: usize) -> Option<Bound> {
        self.save(place);
        if self.stores[place].stage == Stage::Idle {
            return None;
        }
        let bound = self.change(place, Node::send);
        let is_greeting =
            |b: &Bound| matches!(b, Bound::Answer(..) | Bound::Peer(_, Message::Hello(_)));
        let (greeting, rest) = bound.into_iter().partition(is_greeting);
        self.hand_out(place, rest);
        Vec::into_iter(greeting).next()
    }

    /// A server takes in an event, which ends its turn: what is free to leave does.
    pub fn take_in(&mut self, place: usize, event: Event) {
        let free = self.change(place, |node| {
            node.handle(event);
            node.end_turn()
        });
        for (to, message) in free {
            self.send(place, &to, message);
        }
        if self.stores[place].stopped.is_some() {
            self.hang_up_all(place);
        }
    }

    fn send(&mut self, from: usize, to: &ServerId, message: Message) {
        if let Some(link) = self.link(from, to) {
            let (name, to) = (link.name as usize, link.to);
            self.network.send(name, to, message);
        }
    }

    /// What a turn's end has released leaves.
    pub fn send_bound(&mut self, place: usize) {
        let bound = self.change(place, Node::send);
        self.hand_out(place, bound);
    }

    fn hand_out(&mut self, place: usize, bound: Vec<Bound>) {
        let (mut dials, mut hangs_up) = (Vec::new(), Vec::new());
        for bound in bound {
            match bound {
                Bound::Peer(to, message) => self.send(place, &to, message),
                Bound::Own(message) => self.change(place, |node| node.own.push_back(message)),
                Bound::SendBlocks { to, from, up_to } => {
                    let chain = &self.stores[place].disk.chain;
                    let blocks = chain[from as usize..=up_to as usize].to_vec();
                    self.send(place, &to, Message::BlocksResponse { blocks });
                }
                Bound::Reply(_, Some(ask), reply) => self.tell(ask as usize, reply),
                Bound::Dial(to, _) => dials.push(to),
                Bound::Part(from) => self.part(place, &from),
                Bound::HangUp(to) => hangs_up.push(to),
                other => panic!("nobody asked for this: {other:?}"),
            }
        }
        for to in hangs_up {
            if let Some(link) = self.link(place, &to).cloned() {
                self.end(&link);
            }
        }
        for to in dials {
            let stores: Vec<usize> = self.places().filter(|other| *self.id(*other) == to).collect();
            for other in stores {
                if self.would_dial(place, other) {
                    self.dial(place, other);
                }
            }
        }
    }

    fn tell(&mut self, ask: usize, reply: Reply) {
        let told = match reply {
            Reply::One(Outcome::Accepted { epoch, seq, .. }) => Told::Accepted(epoch, seq),
            Reply::Members { .. } | Reply::Settled { .. } => Told::Done,
            Reply::Error { message, .. } => Told::No(message),
            other => Told::No(format!("{other:?}")),
        };
        if let Some(known) = self.told.get_mut(ask) {
            *known = Some(Some(told));
        }
    }

    pub fn next_of(&self, wanted: impl Fn(&Flight) -> bool) -> Option<Flight> {
        self.network.iter().find(|flight| wanted(flight)).cloned()
    }

    pub fn arrive(&mut self, flight: Flight) {
        self.network.take(&flight);
        let connection = ConnectionId(flight.from as u64);
        self.turn_at_once(flight.to, Event::Received(connection, (*flight.message).clone()));
    }

    /// Lets heartbeats arrive, and what a store says and hears that has yet to learn the chain. When it learns which
    /// block makes no difference to others; nor does when they hear of each other.
    pub fn chatter(&mut self) {
        loop {
            let is_still = |node: &Shared<Node>| node.stage == Stage::Idle && node.own.is_empty();
            if !self.stores.iter().all(is_still) {
                return;
            }
            let Some(flight) = self.next_of(|flight| self.is_chatter(flight)) else { return };
            self.arrive(flight);
        }
    }

    fn is_chatter(&self, flight: &Flight) -> bool {
        let is_it = |link: &&Link| (link.name as usize, link.to) == (flight.from, flight.to);
        let link = self.links.iter().find(is_it);
        let learns =
            |place: usize| self.stores[place].config.join && !self.is_named_by_itself(place);
        let is_of_a_learner = link.is_some_and(|link| learns(link.from) || learns(link.to));
        match &*flight.message {
            Message::Heartbeat(_) => link.is_some_and(|link| !link.is_cut),
            Message::ReconcileRequest
            | Message::ReconcileAck { .. }
            | Message::BlocksRequest { .. }
            | Message::BlocksResponse { .. } => is_of_a_learner,
            _ => false,
        }
    }

    /// Whether the chain on a store's disk names the store.
    fn is_named_by_itself(&self, place: usize) -> bool {
        let stored = &self.stores[place].disk.stored;
        stored.derived.instances.get(self.id(place)) == Some(&stored.instance)
    }
}
