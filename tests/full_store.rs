//! A Redis that refuses writes before it does anything: it is full, or has too few replicas.

mod support;

use std::process::Command;

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::request::Outcome;
use paxos_banking::client::session::Ending;
use serde_json::{Value, json};
use support::cluster::{Client, wait_until};
use support::process::{Bank, Setup};
use support::redis::{TestRedis, say};

const PROGRAM: &str = env!("CARGO_BIN_EXE_paxos-banking");

/// What makes a Redis refuse, what its words begin with, and what ends it.
const REFUSALS: [(&[&str], &str, &[&str]); 2] = [
    (&["CONFIG", "SET", "maxmemory", "1"], "OOM", &["CONFIG", "SET", "maxmemory", "0"]),
    (
        &["CONFIG", "SET", "min-replicas-to-write", "1"],
        "NOREPLICAS",
        &["CONFIG", "SET", "min-replicas-to-write", "0"],
    ),
];

fn bank() -> Bank {
    // Nobody has to wait long for the log of who only reads.
    let flags = ["--heartbeat", "100ms", "--gather", "200ms", "--redial-most", "200ms"];
    let flags = flags.map(str::to_owned).into();
    let setup = Setup { redis_each: true, flags, ..Default::default() };
    let mut bank = Bank::set_up(&["A", "B", "C"], setup);
    bank.start_all();
    bank
}

fn set(redis: &TestRedis, words: &[&str]) {
    say::<()>(&mut redis.connect(), words);
}

fn status(bank: &Bank, id: &str) -> Value {
    bank.ask(id, &json!({"status": {}})).unwrap_or_default()
}

fn pays(amount: u64) -> Value {
    json!({"transfer": {"to": "B", "amount": amount}})
}

/// Bug: a Redis that was full ended each request as unknown, and the server forgot and loaded without end.
/// Cause: what Redis refuses to queue was taken for a turn of which nobody knows. Fix: of such a turn nothing
/// was done, which clients are told; the server goes on to read, and begins a new life when there is room.
#[test]
fn a_redis_that_refuses_writes_lets_its_server_read_and_go_on() {
    for (refuse, words, allow) in REFUSALS {
        let mut bank = bank();
        let mut client = Client::connect(bank.address("A"));
        assert_eq!(client.ask(&pays(1))["seq"], json!(1));
        let before = status(&bank, "A");
        set(bank.redis("A"), refuse);
        // Two in one turn or two, with a read: each has an answer.
        client.send(b"{\"id\":1,\"transfer\":{\"to\":\"B\",\"amount\":2}}\n");
        let told = client.read().expect("it isn't cut off");
        assert_eq!((&told["error"], &told["id"]), (&json!("full"), &json!(1)), "{told}");
        let message = told["message"].as_str().unwrap();
        assert!(message.contains("nothing was done") && message.contains(words), "{message}");

        wait_until("it reads", || status(&bank, "A")["no_writes"].is_string());
        let mut client = Client::connect(bank.address("A"));
        for (request, field, value) in [
            (json!({"balance": {}}), "balance", json!(99)),
            (json!({"log": {}}), "more", json!(false)),
            (json!({"history": {"account": "A"}}), "account", json!("A")),
            (json!({"chain": {}}), "more", json!(false)),
            (pays(3), "error", json!("full")),
            (json!({"settle": {}}), "error", json!("full")),
            (json!({"session": {}}), "error", json!("full")),
        ] {
            let told = client.ask(&request);
            assert_eq!(told[field], value, "{told}");
        }
        // The others hear it, and what they can do without it they do.
        wait_until("it is heard", || {
            let peers = status(&bank, "B")["peers"].clone();
            peers[0]["id"] == json!("A") && peers[0]["connected"] == json!(true)
        });
        let settled = || bank.ask("B", &json!({"settle": {}})).unwrap_or_default();
        wait_until("the others settle", || settled()["settled"] == json!(true));

        // It doesn't forget and load meanwhile: it is in the life that it was in.
        let now = status(&bank, "A");
        assert_eq!((&now["life"], &now["turn"]), (&before["life"], &before["turn"]));

        set(bank.redis("A"), allow);
        let (to, amount) = ("B".parse().unwrap(), Amount::new(4).unwrap());
        let ending = bank.session("A").transfer(None, to, amount);
        assert!(matches!(ending, Ending::Decided(Outcome::Accepted { .. })), "{ending:?}");
        let after = status(&bank, "A");
        assert_ne!(after["life"], before["life"]);
        assert_eq!(after["no_writes"], json!(null));
        let paid = bank.ask("A", &json!({"balance": {}})).unwrap();
        assert_eq!(paid["balance"], json!(95), "1 and 4, and nothing that was declined");
    }
}

/// Bug: such a server ended. Cause: a store that took no writes was an error to who starts. Fix: it reads, in
/// the life that the process before it had, until there is room.
#[test]
fn a_server_that_is_started_on_a_redis_that_refuses_writes_reads_and_goes_on() {
    for (refuse, words, allow) in REFUSALS {
        let mut bank = bank();
        assert_eq!(bank.ask("A", &pays(1)).unwrap()["outcome"], json!("accepted"));
        let before = status(&bank, "A");
        bank.kill("A");
        set(bank.redis("A"), refuse);
        bank.start_server("A");
        wait_until("it reads", || status(&bank, "A")["no_writes"].is_string());
        let now = status(&bank, "A");
        assert_eq!((&now["life"], &now["turn"]), (&before["life"], &before["turn"]));
        let read = bank.ask("A", &json!({"balance": {}})).unwrap();
        assert_eq!(read["balance"], json!(99));
        let told = bank.ask("A", &pays(3)).unwrap();
        let message = told["message"].as_str().unwrap_or_default();
        assert!(told["error"] == json!("full") && message.contains(words), "{told}");
        set(bank.redis("A"), allow);
        let (to, amount) = ("B".parse().unwrap(), Amount::new(4).unwrap());
        let ending = bank.session("A").transfer(None, to, amount);
        assert!(matches!(ending, Ending::Decided(Outcome::Accepted { .. })), "{ending:?}");
        assert_ne!(status(&bank, "A")["life"], before["life"]);
        let paid = bank.ask("A", &json!({"balance": {}})).unwrap();
        assert_eq!(paid["balance"], json!(95));
    }
}

/// The same of an empty one: it ended. There is nothing to be read there, so the server waits for room.
#[test]
fn a_server_that_is_started_on_an_empty_redis_that_refuses_writes_waits() {
    for (refuse, words, allow) in REFUSALS {
        let logs = tempfile::tempdir().unwrap();
        let flags = ["--heartbeat", "100ms", "--redial-most", "200ms"].map(str::to_owned).into();
        let logs_in = Some(logs.path().to_owned());
        let mut bank = Bank::set_up(
            &["A", "B"],
            Setup { redis_each: true, flags, logs: logs_in, ..Default::default() },
        );
        set(bank.redis("A"), refuse);
        bank.start_server("A");
        bank.start_server("B");
        let says = |bank: &Bank, words: &str| {
            let told = bank.ask("A", &json!({"balance": {}})).unwrap_or_default();
            let message = told["message"].as_str().unwrap_or_default();
            told["error"] == json!("unavailable") && message.contains(words)
        };
        wait_until("it says so to who connects", || says(&bank, words));
        let log = std::fs::read_to_string(bank.log_file("A").unwrap()).unwrap();
        assert!(log.contains(words) && log.contains("so this server waits"), "{log}");
        if words == "OOM" {
            set(bank.redis("A"), allow);
        } else {
            // Somebody starts Redis anew, with other settings.
            bank.redis("A").kill();
            wait_until("it says that Redis is gone", || says(&bank, "can't be reached"));
            bank.redis("A").restart();
        }
        bank.wait_until_connected();
        assert_eq!(bank.ask("A", &pays(1)).unwrap()["outcome"], json!("accepted"));
    }
}

/// What a client that goes on trying is told at last is why, and that nothing was done.
#[test]
fn a_client_hears_that_nothing_was_done() {
    let mut bank = bank();
    set(bank.redis("A"), &["CONFIG", "SET", "maxmemory", "1"]);
    let mut client = bank.client_command("A");
    client.args(["--give-up-after", "3s", "-c", "transfer B 5"]);
    let done = client.output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(text.contains("nothing was done") && text.contains("OOM"), "{text}");
    assert!(!text.contains("unknown"), "{text}");
}

/// Bug: before 7.4 such a Redis refuses reads, too, if they come in a transaction.
#[test]
fn a_redis_that_is_full_can_be_audited() {
    let mut bank = bank();
    assert_eq!(bank.ask("A", &pays(1)).unwrap()["outcome"], json!("accepted"));
    set(bank.redis("A"), &["CONFIG", "SET", "maxmemory", "1"]);
    let audit = Command::new(PROGRAM).args(["audit", "--redis", &bank.redis("A").url()]).output();
    let audit = audit.unwrap();
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}
