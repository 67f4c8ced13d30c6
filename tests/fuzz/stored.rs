//! What is found in Redis: each stored value, in a real Redis, loaded as a server does when it starts.

use std::cell::RefCell;
use std::collections::BTreeMap;

use paxos_banking::bank::blockchain::block::FORMAT;
use paxos_banking::node::{LoadError, load};
use paxos_banking::store::StoreError;
use paxos_banking::store::redis::{Options, RedisStore};
use redis::{Connection, Value};

use crate::machine::bank_of_three::{OPENING, config, genesis, id};
use crate::samples::{blocks, later_block, log_of_a};
use crate::support::redis::TestRedis;
use crate::target::{Heard, Target};

const KEYS: [&str; 9] =
    ["BLOCKCHAIN", "GENESIS", "LOG", "ACCEPTED", "BALANCES", "STATE", "LIVES", "OWNER", "TURN"];

pub struct StoredValues {
    redis: TestRedis,
    connection: RefCell<Connection>,
}

/// What all keys hold. (What `DUMP` says of a hash may change by reading alone: Redis moves a large one to
/// another table bit by bit, with each command.)
type Dump = Vec<Content>;

/// What a key holds.
#[derive(PartialEq)]
enum Content {
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    Other(Value),
}

impl StoredValues {
    /// With a Redis that needn't be durable.
    pub fn start() -> StoredValues {
        let redis = TestRedis::start_with(&["--appendonly", "no"]);
        let connection = RefCell::new(redis.connect());
        StoredValues { redis, connection }
    }

    /// Stores what the lines say: a command, the key and the arguments, between tabs. What is no such
    /// line, or what Redis doesn't take, is left out.
    fn fill(&self, input: &[u8]) -> Dump {
        let mut pipe = redis::pipe();
        pipe.cmd("FLUSHALL").ignore();
        for line in input.split(|byte| *byte == b'\n') {
            let words: Vec<&[u8]> = line.split(|byte| *byte == b'\t').collect();
            let ([b"set", key, rest @ ..] | [b"rpush", key, rest @ ..] | [b"hset", key, rest @ ..]) =
                &words[..]
            else {
                continue;
            };
            let Some(key) = KEYS.iter().find(|known| known.as_bytes() == *key) else { continue };
            let command = std::str::from_utf8(words[0]).expect("one of those");
            let needed = if command == "hset" { 2 } else { 1 };
            if rest.len() == needed {
                pipe.cmd(command).arg(format!("SERVER-{key}-A")).arg(rest);
            }
        }
        // A command for a key of another type fails alone.
        let filled: redis::RedisResult<Value> =
            pipe.ignore_errors().query(&mut *self.connection.borrow_mut());
        filled.expect("Redis answers");
        self.dump()
    }

    fn dump(&self) -> Dump {
        let connection = &mut *self.connection.borrow_mut();
        let names = KEYS.map(|key| format!("SERVER-{key}-A"));
        let mut pipe = redis::pipe();
        for name in &names {
            pipe.cmd("TYPE").arg(name);
        }
        let types: Vec<String> = pipe.query(connection).expect("Redis answers");
        let mut pipe = redis::pipe();
        for (name, of) in names.iter().zip(&types) {
            match of.as_str() {
                "hash" => pipe.cmd("HGETALL").arg(name),
                "list" => pipe.cmd("LRANGE").arg(name).arg(0).arg(-1),
                _ => pipe.cmd("GET").arg(name),
            };
        }
        let values: Vec<Value> = pipe.query(connection).expect("Redis answers");
        let content = |(value, of): (Value, &String)| match of.as_str() {
            "hash" => Content::Hash(redis::from_redis_value(value).expect("a hash")),
            _ => Content::Other(value),
        };
        values.into_iter().zip(&types).map(content).collect()
    }

    /// What all that is on pages comes to. Each sample has one page, which is of one moment.
    fn total(&self) -> u64 {
        let ask = redis::cmd("HGETALL").arg("SERVER-BALANCES-A").clone();
        let pages: BTreeMap<String, String> =
            ask.query(&mut *self.connection.borrow_mut()).expect("pages");
        let of_page = |text: &String| -> u64 {
            let page: serde_json::Value = serde_json::from_str(text).expect("a page");
            let balances = page["balances"].as_array().expect("balances");
            balances.iter().map(|pair| pair[1].as_u64().expect("an amount")).sum()
        };
        pages.values().map(of_page).sum()
    }

    fn load(&self) -> Result<(), LoadError> {
        let options = Options { allow_weak: true, ..Options::default() };
        let mut store = RedisStore::new(&self.redis.url(), &id("A"), options).expect("a URL");
        load(&config(), &mut store).map(drop)
    }
}

impl Target for StoredValues {
    fn name(&self) -> &'static str {
        "stored-values"
    }

    fn executions(&self) -> usize {
        3_000
    }

    fn samples(&self) -> Vec<Vec<u8>> {
        let of_another = founded() + &line(&["hset", "STATE", "instance", "00000000000000aa"]);
        let retyped = line(&["set", "LOG", "x"]) + &full();
        // The page with which the bank was founded, and the blocks since.
        let older = full()
            + &line(&["hset", "BALANCES", "0", FOUNDED])
            + &line(&["hset", "STATE", "checkpoint", "0"]);
        let second = full() + &line(&["hset", "BALANCES", "1", FOUNDED]);
        let samples = [full(), baby(), founded(), of_another, retyped, older, second];
        samples.map(String::into_bytes).into()
    }

    fn read(&self, input: &[u8], heard: &Heard) {
        let before = self.fill(input);
        match self.load() {
            Ok(()) if before == self.dump() => panic!("a life began, and nothing tells of it"),
            Ok(()) => {
                assert!([0, 3 * OPENING].contains(&self.total()), "the total is another one");
                heard.accepted("a bank");
                // What was found good, and what was added to it, is found good again.
                self.load().unwrap_or_else(|error| panic!("the second time: {error}"));
            }
            Err(LoadError::Store(StoreError::Failed(what))) => {
                panic!("what stays wrong is not a failure that may pass: {what}")
            }
            Err(error) => {
                let error = error.to_string();
                heard.refused(&error);
                // Of another bank's store, or of a server's that has rejoined with another, no one key is wrong.
                let other = ["is configured for", "the store's instance is"];
                let named =
                    error.contains("SERVER-") || other.iter().any(|words| error.contains(words));
                assert!(named, "no key is named: {error}");
                assert!(before == self.dump(), "something was written: {error}");
            }
        }
    }

    fn marks(&self) -> &'static [&'static str] {
        &[
            "a bank",
            "WRONGTYPE",
            "missing",
            "not a field of this program's",
            "only formats",
            "is out of order",
            "it is not full",
            " comes to ",
            "was there before",
            "is missing",
            "beyond the chain",
            "it is of height",
            "elements instead of one",
            "the block there has the height",
            "lower than the ballot",
            "does not link to the block before",
            "holds only",
            "the log does not go on",
            "follows from the chain",
            "not what follows from",
            "found ",
            "the text ends",
            "as instance",
            "where a number of turns",
        ]
    }
}

fn line(words: &[&str]) -> String {
    words.join("\t") + "\n"
}

/// The page of a bank in which nothing has happened.
const FOUNDED: &str = r#"{"height":0,"balances":[["A",10000],["B",10000],["C",10000]]}"#;

/// A store that was used once and belongs to no bank yet.
fn baby() -> String {
    [
        line(&["hset", "STATE", "format", &FORMAT.to_string()]),
        line(&["hset", "STATE", "instance", "0000000000000001"]),
        line(&["set", "OWNER", "00000000000000aa-00000000000000bb"]),
        line(&["set", "TURN", "1"]),
        line(&["rpush", "LIVES", r#"{"life":"0000000000000005","turn":1}"#]),
    ]
    .concat()
}

/// One of a bank in which nothing has happened.
fn founded() -> String {
    let at_start = r#"{"A":{"epoch":1,"seq":0},"B":{"epoch":1,"seq":0},"C":{"epoch":1,"seq":0}}"#;
    let mut lines = baby();
    lines += &line(&["hset", "STATE", "active", "1"]);
    lines += &line(&["hset", "STATE", "included", at_start]);
    let instances = serde_json::to_string(&genesis().block().genesis.as_ref().unwrap().servers);
    lines += &line(&["hset", "STATE", "instances", &instances.unwrap()]);
    lines += &line(&["hset", "STATE", "deposed", "[]"]);
    lines += &line(&["rpush", "BLOCKCHAIN", genesis().text()]);
    lines += &line(&["hset", "STATE", "checkpoint", "0"]);
    lines += &line(&["hset", "BALANCES", "0", FOUNDED]);
    lines
}

/// One in which every key is there.
fn full() -> String {
    let ballot = r#"{"round":4,"server":"B","life":"0000000000000007"}"#;
    let included = r#"{"A":{"epoch":1,"seq":0},"B":{"epoch":1,"seq":5},"C":{"epoch":1,"seq":0}}"#;
    let mut lines = founded();
    lines += &line(&["hset", "STATE", "included", included]);
    lines += &line(&["hset", "STATE", "horizon", r#"{"epoch":1,"seq":0}"#]);
    lines += &line(&["hset", "STATE", "promised", ballot]);
    lines += &line(&["hset", "STATE", "accepted", ballot]);
    for block in blocks() {
        lines += &line(&["rpush", "BLOCKCHAIN", block.text()]);
    }
    for element in log_of_a() {
        lines += &line(&["rpush", "LOG", element.text()]);
    }
    lines += &line(&["rpush", "ACCEPTED", later_block().text()]);
    let held = r#"[["A",10063],["B",9930],["C",10007],["B/x",0]]"#;
    lines += &line(&["hset", "STATE", "checkpoint", "2"]);
    lines += &line(&["hset", "BALANCES", "0", &format!(r#"{{"height":2,"balances":{held}}}"#)]);
    lines
}
