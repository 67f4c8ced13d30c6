//! What goes between stores: links that are dialled, cut and noticed to be cut, and what is said on them.

use paxos_banking::bank::effects::{Bound, Event};
use paxos_banking::bank::ids::{ConnectionId, ServerId};
use paxos_banking::bank::paxos::message::Message;
use paxos_banking::bank::request::{Outcome, Reply};
use paxos_banking::bank::server::Habit;

use super::state::{Link, State};
use super::{Bank, LOST};
use crate::config;
use crate::node::{Node, Stage};
use crate::state::{Flight, Network, Shared};

impl State {
    /// A bank that the real machine has founded: active, connected, nothing under way.
    pub fn founded(bank: &Bank) -> State {
        let servers = bank.servers.len();
        let store = |place: usize| {
            let name = bank.servers.get(place).unwrap_or(&bank.servers[LOST]);
            let mut config = config(name, bank.servers, Habit::default());
            config.rejoin = place >= servers;
            Shared::new(Node::new(config, place))
        };
        let stores: Vec<_> = (0..servers + bank.newer).map(store).collect();
        let mut state = State {
            links: Vec::new(),
            taken: vec![0; stores.len()],
            stores,
            network: Network::new(true),
            told: vec![None; bank.asks.len()],
            budget: bank.budget,
            votes: Default::default(),
            accepts: Default::default(),
            voted_late: false,
            crashed_meanwhile: false,
        };
        for place in 0..servers {
            state.start(place);
        }
        for other in (0..servers).filter(|other| *other != LOST) {
            state.meet(LOST, other);
        }
        while let Some(flight) = state.next_of(|_| true) {
            state.arrive(flight);
        }
        state
    }

    /// Begins a server's next life. Those who have only one store meet it in the same step.
    pub fn start(&mut self, place: usize) {
        self.change(place, |node| node.start(place));
        if place == LOST || place >= self.servers() {
            return;
        }
        let others = (0..self.servers()).filter(|other| *other != place && *other != LOST);
        for other in others.collect::<Vec<_>>() {
            if self.is_up(other) {
                self.dial(place, other);
                self.dial(other, place);
            }
        }
    }

    fn link(&self, from: usize, to: &ServerId) -> Option<&Link> {
        let is_it = |link: &&Link| link.from == from && self.id(link.to) == to && !link.is_cut;
        self.links.iter().find(is_it)
    }

    /// Whether they have a connection in either direction.
    pub fn reaches(&self, one: usize, other: usize) -> bool {
        let ends = [(one, other), (other, one)];
        self.links.iter().any(|link| !link.is_cut && ends.contains(&(link.from, link.to)))
    }

    pub fn is_linked_everywhere(&self, place: usize) -> bool {
        let mut others = (0..self.servers()).filter(|other| *other != LOST);
        others.all(|other| self.reaches(place, other))
    }

    /// Whether one that is up has nobody yet where another could be.
    pub fn is_free(&self, from: usize, to: usize) -> bool {
        self.link(from, self.id(to)).is_none() && self.is_up(from) && self.is_up(to)
    }

    /// Each dials the other, if it is free to. What is refused may be tried again.
    pub fn meet(&mut self, store: usize, other: usize) {
        self.dial_if_free(store, other);
        self.dial_if_free(other, store);
    }

    pub fn dial_if_free(&mut self, from: usize, to: usize) {
        if self.is_free(from, to) {
            self.dial(from, to);
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
            self.forget_broken(to, &dialler);
            self.links.push(Link { from, to, name, is_cut: false });
            self.links.sort();
        }
        self.turn_at_once(from, Event::LinkAnswered(peer.clone(), answer));
        if refuses {
            self.turn_at_once(from, Event::LinkDown(peer));
        }
    }

    /// What comes on a connection that another of the same server's has replaced is of no use.
    fn forget_broken(&mut self, to: usize, dialler: &ServerId) {
        let links = std::mem::take(&mut self.links);
        let (over, rest): (Vec<Link>, Vec<Link>) = links.into_iter().partition(|link| {
            link.is_cut && link.to == to && self.stores[link.from].id() == dialler
        });
        self.links = rest;
        for link in over {
            self.network.lose_on(link.name as usize, to);
        }
    }

    /// The old store and another lose each other. All but the other know at once that nothing comes
    /// any more; what is under way to it may still arrive.
    pub fn cut_off(&mut self, other: usize) {
        let (old, peer) = (self.id(LOST).clone(), self.id(other).clone());
        for link in self.links.clone() {
            if (link.from, link.to) == (other, LOST) {
                self.remove(&link);
                self.turn_at_once(other, Event::LinkDown(old.clone()));
                self.turn_at_once(LOST, Event::Closed(ConnectionId(link.name)));
            } else if (link.from, link.to) == (LOST, other) && !link.is_cut {
                self.turn_at_once(LOST, Event::LinkDown(peer.clone()));
                let place = self.links.iter().position(|other| *other == link);
                self.links[place.expect("it was there")].is_cut = true;
            }
        }
    }

    /// The connections are over that the old store had dialled to this one before it was cut off.
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

    /// All connections of one that is gone are over.
    pub fn hang_up_all(&mut self, place: usize) {
        let id = self.id(place).clone();
        for link in self.links.clone() {
            if link.from != place && link.to != place {
                continue;
            }
            self.remove(&link);
            if link.to == place && !link.is_cut {
                self.turn_at_once(link.from, Event::LinkDown(id.clone()));
            } else if link.from == place {
                self.turn_at_once(link.to, Event::Closed(ConnectionId(link.name)));
            }
        }
    }

    /// A whole turn in one step. What belongs to a handshake is returned; the rest leaves.
    fn turn_at_once(&mut self, place: usize, event: Event) -> Option<Bound> {
        if !self.is_up(place) {
            return None;
        }
        self.take_in(place, event);
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

    /// What a turn's end has released goes where it belongs.
    pub fn hand_out(&mut self, place: usize, bound: Vec<Bound>) {
        for bound in bound {
            match bound {
                Bound::Peer(to, message) => self.send(place, &to, message),
                Bound::Own(message) => self.change(place, |node| node.own.push_back(message)),
                Bound::SendBlocks { to, from, up_to } => {
                    let chain = &self.stores[place].disk.chain;
                    let blocks = chain[from as usize..=up_to as usize].to_vec();
                    self.send(place, &to, Message::BlocksResponse { blocks });
                }
                Bound::Reply(_, Some(ask), Reply::One(outcome)) => {
                    let told = match outcome {
                        Outcome::Accepted { epoch, seq, .. } => Ok((epoch, seq)),
                        _ => Err(()),
                    };
                    self.told[ask as usize] = Some(Some(told));
                }
                Bound::Tell(_, Reply::TakenOver { .. })
                | Bound::Reply(_, _, Reply::TakenOver { .. }) => {}
                Bound::Reply(_, Some(ask), Reply::Error { .. }) => {
                    self.told[ask as usize] = Some(Some(Err(())));
                }
                Bound::HangUp(peer) => self.hang_up(place, &peer),
                other => panic!("nobody asked for this: {other:?}"),
            }
        }
    }

    /// One ends the connection that it dialled, since it can't speak to whom it found there.
    fn hang_up(&mut self, place: usize, peer: &ServerId) {
        let Some(link) = self.link(place, peer).cloned() else { return };
        self.remove(&link);
        // It may be tried again, and no number of tries is to make another state.
        assert_eq!(self.taken[link.to], link.name, "nobody hangs up but who has just dialled");
        self.taken[link.to] -= 1;
        self.turn_at_once(place, Event::LinkDown(peer.clone()));
        self.turn_at_once(link.to, Event::Closed(ConnectionId(link.name)));
    }

    fn next_of(&self, wanted: impl Fn(&Flight) -> bool) -> Option<Flight> {
        self.network.iter().find(|flight| wanted(flight)).cloned()
    }

    fn arrive(&mut self, flight: Flight) {
        self.network.take(&flight);
        let connection = ConnectionId(flight.from as u64);
        self.turn_at_once(flight.to, Event::Received(connection, (*flight.message).clone()));
    }

    /// Lets heartbeats arrive, and what a store says and hears that has yet to learn the chain. When
    /// it learns which block makes no difference to others; nor does when they hear of each other.
    pub fn chatter(&mut self) {
        loop {
            let is_quiet = |node: &Shared<Node>| node.stage == Stage::Idle && node.own.is_empty();
            if !self.stores.iter().all(is_quiet) {
                return;
            }
            let Some(flight) = self.next_of(|flight| self.is_chatter(flight)) else { return };
            self.arrive(flight);
        }
    }

    fn is_chatter(&self, flight: &Flight) -> bool {
        let learns = || {
            let is_it = |link: &&Link| (link.name as usize, link.to) == (flight.from, flight.to);
            let ends = self.links.iter().find(is_it).map(|link| [link.from, link.to]);
            ends.into_iter().flatten().any(|place| self.newer().contains(&place))
        };
        match &*flight.message {
            Message::Heartbeat(_) => true,
            Message::ReconcileRequest
            | Message::ReconcileAck { .. }
            | Message::BlocksRequest { .. }
            | Message::BlocksResponse { .. } => learns(),
            _ => false,
        }
    }
}
