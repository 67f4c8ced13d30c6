//! Many accounts on a bank of threads in this process: openings, groups, settlement, patience,
//! statements and lists.

mod support;

use std::collections::BTreeMap;

use paxos_banking::store::memory::MemoryStore;
use serde_json::{Value, json};

use support::cluster::{Cluster, Stores, quick, server, wait_until};

const ALL: [&str; 3] = ["A", "B", "C"];

fn bank() -> Cluster {
    open_bank(|_| {})
}

fn open_bank(set_up: impl Fn(&mut Cluster)) -> Cluster {
    let disks: BTreeMap<_, _> = ALL.map(|id| (server(id), MemoryStore::new())).into();
    let stores: Stores = Box::new(move |id| Box::new(disks[id].clone()));
    let mut cluster = Cluster::new(&ALL, quick(), stores);
    set_up(&mut cluster);
    cluster.start_all();
    cluster.wait_until_open();
    cluster
}

fn ask(cluster: &Cluster, id: &str, request: Value) -> Value {
    cluster.ask(id, &request).expect("an answer")
}

/// The outcomes of a batch, where `[seq,balance]` is just the balance.
fn batch(cluster: &Cluster, id: &str, items: Value) -> Vec<Value> {
    let reply = ask(cluster, id, json!({"batch": {"items": items}}));
    let outcomes = reply["outcomes"].as_array().unwrap_or_else(|| panic!("{reply}"));
    let plain = |outcome: &Value| match outcome {
        Value::Array(pair) => pair[1].clone(),
        other => other["outcome"].clone(),
    };
    outcomes.iter().map(plain).collect()
}

fn settle(cluster: &Cluster, id: &str) {
    let reply = ask(cluster, id, json!({"settle": {}}));
    assert_eq!(reply["settled"], json!(true), "{reply}");
}

#[test]
fn accounts_of_two_branches_pay_each_other() {
    let bank = bank();
    let opened =
        batch(&bank, "A", json!([{"open": "A/alice"}, {"open": "A/bob"}, ["A", "A/alice", 50]]));
    assert_eq!(opened, [json!(0), json!(0), json!(50)]);
    // Within a home, money can be spent again at once.
    let spent = batch(&bank, "A", json!([["A/alice", "A/bob", 30], ["A/bob", "B", 20]]));
    assert_eq!(spent, [json!(20), json!(10)]);
    let again = ask(&bank, "A", json!({"open": {"account": "A/bob"}}));
    assert_eq!((&again["outcome"], &again["balance"]), (&json!("refused"), &json!(10)));

    // B knows nothing of A/alice yet: a run finds it.
    let paid = ask(&bank, "B", json!({"transfer": {"to": "A/alice", "amount": 5}}));
    assert_eq!((&paid["outcome"], &paid["via"]), (&json!("accepted"), &json!("paxos")), "{paid}");
    let nobody = ask(&bank, "B", json!({"transfer": {"to": "A/nobody", "amount": 5}}));
    assert_eq!(nobody["outcome"], json!("refused"), "{nobody}");
    assert_eq!(nobody["reason"], json!("there is no account A/nobody"));
    assert_eq!(nobody["consulted"], json!(ALL));

    let wrong = ask(&bank, "B", json!({"transfer": {"from": "A/alice", "to": "B", "amount": 5}}));
    assert_eq!((&wrong["outcome"], &wrong["server"]), (&json!("wrong_server"), &json!("A")));
    assert_eq!(wrong["address"], json!(bank.configs[&server("A")].listen));
}

#[test]
fn linked_ones_happen_all_or_none_even_after_a_run() {
    let bank = bank();
    let linked =
        |to: &str, amount| json!({"from": "A", "to": to, "amount": amount, "linked": true});
    let failed = batch(&bank, "A", json!([linked("B", 10), ["A", "C", 500]]));
    assert_eq!(failed, [json!("linked_failed"), json!("refused")]);
    assert_eq!(ask(&bank, "A", json!({"balance": {}}))["balance"], json!(100));
    // C's 60 are found by the run: both happen, and are in one block.
    ask(&bank, "C", json!({"transfer": {"to": "A", "amount": 60}}));
    let waited = batch(&bank, "A", json!([linked("B", 90), ["A", "C", 70]]));
    assert_eq!(waited, [json!("accepted"), json!("accepted")]);
    settle(&bank, "A");
    let chain = ask(&bank, "A", json!({"chain": {}}));
    let last = chain["blocks"].as_array().unwrap().last().unwrap()["entries"].clone();
    assert_eq!((&last[0]["amount"], &last[1]["amount"]), (&json!(90), &json!(70)), "{last}");
    assert_eq!(last[0]["linked"], json!(true));
}

#[test]
fn a_settled_transfer_is_answered_when_it_is_in_a_block() {
    let mut bank = bank();
    let transfer = json!({"transfer": {"to": "B", "amount": 5, "settled": true}});
    let reply = ask(&bank, "A", transfer.clone());
    assert_eq!((&reply["outcome"], &reply["settled"]), (&json!("accepted"), &json!(true)));
    assert_eq!(ask(&bank, "A", json!({"log": {}}))["entries"], json!([]));
    // Without a majority it has happened all the same.
    bank.kill("B");
    bank.kill("C");
    let reply = ask(&bank, "A", transfer);
    assert_eq!((&reply["outcome"], &reply["settled"]), (&json!("accepted"), &json!(false)));
}

#[test]
fn what_may_wait_is_served_by_the_money_that_comes_and_holds_nothing_up() {
    let bank = bank();
    let mut waiting = bank.client("A");
    waiting.send(b"{\"id\":1,\"transfer\":{\"to\":\"C\",\"amount\":120,\"wait_ms\":60000}}\n");
    wait_until("it waits", || ask(&bank, "A", json!({"status": {}}))["waiting"] == json!(1));
    let covered = ask(&bank, "A", json!({"transfer": {"to": "B", "amount": 10}}));
    assert_eq!(covered["via"], json!("local"), "{covered}");
    ask(&bank, "B", json!({"transfer": {"to": "A", "amount": 40}}));
    settle(&bank, "B");
    let reply = waiting.read().expect("an answer");
    assert_eq!((&reply["outcome"], &reply["balance"]), (&json!("accepted"), &json!(10)), "{reply}");
}

#[test]
fn servers_that_settle_by_themselves_keep_their_logs_short() {
    let bank = open_bank(|cluster| {
        cluster.configs.values_mut().for_each(|config| config.settle_at = Some(20));
    });
    for _ in 0..10 {
        let items: Vec<Value> = (0..10).map(|_| json!(["A", "B", 1])).collect();
        batch(&bank, "A", json!(items));
        let items: Vec<Value> = (0..10).map(|_| json!(["B", "A", 1])).collect();
        batch(&bank, "B", json!(items));
    }
    let log_length = |id| ask(&bank, id, json!({"status": {}}))["log_length"].as_u64().unwrap();
    wait_until("the logs are short", || log_length("A") < 20 && log_length("B") < 20);
}

/// All pages of a statement, as (height, balance) of each line.
fn statement(bank: &Cluster, id: &str, account: &str, limit: u64) -> Vec<(Option<u64>, u64)> {
    let mut lines = Vec::new();
    let mut before = None;
    loop {
        let mut history = json!({"account": account, "limit": limit});
        if let Some(before) = before {
            history["before"] = before;
        }
        let page = ask(bank, id, json!({"history": history}));
        let of_page = page["lines"].as_array().unwrap_or_else(|| panic!("{page}"));
        assert!(of_page.len() as u64 <= limit);
        let line = |line: &Value| (line["height"].as_u64(), line["balance"].as_u64().unwrap());
        lines.extend(of_page.iter().map(line));
        match &page["next"] {
            Value::Null => return lines,
            next => before = Some(next.clone()),
        }
    }
}

#[test]
fn a_statement_tells_every_entry_once_whatever_the_size_of_its_pages() {
    let bank = bank();
    batch(&bank, "A", json!([{"open": "A/x"}, ["A", "A/x", 50], ["A/x", "B", 1], ["A", "B", 1]]));
    settle(&bank, "A");
    ask(&bank, "B", json!({"transfer": {"to": "A/x", "amount": 7}}));
    settle(&bank, "C");
    ask(&bank, "C", json!({"transfer": {"to": "B", "amount": 7}}));
    settle(&bank, "C");
    batch(&bank, "A", json!([["A/x", "C", 6], ["A/x", "A", 10], ["A/x", "B", 20]]));
    let chain = [(Some(2), 56), (Some(1), 49), (Some(1), 50), (Some(1), 0)];
    let log = [(None, 20), (None, 40), (None, 50)];
    let whole = [&log[..], &chain[..]].concat();
    assert_eq!(statement(&bank, "A", "A/x", 50), whole);
    for limit in 1..6 {
        assert_eq!(statement(&bank, "A", "A/x", limit), whole);
    }
    // Away from home the log is not known.
    for limit in 1..5 {
        assert_eq!(statement(&bank, "B", "A/x", limit), chain);
    }
    let short = ask(&bank, "A", json!({"history": {"account": "A/x", "limit": 1}}));
    settle(&bank, "A");
    let late = json!({"history": {"account": "A/x", "before": short["next"]}});
    let reply = ask(&bank, "A", late);
    assert_eq!(
        reply["error"],
        json!("bad_request"),
        "what it goes on from is in the chain: {reply}"
    );
    let forged = json!({"height": 2, "place": 9, "balance": 0});
    let reply = ask(&bank, "B", json!({"history": {"account": "A/x", "before": forged}}));
    assert_eq!(reply["error"], json!("bad_request"), "{reply}");
    let reply = ask(&bank, "B", json!({"history": {"account": "A/y"}}));
    assert_eq!(reply["error"], json!("unknown_account"));
}

#[test]
fn accounts_are_listed_by_the_beginning_of_their_names() {
    let bank = bank();
    batch(&bank, "A", json!([{"open": "A/carl"}, {"open": "A/carla"}, {"open": "A/bob"}]));
    settle(&bank, "A");
    batch(&bank, "A", json!([{"open": "A/carol"}]));
    let list = |id: &str, accounts: Value| {
        let reply = ask(&bank, id, json!({"accounts": accounts}));
        let listed = reply["accounts"].as_array().unwrap_or_else(|| panic!("{reply}"));
        let names: Vec<Value> = listed.iter().map(|listed| listed["account"].clone()).collect();
        (json!(names), reply["more"] == json!(true))
    };
    assert_eq!(
        list("A", json!({"prefix": "A/car"})),
        (json!(["A/carl", "A/carla", "A/carol"]), false)
    );
    assert_eq!(list("A", json!({"prefix": "A/", "limit": 2})), (json!(["A/bob", "A/carl"]), true));
    let after = json!({"prefix": "A/", "limit": 2, "after": "A/carl"});
    assert_eq!(list("A", after), (json!(["A/carla", "A/carol"]), false));
    // What is in no block yet is known at home only.
    assert_eq!(list("B", json!({"prefix": "A/car"})), (json!(["A/carl", "A/carla"]), false));
}
