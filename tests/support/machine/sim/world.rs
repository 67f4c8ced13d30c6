//! The simulated world: virtual time, a network that misbehaves, servers that crash, clients that retry.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::bank::effects::{Event, Timer};
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::paxos::message::{Hello, Message};
use crate::bank::request::Request;
use crate::bank::server::{Config, Server};
use fastrand::Rng;

use super::clients::Client;
use super::doors::Doors;
use super::faults::Faults;
use super::judge::Judge;
use super::old::OldStores;
use super::operators::{Operators, asks_to_leave};
use super::queue::{Happening, Scheduled};
use super::tally::{Fault, Mark, Tally};
use crate::machine::disk::Disk;

pub struct Host {
    pub config: Config,
    /// The first block that its archivist has asked of a peer, and when.
    pub wanted: Option<(u64, u64)>,
    pub server: Option<Server>,
    pub life: u64,
    pub timers: BTreeMap<Timer, u64>,
    /// What happens to it before then happens then.
    pub paused_until: u64,
    /// What happens to it before then is of the present turn; 0 if that ends at once.
    pub(super) turn_open_until: u64,
    /// The connection, at the other end, of the link to each peer, with that peer's life.
    pub links: BTreeMap<ServerId, (ConnectionId, u64)>,
    /// Whom it dials, and where.
    pub dials: BTreeMap<ServerId, String>,
    /// Until when it has not heard of the end of its last link to each peer.
    pub ends: BTreeMap<ServerId, u64>,
    /// Who is at the other end of an incoming connection, in which life, and when its hello came.
    pub dialled_by: BTreeMap<ConnectionId, (ServerId, u64, u64)>,
}

impl Host {
    /// A server that was not started yet.
    pub fn new(config: Config) -> Host {
        Host {
            config,
            wanted: None,
            server: None,
            life: 0,
            timers: BTreeMap::new(),
            paused_until: 0,
            turn_open_until: 0,
            links: BTreeMap::new(),
            dials: BTreeMap::new(),
            ends: BTreeMap::new(),
            dialled_by: BTreeMap::new(),
        }
    }
}

pub struct World {
    pub rng: Rng,
    /// Dice of archivists' own: with and without them, all else goes its way alike.
    pub shelf_rng: Rng,
    pub now: u64,
    pub faults: Faults,
    pub trace: bool,
    /// Replies leave before their turn is durable: a mistake of the shell's.
    pub replies_early: bool,
    pub(super) counter: u64,
    /// The last turn began a run.
    pub begun: bool,
    pub(super) queue: BinaryHeap<Scheduled>,
    pub hosts: BTreeMap<ServerId, Host>,
    /// Who can't reach whom.
    pub apart: BTreeSet<(ServerId, ServerId)>,
    pub disks: BTreeMap<ServerId, Disk>,
    /// The last hello of each to each.
    pub hellos: BTreeMap<(ServerId, ServerId), Hello>,
    pub old: OldStores,
    pub doors: Doors,
    pub operators: Operators,
    /// The servers that don't say what is left of a log that they cut.
    pub terse: BTreeSet<ServerId>,
    pub clients: Vec<Client>,
    pub judge: Judge,
    pub tally: Tally,
}

/// Whether it is of a session: in doubt a server says nothing of such a one, not even that it came.
fn is_named(request: &Request) -> bool {
    let instructions = match request {
        Request::One(instruction) => std::slice::from_ref(instruction),
        Request::Batch(instructions) => instructions.as_slice(),
        _ => &[],
    };
    instructions.iter().any(|instruction| instruction.request.is_some())
}

impl World {
    pub fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// For who reads the trace of one seed.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>6}.{:03} {}", self.now / 1_000, self.now % 1_000, what());
        }
    }

    /// Something goes wrong.
    pub fn suffer(&mut self, fault: Fault, whose: impl std::fmt::Display) {
        self.tally.fault(fault);
        self.tell(|| format!("{whose} ── {}", Fault::WORDS[fault as usize].to_uppercase()));
    }

    /// Whether something goes wrong that does so in so many of a hundred cases.
    pub fn happens(&mut self, percent: u8, fault: Fault) -> bool {
        let happens = self.rng.u8(0..100) < percent;
        if happens {
            self.tally.fault(fault);
        }
        happens
    }

    pub fn schedule(&mut self, delay: u64, happening: Happening) {
        let count = self.count();
        let time = self.now + delay;
        let (at, happening) = (Reverse((time, count)), Box::new(happening));
        self.queue.push(Scheduled { at, happening });
    }

    pub fn wake_client(&mut self, client: usize, delay: u64) {
        self.clients[client].alarm += 1;
        let alarm = self.clients[client].alarm;
        self.schedule(delay, Happening::Client { client, alarm });
    }

    pub fn is_up(&self, server: &ServerId) -> bool {
        self.hosts[server].server.is_some()
    }

    /// 0 while it is down.
    pub fn life(&self, server: &ServerId) -> u64 {
        self.hosts[server].life
    }

    pub fn new_connection(&mut self) -> ConnectionId {
        ConnectionId(self.count())
    }

    /// Brings an event to a server, after a delay, if it still lives then.
    pub fn deliver(&mut self, server: &ServerId, delay: u64, event: Event) {
        let life = self.hosts[server].life;
        self.schedule(delay, Happening::Event { server: server.clone(), life, event });
    }

    /// Lets the next thing happen. False if time is up.
    pub fn step(&mut self, until: u64) -> bool {
        let Some(Scheduled { at: Reverse((time, count)), happening }) = self.queue.pop() else {
            return false;
        };
        self.now = time;
        self.judge.now = time;
        match *happening {
            Happening::Event { ref server, .. }
            | Happening::Timer { ref server, .. }
            | Happening::Answer { dialler: ref server, .. }
                if self.hosts[server].paused_until > time =>
            {
                // What was to come earlier comes earlier, however often both are put off.
                let at = Reverse((self.hosts[server].paused_until, count));
                self.queue.push(Scheduled { at, happening });
            }
            Happening::Event { server, life, event } => self.event(&server, life, event),
            Happening::Timer { server, life, timer, token } => {
                let host = &self.hosts[&server];
                if host.life == life && host.timers.get(&timer) == Some(&token) {
                    self.event(&server, life, Event::Timer(timer));
                }
            }
            Happening::Dial { from, to, life } => self.dial(from, to, life),
            Happening::Start(server) if self.is_up(&server) => {}
            Happening::Start(server) => self.start(&server),
            Happening::Leaves(server) => self.leaves(&server),
            Happening::Client { client, alarm } => {
                if self.clients[client].alarm == alarm {
                    super::clients::act(self, client);
                }
            }
            Happening::Reply { client, connection, id, reply } => {
                super::clients::replied(self, client, connection, id, reply);
            }
            Happening::Answer { dialler, life, connection, event } => {
                let mut links = self.hosts[&dialler].links.values();
                if links.any(|(link, _)| *link == connection) {
                    self.event(&dialler, life, event);
                }
            }
            Happening::GiveUp { dialler, to, connection } => {
                let link = self.hosts[&dialler].links.get(&to);
                if link.is_some_and(|(link, _)| *link == connection) {
                    self.hang_up(&dialler, &to);
                }
            }
            Happening::Durable { server, life, bound } => {
                if self.hosts[&server].life == life {
                    self.hand_out_all(&server, bound);
                }
            }
            Happening::Weather => self.weather(),
            Happening::Old(index) => self.old_store_acts(index),
        }
        time < until
    }

    fn start(&mut self, id: &ServerId) {
        let life = self.rng.u64(1..);
        self.hand_key(id);
        self.name_a_member(id);
        let forgets = !self.judge.books.is_learning(id) && self.rng.bool();
        let host = self.hosts.get_mut(id).unwrap();
        // Once the chain names the store, the operator's word is of no use any more, nor of harm.
        host.config.rejoin &= !forgets;
        let disk = self.disks.get_mut(id).unwrap();
        let server = disk.load(host.config.clone(), life);
        let is_behind = disk.stored.checkpoint + 1 < disk.chain.len() as u64;
        if disk.tail_read().is_some() {
            self.judge.resumed.insert(life);
        }
        self.tally.mark_if(is_behind, Mark::BehindInPages);
        let heights = 1..=self.judge.books.openings;
        self.tally.mark_if(heights.contains(&(disk.chain.len() as u64)), Mark::FoundingCutShort);
        if asks_to_leave(disk) {
            self.judge.has_left.insert(life);
        }
        self.archivist_begins(id);
        let host = self.hosts.get_mut(id).unwrap();
        host.life = life;
        host.dials = server.dials().into_iter().collect();
        host.server = Some(server);
        host.ends.clear();
        host.timers.clear();
        host.turn_open_until = 0;
        for to in host.dials.keys().cloned().collect::<Vec<_>>() {
            let delay = self.rng.u64(1..50);
            self.schedule(delay, Happening::Dial { from: id.clone(), to, life });
        }
        self.end_turn(id);
    }

    fn tell_event(&self, id: &ServerId, event: &Event) {
        match event {
            Event::Closed(_) | Event::Timer(Timer::Heartbeat) => {}
            Event::Received(_, Message::Heartbeat(_)) => {}
            Event::Own(message) | Event::Received(_, message) => {
                self.tell(|| format!("{id} ← {message:?}"));
            }
            other => self.tell(|| format!("{id} ← {other:?}")),
        }
    }

    /// One entry more, and it is to be settled.
    fn log_is_long(&self, id: &ServerId) -> bool {
        let log = &self.disks[id].stored.log;
        let entries: usize = log.iter().map(|element| element.records().len()).sum();
        self.hosts[id].config.habit.by_length.is_some_and(|most| entries + 1 >= most)
    }

    pub fn event(&mut self, id: &ServerId, life: u64, event: Event) {
        let host = &self.hosts[id];
        if host.life != life || host.server.is_none() {
            return;
        }
        if self.is_for_the_archivist(id, &event) {
            return;
        }
        let host = &self.hosts[id];
        let in_doubt = host.server.as_ref().is_some_and(Server::is_in_doubt);
        let mut at_once = None;
        if let Event::Request(connection, number, request) = &event
            && !(in_doubt && is_named(request))
        {
            let call = (*connection, number.unwrap_or_default());
            let serves = |server: &Server| server.status().not_serving.is_none();
            match request {
                Request::Session(Some(named)) if host.server.as_ref().is_some_and(serves) => {
                    self.judge.opens(life, *connection, &named.name);
                }
                _ => at_once = self.judge.request(id, life, call, request),
            }
        }
        if self.trace {
            self.tell_event(id, &event);
        }
        let mark = match event {
            Event::Timer(Timer::Settle) => Some(Mark::SettledByAge),
            Event::Request(_, _, Request::One(_) | Request::Batch(_)) if self.log_is_long(id) => {
                Some(Mark::SettledByLength)
            }
            _ => None,
        };
        let host = self.hosts.get_mut(id).unwrap();
        if let Some(server) = &mut host.server {
            at_once = at_once.filter(|_| !in_doubt);
            server.handle(event);
        }
        // Sometimes what comes within a while shares a turn.
        if self.now < host.turn_open_until {
            return;
        }
        if host.turn_open_until > 0 || self.rng.u8(0..4) > 0 {
            at_once = at_once.filter(|_| host.turn_open_until == 0);
            host.turn_open_until = 0;
            self.end_turn(id);
            if let Some(mark) = mark.filter(|_| self.begun && self.judge.nothing_waits(life)) {
                self.tally.mark(mark);
            }
            if self.hosts[id].life == life {
                self.judge.assert_done(life, at_once);
            }
            return;
        }
        let open = self.rng.u64(1..if self.faults.pause > 0 { 60 } else { 3 });
        host.turn_open_until = self.now + open;
        // An empty event, to be sure of one that ends it.
        self.deliver(id, open, Event::Closed(ConnectionId(0)));
    }
}
