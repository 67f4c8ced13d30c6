//! A bank of threads in this process, on either store: local transfers, a run, a zombie, no majority.

mod support;

use paxos_banking::store::Store;
use paxos_banking::store::memory::MemoryStore;
use paxos_banking::store::redis::{Options, RedisStore};
use serde_json::{Value, json};

use support::cluster::{Cluster, Stores, hears, quick, server, wait_until};
use support::redis::TestRedis;

const ALL: [&str; 3] = ["A", "B", "C"];

/// Plays the scenario of `./run.sh demo` on a cluster of three.
struct Play {
    cluster: Cluster,
}

impl Play {
    fn new(stores: Stores) -> Play {
        let mut cluster = Cluster::new(&ALL, quick(), stores);
        cluster.start_all();
        cluster.wait_until_open();
        Play { cluster }
    }

    fn ask(&self, id: &str, request: Value) -> Value {
        self.cluster.ask(id, &request).expect("an answer")
    }

    fn pays(&self, id: &str, to: &str, amount: u64) -> Value {
        self.ask(id, json!({"transfer": {"to": to, "amount": amount}}))
    }

    fn expect_paid(&self, id: &str, to: &str, amount: u64, via: &str, balance: u64) {
        let reply = self.pays(id, to, amount);
        let seen = (&reply["outcome"], &reply["via"], &reply["balance"]);
        assert_eq!(seen, (&json!("accepted"), &json!(via), &json!(balance)), "{reply}");
    }

    fn log_length(&self, id: &str) -> u64 {
        self.ask(id, json!({"log": {}}))["entries"].as_array().unwrap().len() as u64
    }

    fn logs(&self) -> [u64; 3] {
        ALL.map(|id| self.log_length(id))
    }

    fn balances(&self) -> [u64; 3] {
        ALL.map(|id| self.ask(id, json!({"balance": {}}))["balance"].as_u64().unwrap())
    }

    /// The number of entries in each block that these servers all hold.
    fn chain(&self, ids: &[&str]) -> Vec<usize> {
        let blocks = |id: &str| self.ask(id, json!({"chain": {}}))["blocks"].clone();
        let first = ids[0];
        wait_until("chains are equal", || ids.iter().all(|id| blocks(id) == blocks(first)));
        let blocks = blocks(first);
        let entries = |block: &Value| block["entries"].as_array().unwrap().len();
        blocks.as_array().unwrap().iter().map(entries).collect()
    }

    fn kill(&mut self, id: &str) {
        self.cluster.kill(id);
        wait_until(&format!("{id} is missed"), || {
            let mut others = self.cluster.nodes.keys();
            others.all(|other| !hears(&self.ask(other.as_str(), json!({"status": {}})), id))
        });
    }

    fn start(&mut self, id: &str) {
        self.cluster.start(id);
        self.cluster.wait_until_connected(id);
        assert_eq!(self.ask(id, json!({"status": {}}))["start"], json!("zombie"));
    }

    fn play(mut self) {
        self.local_transfers_and_two_runs();
        self.one_is_away();
        self.a_majority_is_away();
    }

    fn local_transfers_and_two_runs(&self) {
        self.expect_paid("A", "C", 20, "local", 80);
        self.expect_paid("A", "B", 60, "local", 20);
        self.expect_paid("B", "A", 70, "local", 30);
        self.expect_paid("C", "A", 50, "local", 50);
        assert_eq!((self.logs(), self.balances()), ([2, 1, 1], [20, 30, 50]));
        assert_eq!(self.chain(&ALL), [0]);
        self.expect_paid("A", "B", 30, "paxos", 110);
        assert_eq!(self.chain(&ALL), [0, 4]);
        assert_eq!(self.logs(), [1, 0, 0]);
        self.expect_paid("B", "C", 50, "local", 40);
        self.expect_paid("C", "B", 60, "local", 10);
        self.expect_paid("B", "A", 60, "paxos", 70);
        assert_eq!(self.chain(&ALL), [0, 4, 3]);
        assert_eq!(self.balances(), [110, 70, 60]);
    }

    fn one_is_away(&mut self) {
        self.kill("B");
        let refused = self.pays("A", "B", 200);
        assert_eq!(refused["outcome"], json!("refused"), "{refused}");
        assert_eq!(refused["consulted"], json!(["A", "C"]));
        assert_eq!(refused["not_consulted"], json!(["B"]));
        self.expect_paid("A", "C", 100, "local", 10);
        assert_eq!(self.ask("A", json!({"settle": {}}))["settled"], json!(true));
        assert_eq!(self.chain(&["A", "C"]), [0, 4, 3, 1]);
        self.start("B");
        assert_eq!(self.chain(&ALL), [0, 4, 3, 1]);
        assert_eq!((self.log_length("B"), self.balances()[1]), (1, 70));
    }

    fn a_majority_is_away(&mut self) {
        self.kill("B");
        self.kill("C");
        self.expect_paid("A", "B", 5, "local", 5);
        assert_eq!(self.pays("A", "B", 10_000)["outcome"], json!("unavailable"));
        assert_eq!(self.log_length("A"), 1);
        self.start("B");
        self.start("C");
        assert_eq!(self.ask("A", json!({"settle": {}}))["settled"], json!(true));
        assert_eq!(self.chain(&ALL), [0, 4, 3, 1, 2]);
        assert_eq!((self.logs(), self.balances()), ([0, 0, 0], [65, 75, 160]));
    }
}

#[test]
fn the_scenario_in_memory() {
    let disks = ALL.map(|id| (server(id), MemoryStore::new()));
    Play::new(Box::new(move |id| {
        let disk = disks.iter().find(|(of, _)| of == id).expect("one for each");
        Box::new(disk.1.clone())
    }))
    .play();
}

fn redis_store(redis: &TestRedis) -> Stores {
    let url = redis.url();
    Box::new(move |id| -> Box<dyn Store> {
        Box::new(RedisStore::new(&url, id, Options::default()).unwrap())
    })
}

#[test]
fn the_scenario_on_one_redis_for_all() {
    let redis = TestRedis::start();
    Play::new(redis_store(&redis)).play();
}

#[test]
fn the_scenario_on_a_redis_each() {
    let all = ALL.map(|_| TestRedis::start());
    let mut stores: Vec<_> = ALL.iter().zip(&all).map(|(id, r)| (*id, redis_store(r))).collect();
    Play::new(Box::new(move |id| {
        let own = stores.iter_mut().find(|(of, _)| *of == id.as_str()).expect("one for each");
        (own.1)(id)
    }))
    .play();
}
