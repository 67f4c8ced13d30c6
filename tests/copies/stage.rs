//! A bank whose servers share a Redis with replicas.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cluster::wait_until;
use crate::support::process::{Bank, Setup};
use crate::support::redis::{Program, TestRedis, say};

pub const OPENING: u64 = 1_000_000;
/// For how long a master that is lost goes on without its replica.
const CUT_OFF: Duration = Duration::from_millis(200);

/// The bank, and what Redis has beside itself.
pub struct Stage {
    pub bank: Bank,
    pub replicas: Vec<TestRedis>,
    pub store: Program,
    _logs: TempDir,
}

impl Stage {
    /// Servers A, B and C, none of which is started yet, and their Redis with so many replicas.
    pub fn set_up(store: Program, replicas: usize, flags: &[&str]) -> Stage {
        let logs = tempfile::tempdir().unwrap();
        let opening = OPENING.to_string();
        let usual =
            ["--heartbeat", "100ms", "--redial-most", "200ms", "--opening-balance", &opening];
        let flags = usual.iter().chain(flags).map(|flag| flag.to_string()).collect();
        let setup = Setup {
            flags,
            logs: Some(logs.path().to_owned()),
            store: (store.clone(), Vec::new()),
            ..Default::default()
        };
        let bank = Bank::set_up(&["A", "B", "C"], setup);
        let mut stage = Stage { bank, replicas: Vec::new(), store, _logs: logs };
        (0..replicas).for_each(|_| stage.add_replica(&[]));
        stage
    }

    /// The same, open and connected; each turn is confirmed by one replica.
    pub fn open(store: Program, replicas: usize) -> Stage {
        let mut stage = Stage::set_up(store, replicas, &["--redis-copies", "1"]);
        stage.bank.start_all();
        stage
    }

    /// Their Redis.
    pub fn master(&mut self) -> &mut TestRedis {
        &mut self.bank.stores[0]
    }

    pub fn add_replica(&mut self, arguments: &[&str]) {
        let replica = TestRedis::follow(&self.store, &self.bank.stores[0], arguments);
        self.replicas.push(replica);
    }

    /// The machine with their Redis is gone: the process is killed, and the folder removed. The first replica
    /// is promoted, and takes its place.
    ///
    /// Before it is gone it is cut off for a moment: what it does then is nowhere else. (What was sent before
    /// would reach the replica even after a kill, since both are on one machine.)
    pub fn lose_the_master(&mut self) {
        let mut promoted = self.replicas.remove(0);
        promoted.promote();
        thread::sleep(CUT_OFF);
        self.bank.stores[0].kill();
        let folder = self.bank.stores[0].data();
        drop(std::mem::replace(&mut self.bank.stores[0], promoted));
        assert!(!folder.exists(), "the lost one's data are still there");
    }

    /// The same, and the replica is found where the lost one was.
    pub fn lose_the_master_at_its_address(&mut self) {
        let port = self.bank.stores[0].port();
        self.lose_the_master();
        self.master().move_to(port);
    }

    /// A turn counter, as the servers' Redis has it.
    pub fn turn(&mut self, id: &str) -> u64 {
        turn(self.master(), id)
    }

    pub fn log(&self, id: &str) -> String {
        fs::read_to_string(self.bank.log_file(id).expect("servers log here")).unwrap()
    }

    pub fn status(&self, id: &str) -> Value {
        self.bank.ask(id, &json!({"status": {}})).unwrap_or_default()
    }

    pub fn balance(&self, id: &str) -> Value {
        self.bank.ask(id, &json!({"balance": {}})).unwrap_or_default()["balance"].clone()
    }

    /// Waits until a server has ended by itself, and returns what it said.
    pub fn ends(&mut self, id: &str) -> String {
        wait_until("the server ends", || {
            self.bank.process(id).expect("it was started").ended().is_some()
        });
        self.log(id)
    }
}

/// A server's turn counter in a Redis.
pub fn turn(redis: &TestRedis, id: &str) -> u64 {
    say(&mut redis.connect(), &["GET", &format!("SERVER-TURN-{id}")])
}

/// A payment of A's to B.
pub fn pays(amount: u64) -> Value {
    json!({"transfer": {"to": "B", "amount": amount}})
}

/// Pays as [`pays`] says, under one name however often it has to be asked.
pub fn pay(stage: &Stage, amount: u64) {
    use paxos_banking::bank::amount::Amount;
    use paxos_banking::bank::request::Outcome;
    use paxos_banking::client::session::Ending;

    let to = "B".parse().unwrap();
    let ending = stage.bank.session("A").transfer(None, to, Amount::new(amount).unwrap());
    assert!(matches!(ending, Ending::Decided(Outcome::Accepted { .. })), "{ending:?}");
}
