//! What a server needs to start with `--redis-copies`.

use std::fs;
use std::time::Duration;

use paxos_banking::bank::effects::Write;
use paxos_banking::store::redis::{Options, RedisStore};
use paxos_banking::store::{Store, StoreError};
use serde_json::json;

use crate::stage::{OPENING, Stage, pay, pays};
use crate::support::cluster::wait_until;
use crate::support::disk::{commit, use_all_of_it};
use crate::support::redis::{Program, TestRedis, say};
use crate::support::samples::{ballot, server};
use crate::support::stores::program;

const ONE: Options = with_copies(1);

const fn with_copies(copies: u8) -> Options {
    let long = Duration::from_secs(30);
    Options { allow_weak: false, upgrade: false, copies, connect_timeout: long, timeout: long }
}

/// Whether A tells who connects that it waits, and why.
fn waits(stage: &Stage, why: &str) -> bool {
    let told = stage.bank.ask("A", &pays(1)).unwrap_or_default();
    let message = told["message"].as_str().unwrap_or_default();
    told["error"] == json!("unavailable") && message.contains(why)
}

pub fn a_server_waits_for_its_copies_and_says_so(name: &str) {
    let Some(store) = program(name) else { return };
    let mut stage = Stage::set_up(store, 1, &["--redis-copies", "2"]);
    for id in stage.bank.ids() {
        stage.bank.start_server(&id);
    }
    let why = "only 1 of 2 copies (--redis-copies): 1 replica is connected to it";
    wait_until("it says what it waits for", || waits(&stage, why));
    assert!(stage.log("A").contains(why), "{}", stage.log("A"));
    let keys: u64 = say(&mut stage.master().connect(), &["DBSIZE"]);
    assert_eq!(keys, 0, "something was written before it can be kept");
    stage.add_replica(&[]);
    stage.bank.wait_until_connected();
    pay(&stage, 1);
}

/// It is connected, and takes in everything; but after a power cut nothing is left there.
pub fn a_replica_that_keeps_nothing_is_no_copy(name: &str) {
    let Some(store) = program(name) else { return };
    let mut stage = Stage::set_up(store, 0, &["--redis-copies", "1"]);
    stage.add_replica(&["--appendonly", "no"]);
    stage.bank.start_server("A");
    wait_until("it says what it waits for", || waits(&stage, "appendonly no"));
    say::<()>(&mut stage.replicas[0].connect(), &["CONFIG", "SET", "appendonly", "yes"]);
    stage.bank.start_server("B");
    stage.bank.start_server("C");
    stage.bank.wait_until_connected();
    pay(&stage, 1);
}

/// A server that starts can't know whether the last turn of the one before was confirmed, so it doesn't read
/// from a Redis that takes no writes, as a server without copies does.
pub fn what_is_not_known_to_be_copied_is_not_told(name: &str) {
    let Some(store) = program(name) else { return };
    let mut stage = Stage::open(store, 1);
    pay(&stage, 1);
    stage.bank.kill("A");
    let set = |redis: &TestRedis, bytes: &str| {
        say::<()>(&mut redis.connect(), &["CONFIG", "SET", "maxmemory", bytes]);
    };
    set(stage.master(), "1");
    stage.bank.start_server("A");
    wait_until("it says what it waits for", || waits(&stage, "OOM"));
    assert!(stage.balance("A").is_null(), "it reads");
    set(stage.master(), "0");
    wait_until("it serves", || stage.balance("A") == json!(OPENING - 1));
}

/// The user of doc/OPERATING.md may wait for replicas, too.
pub fn the_documented_user_is_enough(name: &str) {
    let Some(store) = program(name) else { return };
    let master = TestRedis::run(&store, &[]);
    let _replica = TestRedis::follow(&store, &master, &[]);
    let page = fs::read_to_string("doc/OPERATING.md").unwrap();
    let line = page.lines().map(str::trim).find(|line| line.starts_with("ACL SETUSER bank-B "));
    let line = line.expect("doc/OPERATING.md has the line").replace("PASSWORD", "secret");
    say::<()>(&mut master.connect(), &line.split_whitespace().collect::<Vec<_>>());
    let url = format!("redis://bank-B:secret@127.0.0.1:{}/", master.port());
    use_all_of_it(&mut RedisStore::new(&url, &server("B"), ONE).unwrap());
    let c = &mut master.connect();
    for (command, words) in [("-wait", "may not use WAIT"), ("-info", "may not use INFO")] {
        say::<()>(c, &["ACL", "SETUSER", "bank-B", command]);
        let error = RedisStore::new(&url, &server("B"), ONE).unwrap().load().unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        say::<()>(c, &["ACL", "SETUSER", "bank-B", &command.replace('-', "+")]);
    }
}

/// The system's Redis may be too old to be asked.
#[test]
fn a_redis_without_waitaof_is_refused_in_words() {
    let redis = TestRedis::run(&Program::default(), &[]);
    let open = |options: Options| RedisStore::new(&redis.url(), &server("A"), options).unwrap();
    let mut waitaof: Vec<redis::Value> = say(&mut redis.connect(), &["COMMAND", "INFO", "waitaof"]);
    if waitaof.pop() == Some(redis::Value::Nil) {
        let error = open(ONE).load().unwrap_err();
        assert!(matches!(error, StoreError::Unfit(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains("--redis-copies 1 needs Redis 7.2 or later, or Valkey"), "{text}");
        let info: redis::InfoDict = say(&mut redis.connect(), &["INFO", "server"]);
        let version: String = info.get("redis_version").unwrap();
        assert!(text.contains(&format!("this is {version}")), "{text}");
        assert_eq!(say::<u64>(&mut redis.connect(), &["DBSIZE"]), 0);
    } else {
        let error = open(ONE).load().unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
    }
    let mut store = open(Options { copies: 0, ..ONE });
    let mut last = store.load().unwrap().turn.0;
    commit(&mut store, &mut last, vec![Write::Promise(ballot(5))]);
}
