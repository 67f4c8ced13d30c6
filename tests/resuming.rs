//! A server whose chain is long starts from the pages of balances and the blocks since, and checks the
//! rest while it serves.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use redis::Connection;

use paxos_banking::bank::blockchain::block::{Block, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::blockchain::derived::Derived;
use paxos_banking::bank::effects::{Batch, Write};
use paxos_banking::bank::ids::{AccountId, InstanceId, TurnNumber};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Position, Record, Via};
use paxos_banking::bank::ledger::pages::Page;
use paxos_banking::bank::ledger::sessions::SessionChanges;
use paxos_banking::bank::limits::PAGE;
use paxos_banking::node::{Doors, ExitReason, Node, NodeConfig, StartError};
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
/// Accounts that block 1 opens: with A and B, there are three pages of them.
const OPENED: u64 = 600;
/// One of so many entries pays one of those.
const RARE: u64 = 300;
/// Up to this height each page is written once in three blocks; then only page 0 is.
const WRITTEN: u64 = 12;
/// So the pages 1 and 2 stay at 10 and 11, and the one at 10 lacks the block after it.
const CHECKPOINT: u64 = 10;
const SESSION: &str = "A.1.0.00000000000000aa.1";

fn opened(number: u64) -> AccountId {
    account(&format!("A/{number:03}"))
}

/// Which one that is: one of another page each time.
fn rare(seq: u64) -> u64 {
    seq / RARE * 101 % OPENED
}

/// What A's entry of that seq holds. The first ones open accounts; of the rest, the first is of a session.
fn record(seq: u64) -> Record {
    let to = if seq.is_multiple_of(RARE) { opened(rare(seq)) } else { account("B") };
    let (action, request) = match seq {
        ..=OPENED => (Action::open(opened(seq - 1)), None),
        _ => {
            let request = (seq == OPENED + 1).then(|| format!("{SESSION}#7").parse().unwrap());
            (Action::Transfer { from: account("A"), to, amount: amount(1 + seq % 90) }, request)
        }
    };
    Record { action, request, via: Via::Local, linked: false, reference: None }
}

/// The last entry in the chain after the block at this height.
fn last_seq(height: u64) -> u64 {
    height * ELEMENTS * ENTRIES
}

/// The blocks of a bank of A and B in which only A pays.
fn blocks(instance: InstanceId) -> Vec<SealedBlock> {
    let servers = BTreeMap::from([(server("A"), instance), (server("B"), InstanceId(2))]);
    let opening_balance = amount(OPENING);
    let genesis = SealedBlock::genesis(Genesis {
        format: FORMAT,
        opening_balance,
        servers,
        keys: BTreeMap::new(),
        origin: None,
        issuing: false,
    });
    let mut blocks = vec![genesis];
    for height in 1..BLOCKS {
        let firsts = (last_seq(height - 1) + 1..=last_seq(height)).step_by(ENTRIES as usize);
        let element = |seq| {
            let records = (seq..seq + ENTRIES).map(record).collect();
            Element::seal(Position { epoch: 1, seq }, records)
        };
        let block = Block {
            height,
            previous: blocks[blocks.len() - 1].hash(),
            proposer: Some(server("A")),
            genesis: None,
            opening: None,
            logs: BTreeMap::from([(server("A"), firsts.map(element).collect())]),
        };
        blocks.push(SealedBlock::seal(block));
    }
    blocks
}

/// What the accounts hold, in the order in which the chain opened them.
struct Holdings(Vec<(AccountId, u64)>);

impl Holdings {
    fn founded() -> Holdings {
        Holdings(["A", "B"].map(|name| (account(name), OPENING)).into())
    }

    /// The entries of the block at this height take effect.
    fn follow(&mut self, height: u64) {
        if height == 1 {
            self.0.extend((0..OPENED).map(|number| (opened(number), 0)));
        }
        let first = if height < 2 { OPENED } else { last_seq(height - 1) } + 1;
        for seq in first..=last_seq(height) {
            let units = 1 + seq % 90;
            let rare = 2 + rare(seq) as usize;
            self.0[0].1 -= units;
            self.0[if seq.is_multiple_of(RARE) { rare } else { 1 }].1 += units;
        }
    }

    /// The pages that come with the block at this height, and the checkpoint then.
    fn written(&self, height: u64) -> (Vec<Page>, u64) {
        let is_written = |number: u64| match height {
            // Block 1 opens accounts on all of them.
            ..=1 => true,
            2..WRITTEN => height % 3 == number,
            _ => number == 0,
        };
        let page = |(number, held): (u64, &[(AccountId, u64)])| Page {
            number: number as u32,
            height,
            keys: BTreeMap::new(),
            balances: held
                .iter()
                .map(|(account, units)| (account.clone(), amount(*units)))
                .collect(),
        };
        let pages = (0..).zip(self.0.chunks(PAGE)).filter(|(number, _)| is_written(*number));
        let oldest = height.saturating_sub(2).max(1).min(height);
        (pages.map(page).collect(), oldest.min(CHECKPOINT))
    }
}

/// A's store with that chain.
fn long_chain() -> TestRedis {
    let redis = TestRedis::start();
    let mut store = redis.open();
    let stored = store.load().unwrap();
    let TurnNumber(mut turn) = stored.turn;
    let instances = BTreeMap::from([(server("A"), stored.instance), (server("B"), InstanceId(2))]);
    let mut holdings = Holdings::founded();
    for block in blocks(stored.instance) {
        let height = block.height();
        holdings.follow(height);
        let (pages, checkpoint) = holdings.written(height);
        let position = |seq| Position { epoch: 1, seq };
        let included = [(server("A"), position(last_seq(height))), (server("B"), position(0))];
        let mut sessions = SessionChanges::default();
        if height == 1 {
            sessions.highest.insert(SESSION.parse().unwrap(), 7);
        }
        let append = Write::Append {
            from_accepted: false,
            trim: 0,
            pages,
            checkpoint,
            derived: Box::new(Derived {
                included: included.into(),
                instances: instances.clone(),
                deposed: BTreeSet::new(),
                ..Derived::default()
            }),
            sessions,
            promise_stands: false,
            block,
        };
        turn += 1;
        let writes = match turn - stored.turn.0 {
            1 => vec![append, Write::Activate],
            _ => vec![append],
        };
        store.commit(Batch { number: TurnNumber(turn), writes }).unwrap();
    }
    redis
}

fn start(redis: &TestRedis) -> Result<Node, StartError> {
    let cluster = BTreeMap::from(["A", "B"].map(|id| (server(id), free_address())));
    let config = NodeConfig {
        allow_fault_injection: false,
        trace: None,
        http: None,
        id: server("A"),
        listen: cluster[&server("A")].clone(),
        cluster,
        opening_balance: amount(OPENING),
        rejoin: false,
        join: false,
        bank: None,
        opening: None,
        settle_at: None,
        always_paxos: false,
        index_memory: NodeConfig::INDEX_MEMORY,
        doors: Doors::default(),
        timings: quick(),
        issuing: false,
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

/// A page's text, changed.
fn page_but(c: &mut Connection, number: u32, change: impl FnOnce(&mut Value)) -> String {
    let text: String = say(c, &["HGET", BALANCES, &number.to_string()]);
    let mut page: Value = serde_json::from_str(&text).unwrap();
    change(&mut page);
    page.to_string()
}

/// Adds to what an account holds by a page, and takes it from another one.
fn moved(page: &mut Value, [from, to]: [usize; 2], units: u64) {
    let held = |place: usize| page["balances"][place][1].as_u64().unwrap();
    let (payer, payee) = (held(from) - units, held(to) + units);
    page["balances"][from][1] = json!(payer);
    page["balances"][to][1] = json!(payee);
}

/// Adds an account to a page.
fn add(page: &mut Value, account: Value) {
    page["balances"].as_array_mut().unwrap().push(account);
}

const BALANCES: &str = "SERVER-BALANCES-A";
const STATE: &str = "SERVER-STATE-A";

#[test]
fn pages_of_different_heights_are_brought_to_the_head_and_checked_while_the_server_serves() {
    let redis = long_chain();
    let c = &mut redis.connect();
    let height = |c: &mut Connection, number| {
        let text = page_but(c, number, |_| {});
        serde_json::from_str::<Value>(&text).unwrap()["height"].as_u64().unwrap()
    };
    assert_eq!([0, 1, 2].map(|number| height(c, number)), [BLOCKS - 1, 10, 11]);

    // The total is right, and so it is seen only when all was read.
    for (number, [from, to]) in [(0, [0, 1]), (1, [3, 200]), (2, [0, 7])] {
        let other = page_but(c, number, |page| moved(page, [from, to], 1));
        with(c, &["HSET", BALANCES, &number.to_string(), &other], || {
            starts_and_stops(&redis, [BALANCES, "not what follows from the chain"]);
        });
    }
    let and_eve = page_but(c, 2, |page| add(page, json!(["A/eve", 0])));
    with(c, &["HSET", BALANCES, "2", &and_eve], || {
        starts_and_stops(&redis, [BALANCES, "not what follows from the chain"]);
    });

    let refuses = |c: &mut Connection, words: &[&str], says: [&str; 2]| {
        with(c, words, || refused(&redis, says));
    };
    let strange_total = [BALANCES, "and by the chain there are 200000000"];
    let less = page_but(c, 0, |page| page["balances"][0][1] = json!(1));
    refuses(c, &["HSET", BALANCES, "0", &less], strange_total);
    // As if the blocks 11 and 12 were in it.
    let newer = page_but(c, 1, |page| page["height"] = json!(12));
    refuses(c, &["HSET", BALANCES, "1", &newer], strange_total);
    refuses(c, &["HSET", STATE, "checkpoint", "12"], strange_total);
    let strange = page_but(c, 2, |page| add(page, json!(["C/x", 0])));
    let says = ["SERVER-BALANCES-A[2]", "C/x: server C is not of this bank"];
    refuses(c, &["HSET", BALANCES, "2", &strange], says);
    let beyond = page_but(c, 1, |page| page["height"] = json!(BLOCKS));
    let says = ["SERVER-BALANCES-A[1]", "it is of height 40"];
    refuses(c, &["HSET", BALANCES, "1", &beyond], says);
    let twice = page_but(c, 2, |page| add(page, json!(["A/000", 0])));
    let says = ["SERVER-BALANCES-A[2]", "A/000 was there before"];
    refuses(c, &["HSET", BALANCES, "2", &twice], says);
    let shorter = page_but(c, 1, |page| drop(page["balances"].as_array_mut().unwrap().pop()));
    let says = ["SERVER-BALANCES-A[1]", "it is not full, and page 2 is there"];
    refuses(c, &["HSET", BALANCES, "1", &shorter], says);
    let longer = page_but(c, 1, |page| add(page, json!(["A/eve", 0])));
    let says = ["SERVER-BALANCES-A[1]", "it holds 257 accounts, and has room for 256"];
    refuses(c, &["HSET", BALANCES, "1", &longer], says);
    let says = ["SERVER-BALANCES-A[2]", "it is not full, and page 3 is there"];
    refuses(c, &["HSET", BALANCES, "3", &and_eve], says);
    refuses(c, &["HSET", BALANCES, "1", "{"], ["SERVER-BALANCES-A[1]", "the text ends"]);
    refuses(c, &["HDEL", BALANCES, "1"], ["SERVER-BALANCES-A[1]", "missing"]);
    refuses(c, &["HDEL", BALANCES, "2"], [BALANCES, "is missing, and block"]);
    refuses(c, &["DEL", BALANCES], [BALANCES, "A is missing"]);
    let checkpoint = "SERVER-STATE-A[checkpoint]";
    refuses(c, &["HDEL", STATE, "checkpoint"], [checkpoint, "missing"]);
    refuses(c, &["HSET", STATE, "checkpoint", "40"], [checkpoint, "beyond the chain"]);
    refuses(c, &["HSET", STATE, "checkpoint", "1e1"], [checkpoint, "found "]);

    // From whichever block they are followed, as long as they lack none before it.
    let mut holdings = Holdings::founded();
    (0..BLOCKS).for_each(|height| holdings.follow(height));
    for checkpoint in ["0", "9", "10"] {
        with(c, &["HSET", STATE, "checkpoint", checkpoint], || {
            let node = start(&redis).unwrap();
            for (account, units) in holdings.0.iter().step_by(75) {
                let reply = ask(&node, &json!({"balance": {"account": account}}));
                assert_eq!(reply["committed"], json!(units), "{checkpoint}: {reply}");
            }
            assert!(node.ended().is_none());
        });
    }
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
        starts_and_stops(&redis, ["SERVER-BLOCKCHAIN-A[3]", "the text ends"]);
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
