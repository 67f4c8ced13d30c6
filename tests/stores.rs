//! The same bank on every store that doc/OPERATING.md names: the system's Redis, and those that
//! `.ci/install-stores` puts into a folder. A store that can't be had fails its test; `STORES=none` leaves
//! all but the system's out, and says so. `./dev.sh stores` tries all, also those that need a library more.

mod support;

use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use paxos_banking::bank::effects::Write;
use paxos_banking::store::redis::{Options, RedisStore};
use paxos_banking::store::{Store, StoreError};
use serde_json::json;
use support::cluster::{Client, wait_until};
use support::disk::{Disk, commit, use_all_of_it};
use support::process::{Bank, Setup};
use support::redis::{TestRedis, say};
use support::samples::*;
use support::stores::{SYSTEM, program, version};

/// Founds, pays, overdraws, settles, kills all with -9, starts again, audits.
fn a_bank_lives_on(name: &str) {
    let Some(store) = program(name) else { return };
    let setup = Setup { redis_each: true, store: (store, Vec::new()), ..Setup::default() };
    let mut bank = Bank::set_up(&["A", "B", "C"], setup);
    bank.start_all();
    let pay = |bank: &Bank, from: &str, to: &str, amount: u64| {
        let mut outcome = json!(null);
        wait_until("a transfer is decided", || {
            let reply = bank.ask(from, &json!({"transfer": {"to": to, "amount": amount}}));
            outcome = reply.unwrap_or_default()["outcome"].clone();
            outcome.is_string() && outcome != json!("unavailable")
        });
        outcome
    };
    assert_eq!(pay(&bank, "A", "B", 60), json!("accepted"));
    // What B has of it is found by a run; what nobody has is refused by one.
    assert_eq!(pay(&bank, "B", "C", 150), json!("accepted"));
    assert_eq!(pay(&bank, "A", "C", 90), json!("refused"));
    bank.settle();
    assert_eq!(pay(&bank, "C", "A", 7), json!("accepted"));
    let chain = bank.chain("A");

    for id in bank.ids() {
        bank.kill(&id);
    }
    bank.stores.iter_mut().for_each(TestRedis::kill);
    bank.stores.iter_mut().for_each(TestRedis::restart);
    bank.start_all();
    assert_eq!(bank.chain("A"), chain, "the chain is not what it was");
    let status = bank.ask("C", &json!({"status": {}})).unwrap();
    assert_eq!(status["log_length"], json!(1), "what was accepted last is lost");
    let mut audit = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    audit.arg("audit").arg("--json");
    for redis in &bank.stores {
        audit.args(["--redis", &redis.url()]);
    }
    let audit = audit.output().unwrap();
    let said = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.status.success() && said.contains(r#""sound":true"#), "{said}");
    println!(
        "{:<16} {:<14} founds, pays, overdraws, settles, is killed, lives on, is sound",
        name,
        version(&bank.stores[0])
    );
}

/// The user of doc/OPERATING.md can do all that server B does, and nothing with A's keys.
fn the_documented_user_is_enough(name: &str) {
    let Some(store) = program(name) else { return };
    let redis = TestRedis::run(&store, &[]);
    let readme = std::fs::read_to_string("doc/OPERATING.md").unwrap();
    let line = readme.lines().map(str::trim).find(|line| line.starts_with("ACL SETUSER bank-B "));
    let line = line.expect("doc/OPERATING.md has the line").replace("PASSWORD", "secret");
    say::<()>(&mut redis.connect(), &line.split_whitespace().collect::<Vec<_>>());
    let url = format!("redis://bank-B:secret@127.0.0.1:{}/", redis.port());
    let open = |id: &str| RedisStore::new(&url, &server(id), Options::default()).unwrap();
    use_all_of_it(&mut open("B"));
    let refused = open("A").load().unwrap_err().to_string();
    assert!(refused.contains("NOPERM") && refused.contains("-A"), "{refused}");
}

/// With `appendonly` switched on a moment ago nothing is believed before it is kept.
fn what_is_not_kept_yet_is_not_believed(name: &str) {
    let Some(store) = program(name) else { return };
    let mut redis = TestRedis::run(&store, &[]);
    let c = &mut redis.connect();
    say::<()>(c, &["SET", "somebody's", "x"]);
    // Half a second for each key, in the process that rewrites.
    say::<()>(c, &["CONFIG", "SET", "rdb-key-save-delay", "2000000"]);
    say::<()>(c, &["CONFIG", "SET", "appendonly", "no"]);
    say::<()>(c, &["CONFIG", "SET", "appendonly", "yes"]);
    let mut store = redis.open();
    let mut last = store.load().unwrap().turn.0;
    let info: redis::InfoDict = say(c, &["INFO", "persistence"]);
    assert_eq!(info.get::<u32>("aof_rewrite_in_progress"), Some(0), "it was believed too early");
    commit(&mut store, &mut last, vec![Write::Promise(ballot(5))]);
    redis.kill();
    redis.restart();
    assert_eq!(redis.open().load().unwrap().promised, Some(ballot(5)));
}

/// And where it is switched off and on while a server uses it, the next turn is not believed. (Each turn
/// is asked about only where several threads may answer it too early.)
fn what_is_not_kept_any_more_is_not_believed(name: &str) {
    let Some(store) = program(name) else { return };
    let redis = TestRedis::run(&store, &["--io-threads", "2"]);
    let options = Options { timeout: Duration::from_secs(1), ..Options::default() };
    let mut store = RedisStore::new(&redis.url(), &server("A"), options).unwrap();
    let last = store.load().unwrap().turn.0;
    let c = &mut redis.connect();
    say::<()>(c, &["CONFIG", "SET", "rdb-key-save-delay", "2000000"]);
    say::<()>(c, &["CONFIG", "SET", "appendonly", "no"]);
    let error = store.commit(batch(last + 1, vec![Write::Promise(ballot(5))])).unwrap_err();
    assert!(error.to_string().contains("appendonly is disabled"), "{error}");
    say::<()>(c, &["CONFIG", "SET", "appendonly", "yes"]);
    // It is the same with a turn, and with the beginning of a life.
    let error = store.load().unwrap_err();
    assert!(matches!(error, StoreError::Unflushed(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("not flushed it to its disk within 750 ms"), "{text}");
    for _ in 0..600 {
        match store.load() {
            Ok(_) => return,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
    panic!("it was never believed again");
}

/// Makes a test of each function for each store.
macro_rules! on_each {
    ($($module:ident $name:expr, $($test:ident)*;)*) => {
        $(mod $module {
            $(#[test] fn $test() { super::$test($name); })*
        })*
    };
}

on_each! {
    system super::SYSTEM, a_bank_lives_on the_documented_user_is_enough;
    redis_6_2 "redis-6.2", a_bank_lives_on the_documented_user_is_enough what_is_not_kept_yet_is_not_believed;
    redis_8_2 "redis-8.2", a_bank_lives_on the_documented_user_is_enough
        what_is_not_kept_yet_is_not_believed what_is_not_kept_any_more_is_not_believed;
    valkey_9_1 "valkey-9.1", a_bank_lives_on the_documented_user_is_enough
        what_is_not_kept_yet_is_not_believed what_is_not_kept_any_more_is_not_believed;
}

/// These need a library that is seldom there.
mod redis_7_4 {
    #[test]
    #[ignore = "./dev.sh stores"]
    fn a_bank_lives_on() {
        super::a_bank_lives_on("redis-7.4");
    }

    #[test]
    #[ignore = "./dev.sh stores"]
    fn the_documented_user_is_enough() {
        super::the_documented_user_is_enough("redis-7.4");
    }

    #[test]
    #[ignore = "./dev.sh stores"]
    fn what_is_not_kept_yet_is_not_believed() {
        super::what_is_not_kept_yet_is_not_believed("redis-7.4");
    }

    #[test]
    #[ignore = "./dev.sh stores"]
    fn what_is_not_kept_any_more_is_not_believed() {
        super::what_is_not_kept_any_more_is_not_believed("redis-7.4");
    }
}

/// A Redis with several I/O threads is given to the servers, and is killed with them under load.
#[test]
#[ignore = "./dev.sh stores"]
fn ten_rounds_of_kill_9_lose_nothing_that_was_told_accepted() {
    const ROUNDS: usize = 10;
    const TOLD: u64 = 100_000;
    const CLIENTS: usize = 16;
    let Some(store) = program("redis-8.2") else { return };
    let mut setup = Setup { store: (store, Vec::new()), ..Setup::default() };
    setup.store.1 = ["--io-threads", "4"].map(str::to_owned).into();
    setup.flags.extend(["--opening-balance", "1000000000"].map(str::to_owned));
    let mut bank = Bank::set_up(&["A", "B", "C"], setup);
    bank.start_all();
    println!(
        "{} with io-threads 4, {CLIENTS} clients at each of three servers:",
        version(&bank.stores[0])
    );
    let mut told = 0;
    for round in 1..=ROUNDS {
        let enough = TOLD * round as u64 / ROUNDS as u64 - told.min(TOLD);
        let (more, last_told) = load_until_killed(&mut bank, CLIENTS, enough);
        told += more;
        bank.stores[0].restart();
        bank.start_all();
        for (id, last) in last_told {
            let status = bank.ask(&id, &json!({"status": {}})).unwrap();
            let included = status["included"][&id]["seq"].as_u64().unwrap();
            let kept = included + status["log_length"].as_u64().unwrap();
            assert!(last <= kept, "round {round}: {id} told {last} accepted, and {kept} are there");
        }
        println!("round {round:>2}: {more:>6} told accepted, {told:>6} in all, nothing lost");
    }
    assert!(told >= TOLD);
}

/// Pays until so many payments were told accepted, and kills all in the midst of it. Returns how many
/// were, and the last one of each server.
fn load_until_killed(bank: &mut Bank, clients: usize, enough: u64) -> (u64, Vec<(String, u64)>) {
    let told: Vec<(String, Mutex<(u64, u64)>)> =
        bank.ids().into_iter().map(|id| (id, Mutex::default())).collect();
    thread::scope(|scope| {
        for (id, counts) in &told {
            for _ in 0..clients {
                let mut client = Client::connect(bank.address(id));
                scope.spawn(move || {
                    let pay =
                        json!({"transfer": {"to": if id == "A" { "B" } else { "A" }, "amount": 1}});
                    while let Some(reply) = client.try_ask(&pay) {
                        if reply["outcome"] == json!("accepted") {
                            let mut counts = counts.lock().unwrap();
                            counts.0 += 1;
                            counts.1 = counts.1.max(reply["seq"].as_u64().unwrap());
                        }
                    }
                });
            }
        }
        let count = || told.iter().map(|(_, counts)| counts.lock().unwrap().0).sum::<u64>();
        while count() < enough {
            thread::sleep(Duration::from_millis(1));
        }
        bank.stores[0].kill();
        for id in bank.ids() {
            bank.kill(&id);
        }
    });
    let counts = told.into_iter().map(|(id, counts)| (id, counts.into_inner().unwrap()));
    let counts: Vec<_> = counts.collect();
    let all = counts.iter().map(|(_, counts)| counts.0).sum();
    (all, counts.into_iter().map(|(id, counts)| (id, counts.1)).collect())
}
