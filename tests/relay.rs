//! A relay: each entry in the stream once, however often it is killed; lines and tables that go on; what it refuses.

mod support;

use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use support::cluster::{Client, wait_until};
use support::process::Bank;
use support::redis::{TestRedis, say};

/// A relay from server A. It is killed when this is dropped.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn relay(bank: &Bank, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    command.args(["relay", "--id", "A", "--connect", bank.address("A")]).args(flags);
    command.stdin(Stdio::null());
    command
}

fn into_stream(bank: &Bank, redis: &TestRedis, more: &[&str]) -> Command {
    let stream = format!("redis://127.0.0.1:{}/1/ledger", redis.port());
    relay(bank, &[&["--stream", &stream], more].concat())
}

fn start(mut command: Command) -> Relay {
    Relay(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

/// Ends with this status, and says this.
fn fails(command: Command, status: i32, words: &str) {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(said.contains(words), "{said}");
}

/// The ids and entries of the stream, each with what names its bank.
fn stream(redis: &TestRedis) -> Vec<(String, Value, String)> {
    let mut connection = redis.connect();
    say::<()>(&mut connection, &["SELECT", "1"]);
    let all: Vec<(String, Vec<String>)> = say(&mut connection, &["XRANGE", "ledger", "-", "+"]);
    let read = |(id, fields): (String, Vec<String>)| {
        assert_eq!((fields[0].as_str(), fields[2].as_str()), ("bank", "entry"), "{fields:?}");
        (id, serde_json::from_str(&fields[3]).unwrap(), fields[1].clone())
    };
    all.into_iter().map(read).collect()
}

/// How many entries the stream holds.
fn length(redis: &TestRedis) -> usize {
    let mut connection = redis.connect();
    say::<()>(&mut connection, &["SELECT", "1"]);
    say(&mut connection, &["XLEN", "ledger"])
}

/// What the stream should hold.
fn expected(bank: &Bank) -> Vec<(String, Value, String)> {
    let blocks = bank.chain("A");
    let name = blocks[0]["hash"].as_str().unwrap()[..16].to_owned();
    let mut all = Vec::new();
    for block in blocks {
        for (number, entry) in block["entries"].as_array().unwrap().iter().enumerate() {
            all.push((format!("{}-{number}", block["height"]), entry.clone(), name.clone()));
        }
    }
    all
}

fn pay(client: &mut Client, rounds: usize) {
    let items: Vec<Value> = (0..1_000)
        .map(|n| if n % 2 == 0 { json!(["A", "A/x", 1]) } else { json!(["A/x", "A", 1]) })
        .collect();
    for _ in 0..rounds {
        let reply = client.ask(&json!({"batch": {"items": items}}));
        assert_eq!(reply["outcomes"].as_array().map(Vec::len), Some(1_000), "{reply}");
    }
}

fn bank() -> (Bank, Client) {
    let bank = Bank::start(&["A", "B", "C"]);
    let mut client = Client::connect(bank.address("A"));
    client.ask(&json!({"open": {"account": "A/x"}}));
    (bank, client)
}

fn settle(client: &mut Client) -> u64 {
    let reply = client.ask(&json!({"settle": {}}));
    assert_eq!(reply["settled"], true, "{reply}");
    reply["height"].as_u64().unwrap()
}

#[test]
fn each_entry_is_there_once_though_the_relay_is_killed_a_hundred_times() {
    let (bank, mut client) = bank();
    let redis = TestRedis::start();
    pay(&mut client, 10);
    settle(&mut client);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::connect(bank.address("A"));
            while !is_over.load(Ordering::SeqCst) {
                pay(&mut client, 1);
                settle(&mut client);
                thread::sleep(Duration::from_millis(20));
            }
        });
        for kill in 0..100_u64 {
            let before = length(&redis);
            let relay = start(into_stream(&bank, &redis, &[]));
            // Some get so far as to write, however slow all is; there is always more to be written.
            if kill % 5 == 0 {
                wait_until("it writes", || length(&redis) > before);
            }
            // Any moment from the start of the process on, or from its first entry on.
            thread::sleep(Duration::from_millis(kill * 37 % 120));
            drop(relay);
        }
        is_over.store(true, Ordering::SeqCst);
    });
    let height = settle(&mut client).to_string();
    let output = run(into_stream(&bank, &redis, &["--to", &height]));
    assert!(output.status.success(), "{output:?}");
    let (found, expected) = (stream(&redis), expected(&bank));
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "each under its place, in order");
}

#[test]
fn it_goes_on_when_redis_is_back_or_has_room_again_and_when_the_server_is() {
    let (mut bank, mut client) = bank();
    let mut redis = TestRedis::start();
    let _relay = start(into_stream(&bank, &redis, &[]));
    let all_there = |bank: &Bank, redis: &TestRedis| {
        wait_until("all is relayed", || stream(redis) == expected(bank));
    };
    pay(&mut client, 1);
    settle(&mut client);
    all_there(&bank, &redis);
    say::<()>(&mut redis.connect(), &["CONFIG", "SET", "maxmemory", "1"]);
    pay(&mut client, 1);
    settle(&mut client);
    let full = stream(&redis).len();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(stream(&redis).len(), full, "there is no room");
    say::<()>(&mut redis.connect(), &["CONFIG", "SET", "maxmemory", "0"]);
    all_there(&bank, &redis);
    redis.kill();
    pay(&mut client, 1);
    settle(&mut client);
    redis.restart();
    all_there(&bank, &redis);
    bank.kill("A");
    bank.start_server("A");
    bank.wait_until_connected();
    let mut client = Client::connect(bank.address("A"));
    pay(&mut client, 1);
    settle(&mut client);
    all_there(&bank, &redis);
    // What was taken out does not come again.
    let mut connection = redis.connect();
    say::<()>(&mut connection, &["SELECT", "1"]);
    say::<()>(&mut connection, &["XTRIM", "ledger", "MAXLEN", "0"]);
    pay(&mut client, 1);
    let height = settle(&mut client);
    wait_until("the new ones are relayed", || stream(&redis).len() == 1_000);
    assert!(stream(&redis).iter().all(|(id, ..)| id.starts_with(&format!("{height}-"))));
}

#[test]
fn what_is_not_its_stream_is_left_as_it_is() {
    let ((bank, _client), (other, mut others)) = (bank(), bank());
    let redis = TestRedis::start();
    let height = settle(&mut others).to_string();
    assert!(run(into_stream(&other, &redis, &["--to", &height])).status.success());
    let before = stream(&redis);
    // Though nothing would be left to be done. These come first, since they end even without the check.
    fails(into_stream(&bank, &redis, &["--to", &height]), 1, "is of another bank");
    fails(into_stream(&bank, &redis, &["--to", "0"]), 1, "is of another bank");
    fails(into_stream(&bank, &redis, &[]), 1, "is of another bank");
    assert_eq!(stream(&redis), before);
    let mut connection = redis.connect();
    say::<()>(&mut connection, &["SET", "text", "x"]);
    say::<String>(&mut connection, &["XADD", "foreign", "*", "a", "b"]);
    let to = |key: &str| {
        relay(&bank, &["--stream", &format!("redis://127.0.0.1:{}/0/{key}", redis.port())])
    };
    fails(to("text"), 1, "the key holds a string, and no stream");
    fails(to("foreign"), 1, "is not a relay's; name another key");
    fails(
        relay(&bank, &["--stream", "redis://127.0.0.1:1/2"]),
        2,
        "2 could be a database or a key",
    );
    fails(relay(&bank, &["--stream", "redis://h:1/a", "--csv"]), 2, "cannot be used with");
    fails(relay(&bank, &[]), 2, "--stream");
    fails(relay(&bank, &["--json", "--after", "7/3"]), 2, "is not a place in the chain");
}

#[test]
fn lines_and_tables_go_on_after_the_last_place() {
    let (bank, mut client) = bank();
    client.ask(&json!({"batch": {"items": [["A", "B", 3], ["A", "C", 4]]}}));
    let height = settle(&mut client).to_string();
    let text = |flags: &[&str]| {
        let output = run(relay(&bank, &[flags, &["--to", &height]].concat()));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let lines = text(&["--json"]);
    let told: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let entries = expected(&bank);
    assert_eq!(told.len(), 3);
    for (line, (place, entry, _)) in told.iter().zip(&entries) {
        let mut entry = entry.clone();
        assert_eq!(*place, format!("{}-{}", line["height"], line["number"]));
        entry["height"] = line["height"].clone();
        entry["number"] = line["number"].clone();
        assert_eq!(*line, entry);
    }
    assert_eq!(
        text(&["--json", "--after", "1-0"]),
        lines.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>()
    );
    let table = text(&["--csv"]);
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("place,height,server,epoch,seq,kind,"), "{table}");
    assert!(rows[1].starts_with("1-0,1,A,1,1,open,,,,A/x,,,,local,false,,20"), "{table}");
    assert!(rows[3].starts_with("1-2,1,A,1,3,transfer,A,C,4,,,,,local,false,,20"), "{table}");
    assert_eq!(text(&["--csv", "--after", "1-1"]), format!("{}\n", rows[3]));
    // A reader that stops is no failure.
    let mut command = Command::new("sh");
    let line = "\"$0\" relay --id A --connect \"$1\" --json | head -n 1";
    command.args(["-c", line, env!("CARGO_BIN_EXE_paxos-banking"), bank.address("A")]);
    let mut client = Client::connect(bank.address("A"));
    let mut head = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it notices that nobody reads", || {
        client.ask(&json!({"transfer": {"to": "B", "amount": 1, "settled": true}}));
        head.try_wait().unwrap().is_some()
    });
    let output = head.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().next(), lines.lines().next());
}
