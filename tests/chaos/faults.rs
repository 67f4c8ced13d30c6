//! What can go wrong, how it begins and how it is healed.

use std::time::Duration;

use redis::Connection;

use crate::proxy::{Blow, Way};
use crate::stage::Stage;
use crate::support::process::signal;
use crate::support::redis::{TestRedis, say};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    ServerKilled,
    AllServersKilled,
    ServerStopped,
    RedisKilled,
    RedisTornTail,
    RedisStopped,
    RedisPaused,
    RedisOutOfMemory,
    RedisWithoutReplicas,
    RedisReadOnly,
    RedisWantsPassword,
    RedisLoading,
    RedisDiskFull,
    RedisHangsUp,
    RedisRewrites,
    ServerIsolated,
    PairParted,
    OneWayParted,
    WaySlow,
    WayRefused,
    WaysCut,
    WaysReset,
    WayHalfOpen,
    ClientsCut,
    RepliesHeld,
}

pub const ALL: [Kind; 25] = [
    Kind::ServerKilled,
    Kind::AllServersKilled,
    Kind::ServerStopped,
    Kind::RedisKilled,
    Kind::RedisTornTail,
    Kind::RedisStopped,
    Kind::RedisPaused,
    Kind::RedisOutOfMemory,
    Kind::RedisWithoutReplicas,
    Kind::RedisReadOnly,
    Kind::RedisWantsPassword,
    Kind::RedisLoading,
    Kind::RedisDiskFull,
    Kind::RedisHangsUp,
    Kind::RedisRewrites,
    Kind::ServerIsolated,
    Kind::PairParted,
    Kind::OneWayParted,
    Kind::WaySlow,
    Kind::WayRefused,
    Kind::WaysCut,
    Kind::WaysReset,
    Kind::WayHalfOpen,
    Kind::ClientsCut,
    Kind::RepliesHeld,
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
        let mut ids = stage.bank.ids();
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
            Kind::ServerKilled | Kind::ServerStopped => vec![Claim::Server(server.clone())],
            Kind::AllServersKilled => stage.bank.ids().into_iter().map(Claim::Server).collect(),
            Kind::ServerIsolated | Kind::WaysCut | Kind::WaysReset => {
                let ways = stage.ways.keys();
                let ways = ways.filter(|(from, to)| from == server || to == server);
                ways.map(|(from, to)| way(from, to)).collect()
            }
            Kind::PairParted => vec![way(server, other), way(other, server)],
            Kind::OneWayParted | Kind::WaySlow | Kind::WayRefused | Kind::WayHalfOpen => {
                vec![way(server, other)]
            }
            Kind::ClientsCut | Kind::RepliesHeld => vec![Claim::Door(server.clone())],
            _ => vec![Claim::Redis(self.redis)],
        }
    }

    /// Breaks it.
    pub fn begin(&mut self, stage: &mut Stage, dice: &mut fastrand::Rng) {
        match self.kind {
            Kind::ServerKilled => stage.bank.kill(&self.server),
            Kind::AllServersKilled => {
                stage.bank.ids().iter().for_each(|id| stage.bank.kill(id));
            }
            Kind::ServerStopped => signal(stage.bank.process(&self.server), "STOP"),
            Kind::ClientsCut => stage.doors[&self.server].strike(Blow::Cut),
            Kind::RepliesHeld => stage.doors[&self.server].change(|way| way.hold_back = true),
            Kind::ServerIsolated
            | Kind::PairParted
            | Kind::OneWayParted
            | Kind::WaySlow
            | Kind::WayRefused
            | Kind::WaysCut
            | Kind::WaysReset
            | Kind::WayHalfOpen => {
                self.begin_on_the_way(stage, dice);
            }
            _ => self.begin_in_redis(&mut stage.bank.stores[self.redis], dice),
        }
    }

    fn begin_on_the_way(&self, stage: &Stage, dice: &mut fastrand::Rng) {
        let hold = |way: &mut Way| (way.hold_there, way.hold_back) = (true, true);
        let way = |from: &String, to: &String| &stage.ways[&(from.clone(), to.clone())];
        let there = way(&self.server, &self.other);
        match self.kind {
            Kind::ServerIsolated => stage.ways_of(&self.server).for_each(|way| way.change(hold)),
            Kind::PairParted => {
                there.change(hold);
                way(&self.other, &self.server).change(hold);
            }
            Kind::OneWayParted => there.change(|way| way.hold_there = true),
            Kind::WaySlow => {
                let delay = Duration::from_millis(dice.u64(1..300));
                there.change(|way| way.delay = delay);
            }
            Kind::WayRefused => {
                there.change(|way| way.refuse = true);
                there.strike(Blow::Cut);
            }
            Kind::WaysCut => stage.ways_of(&self.server).for_each(|way| way.strike(Blow::Cut)),
            Kind::WaysReset => stage.ways_of(&self.server).for_each(|way| way.strike(Blow::Reset)),
            _ => there.strike(Blow::HalfOpen),
        }
    }

    fn begin_in_redis(&mut self, redis: &mut TestRedis, dice: &mut fastrand::Rng) {
        match self.kind {
            Kind::RedisKilled => redis.kill(),
            Kind::RedisTornTail => {
                let element = r#"{"epoch":1,"seq":1,"entries":[["A","B",1]]}"#;
                let keys = ["TURN", "LOG"].map(|key| format!("SERVER-{key}-{}", self.server));
                let commands: [&[&str]; 2] = [&["INCR", &keys[0]], &["RPUSH", &keys[1], element]];
                let missing = if dice.bool() { 0 } else { dice.usize(1..150) };
                redis.kill_while_writing(&commands, missing);
            }
            Kind::RedisStopped => signal(redis.process(), "STOP"),
            Kind::RedisLoading => redis.restart_with(&["--key-load-delay", "300"], 0),
            Kind::RedisDiskFull => {
                let size = redis.append_only_file().metadata().expect("a size").len();
                redis.restart_with(&[], size / 512 + dice.u64(8..200));
            }
            _ => {
                let mut connection = redis.connect();
                let pause = self.lasts.as_millis().to_string();
                let words: &[&str] = match self.kind {
                    Kind::RedisPaused => &["CLIENT", "PAUSE", &pause],
                    Kind::RedisOutOfMemory => &["CONFIG", "SET", "maxmemory", "1"],
                    Kind::RedisWithoutReplicas => &["CONFIG", "SET", "min-replicas-to-write", "1"],
                    // Nobody listens at port 1.
                    Kind::RedisReadOnly => &["REPLICAOF", "127.0.0.1", "1"],
                    Kind::RedisRewrites => &["BGREWRITEAOF"],
                    Kind::RedisWantsPassword => &["CONFIG", "SET", "requirepass", "chaos"],
                    _ => &["PING"],
                };
                let _: redis::Value = say(&mut connection, words);
                // Who is connected already is not asked for the password.
                if matches!(self.kind, Kind::RedisWantsPassword | Kind::RedisHangsUp) {
                    let _: usize = say(&mut connection, &["CLIENT", "KILL", "TYPE", "normal"]);
                }
                self.connection = Some(connection);
            }
        }
    }

    /// Heals it.
    pub fn end(mut self, stage: &mut Stage) {
        match self.kind {
            Kind::ServerKilled => stage.bank.start_server(&self.server),
            Kind::AllServersKilled => {
                stage.bank.ids().iter().for_each(|id| stage.bank.start_server(id));
            }
            Kind::ServerStopped => signal(stage.bank.process(&self.server), "CONT"),
            Kind::ServerIsolated => {
                stage.ways_of(&self.server).for_each(|way| way.change(|way| *way = Way::default()));
            }
            Kind::PairParted | Kind::OneWayParted | Kind::WaySlow | Kind::WayRefused => {
                for (from, to) in [(&self.server, &self.other), (&self.other, &self.server)] {
                    if self.kind == Kind::PairParted || *from == self.server {
                        let way = &stage.ways[&(from.clone(), to.clone())];
                        way.change(|way| *way = Way::default());
                    }
                }
            }
            // What is still open at one end only is closed there as well.
            Kind::WayHalfOpen => {
                stage.ways[&(self.server.clone(), self.other.clone())].strike(Blow::Cut);
            }
            Kind::RepliesHeld => {
                // Whatever is held is lost.
                stage.doors[&self.server].strike(Blow::Cut);
                stage.doors[&self.server].change(|way| *way = Way::default());
            }
            Kind::WaysCut | Kind::WaysReset | Kind::ClientsCut => {}
            _ => self.end_in_redis(&mut stage.bank.stores[self.redis]),
        }
    }

    fn end_in_redis(&mut self, redis: &mut TestRedis) {
        let mut tell = |words: &[&str]| {
            let connection = self.connection.as_mut().expect("it was connected to");
            let _: redis::Value = say(connection, words);
        };
        match self.kind {
            Kind::RedisStopped => signal(redis.process(), "CONT"),
            Kind::RedisPaused => tell(&["PING"]),
            Kind::RedisOutOfMemory => tell(&["CONFIG", "SET", "maxmemory", "0"]),
            Kind::RedisWithoutReplicas => tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]),
            Kind::RedisReadOnly => tell(&["REPLICAOF", "NO", "ONE"]),
            Kind::RedisWantsPassword => tell(&["CONFIG", "SET", "requirepass", ""]),
            Kind::RedisHangsUp | Kind::RedisRewrites => {}
            _ => redis.restart(),
        }
    }
}
