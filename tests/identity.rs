//! Whose store is it, and is it the last one? Each test loses, swaps or rolls back the store of a
//! server of the shipped program, which has to notice before it votes or pays, say what happened and
//! what to do, and stop; the others go on.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use paxos_banking::play::guard::Guarded;
use serde_json::{Value, json};
use tempfile::TempDir;

use support::cluster::{Client, free_address, wait_until};
use support::process::{Bank, Setup};
use support::redis::{TestRedis, say};

/// Three servers, a Redis each, and the folder for what they say.
struct Stage {
    bank: Bank,
    _logs: TempDir,
}

impl Stage {
    fn open() -> Stage {
        let logs = tempfile::tempdir().unwrap();
        let setup =
            Setup { redis_each: true, logs: Some(logs.path().to_owned()), ..Default::default() };
        let mut bank = Bank::set_up(&["A", "B", "C"], setup);
        bank.start_all();
        Stage { bank, _logs: logs }
    }

    /// Pays; returns the outcome, and waits until there is one.
    fn pay(&self, from: &str, to: &str, amount: u64) -> Value {
        let mut outcome = Value::Null;
        wait_until("a transfer is decided", || {
            let request = json!({"transfer": {"to": to, "amount": amount}});
            outcome = self.bank.ask(from, &request).unwrap_or_default();
            outcome["outcome"].is_string()
        });
        outcome
    }

    /// The same, once; None if no answer came, or none that decides.
    fn try_to_pay(&self, from: &str) -> Option<Value> {
        let request = json!({"transfer": {"to": "C", "amount": 1}});
        let answer = self.bank.ask(from, &request)?;
        answer["outcome"].is_string().then_some(answer)
    }

    /// What a server says of why it doesn't pay.
    fn refusal(&self, id: &str) -> String {
        let mut answer = Value::Null;
        wait_until("it answers", || {
            let request = json!({"transfer": {"to": "C", "amount": 1}});
            answer = self.bank.ask(id, &request).unwrap_or_default();
            answer["message"].is_string()
        });
        answer["message"].as_str().unwrap_or_default().to_owned()
    }

    fn log(&self, id: &str) -> String {
        fs::read_to_string(self.bank.log_file(id).expect("servers log here")).unwrap()
    }

    /// Waits until the server has ended by itself, not having paid since, and said why.
    fn ends_saying(&mut self, id: &str, words: &[&str]) {
        wait_until("the server stops", || {
            self.bank.process(id).expect("it was started").ended().is_some()
        });
        let status = self.bank.process(id).unwrap().ended().unwrap();
        assert!(!status.success(), "it ends with a failure");
        let log = self.log(id);
        for words in words {
            assert!(log.contains(words), "{words} is not in\n{log}");
        }
        self.bank.kill(id);
    }

    fn the_others_go_on(&self) {
        assert_eq!(self.pay("A", "C", 1)["outcome"], "accepted");
        let settled = || self.bank.ask("A", &json!({"settle": {}})).unwrap_or_default();
        wait_until("the others settle", || settled()["settled"] == json!(true));
    }

    /// Waits until both others, whose word it takes, have seen how far this one's store is: they have heard it since
    /// its turn was read. (A heartbeat may have told of a turn that was still to be written.)
    fn is_seen(&self, id: &str) {
        let status = |of: &str| self.bank.ask(of, &json!({"status": {}})).unwrap_or_default();
        let turn = status(id)["turn"].as_u64().expect("its turn");
        let since = Instant::now();
        let has_seen = |other: &&str| {
            let so_far = since.elapsed().as_millis() as u64;
            let peers = status(other)["peers"].as_array().cloned().unwrap_or_default();
            let heard = |peer: &Value| peer["heard_ms"].as_u64().is_some_and(|ago| ago < so_far);
            peers.iter().any(|peer| {
                peer["id"] == json!(id) && peer["turn"].as_u64() >= Some(turn) && heard(peer)
            })
        };
        let others = ["A", "B", "C"].into_iter().filter(|other| *other != id);
        wait_until("the others have seen it", || others.clone().all(|other| has_seen(&other)));
    }

    fn redis_data(&mut self, id: &str) -> PathBuf {
        self.bank.redis(id).data()
    }

    /// What B's Redis holds now, to be put back later.
    fn copy_of_b(&mut self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_files(&self.redis_data("B").join("appendonlydir"), copy.path());
        copy
    }

    /// B's Redis restarts with an older copy of its data, or with none.
    fn put_back(&mut self, copy: Option<&TempDir>) {
        self.bank.redis("B").kill();
        let files = self.redis_data("B").join("appendonlydir");
        fs::remove_dir_all(&files).unwrap();
        if let Some(copy) = copy {
            fs::create_dir(&files).unwrap();
            copy_files(copy.path(), &files);
        }
        self.bank.redis("B").restart();
    }

    fn rejoin(&mut self) {
        self.bank.start_server_with("B", &["--rejoin"]);
    }
}

fn copy_files(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn keys(redis: &TestRedis) -> usize {
    say(&mut redis.connect(), &["DBSIZE"])
}

#[test]
fn keys_that_vanish_under_a_server_stop_it_at_its_next_write() {
    let mut stage = Stage::open();
    assert_eq!(stage.pay("B", "C", 1)["outcome"], "accepted");
    let () = say(&mut stage.bank.redis("B").connect(), &["FLUSHALL"]);
    assert_eq!(stage.try_to_pay("B"), None, "it doesn't pay");
    stage.ends_saying("B", &["SERVER-OWNER-B is gone: the store was lost"]);
    assert_eq!(keys(stage.bank.redis("B")), 0, "it has written nothing");
    stage.the_others_go_on();
}

#[test]
fn a_redis_that_comes_back_empty_stops_the_server() {
    let mut stage = Stage::open();
    stage.put_back(None);
    // It has nothing to do with Redis until it has something to write.
    assert_eq!(stage.try_to_pay("B"), None, "it doesn't pay");
    stage.ends_saying(
        "B",
        &["SERVER-STATE-B: instance", "is gone: it was lost, swapped or rolled back"],
    );
    assert_eq!(keys(stage.bank.redis("B")), 0, "it has written nothing");
    stage.the_others_go_on();
}

#[test]
fn a_redis_that_comes_back_older_stops_the_server() {
    let mut stage = Stage::open();
    assert_eq!(stage.pay("B", "C", 1)["outcome"], "accepted");
    let older = stage.copy_of_b();
    assert_eq!(stage.pay("B", "C", 2)["outcome"], "accepted");
    stage.put_back(Some(&older));
    // It has nothing to do with Redis until it has something to write.
    assert_eq!(stage.try_to_pay("B"), None, "it doesn't pay");
    stage.ends_saying("B", &["it was lost, swapped or rolled back"]);
    stage.the_others_go_on();
}

/// Rolled back while the server was down: its turn counter fits. But the others have seen more of it.
#[test]
fn a_server_that_starts_on_an_older_store_is_told_by_the_others() {
    let mut stage = Stage::open();
    let older = stage.copy_of_b();
    assert_eq!(stage.pay("B", "C", 2)["outcome"], "accepted");
    stage.is_seen("B");
    stage.bank.kill("B");
    stage.put_back(Some(&older));
    stage.bank.start_server("B");
    stage.ends_saying("B", &["the store of B was rolled back", "saw it at turn", "--rejoin"]);
    stage.the_others_go_on();
}

/// Its turn counter fits, and nothing in its own store tells that there were more entries.
#[test]
fn a_server_that_starts_without_its_latest_entries_is_told_by_the_others() {
    let mut stage = Stage::open();
    assert_eq!(stage.pay("B", "C", 2)["seq"], 1);
    assert_eq!(stage.pay("B", "C", 3)["seq"], 2);
    stage.is_seen("B");
    stage.bank.kill("B");
    let () = say(&mut stage.bank.redis("B").connect(), &["RPOP", "SERVER-LOG-B"]);
    stage.bank.start_server("B");
    stage.ends_saying("B", &["the store of B was rolled back", "with entry 2", "--rejoin"]);
    stage.the_others_go_on();
}

#[test]
fn an_empty_store_under_a_known_id_stops_the_server_and_rejoins_on_its_operators_word() {
    let mut stage = Stage::open();
    assert_eq!(stage.pay("B", "C", 10)["seq"], 1);
    stage.the_others_go_on();
    assert_eq!(stage.pay("B", "C", 5)["seq"], 2);
    stage.is_seen("B");
    stage.bank.kill("B");
    stage.put_back(None);
    stage.bank.start_server("B");
    stage.ends_saying("B", &["the store of B was lost or swapped", "--rejoin"]);

    // With one of three lost both others are needed.
    stage.bank.kill("C");
    stage.rejoin();
    wait_until("A is connected", || stage.log("B").contains("connected to A"));
    assert!(stage.refusal("B").contains("B rejoins"), "{}", stage.refusal("B"));
    stage.bank.start_server("C");
    wait_until("B has rejoined", || stage.log("B").contains("done: B has rejoined"));
    let lost =
        "Of epoch 1 the chain holds those up to B.1.1; later ones are lost: at least up to B.1.2";
    assert!(stage.log("B").contains(lost), "{}", stage.log("B"));

    let paid = stage.pay("B", "C", 7);
    assert_eq!(
        (&paid["epoch"], &paid["seq"], &paid["balance"]),
        (&json!(2), &json!(1), &json!(83))
    );
    stage.bank.wait_until_connected();
    stage.bank.settle();
    // From now on it is a server as any other.
    stage.bank.kill("B");
    stage.bank.start_server("B");
    assert_eq!(stage.pay("B", "C", 1)["balance"], json!(82));
}

/// What it was before another came in its place, or not that, is found at the others or here.
#[test]
fn a_store_that_was_replaced_never_serves_again() {
    let mut stage = Stage::open();
    let replaced = stage.copy_of_b();
    stage.bank.kill("B");
    stage.put_back(None);
    stage.rejoin();
    wait_until("B has rejoined", || stage.log("B").contains("done: B has rejoined"));
    stage.bank.kill("B");
    let present = stage.copy_of_b();
    stage.put_back(Some(&replaced));
    for flags in [&[][..], &["--rejoin"]] {
        stage.bank.start_server_with("B", flags);
        stage.ends_saying("B", &["the store of B was lost or swapped"]);
    }
    stage.put_back(Some(&present));
    stage.bank.start_server("B");
    assert_eq!(stage.pay("B", "C", 1)["epoch"], json!(2));
}

#[test]
fn a_store_of_another_server_is_none_of_this_one() {
    let mut stage = Stage::open();
    stage.bank.kill("B");
    stage.bank.stores.swap(1, 2);
    stage.bank.start_server("B");
    stage.ends_saying("B", &["the store of B was lost or swapped"]);
    stage.bank.stores.swap(1, 2);
    stage.the_others_go_on();
}

#[test]
fn a_store_of_another_bank_is_refused() {
    let mut other = Stage::open();
    assert_eq!(other.pay("B", "A", 1)["outcome"], "accepted");
    let mut stage = Stage::open();
    stage.bank.kill("B");
    let copy = other.copy_of_b();
    stage.put_back(Some(&copy));
    stage.bank.start_server("B");
    stage.ends_saying("B", &["the store of B was swapped: it is of another bank"]);
    stage.the_others_go_on();
    assert_eq!(other.pay("B", "A", 1)["balance"], json!(98), "nothing happened to it");
}

#[test]
fn of_two_processes_on_one_store_the_earlier_one_stops() {
    let mut stage = Stage::open();
    let mut second = stage.bank.server_command("B");
    let address = free_address();
    second.args(["--listen", &address, "--heartbeat", "100ms"]);
    let second = Guarded::start(&second, Stdio::null()).expect("a shell");
    let status = || Client::try_connect(&address)?.try_ask(&json!({"status": {}}));
    wait_until("the second has loaded", || status().is_some());
    let turn = status().unwrap()["turn"].clone();
    assert_eq!(stage.try_to_pay("B"), None, "the first doesn't pay any more");
    stage.ends_saying("B", &["SERVER-OWNER-B is now", "another process's"]);
    let after = status().unwrap()["turn"].clone();
    assert!(after.as_u64() >= turn.as_u64(), "the second goes on");
    let request = json!({"transfer": {"to": "C", "amount": 1}});
    let paid = Client::try_connect(&address).and_then(|mut client| client.try_ask(&request));
    assert_eq!(paid.unwrap()["outcome"], json!("accepted"));
    drop(second);
}

/// Bug: with all stores lost, all servers founded a new bank without a word. Cause: they can't tell that
/// from the first start. Fix: who is told its bank founds none; and founding is a warning.
#[test]
fn servers_that_were_told_their_bank_found_no_other_when_all_stores_are_lost() {
    let mut stage = Stage::open();
    let status = stage.bank.ask("A", &json!({"status": {}})).unwrap();
    let hash = status["bank"].as_str().expect("the hash of block 0").to_owned();
    wait_until("it is a warning", || stage.log("A").contains(&format!("--bank {hash}")));
    assert!(stage.log("A").contains("WARN  founded a NEW bank"), "{}", stage.log("A"));
    let told = ["--bank", &hash[..16]];
    stage.bank.kill("B");
    stage.bank.start_server_with("B", &told);
    assert_eq!(stage.pay("B", "C", 1)["outcome"], "accepted");

    let ids = ["A", "B", "C"];
    ids.iter().for_each(|id| stage.bank.kill(id));
    for redis in &stage.bank.stores {
        let () = say(&mut redis.connect(), &["FLUSHALL"]);
    }
    ids.iter().for_each(|id| stage.bank.start_server_with(id, &told));
    for id in ids {
        let empty = format!("the store of {id} is empty, and {id} was told to serve only bank");
        stage.ends_saying(id, &[&empty, "Nothing was written"]);
        assert_eq!(keys(stage.bank.redis(id)), 0, "it has written nothing");
    }
    stage.bank.start_all();
    wait_until("who isn't told founds one", || stage.log("C").contains("founded a NEW bank"));
    stage.bank.kill("B");
    stage.bank.start_server_with("B", &told);
    stage.ends_saying("B", &["holds another bank than B was told to serve"]);
}

#[test]
fn a_rejoin_into_a_bank_that_is_named_goes_through_and_into_another_it_does_not() {
    let mut stage = Stage::open();
    let status = stage.bank.ask("A", &json!({"status": {}})).unwrap();
    let hash = status["bank"].as_str().expect("the hash of block 0").to_owned();
    stage.bank.kill("B");
    stage.put_back(None);
    let other = "0".repeat(64);
    stage.bank.start_server_with("B", &["--rejoin", "--bank", &other]);
    wait_until("B hears of the wrong bank", || stage.log("B").contains("serves only 0000"));
    stage.bank.kill("B");
    stage.bank.start_server_with("B", &["--rejoin", "--bank", &hash]);
    wait_until("B has rejoined", || stage.log("B").contains("done: B has rejoined"));
}
