//! Where the scenes are played: the real state machine of a few servers, driven step by step by a
//! script, and writing down what it sees. Every id is fixed, so a scene is the same each time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use paxos_banking::bank::effects::{Batch, Bound, Event, Outbox, Timer, TimerCommand};
use paxos_banking::bank::ids::{ConnectionId, ServerId, SessionId};
use paxos_banking::bank::paxos::message::{Configuration, Message};
use paxos_banking::bank::request::Reply;
use paxos_banking::bank::server::{Config, Server};

use crate::machine::config_of;
use crate::machine::disk::Disk;
use crate::words;

const NAMES: [&str; 3] = ["A", "B", "C"];
/// What each account holds at the start.
const OPENING: u64 = 100;

pub struct Host {
    pub server: Option<Server>,
    pub disk: Disk,
    life: u64,
    own: VecDeque<Message>,
    pub timers: BTreeSet<Timer>,
    /// Its client's, who outlives it.
    pub session: Option<SessionId>,
    /// In its next turn that saves something it dies, having sent so many of the messages that
    /// were bound to that.
    pub doomed: Option<usize>,
    /// The member at which it begins, if the bank was not founded with it.
    joins_at: Option<ServerId>,
}

/// A message under way, on the connection that its sender had dialled.
pub struct Flight {
    pub from: ServerId,
    pub to: ServerId,
    pub message: Message,
}

pub struct Stage {
    pub hosts: BTreeMap<ServerId, Host>,
    founders: Vec<ServerId>,
    /// For each link, from one to another, the connection's name at its other end.
    links: BTreeMap<(ServerId, ServerId), ConnectionId>,
    pub flights: VecDeque<Flight>,
    connections: u64,
    pub requests: u64,
    /// The founding of the bank is not written down.
    pub quiet: bool,
    pub text: String,
}

pub fn id(name: &str) -> ServerId {
    name.parse().expect("a server's name")
}

impl Stage {
    /// An open bank of three, everybody connected, nothing under way.
    pub fn open(title: &str, about: &str) -> Stage {
        Stage::open_with(&NAMES, title, about)
    }

    /// The same, with these servers.
    pub fn open_with(names: &[&str], title: &str, about: &str) -> Stage {
        let mut stage = Stage {
            hosts: BTreeMap::new(),
            founders: names.iter().map(|name| id(name)).collect(),
            links: BTreeMap::new(),
            flights: VecDeque::new(),
            connections: 0,
            requests: 0,
            quiet: true,
            text: format!("{title}\n{}\n\n{about}\n", "=".repeat(title.len())),
        };
        names.iter().for_each(|name| stage.add(name, None));
        names.iter().for_each(|name| stage.begin_life(&id(name)));
        stage.connect_all();
        stage.deliver_all();
        stage.quiet = false;
        stage
    }

    /// A server with an empty store.
    pub fn add(&mut self, name: &str, joins_at: Option<&str>) {
        let host = Host {
            server: None,
            disk: Disk::empty(0xa1 + self.hosts.len() as u64),
            life: 0,
            own: VecDeque::new(),
            timers: BTreeSet::new(),
            session: None,
            doomed: None,
            joins_at: joins_at.map(id),
        };
        self.hosts.insert(id(name), host);
    }

    pub fn line(&mut self, text: &str) {
        if !self.quiet {
            writeln!(self.text, "{text}").expect("to a string");
        }
    }

    /// Something happens to a server; what follows stands below.
    pub fn happens(&mut self, what: &str) {
        self.line(&format!("\n{what}"));
    }

    pub fn follows(&mut self, who: &str, what: &str) {
        self.line(format!("    {who:<10}  {what}").trim_end());
    }

    pub fn arrive(&mut self, Flight { from, to, message }: Flight) {
        let Some(connection) = self.links.get(&(from.clone(), to.clone())).copied() else { return };
        self.happens(&format!("{to} hears {from}'s {}.", message.name()));
        self.take_in(&to, Event::Received(connection, message));
    }

    pub fn die(&mut self, dead: &ServerId) {
        self.flights.retain(|flight| flight.to != *dead && flight.from != *dead);
        let host = self.hosts.get_mut(dead).expect("a server");
        host.server = None;
        host.timers.clear();
        host.own.clear();
        for other in self.names() {
            self.disconnect(dead, &other);
        }
    }

    pub fn disconnect(&mut self, one: &ServerId, other: &ServerId) {
        self.hang_up(one, other);
        self.hang_up(other, one);
    }

    pub fn begin_life(&mut self, name: &ServerId) {
        let config = self.config(name);
        let host = self.hosts.get_mut(name).expect("a server");
        host.life += 1;
        host.server = Some(host.disk.load(config, host.life));
        self.end_turn(name);
    }

    fn config(&self, name: &ServerId) -> Config {
        let Some(at) = &self.hosts[name].joins_at else {
            return config_of(name, &self.founders, OPENING);
        };
        let config = config_of(name, std::slice::from_ref(at), OPENING);
        let configuration = Configuration { servers: Vec::new(), ..config.configuration };
        Config { join: true, configuration, ..config }
    }

    fn names(&self) -> Vec<ServerId> {
        self.hosts.keys().cloned().collect()
    }

    /// Everybody dials all those whom it is to dial.
    pub fn connect_all(&mut self) {
        for from in self.names() {
            for to in self.names() {
                self.connect(&from, &to);
            }
        }
    }

    fn connect(&mut self, from: &ServerId, to: &ServerId) {
        let is_up = |id: &ServerId| self.hosts[id].server.is_some();
        let link = (from.clone(), to.clone());
        if from == to || !is_up(from) || !is_up(to) || self.links.contains_key(&link) {
            return;
        }
        let dials = self.hosts[from].server.as_ref().map(Server::dials).unwrap_or_default();
        if dials.iter().any(|(peer, _)| peer == to) {
            self.connections += 1;
            self.links.insert(link, ConnectionId(self.connections));
            self.take_in(from, Event::LinkUp(to.clone()));
        }
    }

    fn hang_up(&mut self, from: &ServerId, to: &ServerId) {
        if let Some(connection) = self.links.remove(&(from.clone(), to.clone())) {
            self.take_in(from, Event::LinkDown(to.clone()));
            self.take_in(to, Event::Closed(connection));
        }
    }

    pub fn take_in(&mut self, name: &ServerId, event: Event) {
        let host = self.hosts.get_mut(name).expect("a server");
        let Some(server) = &mut host.server else { return };
        server.handle(event);
        self.end_turn(name);
    }

    /// Ends a server's turn, as the event loop does: what is free leaves, the writes are made
    /// durable, what was bound leaves; then what it told itself is heard.
    fn end_turn(&mut self, name: &ServerId) {
        let host = self.hosts.get_mut(name).expect("a server");
        let Some(server) = &mut host.server else { return };
        let turn = server.end_turn();
        for note in &turn.notes {
            if let Some((verb, text)) = words::note(note) {
                self.follows(&format!("{name} {verb}"), &text);
            }
        }
        if let Some(stop) = turn.stop {
            self.follows(&format!("{name} STOPS"), &stop.reason);
            return self.die(name);
        }
        turn.timers.into_iter().for_each(|command| self.set_timer(name, command));
        for (to, message) in turn.free {
            self.send(name, &to, message);
        }
        self.save_and_send(name, turn.batch, turn.bound);
        let own = self.hosts.get_mut(name).expect("a server").own.pop_front();
        if let Some(message) = own {
            self.follows(&format!("{name} to {name}"), &words::message(name, &message));
            self.take_in(name, Event::Own(message));
        }
    }

    fn set_timer(&mut self, name: &ServerId, command: TimerCommand) {
        if matches!(command, TimerCommand::Set(Timer::Gather { .. })) {
            self.follows(&format!("{name} waits"), "a short time, for others to promise too");
        }
        let timers = &mut self.hosts.get_mut(name).expect("a server").timers;
        match command {
            TimerCommand::Set(timer) => timers.insert(timer),
            TimerCommand::Cancel(timer) => timers.remove(&timer),
        };
    }

    fn save_and_send(&mut self, name: &ServerId, batch: Batch, bound: Outbox) {
        let host = self.hosts.get_mut(name).expect("a server");
        let must_write = !batch.writes.is_empty();
        let death = if must_write { host.doomed.take() } else { None };
        let receipt = host.disk.commit(batch);
        for write in &receipt.batch().writes {
            self.follows(&format!("{name} saves"), &words::write(name, write));
        }
        let mut bound = bound.release(&receipt);
        if let Some(number) = death {
            bound.truncate(number);
        }
        bound.into_iter().for_each(|bound| self.hand_out(name, bound));
        if death.is_some() {
            self.follows(&format!("{name} CRASHES"), "before it could say more");
            // What it said last is on its way; after that it is missed.
            self.deliver_all();
            self.die(name);
        }
    }

    fn send(&mut self, from: &ServerId, to: &ServerId, message: Message) {
        self.follows(&format!("{from} to {to}"), &words::message(from, &message));
        if self.links.contains_key(&(from.clone(), to.clone())) {
            self.flights.push_back(Flight { from: from.clone(), to: to.clone(), message });
        }
    }

    fn hand_out(&mut self, name: &ServerId, bound: Bound) {
        match bound {
            Bound::Dial(to, at) => {
                self.follows(&format!("{name} dials"), &format!("{to} at {at}"));
                if self.hosts.contains_key(&to) {
                    self.connect(name, &to);
                }
            }
            Bound::Part(from) => {
                self.follows(&format!("{name} parts"), &format!("from {from}"));
                self.disconnect(name, &from);
            }
            Bound::Peer(to, Message::Hello(hello)) => {
                let connection = self.links[&(name.clone(), to.clone())];
                self.take_in(&to, Event::Greeted(connection, hello));
            }
            Bound::Answer(connection, message) => {
                let link = self.links.iter().find(|(_, to)| **to == connection);
                let ((dialler, _), _) = link.expect("it was dialled");
                let dialler = dialler.clone();
                let refuses = matches!(message, Message::Reject { .. });
                self.take_in(&dialler, Event::LinkAnswered(name.clone(), message));
                if refuses {
                    self.hang_up(&dialler, name);
                }
            }
            Bound::Peer(to, message) => self.send(name, &to, message),
            Bound::Own(message) => {
                self.hosts.get_mut(name).expect("a server").own.push_back(message);
            }
            Bound::Reply(_, _, Reply::Session { session, highest }) => {
                if let Some(highest) = highest {
                    let line =
                        format!("session {session}, of which {highest} is the highest number");
                    self.follows(&format!("{name} replies"), &line);
                }
                self.hosts.get_mut(name).expect("a server").session = Some(session);
            }
            Bound::Reply(_, _, reply) => {
                for line in words::reply(&reply) {
                    self.follows(&format!("{name} replies"), &line);
                }
            }
            Bound::Tell(_, word) => {
                for line in words::reply(&word) {
                    self.follows(&format!("{name} tells a client"), &line);
                }
            }
            Bound::HangUp(to) => self.hang_up(name, &to),
            Bound::SendBlocks { to, from, up_to } => {
                let blocks = self.hosts[name].disk.chain[from as usize..=up_to as usize].to_vec();
                self.send(name, &to, Message::BlocksResponse { blocks });
            }
            Bound::Read { .. } | Bound::Follow(..) => {
                panic!("no scene asks for that")
            }
        }
    }
}
