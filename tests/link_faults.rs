//! Links that are broken on request: what is sent over them is lost or late, the way back is not
//! touched, and healing brings them back.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::cluster::{Client, Cluster, hears, quick, server, wait_until};

use paxos_banking::store::memory::MemoryStore;

/// Servers that allow it, open and connected.
fn cluster(ids: &[&str]) -> Cluster {
    let disks: BTreeMap<_, _> = ids.iter().map(|id| (server(id), MemoryStore::new())).collect();
    let stores = Box::new(move |id: &_| Box::new(disks[id].clone()) as _);
    let mut cluster = Cluster::new(ids, quick(), stores);
    for config in cluster.configs.values_mut() {
        config.allow_fault_injection = true;
    }
    cluster.start_all();
    cluster.wait_until_open();
    cluster
}

fn order(cluster: &Cluster, id: &str, order: Value) -> Value {
    cluster.ask(id, &order).expect("an answer")
}

fn cut(cluster: &Cluster, id: &str, peer: &str) {
    let answer = order(cluster, id, json!({"kind": "link", "fault": "cut", "peer": peer}));
    assert_eq!(answer["faults"], json!([{"peer": peer, "fault": "cut"}]));
}

fn heal(cluster: &Cluster, id: &str) {
    let answer = order(cluster, id, json!({"kind": "link", "fault": "heal"}));
    assert_eq!(answer["faults"], json!([]));
}

/// Whether a server hears another one.
fn is_heard(cluster: &Cluster, by: &str, other: &str) -> bool {
    hears(&order(cluster, by, json!({"status": {}})), other)
}

fn pay(cluster: &Cluster, from: &str, to: &str, amount: u64) -> Value {
    cluster.client(from).ask(&json!({"transfer": {"to": to, "amount": amount}}))
}

#[test]
fn a_link_that_is_cut_carries_nothing_one_way_until_it_is_healed() {
    let cluster = cluster(&["A", "B"]);
    cut(&cluster, "A", "B");
    wait_until("B hears A no more", || !is_heard(&cluster, "B", "A"));
    assert!(is_heard(&cluster, "A", "B"), "B's own link is not touched");
    // Longer than it would take to dial again.
    std::thread::sleep(2 * quick().redial_most);
    assert!(!is_heard(&cluster, "B", "A"));
    heal(&cluster, "A");
    wait_until("B hears A again", || is_heard(&cluster, "B", "A"));
}

#[test]
fn a_server_cut_off_both_ways_serves_alone_and_catches_up_when_healed() {
    let cluster = cluster(&["A", "B", "C"]);
    for (id, peer) in [("A", "C"), ("B", "C")] {
        cut(&cluster, id, peer);
    }
    order(&cluster, "C", json!({"kind": "link", "fault": "cut", "peer": "A"}));
    order(&cluster, "C", json!({"kind": "link", "fault": "cut", "peer": "B"}));
    wait_until("A doesn't hear C", || !is_heard(&cluster, "A", "C"));
    wait_until("C hears nobody", || !is_heard(&cluster, "C", "A") && !is_heard(&cluster, "C", "B"));
    assert_eq!(pay(&cluster, "C", "A", 40)["via"], json!("local"));
    assert_eq!(pay(&cluster, "C", "A", 90)["outcome"], json!("unavailable"));
    let refused = pay(&cluster, "A", "B", 130);
    assert_eq!(refused["not_consulted"], json!(["C"]), "{refused}");
    ["A", "B", "C"].iter().for_each(|id| heal(&cluster, id));
    wait_until("C's payment is in the chain", || {
        cluster.ask("A", &json!({"settle": {}}));
        let balance = order(&cluster, "B", json!({"balance": {"account": "A"}}));
        balance["balance"] == json!(140)
    });
}

#[test]
fn a_link_that_drops_everything_has_no_handshake_either() {
    let mut cluster = cluster(&["A", "B"]);
    let fault = json!({"peer": "B", "fault": "drop", "percent": 100});
    let mut line = fault.clone();
    line["kind"] = json!("link");
    assert_eq!(order(&cluster, "A", line)["faults"], json!([fault]));
    wait_until("B hears A no more", || !is_heard(&cluster, "B", "A"));
    cluster.kill("B");
    cluster.start("B");
    wait_until("A hears the new B", || is_heard(&cluster, "A", "B"));
    assert!(!is_heard(&cluster, "B", "A"));
    heal(&cluster, "A");
    wait_until("B hears A again", || is_heard(&cluster, "B", "A"));
}

#[test]
fn what_a_link_delays_is_late_and_comes() {
    const DELAY: Duration = Duration::from_millis(400);
    let cluster = cluster(&["A", "B"]);
    let mut client = cluster.client("A");
    let ms = DELAY.as_millis() as u64;
    client.ask(&json!({"kind": "link", "fault": "delay", "peer": "B", "ms": ms}));
    let settle = |client: &mut Client| {
        client.ask(&json!({"transfer": {"to": "B", "amount": 1}}));
        let begun = Instant::now();
        let settled = client.ask(&json!({"settle": {}}));
        assert_eq!(settled["settled"], json!(true), "{settled}");
        begun.elapsed()
    };
    // Prepare and accept.
    let late = settle(&mut client);
    assert!(late >= 2 * DELAY, "{late:?}");
    client.ask(&json!({"kind": "link", "fault": "heal", "peer": "B"}));
    wait_until("it is quick again", || settle(&mut client) < 2 * DELAY);
}

#[test]
fn who_may_not_or_asks_for_nonsense_is_told_so() {
    let stores = Box::new(|_: &_| Box::new(MemoryStore::new()) as _);
    let mut plain = Cluster::new(&["A", "B"], quick(), stores);
    plain.start_all();
    let message = |reply: &Value| reply["message"].as_str().unwrap_or_default().to_owned();
    for line in
        [json!({"id": 3, "kind": "link"}), json!({"id": 3, "kind": "link", "fault": "heal"})]
    {
        let reply = order(&plain, "A", line);
        assert_eq!((&reply["id"], &reply["error"]), (&json!(3), &json!("bad_request")));
        assert!(message(&reply).contains("--allow-fault-injection"), "{reply}");
    }
    let cluster = cluster(&["A", "B"]);
    for (peer, part) in [("A", "A is this server"), ("X", "no server X; A has links to B")] {
        let reply = order(&cluster, "A", json!({"kind": "link", "fault": "cut", "peer": peer}));
        assert!(message(&reply).contains(part), "{reply}");
    }
    assert_eq!(order(&cluster, "A", json!({"kind": "link"}))["faults"], json!([]));
}
