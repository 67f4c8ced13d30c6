//! A bank with a history, killed, and what an audit says of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use paxos_banking::audit::{self, Options};
use paxos_banking::bank::blockchain::block::{Block, SealedBlock};
use paxos_banking::bank::ledger::element::Element;
use redis::Connection;
use serde_json::{Value, json};

use crate::support::cluster::{Client, PATIENCE};
use crate::support::process::Bank;
use crate::support::redis::say;
use crate::support::samples::server;

/// What an audit came to.
#[derive(Debug)]
pub struct Audited {
    pub status: u8,
    pub report: Value,
}

/// What is to be audited; nothing yet.
pub fn nothing() -> Options {
    let (redis, archives, ids, servers, server_keys, files) = Default::default();
    let (doors, json, timeout) = (None, true, PATIENCE);
    Options { redis, archives, ids, servers, doors, server_keys, files, json, timeout }
}

/// Audits, and reads the line of JSON.
pub fn audit(options: &Options) -> Audited {
    let mut out = Vec::new();
    let status = audit::run(options, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "one line: {text}");
    Audited { status, report: serde_json::from_str(&text).unwrap() }
}

/// What people read of it.
pub fn told(options: &Options) -> String {
    let mut out = Vec::new();
    audit::run(&Options { json: false, ..options.clone() }, &mut out);
    String::from_utf8(out).unwrap()
}

/// Audits all stores of a Redis.
pub fn audit_redis(url: &str) -> Audited {
    audit(&Options { redis: vec![url.to_owned()], ..nothing() })
}

/// Audits files.
pub fn audit_files(files: &[PathBuf]) -> Audited {
    audit(&Options { files: files.to_vec(), ..nothing() })
}

/// Has something done that must be accepted.
pub fn accepted(client: &mut Client, request: &Value) {
    let reply = client.ask(request);
    let outcomes = reply["outcomes"].as_array();
    let all = outcomes.is_some_and(|all| all.iter().all(Value::is_array));
    assert!(reply["outcome"] == json!("accepted") || all, "{request}: {reply}");
}

/// A bank of A, B and C on one Redis, killed. Everybody has five blocks, with requests of sessions,
/// linked transfers and accounts in them; A has three elements in its log and has accepted a block of
/// the first two, B has one.
pub struct Sound {
    pub bank: Bank,
    /// All keys' contents as they were before the last block.
    pub earlier: BTreeMap<String, Vec<u8>>,
}

pub fn sound() -> Sound {
    let mut bank = Bank::start(&["A", "B", "C"]);
    let [mut a, mut b] = ["A", "B"].map(|id| Client::connect(bank.address(id)));
    let session = a.ask(&json!({"session": {}}))["session"].clone();
    accepted(&mut a, &json!({"open": {"account": "A/alice", "session": session, "number": 1}}));
    let items = json!([["A", "A/alice", 40, "linked"], ["A", "B", 10]]);
    let linked = json!({"items": items, "session": session, "number": 2});
    accepted(&mut a, &json!({"batch": linked}));
    bank.settle();
    accepted(
        &mut a,
        &json!({"transfer": {"to": "B", "amount": 5, "session": session, "number": 4}}),
    );
    accepted(&mut b, &json!({"transfer": {"to": "C", "amount": 25}}));
    bank.settle();
    accepted(&mut b, &json!({"transfer": {"to": "A/alice", "amount": 5}}));
    bank.settle();
    accepted(&mut b, &json!({"transfer": {"to": "C", "amount": 1}}));
    let earlier = crate::support::damage::dump(&mut bank.redis("A").connect());
    accepted(&mut b, &json!({"transfer": {"to": "C", "amount": 2}}));
    bank.settle();
    accepted(&mut a, &json!({"transfer": {"to": "B", "amount": 7}}));
    accepted(&mut a, &json!({"open": {"account": "A/bob"}}));
    let pays = json!({"from": "A/alice", "to": "A/bob", "amount": 20});
    accepted(&mut a, &json!({"transfer": pays}));
    accepted(&mut b, &json!({"transfer": {"to": "A", "amount": 3}}));
    assert_eq!(bank.chain("A").len(), 5);
    ["A", "B", "C"].into_iter().for_each(|id| bank.kill(id));
    accept(&mut bank.redis("A").connect());
    no_flushes(&mut bank.redis("A").connect());
    Sound { bank, earlier }
}

/// Lets a Redis that no server will start on answer before its disk has what is written: a test that damages and
/// restores it a hundred times waits for thousands of flushes otherwise, minutes on a slow disk.
pub fn no_flushes(c: &mut Connection) {
    say::<()>(c, &["CONFIG", "SET", "appendfsync", "no"]);
}

/// Leaves A's store as a crash does between an accept and the commit.
fn accept(c: &mut Connection) {
    let log = elements(c);
    let block = next_block(&blocks(c, "A"), log[..2].to_vec());
    let ballot = r#"{"round":1,"server":"A","life":"00000000000000aa"}"#;
    say::<()>(c, &["DEL", "SERVER-ACCEPTED-A"]);
    say::<()>(c, &["RPUSH", "SERVER-ACCEPTED-A", block.text()]);
    say::<()>(c, &["HSET", "SERVER-STATE-A", "promised", ballot, "accepted", ballot]);
}

/// The block that A would build of a part of its log.
pub fn next_block(chain: &[SealedBlock], log: Vec<Element>) -> SealedBlock {
    let last = &chain[chain.len() - 1];
    SealedBlock::seal(Block {
        height: last.height() + 1,
        previous: last.hash(),
        proposer: Some(server("A")),
        genesis: None,
        opening: None,
        logs: BTreeMap::from([(server("A"), log)]),
    })
}

/// A server's chain.
pub fn blocks(c: &mut Connection, id: &str) -> Vec<SealedBlock> {
    let texts: Vec<String> = say(c, &["LRANGE", &format!("SERVER-BLOCKCHAIN-{id}"), "0", "-1"]);
    texts.iter().map(|text| SealedBlock::open(text).unwrap()).collect()
}

/// A's log.
pub fn elements(c: &mut Connection) -> Vec<Element> {
    let texts: Vec<String> = say(c, &["LRANGE", "SERVER-LOG-A", "0", "-1"]);
    texts.iter().map(|text| Element::open(text).unwrap()).collect()
}
