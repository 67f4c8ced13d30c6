//! The simulated world: virtual time, a network that misbehaves, servers that crash, clients that retry.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::bank::amount::Amount;
use crate::bank::effects::{Bound, Event, Level, Timer, TimerCommand, Write};
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::paxos::message::{Configuration, Message};
use crate::bank::request::Reply;
use crate::bank::server::{Config, Server};
use fastrand::Rng;

use crate::clients::{Client, Habits};
use crate::disk::Disk;
use crate::faults::Faults;
use crate::judge::Judge;

/// Who takes part, and how.
#[derive(Clone, Copy)]
pub struct Setting {
    pub servers: usize,
    pub clients_each: usize,
    pub opening: u64,
    pub habits: Habits,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Scheduled(std::cmp::Reverse<(u64, u64)>, usize);

pub enum Happening {
    Event {
        server: ServerId,
        life: u64,
        event: Event,
    },
    Timer {
        server: ServerId,
        life: u64,
        timer: Timer,
        token: u64,
    },
    Dial {
        from: ServerId,
        to: ServerId,
        life: u64,
    },
    Start(ServerId),
    Client {
        client: usize,
        alarm: u64,
    },
    Reply {
        client: usize,
        connection: ConnectionId,
        id: Option<u64>,
        reply: Reply,
    },
    /// The answer to a hello, over the connection that was dialled.
    Answer {
        dialler: ServerId,
        life: u64,
        connection: ConnectionId,
        event: Event,
    },
    /// Breaks a link, if it is still this one.
    GiveUp {
        dialler: ServerId,
        to: ServerId,
        connection: ConnectionId,
    },
    Weather,
}

pub struct Host {
    config: Config,
    pub server: Option<Server>,
    pub life: u64,
    timers: BTreeMap<Timer, u64>,
    /// What happens to it before then happens then.
    paused_until: u64,
    /// What happens to it before then is of the present turn; 0 if that ends at once.
    turn_open_until: u64,
    /// The connection, at the other end, of the link to each peer, with that peer's life.
    pub links: BTreeMap<ServerId, (ConnectionId, u64)>,
    /// Who is at the other end of an incoming connection, in which life, and when its hello came.
    pub dialled_by: BTreeMap<ConnectionId, (ServerId, u64, u64)>,
}

pub struct World {
    pub rng: Rng,
    pub now: u64,
    pub faults: Faults,
    pub trace: bool,
    counter: u64,
    queue: BinaryHeap<Scheduled>,
    happenings: BTreeMap<usize, Happening>,
    pub hosts: BTreeMap<ServerId, Host>,
    /// Who can't reach whom.
    pub apart: BTreeSet<(ServerId, ServerId)>,
    pub disks: BTreeMap<ServerId, Disk>,
    pub clients: Vec<Client>,
    pub judge: Judge,
    pub crashes: usize,
}

impl World {
    pub fn new(seed: u64, setting: Setting, faults: Faults) -> World {
        let mut rng = Rng::with_seed(seed);
        let ids: Vec<ServerId> = (0..setting.servers)
            .map(|i| char::from(b'A' + i as u8).to_string().parse().unwrap())
            .collect();
        let opening_balance = Amount::new(setting.opening).unwrap();
        let configuration = Configuration { servers: ids.clone(), opening_balance };
        let host = |id: &ServerId| Host {
            config: Config { id: id.clone(), configuration: configuration.clone() },
            server: None,
            life: 0,
            timers: BTreeMap::new(),
            paused_until: 0,
            turn_open_until: 0,
            links: BTreeMap::new(),
            dialled_by: BTreeMap::new(),
        };
        let hosts = ids.iter().map(|id| (id.clone(), host(id))).collect();
        let disks = ids.iter().map(|id| (id.clone(), Disk::empty(rng.u64(..)))).collect();
        let clients = (ids.iter().cycle().take(setting.servers * setting.clients_each))
            .map(|id| Client::new(id.clone(), ids.clone(), setting.habits))
            .collect();
        let mut world = World {
            rng,
            now: 0,
            faults,
            trace: false,
            counter: 0,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            hosts,
            apart: BTreeSet::new(),
            disks,
            clients,
            judge: Judge::new(setting.opening, &ids),
            crashes: 0,
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

    pub fn schedule(&mut self, delay: u64, happening: Happening) {
        let count = self.count();
        let time = self.now + delay;
        self.happenings.insert(count as usize, happening);
        self.queue.push(Scheduled(std::cmp::Reverse((time, count)), count as usize));
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
        let Some(Scheduled(std::cmp::Reverse((time, _)), key)) = self.queue.pop() else {
            return false;
        };
        self.now = time;
        let Some(happening) = self.happenings.remove(&key) else { return true };
        match happening {
            Happening::Event { ref server, .. }
            | Happening::Timer { ref server, .. }
            | Happening::Answer { dialler: ref server, .. }
                if self.hosts[server].paused_until > time =>
            {
                let delay = self.hosts[server].paused_until - time;
                self.schedule(delay, happening);
            }
            Happening::Event { server, life, event } => self.event(&server, life, event),
            Happening::Timer { server, life, timer, token } => {
                let host = &self.hosts[&server];
                if host.life == life && host.timers.get(&timer) == Some(&token) {
                    self.event(&server, life, Event::Timer(timer));
                }
            }
            Happening::Dial { from, to, life } => self.dial(from, to, life),
            Happening::Start(server) => self.start(&server),
            Happening::Client { client, alarm } => {
                if self.clients[client].alarm == alarm {
                    crate::clients::act(self, client);
                }
            }
            Happening::Reply { client, connection, id, reply } => {
                crate::clients::replied(self, client, connection, id, reply);
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
            Happening::Weather => self.weather(),
        }
        time < until
    }

    fn start(&mut self, id: &ServerId) {
        let life = self.rng.u64(1..);
        let host = self.hosts.get_mut(id).unwrap();
        let server = self.disks.get_mut(id).unwrap().load(host.config.clone(), life);
        host.life = life;
        host.server = Some(server);
        host.timers.clear();
        host.turn_open_until = 0;
        let peers: Vec<ServerId> = self.hosts.keys().filter(|peer| *peer != id).cloned().collect();
        for to in peers {
            let delay = self.rng.u64(1..50);
            self.schedule(delay, Happening::Dial { from: id.clone(), to, life });
        }
        self.end_turn(id);
    }

    pub fn event(&mut self, id: &ServerId, life: u64, event: Event) {
        let host = self.hosts.get_mut(id).unwrap();
        if host.life != life {
            return;
        }
        let Some(server) = &mut host.server else { return };
        if let Event::Request(connection, number, request) = &event {
            self.judge.request(life, (*connection, number.unwrap_or_default()), request);
        }
        server.handle(event);
        // Sometimes what comes within a while shares a turn.
        let host = self.hosts.get_mut(id).unwrap();
        if self.now < host.turn_open_until {
            return;
        }
        if host.turn_open_until > 0 || self.rng.u8(0..4) > 0 {
            host.turn_open_until = 0;
            return self.end_turn(id);
        }
        let open = self.rng.u64(1..if self.faults.pause > 0 { 60 } else { 3 });
        host.turn_open_until = self.now + open;
        // An empty event, to be sure of one that ends it.
        self.deliver(id, open, Event::Closed(ConnectionId(0)));
    }

    fn end_turn(&mut self, id: &ServerId) {
        let host = self.hosts.get_mut(id).unwrap();
        let Some(server) = &mut host.server else { return };
        let turn = server.end_turn();
        if self.trace {
            for note in turn.notes.iter().filter(|note| note.level != Level::Debug) {
                println!("{:>7} {id} {}", self.now, note.text);
            }
        }
        assert_eq!(turn.stop, None, "no server may have to stop here");
        let proposes = turn.free.iter().any(|(_, message)| message.is_bulky());
        let votes = turn.batch.writes.iter().any(|write| !matches!(write, Write::Log(_)));
        let dies = if (proposes || votes) && self.rng.u8(0..100) < self.faults.silence {
            self.rng.u8(1..4)
        } else {
            0
        };
        let life = self.hosts[id].life;
        for (to, message) in turn.free {
            self.judge.free(life, &message);
            self.send(id, &to, message);
        }
        if self.rng.u16(0..1_000) < self.faults.crash || dies == 1 {
            if planted!(ReplyBeforeDurable) {
                turn.bound.release(None).into_iter().for_each(|bound| self.hand_out(id, bound));
            }
            return self.crash(id);
        }
        let receipt = (!turn.batch.writes.is_empty()).then(|| {
            let receipt = self.disks.get_mut(id).unwrap().commit(&turn.batch);
            self.judge.durable(life, &turn.batch, &self.disks);
            receipt
        });
        if self.rng.u16(0..1_000) < self.faults.crash || dies == 2 {
            return self.crash(id);
        }
        if self.rng.u16(0..1_000) < self.faults.pause {
            let pause = self.rng.u64(10..3_000);
            self.hosts.get_mut(id).unwrap().paused_until = self.now + pause;
        }
        for command in turn.timers {
            self.timer(id, command);
        }
        for bound in turn.bound.release(receipt) {
            self.hand_out(id, bound);
        }
        if dies == 3 {
            self.crash(id);
        }
    }

    fn timer(&mut self, id: &ServerId, command: TimerCommand) {
        let token = self.count();
        let host = self.hosts.get_mut(id).unwrap();
        let timer = match command {
            TimerCommand::Cancel(timer) => {
                host.timers.remove(&timer);
                return;
            }
            TimerCommand::Set(timer) => timer,
        };
        host.timers.insert(timer, token);
        let life = host.life;
        let base = match timer {
            Timer::Heartbeat => 500,
            Timer::Gather { covered: false } => 200,
            Timer::Gather { covered: true } => 10,
            Timer::Repeat => 300,
            Timer::BackOff { attempt } => 20 << attempt.min(6),
            Timer::FinishRound | Timer::Reconcile => 1_000,
            Timer::Deadline(_) => 5_000,
        };
        // An even pace, lest a connected server seem silent for three heartbeats.
        let jitter = match timer {
            Timer::Heartbeat => base / 10,
            _ if self.faults.hasty => base - 1,
            _ => base / 2,
        };
        let delay = self.rng.u64(base - jitter..base + jitter);
        self.schedule(delay, Happening::Timer { server: id.clone(), life, timer, token });
    }

    fn hand_out(&mut self, id: &ServerId, bound: Bound) {
        match bound {
            Bound::Peer(to, message) => self.send(id, &to, message),
            Bound::Own(message) => self.deliver(id, 0, Event::Own(message)),
            Bound::Answer(connection, message) => self.answer(id, connection, message),
            Bound::Reply(connection, number, reply) => {
                self.judge.reply((connection, number.unwrap_or_default()), &reply);
                let is_to = |c: &Client| c.connection.is_some_and(|(to, _)| to == connection);
                let client = self.clients.iter().position(is_to);
                if let Some(client) = client
                    && self.rng.u8(0..100) >= self.faults.loss
                {
                    let delay = self.rng.u64(1..20);
                    let happening = Happening::Reply { client, connection, id: number, reply };
                    self.schedule(delay, happening);
                }
            }
            Bound::ReadChain { .. } => {}
            Bound::SendBlocks { to, from, up_to } => {
                let blocks = self.disks[id].chain[from as usize..=up_to as usize].to_vec();
                let piece = blocks.into_iter().take(3).collect();
                self.send(id, &to, Message::BlocksResponse { blocks: piece });
            }
        }
    }
}
