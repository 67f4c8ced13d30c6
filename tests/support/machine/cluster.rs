//! A few servers, step by step: every message arrives at once and in order, and whoever stops is seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::disk::Disk;
use crate::bank::amount::Amount;
use crate::bank::blockchain::origin::Opening;
use crate::bank::effects::{Bound, Event, Timer, TimerCommand};
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, RequestId, ServerId, SessionId};
use crate::bank::ledger::entry::Action;
use crate::bank::note::{Note, Warning};
use crate::bank::paxos::message::{Configuration, Message};
use crate::bank::request::{Instruction, Outcome, Reply, Request};
use crate::bank::server::{Config, Server};

mod apart;
mod doors;

/// Names a store with its server: `C2` is the second of server C.
pub type Name = &'static str;

pub struct Node {
    pub disk: Disk,
    pub server: Option<Server>,
    /// Why it stopped, if it did.
    pub stopped: Option<String>,
    /// That it is done rejoining, in its words.
    pub done: Option<String>,
    timers: BTreeMap<Timer, u64>,
    replies: Vec<Reply>,
}

#[derive(Default)]
pub struct Cluster {
    ids: Vec<ServerId>,
    /// The keys of those that have one.
    keys: BTreeMap<Name, Fingerprint>,
    pub nodes: BTreeMap<Name, Node>,
    now: u64,
    counter: u64,
    queue: VecDeque<(Name, Option<ConnectionId>, Event)>,
    /// Who dialled which server: the connection, and who answers there.
    links: BTreeMap<(Name, ServerId), (ConnectionId, Name)>,
    /// What the bank begins with, if it is founded where another one ended.
    pub opening: Option<Arc<Opening>>,
    /// Who can't reach whom, both ways.
    apart: BTreeSet<(Name, Name)>,
}

pub fn id(name: Name) -> ServerId {
    name[..1].parse().unwrap()
}

fn lasts(timer: Timer) -> u64 {
    match timer {
        Timer::Heartbeat => 500,
        Timer::Gather { covered: false } => 200,
        Timer::Gather { covered: true } => 10,
        Timer::Repeat => 300,
        Timer::BackOff { attempt } => 20 << attempt.min(6),
        Timer::FinishRound | Timer::Reconcile => 1_000,
        Timer::Deadline(_) => 5_000,
        Timer::LookUp => 400,
        Timer::Comeback => 1,
        Timer::Rest => 60,
        Timer::Settle => 1_500,
        Timer::Patience { ms, .. } => ms,
    }
}

impl Cluster {
    /// An open bank; each server's account holds 100.
    pub fn open(names: &[Name]) -> Cluster {
        Cluster::default().opened(names)
    }

    /// Of servers that are told to go on from the end of another bank.
    pub fn going_on(opening: Arc<Opening>) -> Cluster {
        Cluster { opening: Some(opening), ..Cluster::default() }
    }

    /// The same, founded as it was told.
    pub fn opened(mut self, names: &[Name]) -> Cluster {
        self.start_of(names, names);
        self
    }

    /// Starts some of these servers, and lets two seconds pass.
    pub fn start_of(&mut self, all: &[Name], names: &[Name]) {
        self.ids = all.iter().map(|name| id(name)).collect();
        for name in names {
            self.add(name);
            self.start(name, false);
        }
        self.run(2_000);
    }

    /// A store that was never used.
    pub fn add(&mut self, name: Name) {
        self.counter += 1;
        let (disk, timers) = (Disk::empty(self.counter), BTreeMap::new());
        let node =
            Node { disk, server: None, stopped: None, done: None, timers, replies: Vec::new() };
        self.nodes.insert(name, node);
    }

    /// Starts a server that is no member yet; it begins at this member.
    pub fn start_joining(&mut self, name: Name, at: Name) {
        self.counter += 1;
        let config = self.config(name, false);
        let configuration = Configuration { servers: Vec::new(), ..config.configuration };
        let mut addresses = config.addresses;
        addresses.retain(|server, _| *server == id(at) || *server == id(name));
        let config = Config { join: true, configuration, addresses, ..config };
        let node = self.nodes.get_mut(name).unwrap();
        let server = node.disk.try_load(config, 1_000 + self.counter).expect("it can start");
        (node.server, node.stopped) = (Some(server), None);
        self.end_turn(name);
    }

    fn config(&self, name: Name, rejoin: bool) -> Config {
        let key = self.keys.get(name).copied();
        let opening = self.opening.clone().filter(|_| !rejoin);
        let usual = super::config_of(&id(name), &self.ids, 100);
        Config { rejoin, opening, key, keys: key.is_some(), ..usual }
    }

    pub fn start(&mut self, name: Name, rejoin: bool) {
        let refused = self.try_start(name, rejoin).err();
        assert_eq!(refused, None, "{name} can't start");
    }

    pub fn try_start(&mut self, name: Name, rejoin: bool) -> Result<(), String> {
        self.counter += 1;
        let (config, life) = (self.config(name, rejoin), 1_000 + self.counter);
        let node = self.nodes.get_mut(name).unwrap();
        let server = node.disk.try_load(config, life).map_err(|error| error.to_string())?;
        (node.server, node.stopped) = (Some(server), None);
        self.end_turn(name);
        Ok(())
    }

    pub fn kill(&mut self, name: Name) {
        let node = self.nodes.get_mut(name).unwrap();
        node.server = None;
        node.timers.clear();
        let ended: Vec<_> = self
            .links
            .iter()
            .filter(|((from, _), (_, to))| *from == name || *to == name)
            .map(|(link, _)| link.clone())
            .collect();
        ended.into_iter().for_each(|link| self.hang_up(&link));
    }

    pub fn restart(&mut self, name: Name, rejoin: bool) {
        self.kill(name);
        self.start(name, rejoin);
    }

    pub fn try_restart(&mut self, name: Name, rejoin: bool) -> Result<(), String> {
        self.kill(name);
        self.try_start(name, rejoin)
    }

    /// From now on the two can't reach each other.
    fn hang_up(&mut self, link: &(Name, ServerId)) {
        let Some((connection, to)) = self.links.remove(link) else { return };
        self.queue.push_back((link.0, None, Event::LinkDown(link.1.clone())));
        self.queue.push_back((to, None, Event::Closed(connection)));
    }

    fn is_up(&self, name: Name) -> bool {
        self.nodes[name].server.is_some()
    }

    /// Everybody dials whom it isn't connected to; of two stores of one server the later one answers.
    fn dial(&mut self) {
        let up: Vec<Name> = self.nodes.keys().copied().filter(|name| self.is_up(name)).collect();
        for from in &up {
            let dials = self.nodes[from].server.as_ref().map(Server::dials).unwrap_or_default();
            for (to, _) in dials {
                let answers =
                    |name: &&Name| id(name) == to && !self.apart.contains(&(*from, **name));
                let Some(answers) = up.iter().rfind(answers).filter(|_| id(from) != to) else {
                    continue;
                };
                if !self.links.contains_key(&(*from, to.clone())) {
                    self.counter += 1;
                    let link = (ConnectionId(self.counter), *answers);
                    self.links.insert((*from, to.clone()), link);
                    self.prove(from, &to, link);
                    self.queue.push_back((*from, None, Event::LinkUp(to)));
                }
            }
        }
    }

    /// Lets so many milliseconds pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        let mut redial = self.now;
        loop {
            if redial <= self.now {
                self.dial();
                redial = self.now + 100;
            }
            self.deliver_all();
            let timers = self.nodes.iter().flat_map(|(name, node)| {
                node.timers.iter().map(|(timer, due)| (*due, *name, *timer))
            });
            let next =
                timers.min().filter(|(due, ..)| *due <= end && *due < redial.max(self.now + 1));
            match next {
                Some((due, name, timer)) => {
                    self.now = self.now.max(due);
                    self.nodes.get_mut(name).unwrap().timers.remove(&timer);
                    self.queue.push_back((name, None, Event::Timer(timer)));
                }
                None if redial > end => break,
                None => self.now = redial,
            }
        }
        self.now = end;
    }

    fn deliver_all(&mut self) {
        while let Some((name, connection, event)) = self.queue.pop_front() {
            let alive = |connection| self.links.values().any(|(link, _)| *link == connection);
            if connection.is_some_and(|connection| !alive(connection)) {
                continue;
            }
            if let Some(server) = &mut self.nodes.get_mut(name).unwrap().server {
                server.handle(event);
                self.end_turn(name);
            }
        }
    }

    fn end_turn(&mut self, name: Name) {
        let node = self.nodes.get_mut(name).unwrap();
        let Some(server) = &mut node.server else { return };
        let turn = server.end_turn();
        let done = turn.notes.iter().find_map(|note| match note {
            Note::Warning(Warning::Rejoined(words)) => Some(words.clone()),
            _ => None,
        });
        node.done = done.or(node.done.take());
        if let Some(stop) = turn.stop {
            node.stopped = Some(stop.reason);
            return self.kill(name);
        }
        let receipt = node.disk.commit(turn.batch);
        for command in turn.timers {
            match command {
                TimerCommand::Set(timer) => node.timers.insert(timer, self.now + lasts(timer)),
                TimerCommand::Cancel(timer) => node.timers.remove(&timer),
            };
        }
        for (to, message) in turn.free {
            self.send(name, &to, message);
        }
        for bound in turn.bound.release(&receipt) {
            self.hand_out(name, bound);
        }
    }

    fn hand_out(&mut self, name: Name, bound: Bound) {
        match bound {
            Bound::Peer(to, message) => self.send(name, &to, message),
            Bound::Own(message) => self.queue.push_back((name, None, Event::Own(message))),
            Bound::Reply(_, _, reply) => self.nodes.get_mut(name).unwrap().replies.push(reply),
            Bound::Answer(connection, message) => {
                let link = self.links.iter().find(|(_, (link, _))| *link == connection);
                let Some((link, _)) = link.map(|(link, to)| (link.clone(), to)) else { return };
                let refuses = matches!(message, Message::Reject { .. });
                let event = Event::LinkAnswered(link.1.clone(), message);
                self.queue.push_back((link.0, (!refuses).then_some(connection), event));
                if refuses {
                    self.hang_up(&link);
                }
            }
            Bound::HangUp(to) => self.hang_up(&(name, to)),
            Bound::Part(from) => {
                // What was said before still arrives.
                let said = self.links.get(&(name, from.clone())).map(|(link, _)| *link);
                let last = self.queue.iter_mut().filter(|(_, by, _)| by.is_some() && *by == said);
                last.for_each(|(_, by, _)| *by = None);
                self.hang_up(&(name, from.clone()));
                let theirs = self.nodes.keys().copied().filter(|other| id(other) == from);
                let theirs: Vec<_> = theirs.map(|other| (other, id(name))).collect();
                theirs.iter().for_each(|link| self.hang_up(link));
            }
            Bound::Dial(..) => {}
            Bound::SendBlocks { to, from, up_to } => {
                let blocks = self.nodes[name].disk.chain[from as usize..=up_to as usize].to_vec();
                self.send(name, &to, Message::BlocksResponse { blocks });
            }
            Bound::Read { .. } | Bound::Follow(..) | Bound::Tell(..) => {}
        }
    }

    fn send(&mut self, from: Name, to: &ServerId, message: Message) {
        let Some((connection, name)) = self.links.get(&(from, to.clone())).copied() else { return };
        let event = match message {
            Message::Hello(hello) => Event::Greeted(connection, hello),
            message => Event::Received(connection, message),
        };
        self.queue.push_back((name, Some(connection), event));
    }

    /// Something comes to a server on a connection of its own.
    pub fn tell(&mut self, name: Name, event: Event) {
        self.queue.push_back((name, None, event));
        self.deliver_all();
    }

    /// A request and a heartbeat in one turn.
    pub fn tell_in_one_turn(&mut self, name: Name, request: Request) {
        let server = self.nodes.get_mut(name).unwrap().server.as_mut().unwrap();
        server.handle(Event::Request(ConnectionId(0), None, request));
        server.handle(Event::Timer(Timer::Heartbeat));
        self.end_turn(name);
        self.deliver_all();
    }

    /// A client asks, on a new connection, and waits for a while.
    pub fn ask(&mut self, name: Name, request: Request) -> Option<Reply> {
        self.ask_as(None, name, request)
    }

    pub fn session(&mut self, name: Name) -> SessionId {
        match self.ask(name, Request::Session(None)) {
            Some(Reply::Session { session, .. }) => session,
            other => panic!("no session of {name}'s: {other:?}"),
        }
    }

    pub fn instruct(&mut self, name: Name, asked: &Instruction) -> Option<Outcome> {
        match self.ask(name, Request::One(asked.clone()))? {
            Reply::One(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Pays `amount` from a server's account to that of `to`; returns (epoch, seq).
    pub fn pay(&mut self, name: Name, to: Name, amount: u64) -> Option<(u64, u64)> {
        position(&self.instruct(name, &pays(name, to, amount, None))?)
    }

    /// All that those who can hold is brought into the chain.
    pub fn settle(&mut self, name: Name) -> bool {
        matches!(self.ask(name, Request::Settle), Some(Reply::Settled { .. }))
    }

    pub fn height(&self, name: Name) -> usize {
        self.nodes[name].disk.chain.len().saturating_sub(1)
    }

    /// Whether the chain that `name` holds says that this store is its server's.
    pub fn is_named(&self, name: Name, store: Name) -> bool {
        let chain = &self.nodes[name].disk.chain;
        let new = |action: &Action| match action {
            Action::Rejoin { new, .. } => Some(*new),
            _ => None,
        };
        let mut records = chain.iter().flat_map(|block| block.block().records());
        records
            .any(|(_, record)| new(&record.action) == Some(self.nodes[store].disk.stored.instance))
    }

    /// What a server's account holds in the eyes of its home.
    pub fn balance(&mut self, name: Name) -> u64 {
        match self.ask(name, Request::Balance(None)) {
            Some(Reply::Balance { balance, .. }) => balance.units(),
            other => panic!("no balance of {name}'s: {other:?}"),
        }
    }

    pub fn stopped(&self, name: Name) -> &str {
        self.nodes[name].stopped.as_deref().unwrap_or("it goes on")
    }
}

pub fn pays(from: Name, to: Name, amount: u64, request: Option<RequestId>) -> Instruction {
    let (from, to) = (from[..1].parse().unwrap(), to[..1].parse().unwrap());
    let action = Action::Transfer { from, to, amount: Amount::new(amount).unwrap() };
    Instruction { request, ..Instruction::plain(action) }
}

pub fn position(outcome: &Outcome) -> Option<(u64, u64)> {
    match outcome {
        Outcome::Accepted { epoch, seq, .. } => Some((*epoch, *seq)),
        _ => None,
    }
}
