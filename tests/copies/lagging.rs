//! A replica that lacks what was told is promoted.

use serde_json::json;

use crate::stage::{Stage, pay, turn};
use crate::support::cluster::wait_until;
use crate::support::process::{Bank, Setup};
use crate::support::redis::{Program, TestRedis, say};
use crate::support::stores::program;

/// Cuts a replica off: it follows nobody from now on.
fn leave_behind(replica: &TestRedis) {
    say::<()>(&mut replica.connect(), &["REPLICAOF", "127.0.0.1", "1"]);
}

/// The process knows which turn it wrote last.
pub fn a_running_server_does_not_go_on_with_a_replica_that_lags(name: &str) {
    let Some(store) = program(name) else { return };
    let mut stage = Stage::open(store, 2);
    pay(&stage, 1);
    leave_behind(&stage.replicas[0]);
    pay(&stage, 2);
    let (was, is) = (stage.turn("A"), turn(&stage.replicas[0], "A"));
    assert!(is < was, "it does not lag");
    stage.lose_the_master_at_its_address();
    let log = stage.ends("A");
    assert!(log.contains("it is at turn") && log.contains("lost, swapped or rolled back"), "{log}");
    assert_eq!(stage.turn("A"), is, "something was written to it");
}

/// Each server on a Redis of its own, of which B's has two replicas: one confirms, the other will lag.
fn b_with_two_replicas(store: &Program) -> (Bank, TestRedis, TestRedis) {
    let flags = ["--redial-most", "200ms", "--silence", "20m"].map(str::to_owned).into();
    let store_of_each = (store.clone(), Vec::new());
    let setup = Setup { redis_each: true, flags, store: store_of_each, ..Default::default() };
    let mut bank = Bank::set_up(&["A", "B", "C"], setup);
    let [confirms, lags] = [(); 2].map(|()| TestRedis::follow(store, bank.redis("B"), &[]));
    start_all(&mut bank, "100ms");
    bank.wait_until_connected();
    (bank, confirms, lags)
}

fn start_all(bank: &mut Bank, heartbeat: &str) {
    for (id, copies) in [("A", "0"), ("B", "1"), ("C", "0")] {
        bank.start_server_with(id, &["--heartbeat", heartbeat, "--redis-copies", copies]);
    }
}

fn pay_from_b(bank: &Bank) {
    let told = bank.ask("B", &json!({"transfer": {"to": "C", "amount": 1}})).unwrap();
    assert_eq!(told["outcome"], json!("accepted"));
}

/// B and its Redis are lost. B starts again, on the replica that lags.
fn start_on(bank: &mut Bank, mut lags: TestRedis) {
    bank.kill("B");
    lags.promote();
    *bank.redis("B") = lags;
    bank.start_server("B");
}

/// A server that starts remembers nothing. Its peers do.
pub fn a_server_that_starts_on_a_replica_that_lags_is_told_by_the_others(name: &str) {
    let Some(store) = program(name) else { return };
    let (mut bank, _confirms, lags) = b_with_two_replicas(&store);
    leave_behind(&lags);
    pay_from_b(&bank);
    let at = turn(bank.redis("B"), "B");
    for other in ["A", "C"] {
        wait_until("the others have seen it", || {
            let status = bank.ask(other, &json!({"status": {}})).unwrap_or_default();
            let peers = status["peers"].as_array().cloned().unwrap_or_default();
            peers.iter().any(|peer| peer["id"] == json!("B") && peer["turn"].as_u64() >= Some(at))
        });
    }
    start_on(&mut bank, lags);
    wait_until("it ends", || bank.process("B").unwrap().ended().is_some());
}

/// What doc/OPERATING.md warns of: nothing but the lost store and the replica that confirmed it held this turn, and
/// no heartbeat told of it. So `--redis-copies` has to count every replica that may be promoted.
pub fn what_no_peer_has_seen_is_not_missed(name: &str) {
    let Some(store) = program(name) else { return };
    let (mut bank, confirms, lags) = b_with_two_replicas(&store);
    for id in bank.ids() {
        bank.kill(&id);
    }
    start_all(&mut bank, "10m");
    let hears_b = |id: &str| {
        let status = bank.ask(id, &json!({"status": {}})).unwrap_or_default();
        let peers = status["peers"].as_array().cloned().unwrap_or_default();
        peers.iter().any(|peer| peer["id"] == json!("B") && peer["connected"] == json!(true))
    };
    wait_until("B was heard", || ["A", "C"].into_iter().all(hears_b));
    wait_until("nothing lags yet", || turn(&lags, "B") == turn(&bank.stores[1], "B"));
    leave_behind(&lags);
    pay_from_b(&bank);
    assert!(turn(&confirms, "B") > turn(&lags, "B"), "it does not lag");
    start_on(&mut bank, lags);
    let balance = |bank: &Bank| bank.ask("B", &json!({"balance": {}})).unwrap_or_default();
    wait_until("it serves", || balance(&bank)["balance"] == json!(100));
}
