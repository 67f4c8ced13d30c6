//! A server whose chain is long starts from what is stored at the head, and checks the rest while it
//! serves.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use redis::Connection;

use paxos_banking::bank::blockchain::block::{Block, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::effects::{Batch, Write};
use paxos_banking::bank::ids::{InstanceId, TurnNumber};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Position, Record, Via};
use paxos_banking::bank::ledger::sessions::SessionChanges;
use paxos_banking::node::{ExitReason, Node, NodeConfig, StartError};
use paxos_banking::store::{Store, StoreError};
use serde_json::{Value, json};
use support::cluster::{Client, free_address, quick, wait_until};
use support::disk::Disk;
use support::redis::{TestRedis, say};
use support::samples::{account, amount, server};

const OPENING: u64 = 100_000_000;
const BLOCKS: u64 = 40;
/// Entries of one element; there are so many elements in a block.
const ENTRIES: u64 = 1_000;
const ELEMENTS: u64 = 20;
const SESSION: &str = "A.1.0.00000000000000aa.1";

/// What A's entry of that seq holds. The first one is of a session.
fn record(seq: u64) -> Record {
    let (from, to) = (account("A"), account("B"));
    let request = (seq == 1).then(|| format!("{SESSION}#7").parse().unwrap());
    let action = Action::Transfer { from, to, amount: amount(1 + seq % 90) };
    Record { action, request, via: Via::Local, linked: false }
}

/// The blocks of a bank of A and B in which only A pays, and what B holds after each.
fn blocks(instance: InstanceId) -> Vec<(SealedBlock, u64)> {
    let servers = BTreeMap::from([(server("A"), instance), (server("B"), InstanceId(2))]);
    let opening_balance = amount(OPENING);
    let genesis = SealedBlock::genesis(Genesis { format: FORMAT, opening_balance, servers });
    let mut blocks = vec![(genesis, OPENING)];
    let mut seq = 1;
    for height in 1..BLOCKS {
        let (last, mut of_b) = blocks[blocks.len() - 1].clone();
        let mut log = Vec::new();
        for _ in 0..ELEMENTS {
            of_b += (seq..seq + ENTRIES).map(|seq| 1 + seq % 90).sum::<u64>();
            let records = (seq..seq + ENTRIES).map(record).collect();
            log.push(Element::seal(Position { epoch: 1, seq }, records));
            seq += ENTRIES;
        }
        let block = Block {
            height,
            previous: last.hash(),
            proposer: Some(server("A")),
            genesis: None,
            logs: BTreeMap::from([(server("A"), log)]),
        };
        blocks.push((SealedBlock::seal(block), of_b));
    }
    blocks
}

/// A's store with that chain.
fn long_chain() -> TestRedis {
    let redis = TestRedis::start();
    let mut store = redis.open();
    let stored = store.load().unwrap();
    let TurnNumber(mut turn) = stored.turn;
    let instances = BTreeMap::from([(server("A"), stored.instance), (server("B"), InstanceId(2))]);
    for (block, of_b) in blocks(stored.instance) {
        let seq = block.height() * ELEMENTS * ENTRIES;
        let position = |seq| Position { epoch: 1, seq };
        let mut sessions = SessionChanges::default();
        if block.height() == 1 {
            sessions.highest.insert(SESSION.parse().unwrap(), 7);
        }
        let append = Write::Append {
            from_accepted: false,
            trim: 0,
            balances: vec![
                (account("A"), amount(2 * OPENING - of_b)),
                (account("B"), amount(of_b)),
            ],
            included: BTreeMap::from([(server("A"), position(seq)), (server("B"), position(0))]),
            instances: instances.clone(),
            deposed: BTreeSet::new(),
            sessions,
            block,
        };
        turn += 1;
        let writes = match turn - stored.turn.0 {
            1 => vec![append, Write::Activate],
            _ => vec![append],
        };
        store.commit(&Batch { number: TurnNumber(turn), writes }).unwrap();
    }
    redis
}

fn start(redis: &TestRedis) -> Result<Node, StartError> {
    let cluster = BTreeMap::from(["A", "B"].map(|id| (server(id), free_address())));
    let config = NodeConfig {
        allow_fault_injection: false,
        trace: None,
        id: server("A"),
        listen: cluster[&server("A")].clone(),
        cluster,
        opening_balance: amount(OPENING),
        rejoin: false,
        settle_at: None,
        always_paxos: false,
        timings: quick(),
    };
    Node::start(config, Box::new(redis.open()))
}

fn ask(node: &Node, request: &Value) -> Value {
    Client::connect(&node.address().to_string()).ask(request)
}

/// It starts, and then stops by itself with these words.
fn starts_and_stops(redis: &TestRedis, words: [&str; 2]) {
    let node = start(redis).expect("it looks only at the chain's end");
    wait_until("what is wrong is found", || node.ended().is_some());
    let reason = node.ended().unwrap();
    let corrupt = |reason: &ExitReason| match reason {
        ExitReason::Store(error) => matches!(**error, StoreError::Corrupt { .. }),
        _ => false,
    };
    let said = reason.to_string();
    assert!(corrupt(&reason) && words.iter().all(|word| said.contains(word)), "{said}");
}

fn refused(redis: &TestRedis, words: [&str; 2]) {
    let said = start(redis).expect_err("it is seen at once").to_string();
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
}

/// Does something to the store, and takes it back after the test of it.
fn with(c: &mut Connection, damage: &[&str], test: impl FnOnce()) {
    let whole: Vec<u8> = say(c, &["DUMP", damage[1]]);
    say::<redis::Value>(c, damage);
    test();
    redis::cmd("RESTORE").arg(damage[1]).arg(0).arg(whole).arg("REPLACE").exec(c).unwrap();
}

#[test]
fn a_long_chain_is_checked_while_the_server_serves() {
    let redis = long_chain();
    let c = &mut redis.connect();
    let chain = "SERVER-BLOCKCHAIN-A";
    let block: String = say(c, &["LINDEX", chain, "3"]);
    let other = block.replacen(",1]", ",2]", 1);
    assert_ne!(other, block);
    let spaced = block.replacen(',', ", ", 1);

    with(c, &["LSET", chain, "3", &other], || {
        starts_and_stops(&redis, ["SERVER-BLOCKCHAIN-A[4]", "does not link to the block before"]);
    });
    with(c, &["LSET", chain, "3", &spaced], || {
        starts_and_stops(&redis, ["SERVER-BLOCKCHAIN-A[4]", "does not link to the block before"]);
    });
    with(c, &["LSET", chain, "3", "{"], || {
        starts_and_stops(&redis, ["SERVER-BLOCKCHAIN-A[3]", "EOF"]);
    });
    let sessions = "SERVER-SESSIONS-A";
    let place = "SERVER-SESSIONS-A[A.1.0.00000000000000aa.1]";
    with(c, &["HSET", sessions, SESSION, "6"], || {
        starts_and_stops(&redis, [place, "6 is there, and the chain holds 7"]);
    });
    with(c, &["HSET", sessions, SESSION, "8"], || {
        starts_and_stops(&redis, [place, "8 is there, and 7 follows from the chain"]);
    });
    with(c, &["DEL", sessions], || starts_and_stops(&redis, [place, "missing"]));
    let state = "SERVER-STATE-A";
    with(c, &["HSET", state, "deposed", r#"["00000000000000ff"]"#], || {
        starts_and_stops(&redis, ["SERVER-STATE-A[deposed]", "not what follows from the chain"]);
    });
    let balances = "SERVER-BALANCES-A";
    let of = |c: &mut Connection, account: &str| say::<u64>(c, &["HGET", balances, account]);
    let (a, b) = (of(c, "A") - 1, of(c, "B") + 1);
    with(c, &["HSET", balances, "A", &a.to_string(), "B", &b.to_string()], || {
        starts_and_stops(&redis, [balances, "not what follows from the chain"]);
    });

    with(c, &["HSET", balances, "A", &a.to_string()], || {
        refused(&redis, [balances, "the bank was founded with 200000000"]);
    });
    with(c, &["HDEL", balances, "B"], || refused(&redis, ["SERVER-ACCOUNTS-A", "1 are known"]));
    let last: String = say(c, &["LINDEX", chain, "-1"]);
    with(c, &["LSET", chain, "-2", &last], || refused(&redis, ["SERVER-BLOCKCHAIN-A[38]", "39"]));
    let included = r#"{"A":{"epoch":1,"seq":5},"B":{"epoch":1,"seq":0}}"#;
    with(c, &["HSET", state, "included", included], || {
        refused(&redis, ["SERVER-STATE-A[included]", "not what the last blocks end with"]);
    });
    with(c, &["HSET", state, "horizon", r#"{"epoch":9,"seq":5}"#], || {
        refused(&redis, ["SERVER-STATE-A[horizon]", "beyond the entries in the chain"]);
    });
    with(c, &["HDEL", state, "instances"], || {
        refused(&redis, ["SERVER-STATE-A[instances]", "missing"]);
    });

    // Nothing is wrong any more: it serves, and goes on doing so when all is checked.
    let node = start(&redis).unwrap();
    let pays = |number: u64| {
        let transfer = json!({"to": "B", "amount": 1, "session": SESSION, "number": number});
        ask(&node, &json!({ "transfer": transfer }))["outcome"].clone()
    };
    assert_eq!(pays(7), json!("expired"), "that is in a block which was not read");
    assert_eq!(pays(8), json!("accepted"));
    let history = json!({"history": {"account": "B", "limit": 1}});
    assert_eq!(ask(&node, &history)["lines"].as_array().map(Vec::len), Some(1));
    assert!(node.ended().is_none());
}
