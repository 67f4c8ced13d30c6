//! A bank of format 4 comes along. `stores.jsonl` holds its three stores as the commands that make them: written by
//! the last version of that format, with a server that had rejoined, linked payments and sessions in the logs, and
//! a block that all have accepted and nobody has appended. `exported.jsonl` is what that version exported of A.
//! `stores5.jsonl` holds the stores of a bank of format 5, to which D was admitted as a branch. `stores6.jsonl` holds those
//! of a bank of format 6 that issues money, with a session that its client named, and an entry in A's log.

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use paxos_banking::audit::{self, Options, SOUND, UNREAD, WRONG};
use paxos_banking::bank::blockchain::block::{FORMAT, OLDEST_FORMAT};
use paxos_banking::noise::create_key_file;
use paxos_banking::play::guard::Guarded;
use redis::{Connection, FromRedisValue};
use serde_json::{Value, json};
use support::cluster::{PATIENCE, wait_until};
use support::doors::Sealed;
use support::process::{Bank, Setup};
use support::redis::{TestRedis, say};
use support::relay::Relay;

const PROGRAM: &str = env!("CARGO_BIN_EXE_paxos-banking");
const STORES: &str = include_str!("stores.jsonl");
const STORES_5: &str = include_str!("stores5.jsonl");
const STORES_6: &str = include_str!("stores6.jsonl");
const SERVERS: [&str; 3] = ["A", "B", "C"];

/// Fills a Redis with the stores.
fn fill(redis: &TestRedis) {
    fill_with(redis, STORES);
}

fn fill_with(redis: &TestRedis, stores: &str) {
    let mut connection = redis.connect();
    for line in stores.lines() {
        let words: Vec<String> = serde_json::from_str(line).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let _: redis::Value = say(&mut connection, &words);
    }
}

fn filled() -> TestRedis {
    let redis = TestRedis::start();
    fill(&redis);
    redis
}

/// All that a Redis holds.
fn content(redis: &TestRedis) -> BTreeMap<String, Vec<u8>> {
    let mut connection = redis.connect();
    let keys: Vec<String> = say(&mut connection, &["KEYS", "*"]);
    let dumped = |key: String| {
        let dump = match say::<String>(&mut connection, &["TYPE", &key]).as_str() {
            // A dump has the fields of a hash in any order.
            "hash" => format!("{:?}", hash(&mut connection, &key)).into_bytes(),
            _ => say(&mut connection, &["DUMP", &key]),
        };
        (key, dump)
    };
    keys.into_iter().map(dumped).collect()
}

fn hash(connection: &mut Connection, key: &str) -> BTreeMap<String, String> {
    say(connection, &["HGETALL", key])
}

fn field<T: FromRedisValue>(redis: &TestRedis, id: &str, field: &str) -> T {
    say(&mut redis.connect(), &["HGET", &format!("SERVER-STATE-{id}"), field])
}

fn upgrade(url: &str, more: &[&str]) -> Output {
    Command::new(PROGRAM).args(["upgrade", "--redis", url]).args(more).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Audits a Redis, or a file; returns the status and the report.
fn audited(redis: Option<&TestRedis>, file: Option<&Path>) -> (u8, Value) {
    let (ids, servers) = (Vec::new(), Vec::new());
    let redis = redis.map(TestRedis::url).into_iter().collect();
    let files = file.map(Path::to_owned).into_iter().collect();
    let (archives, doors, server_keys) = (Vec::new(), None, BTreeMap::new());
    let (json, timeout) = (true, PATIENCE);
    let options =
        Options { redis, archives, ids, servers, doors, server_keys, files, json, timeout };
    let mut report = Vec::new();
    let status = audit::run(&options, &mut report);
    (status, serde_json::from_slice(&report).unwrap())
}

#[test]
fn who_meets_it_says_what_to_type() {
    let redis = filled();
    let before = content(&redis);
    let url = redis.url();
    let typed =
        |id| format!("`paxos-banking upgrade --redis {} --id {id}`", url.trim_end_matches('/'));
    let server =
        Command::new(PROGRAM).args(["server", "--id", "B", "--redis", &url]).output().unwrap();
    let said = text(&server);
    assert!(!server.status.success() && said.contains(&typed("B")), "{said}");
    assert!(said.contains("SERVER-STATE-B[format] is 4") && said.contains("--upgrade"), "{said}");
    let (status, report) = audited(Some(&redis), None);
    assert_eq!(status, SOUND, "{report:#}");
    for (one, id) in report["stores"].as_array().unwrap().iter().zip(SERVERS) {
        assert!(one["notes"].to_string().contains(&typed(id)), "{one:#}");
    }
    assert_eq!(content(&redis), before);
}

#[test]
fn what_the_older_version_exported_is_audited() {
    let exported = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade/exported.jsonl");
    let (status, report) = audited(None, Some(&exported));
    assert_eq!(status, SOUND, "{report:#}");
    assert_eq!(report["stores"][0]["entries"], json!(12));
}

#[test]
fn an_upgraded_bank_goes_on_where_it_was() {
    let setup = Setup { ..Default::default() };
    let mut bank = Bank::set_up(&SERVERS, setup);
    fill(bank.redis("A"));
    let done = upgrade(&bank.redis("A").url(), &[]);
    let said = text(&done);
    assert!(done.status.success(), "{said}");
    let words =
        "A: upgraded from format 4 to 7, and otherwise as it was: height 4, 7 accounts, 4 entries";
    assert!(said.contains(words), "{said}");
    let (status, report) = audited(Some(bank.redis("A")), None);
    assert_eq!((status, report.to_string().contains("format 4")), (SOUND, false), "{report:#}");
    let again = upgrade(&bank.redis("A").url(), &["--id", "A"]);
    assert!(again.status.success() && text(&again).contains("nothing was to be done"), "{again:?}");
    bank.start_all();
    // The retry of a request that is in the log only.
    let session = "A.1.5.9d663177d92e1ffc.2";
    let payment = json!({"to": "C", "amount": 4, "session": session, "number": 4});
    let retry = json!({"transfer": payment});
    let told = bank.ask("A", &retry).unwrap();
    assert_eq!((&told["outcome"], &told["seq"]), (&json!("accepted"), &json!(9)), "{told}");
    let paid = bank.ask("A", &json!({"transfer": {"to": "B", "amount": 7}})).unwrap();
    assert_eq!((&paid["outcome"], &paid["seq"]), (&json!("accepted"), &json!(10)), "{paid}");
    let opened = bank.ask("B", &json!({"open": {"account": "B/eve"}})).unwrap();
    assert_eq!(opened["outcome"], json!("accepted"), "{opened}");
    bank.settle();
    let balances =
        [("A", 50), ("B", 91), ("C", 79), ("A/alice", 38), ("A/bob", 3), ("B/carol", 24)];
    for (account, units) in balances.into_iter().chain([("C/dora", 15), ("B/eve", 0)]) {
        let home = &account[..1];
        let told = bank.ask(home, &json!({"balance": {"account": account}})).unwrap();
        assert_eq!(told["balance"], json!(units), "{account}: {told}");
    }
    // The accepted block was finished, not another in its place.
    let chain = bank.chain("C");
    let accepted: Value = STORES
        .lines()
        .map(|line| serde_json::from_str::<Vec<String>>(line).unwrap())
        .find(|words| words[1] == "SERVER-ACCEPTED-C")
        .map(|words| serde_json::from_str(&words[2]).unwrap())
        .unwrap();
    assert_eq!(chain[5]["previous"], accepted["previous"]);
    assert_eq!((&chain[5]["proposer"], &chain[4]["height"]), (&json!("A"), &json!(4)));
    SERVERS.iter().for_each(|id| bank.kill(id));
    assert_eq!(audited(Some(bank.redis("A")), None).0, SOUND);
}

#[test]
fn the_page_names_the_formats_of_today() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("doc/OPERATING.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n### A bank of an older version\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let older: Vec<String> = (OLDEST_FORMAT..FORMAT).map(|format| format.to_string()).collect();
    let (last, others) = older.split_last().unwrap();
    let older = format!("{} and {last}", others.join(", "));
    let words = format!("(formats {older}; this one writes {FORMAT})");
    assert!(section.contains(&words), "{words}");
    let shown = format!("upgraded from format {} to {FORMAT}", FORMAT - 1);
    assert!(section.contains(&shown), "{shown}");
}

/// Format 6 knows times, references and issued money. What format 5 wrote has none of them, and goes on as it was.
#[test]
fn a_bank_of_format_5_comes_along() {
    let mut bank = Bank::new(&SERVERS);
    fill_with(bank.redis("A"), STORES_5);
    let done = upgrade(&bank.redis("A").url(), &[]);
    let said = text(&done);
    assert!(done.status.success() && said.contains("D: upgraded from format 5 to 7"), "{said}");
    assert_eq!(audited(Some(bank.redis("A")), None).0, SOUND);
    bank.start_all();
    let session = "A.1.0.5048e493003d44dd";
    let payment = json!({"to": "C", "amount": 4, "session": session, "number": 5});
    let told = bank.ask("A", &json!({"transfer": payment})).unwrap();
    assert_eq!((&told["seq"], &told["repeated"]), (&json!(6), &json!(true)), "{told}");
    let mint = bank.ask("A", &json!({"mint": {"amount": 1}})).unwrap();
    assert_eq!(mint["code"], json!("not_issuing"), "{mint}");
    let paid = json!({"to": "B", "amount": 1, "reference": "rent, \"May\""});
    let paid = bank.ask("A", &json!({"transfer": paid})).unwrap();
    assert_eq!(paid["seq"], json!(7), "{paid}");
    bank.settle();
    let told = bank.ask("A", &json!({"history": {"account": "A", "limit": 2}})).unwrap();
    let [last, before] = [&told["lines"][0], &told["lines"][1]];
    assert_eq!(last["reference"], json!("rent, \"May\""), "{told}");
    assert!(last["time"].as_u64() > Some(1_700_000_000_000) && before["time"].is_null(), "{told}");
    for (account, units) in [("A", 64), ("B", 107), ("C", 101), ("A/alice", 23)] {
        let told = bank.ask(&account[..1], &json!({"balance": {"account": account}})).unwrap();
        assert_eq!(told["balance"], json!(units), "{account}: {told}");
    }
    SERVERS.iter().for_each(|id| bank.kill(id));
    assert_eq!(audited(Some(bank.redis("A")), None).0, SOUND);
}

#[test]
fn a_bank_of_format_6_comes_along_and_its_promises_stand_from_then_on() {
    let mut bank = Bank::new(&SERVERS);
    fill_with(bank.redis("A"), STORES_6);
    let done = upgrade(&bank.redis("A").url(), &[]);
    let said = text(&done);
    assert!(done.status.success() && said.contains("A: upgraded from format 6 to 7"), "{said}");
    assert_eq!(audited(Some(bank.redis("A")), None).0, SOUND);
    SERVERS.iter().for_each(|id| bank.start_server_with(id, &["--issuing"]));
    bank.wait_until_connected();
    let named = json!({"session": {"name": "invoices", "last": 2}});
    let told = bank.ask("A", &named).unwrap();
    assert_eq!(told["highest"], json!(2), "{told}");
    let (session, reference) = (&told["session"], "invoice 17");
    let payment =
        json!({"to": "C", "amount": 4, "reference": reference, "session": session, "number": 2});
    let told = bank.ask("A", &json!({"transfer": payment})).unwrap();
    assert_eq!((&told["seq"], &told["repeated"]), (&json!(3), &json!(true)), "{told}");
    bank.settle();
    let promised = hash(&mut bank.redis("A").connect(), "SERVER-STATE-A").remove("promised");
    assert!(promised.is_some(), "a block does not end what was promised");
    SERVERS.iter().for_each(|id| bank.kill(id));
    assert_eq!(audited(Some(bank.redis("A")), None).0, SOUND);
}

#[test]
fn a_server_that_is_told_to_upgrades_its_store_as_it_starts() {
    let mut bank = Bank::new(&SERVERS);
    fill(bank.redis("A"));
    SERVERS.iter().for_each(|id| bank.start_server_with(id, &["--upgrade"]));
    bank.wait_until_connected();
    SERVERS.iter().for_each(|id| assert_eq!(field::<u32>(bank.redis(id), id, "format"), FORMAT));
    let paid = bank.ask("A", &json!({"transfer": {"to": "B", "amount": 1}})).unwrap();
    assert_eq!(paid["outcome"], json!("accepted"), "{paid}");
}

/// Each server is started once more, with a key. When all have logged theirs, the chain asks everybody for one.
#[test]
fn keys_come_to_an_upgraded_bank_by_one_restart_of_each_server() {
    let mut bank = Bank::new(&SERVERS);
    fill(bank.redis("A"));
    SERVERS.iter().for_each(|id| bank.start_server_with(id, &["--upgrade"]));
    bank.wait_until_connected();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let operator = create_key_file(&folder.path().join("operator")).unwrap();
    fs::write(path("roles"), format!("operator {} Olga\n", operator.fingerprint())).unwrap();
    let status = json!({"status": {}});
    for id in SERVERS {
        let other = if id == "A" { "B" } else { "A" };
        assert_eq!(bank.ask(other, &status).unwrap()["keyed"], Value::Null, "not before the last");
        bank.kill(id);
        // The key is made at this start.
        bank.start_server_with(id, &["--key", &path(id), "--authorized", &path("roles")]);
        let named = |id: &str| {
            let told = Sealed::connect(bank.address(id), &operator).ask(&status);
            told["keys"][id].is_string()
        };
        wait_until("the chain names its key", || named(id));
    }
    let ask = |id: &str, request: &Value| Sealed::connect(bank.address(id), &operator).ask(request);
    let keyed = |id: &&str| ask(id, &status)["keyed"] == json!(true);
    wait_until("all servers ask for keys", || SERVERS.iter().all(keyed));
    let plain = bank.ask("A", &json!({"transfer": {"to": "B", "amount": 1}})).unwrap();
    assert_eq!(plain["error"], json!("forbidden"), "{plain}");
    let paid = ask("A", &json!({"transfer": {"to": "B", "amount": 1, "settled": true}}));
    assert_eq!((&paid["outcome"], &paid["settled"]), (&json!("accepted"), &json!(true)), "{paid}");
    SERVERS.iter().for_each(|id| bank.kill(id));
    assert_eq!(audited(Some(bank.redis("A")), None).0, SOUND);
    // No flag turns it back.
    let (address, url) = (bank.address("A").to_string(), bank.redis("A").url());
    let cluster = format!("A={address},B=127.0.0.1:1,C=127.0.0.1:2");
    let flags = ["server", "--id", "A", "--cluster", &cluster, "--redis", &url, "--access", "open"];
    let open = Command::new("timeout").args(["60", PROGRAM]).args(flags).output().unwrap();
    assert!(text(&open).contains("this bank has keys"), "{open:?}");
}

/// Of the three of a bank some may have come along and others not yet: they can't speak with each other, and
/// each store is of one format or the other.
#[test]
fn only_the_store_that_is_named_is_touched() {
    let redis = filled();
    let before = content(&redis);
    assert!(upgrade(&redis.url(), &["--id", "B"]).status.success());
    let formats = SERVERS.map(|id| field::<u32>(&redis, id, "format"));
    assert_eq!(formats, [4, FORMAT, 4]);
    let after = content(&redis);
    let changed = before.iter().filter(|(key, value)| after.get(*key) != Some(*value));
    let changed: Vec<&str> = changed.map(|(key, _)| key.as_str()).collect();
    assert_eq!(changed, ["SERVER-LIVES-B", "SERVER-OWNER-B", "SERVER-STATE-B", "SERVER-TURN-B"]);
    let none = upgrade(&redis.url(), &["--id", "D"]);
    assert!(text(&none).contains("there are stores of: A, B, C"), "{none:?}");
    assert_eq!(none.status.code(), Some(i32::from(UNREAD)));
}

#[test]
fn a_store_that_is_wrong_keeps_all_that_it_holds() {
    let page = r#"{"height":4,"balances":[["A",61],["B",85],["C",75],["A/alice",40],["A/bob",0],["B/carol",25],["C/dora",15]]}"#;
    let log = r#"{"epoch":1,"seq":9,"entries":[["A","C",400]]}"#;
    let damages: [(&[&str], &str); 4] = [
        (&["HSET", "SERVER-BALANCES-A", "0", page], "SERVER-BALANCES-A"),
        (&["LSET", "SERVER-LOG-A", "2", log], "SERVER-LOG-A"),
        (&["HSET", "SERVER-STATE-A", "keys", "{}"], "SERVER-STATE-A"),
        (&["HSET", "SERVER-STATE-A", "format", "3"], "SERVER-STATE-A"),
    ];
    for (damage, place) in damages {
        let redis = filled();
        let _: redis::Value = say(&mut redis.connect(), damage);
        let before = content(&redis);
        let refused = upgrade(&redis.url(), &["--id", "A"]);
        let said = text(&refused);
        assert!(!refused.status.success() && said.contains(place), "{said}");
        assert_eq!(content(&redis), before, "{said}");
        let code = if damage[3] == "3" { UNREAD } else { WRONG };
        assert_eq!(refused.status.code(), Some(i32::from(code)), "{said}");
    }
}

/// The program is killed behind each of its transactions: it is of one format or the other, sound, and comes along
/// the next time.
#[test]
fn wherever_it_is_interrupted_it_can_be_run_again() {
    let mut formats = Vec::new();
    for number in 1.. {
        let redis = filled();
        let relay = Relay::before(&redis);
        let program: Arc<Mutex<Option<Guarded>>> = Arc::default();
        let killed = Arc::clone(&program);
        relay.between(number, move || {
            // It may not be noted yet that it was started.
            wait_until("the program runs", || killed.lock().unwrap().take().is_some());
        });
        let mut command = Command::new(PROGRAM);
        command.args(["upgrade", "--redis", &relay.url(), "--id", "A"]);
        let started = Guarded::start(&command, std::process::Stdio::null()).unwrap();
        *program.lock().unwrap() = Some(started);
        let has_ended = || {
            let mut program = program.lock().unwrap();
            program.as_mut().is_none_or(|running| running.ended().is_some())
        };
        wait_until("it was killed, or has ended", has_ended);
        formats.push(field::<u32>(&redis, "A", "format"));
        let (status, report) = audited(Some(&redis), None);
        assert_eq!(status, SOUND, "behind transaction {number}: {report:#}");
        if !relay.is_done() {
            break;
        }
        let again = upgrade(&redis.url(), &["--id", "A"]);
        assert!(again.status.success(), "behind transaction {number}: {}", text(&again));
        assert_eq!(field::<u32>(&redis, "A", "format"), FORMAT);
        assert_eq!(audited(Some(&redis), None).0, SOUND);
    }
    // An empty one, the look, the audit's, the taking of the owner, and the turn.
    assert!(formats.starts_with(&[4, 4, 4]), "{formats:?}");
    assert!(formats.is_sorted(), "{formats:?}");
    // Nothing but the turn itself writes it; the last time nobody interrupted.
    assert_eq!(formats.iter().filter(|format| **format == FORMAT).count(), 2, "{formats:?}");
}
