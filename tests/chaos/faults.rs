//! What can go wrong, how it begins and how it is healed.

use std::time::Duration;

use redis::Connection;

use crate::proxy::{Blow, Way};
use crate::segments;
use crate::stage::Stage;
use crate::support::process::signal;
use crate::support::redis::{TestRedis, say};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Of servers' processes.
    Server(OfServer),
    /// Of a store.
    Redis(InRedis),
    /// Between servers.
    Way(OnTheWay),
    /// Between a server and its clients.
    Door(AtTheDoor),
}

/// What happens to servers' processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OfServer {
    Killed,
    AllKilled,
    Stopped,
    /// Killed, and a segment of its archive is damaged, if it has one that the others have, too.
    SegmentDamaged,
}

/// What happens to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InRedis {
    Killed,
    TornTail,
    Stopped,
    Paused,
    OutOfMemory,
    WithoutReplicas,
    ReadOnly,
    WantsPassword,
    Loading,
    DiskFull,
    HangsUp,
    Rewrites,
}

/// What happens between servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OnTheWay {
    Isolated,
    PairParted,
    OneWayParted,
    Slow,
    Refused,
    AllCut,
    AllReset,
    HalfOpen,
}

/// What happens between a server and its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AtTheDoor {
    ClientsCut,
    RepliesHeld,
}

pub const ALL: [Kind; 26] = [
    Kind::Server(OfServer::Killed),
    Kind::Server(OfServer::AllKilled),
    Kind::Server(OfServer::Stopped),
    Kind::Server(OfServer::SegmentDamaged),
    Kind::Redis(InRedis::Killed),
    Kind::Redis(InRedis::TornTail),
    Kind::Redis(InRedis::Stopped),
    Kind::Redis(InRedis::Paused),
    Kind::Redis(InRedis::OutOfMemory),
    Kind::Redis(InRedis::WithoutReplicas),
    Kind::Redis(InRedis::ReadOnly),
    Kind::Redis(InRedis::WantsPassword),
    Kind::Redis(InRedis::Loading),
    Kind::Redis(InRedis::DiskFull),
    Kind::Redis(InRedis::HangsUp),
    Kind::Redis(InRedis::Rewrites),
    Kind::Way(OnTheWay::Isolated),
    Kind::Way(OnTheWay::PairParted),
    Kind::Way(OnTheWay::OneWayParted),
    Kind::Way(OnTheWay::Slow),
    Kind::Way(OnTheWay::Refused),
    Kind::Way(OnTheWay::AllCut),
    Kind::Way(OnTheWay::AllReset),
    Kind::Way(OnTheWay::HalfOpen),
    Kind::Door(AtTheDoor::ClientsCut),
    Kind::Door(AtTheDoor::RepliesHeld),
];

/// What a fault has to itself while it lasts: two at once would undo each other's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    Server(String),
    /// By its place among the bank's.
    Redis(usize),
    Way(String, String),
    Door(String),
}

/// A fault that lasts.
pub struct Fault {
    pub kind: Kind,
    server: String,
    other: String,
    redis: usize,
    lasts: Duration,
    /// To a Redis that lets nobody else in.
    connection: Option<Connection>,
}

impl Fault {
    /// One of a kind, on a victim of chance.
    pub fn of(kind: Kind, stage: &Stage, lasts: Duration, dice: &mut fastrand::Rng) -> Fault {
        let mut ids = stage.founders.clone();
        dice.shuffle(&mut ids);
        let redis = dice.usize(..stage.bank.stores.len());
        let (server, other) = (ids.swap_remove(0), ids.swap_remove(0));
        Fault { kind, server, other, redis, lasts, connection: None }
    }

    /// What it breaks.
    pub fn claims(&self, stage: &Stage) -> Vec<Claim> {
        let way = |from: &str, to: &str| Claim::Way(from.to_owned(), to.to_owned());
        let Fault { server, other, .. } = self;
        match self.kind {
            Kind::Server(OfServer::Killed | OfServer::Stopped | OfServer::SegmentDamaged) => {
                vec![Claim::Server(server.clone())]
            }
            Kind::Server(OfServer::AllKilled) => {
                stage.founders.iter().cloned().map(Claim::Server).collect()
            }
            Kind::Way(OnTheWay::Isolated | OnTheWay::AllCut | OnTheWay::AllReset) => {
                let ways = stage.ways.keys();
                let ways = ways.filter(|(from, to)| from == server || to == server);
                ways.map(|(from, to)| way(from, to)).collect()
            }
            Kind::Way(OnTheWay::PairParted) => vec![way(server, other), way(other, server)],
            Kind::Way(
                OnTheWay::OneWayParted | OnTheWay::Slow | OnTheWay::Refused | OnTheWay::HalfOpen,
            ) => vec![way(server, other)],
            Kind::Door(AtTheDoor::ClientsCut | AtTheDoor::RepliesHeld) => {
                vec![Claim::Door(server.clone())]
            }
            Kind::Redis(_) => vec![Claim::Redis(self.redis)],
        }
    }

    /// Breaks it.
    pub fn begin(&mut self, stage: &mut Stage, dice: &mut fastrand::Rng) {
        match self.kind {
            Kind::Server(OfServer::Killed) => stage.bank.kill(&self.server),
            Kind::Server(OfServer::AllKilled) => {
                stage.founders.iter().for_each(|id| stage.bank.kill(id));
            }
            Kind::Server(OfServer::SegmentDamaged) => {
                stage.bank.kill(&self.server);
                segments::damage_one(&stage.bank, &self.server, dice);
            }
            Kind::Server(OfServer::Stopped) => signal(stage.bank.process(&self.server), "STOP"),
            Kind::Door(AtTheDoor::ClientsCut) => stage.doors[&self.server].strike(Blow::Cut),
            Kind::Door(AtTheDoor::RepliesHeld) => {
                stage.doors[&self.server].change(|way| way.hold_back = true);
            }
            Kind::Way(kind) => self.begin_on_the_way(kind, stage, dice),
            Kind::Redis(kind) => {
                self.begin_in_redis(kind, &mut stage.bank.stores[self.redis], dice);
            }
        }
    }

    fn begin_on_the_way(&self, kind: OnTheWay, stage: &Stage, dice: &mut fastrand::Rng) {
        let hold = |way: &mut Way| (way.hold_there, way.hold_back) = (true, true);
        let way = |from: &String, to: &String| &stage.ways[&(from.clone(), to.clone())];
        let there = way(&self.server, &self.other);
        match kind {
            OnTheWay::Isolated => stage.ways_of(&self.server).for_each(|way| way.change(hold)),
            OnTheWay::PairParted => {
                there.change(hold);
                way(&self.other, &self.server).change(hold);
            }
            OnTheWay::OneWayParted => there.change(|way| way.hold_there = true),
            OnTheWay::Slow => {
                let delay = Duration::from_millis(dice.u64(1..300));
                there.change(|way| way.delay = delay);
            }
            OnTheWay::Refused => {
                there.change(|way| way.refuse = true);
                there.strike(Blow::Cut);
            }
            OnTheWay::AllCut => stage.ways_of(&self.server).for_each(|way| way.strike(Blow::Cut)),
            OnTheWay::AllReset => {
                stage.ways_of(&self.server).for_each(|way| way.strike(Blow::Reset));
            }
            OnTheWay::HalfOpen => there.strike(Blow::HalfOpen),
        }
    }

    fn begin_in_redis(&mut self, kind: InRedis, redis: &mut TestRedis, dice: &mut fastrand::Rng) {
        match kind {
            InRedis::Killed => redis.kill(),
            InRedis::TornTail => {
                let element = r#"{"epoch":1,"seq":1,"entries":[["A","B",1]]}"#;
                let keys = ["TURN", "LOG"].map(|key| format!("SERVER-{key}-{}", self.server));
                let commands: [&[&str]; 2] = [&["INCR", &keys[0]], &["RPUSH", &keys[1], element]];
                let missing = if dice.bool() { 0 } else { dice.usize(1..150) };
                redis.kill_while_writing(&commands, missing);
            }
            InRedis::Stopped => signal(redis.process(), "STOP"),
            InRedis::Loading => redis.restart_with(&["--key-load-delay", "300"], 0),
            InRedis::DiskFull => {
                let size = redis.append_only_file().metadata().expect("a size").len();
                redis.restart_with(&[], size / 512 + dice.u64(8..200));
            }
            InRedis::Paused => {
                let pause = self.lasts.as_millis().to_string();
                self.order(redis, &["CLIENT", "PAUSE", &pause]);
            }
            InRedis::OutOfMemory => self.order(redis, &["CONFIG", "SET", "maxmemory", "1"]),
            InRedis::WithoutReplicas => {
                self.order(redis, &["CONFIG", "SET", "min-replicas-to-write", "1"]);
            }
            // Nobody listens at port 1.
            InRedis::ReadOnly => self.order(redis, &["REPLICAOF", "127.0.0.1", "1"]),
            InRedis::Rewrites => self.order(redis, &["BGREWRITEAOF"]),
            InRedis::WantsPassword => {
                self.order(redis, &["CONFIG", "SET", "requirepass", "chaos"]);
                // Who is connected already is not asked for the password.
                self.tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            }
            InRedis::HangsUp => self.order(redis, &["CLIENT", "KILL", "TYPE", "normal"]),
        }
    }

    /// Tells a Redis something, and keeps the connection.
    fn order(&mut self, redis: &TestRedis, words: &[&str]) {
        self.connection = Some(redis.connect());
        self.tell(words);
    }

    fn tell(&mut self, words: &[&str]) {
        let connection = self.connection.as_mut().expect("it was connected to");
        let _: redis::Value = say(connection, words);
    }

    /// Heals it.
    pub fn end(mut self, stage: &mut Stage) {
        match self.kind {
            Kind::Server(OfServer::Killed | OfServer::SegmentDamaged) => {
                stage.bank.start_server(&self.server);
            }
            Kind::Server(OfServer::AllKilled) => {
                stage.founders.iter().for_each(|id| stage.bank.start_server(id));
            }
            Kind::Server(OfServer::Stopped) => signal(stage.bank.process(&self.server), "CONT"),
            Kind::Way(kind) => self.end_on_the_way(kind, stage),
            Kind::Door(AtTheDoor::RepliesHeld) => {
                // Whatever is held is lost.
                stage.doors[&self.server].strike(Blow::Cut);
                stage.doors[&self.server].change(|way| *way = Way::default());
            }
            Kind::Door(AtTheDoor::ClientsCut) => {}
            Kind::Redis(kind) => self.end_in_redis(kind, &mut stage.bank.stores[self.redis]),
        }
    }

    fn end_on_the_way(&self, kind: OnTheWay, stage: &Stage) {
        let way = |from: &String, to: &String| &stage.ways[&(from.clone(), to.clone())];
        let there = way(&self.server, &self.other);
        match kind {
            OnTheWay::Isolated => {
                stage.ways_of(&self.server).for_each(|way| way.change(|way| *way = Way::default()));
            }
            OnTheWay::PairParted => {
                there.change(|way| *way = Way::default());
                way(&self.other, &self.server).change(|way| *way = Way::default());
            }
            OnTheWay::OneWayParted | OnTheWay::Slow | OnTheWay::Refused => {
                there.change(|way| *way = Way::default());
            }
            // What is still open at one end only is closed there as well.
            OnTheWay::HalfOpen => there.strike(Blow::Cut),
            OnTheWay::AllCut | OnTheWay::AllReset => {}
        }
    }

    fn end_in_redis(&mut self, kind: InRedis, redis: &mut TestRedis) {
        match kind {
            InRedis::Stopped => signal(redis.process(), "CONT"),
            InRedis::Paused => self.tell(&["PING"]),
            InRedis::OutOfMemory => self.tell(&["CONFIG", "SET", "maxmemory", "0"]),
            InRedis::WithoutReplicas => {
                self.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
            }
            InRedis::ReadOnly => self.tell(&["REPLICAOF", "NO", "ONE"]),
            InRedis::WantsPassword => self.tell(&["CONFIG", "SET", "requirepass", ""]),
            InRedis::HangsUp | InRedis::Rewrites => {}
            InRedis::Killed | InRedis::TornTail | InRedis::Loading | InRedis::DiskFull => {
                redis.restart();
            }
        }
    }
}
