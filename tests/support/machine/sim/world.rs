//! The simulated world: virtual time, a network that misbehaves, servers that crash, clients that retry.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::bank::effects::{Event, Timer};
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::limits::Limits;
use crate::bank::paxos::message::{Hello, Message};
use crate::bank::request::Request;
use crate::bank::server::Habit;
use crate::bank::server::{Config, Server};
use fastrand::Rng;

use super::clients::Client;
use super::doors::Doors;
use super::faults::Faults;
use super::judge::Judge;
use super::old::OldStores;
use super::operators::{Changes, Operators, asks_to_leave};
use super::orders::Habits;
use super::queue::{Happening, Scheduled};
use super::tally::{Fault, Mark, Tally};
use crate::machine::config_of;
use crate::machine::disk::Disk;
use crate::machine::shelf::Shelf;

/// Who takes part, and how.
#[derive(Clone)]
pub struct Setting {
    pub servers: usize,
    pub clients_each: usize,
    pub opening: u64,
    pub habits: Habits,
    /// When servers settle by themselves.
    pub habit: Habit,
    pub limits: Limits,
    /// How many blocks a server that starts reads at the chain's end, if not all.
    pub tail: Option<usize>,
    /// How many accounts are on a page of balances, one of which comes with a block, if not as usual.
    pub page: Option<usize>,
    /// So many servers don't say what is left of a log that they cut.
    pub terse: usize,
    /// The bank is founded with keys.
    pub keyed: bool,
    /// How stores are archived, if they are.
    pub shelf: Option<Shelf>,
    /// How operators change the members, if they do.
    pub changes: Option<Changes>,
}

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
    turn_open_until: u64,
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
    counter: u64,
    /// The last turn began a run.
    pub begun: bool,
    queue: BinaryHeap<Scheduled>,
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
    pub fn new(seed: u64, setting: Setting, faults: Faults) -> World {
        let mut rng = Rng::with_seed(seed);
        let ids: Vec<ServerId> = (0..setting.servers)
            .map(|i| char::from(b'A' + i as u8).to_string().parse().unwrap())
            .collect();
        let mut limits = setting.limits.clone();
        if let Some(page) = setting.page {
            limits = Limits { page, bytes_per_page: usize::MAX, ..limits };
        }
        let host = |id: &ServerId| {
            let mut config = config_of(id, &ids, setting.opening);
            (config.habit, config.limits) = (setting.habit.clone(), limits.clone());
            config.configuration.issuing = setting.habits.issues > 0;
            Host::new(config)
        };
        let hosts = ids.iter().map(|id| (id.clone(), host(id))).collect();
        let shelf = &setting.shelf;
        let mut disk =
            || Disk { tail: setting.tail, shelf: shelf.clone(), ..Disk::empty(rng.u64(..)) };
        let disks = ids.iter().map(|id| (id.clone(), disk())).collect();
        let resumes = setting.tail.is_some() || setting.shelf.is_some();
        let forgetful = setting.limits != Limits::default() || resumes;
        let clients = (ids.iter().cycle().take(setting.servers * setting.clients_each))
            .enumerate()
            .map(|(number, id)| Client::new(number, id.clone(), ids.clone(), setting.habits))
            .collect();
        let mut world = World {
            rng,
            shelf_rng: Rng::with_seed(seed ^ 0xa5c417e),
            now: 0,
            faults,
            trace: false,
            replies_early: false,
            counter: 0,
            begun: false,
            queue: BinaryHeap::new(),
            hosts,
            apart: BTreeSet::new(),
            disks,
            hellos: BTreeMap::new(),
            old: OldStores::default(),
            doors: Doors::new(setting.keyed),
            operators: Operators::new(setting.changes, &ids, setting.opening, setting.habits),
            terse: ids.iter().take(setting.terse).cloned().collect(),
            clients,
            judge: Judge::new(setting.opening, &ids, forgetful),
            tally: Tally::default(),
        };
        for id in &ids {
            let delay = world.rng.u64(0..300);
            world.schedule(delay, Happening::Start(id.clone()));
        }
        for client in 0..world.clients.len() {
            world.wake_client(client, 1);
        }
        world.schedule(0, Happening::Weather);
        world
    }

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
                self.judge.assert_done(at_once);
            }
            return;
        }
        let open = self.rng.u64(1..if self.faults.pause > 0 { 60 } else { 3 });
        host.turn_open_until = self.now + open;
        // An empty event, to be sure of one that ends it.
        self.deliver(id, open, Event::Closed(ConnectionId(0)));
    }
}
