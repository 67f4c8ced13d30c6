//! Followers: each entry of the chain once, in order and with its place, whatever is restarted, archived or stopped.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::cluster::{Client, Cluster, wait_until};
use support::process::{Bank, Setup};

/// A client that follows, with a file for what it prints. It is killed when this is dropped.
struct Tail {
    child: Child,
    path: PathBuf,
}

impl Tail {
    fn start(mut client: Command, follow: &str, path: &Path) -> Tail {
        client.args(["--json", "-c", follow]);
        let output = File::create(path).unwrap();
        let child =
            client.stdout(output).stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
        Tail { child, path: path.to_owned() }
    }

    /// The whole lines so far.
    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.path).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The entries of a chain, each with its place, as they are told to who follows.
fn entries_of(blocks: &[Value]) -> Vec<Value> {
    let mut all = Vec::new();
    for block in blocks {
        for (number, entry) in block["entries"].as_array().unwrap().iter().enumerate() {
            let mut told = entry.clone();
            told["height"] = block["height"].clone();
            told["number"] = json!(number);
            all.push(told);
        }
    }
    all
}

/// A bank of three whose segments are tiny.
fn archived(folder: &Path) -> Bank {
    let flags = ["--keep", "1KiB", "--segment", "1KiB"].map(str::to_owned).into();
    let mut usual = Setup::default().flags;
    usual.extend(["--opening-balance".to_owned(), "1000".to_owned()]);
    let archives = Some((folder.join("archives"), flags));
    let mut bank =
        Bank::set_up(&["A", "B", "C"], Setup { archives, flags: usual, ..Setup::default() });
    bank.start_all();
    bank
}

fn pay(bank: &Bank, id: &str, to: &str, settled: bool) {
    wait_until("a payment is done", || {
        let request = json!({"transfer": {"to": to, "amount": 1, "settled": settled}});
        bank.ask(id, &request).is_some_and(|reply| reply["outcome"] == "accepted")
    });
}

/// One follower from the beginning that is never restarted, and one that is: from segments, over restarts of the
/// server, and while payments go on.
#[test]
fn each_entry_comes_once_and_in_order_over_restarts_and_from_segments() {
    let folder = tempfile::tempdir().unwrap();
    let mut bank = archived(folder.path());
    for number in 0..20 {
        pay(&bank, "A", if number % 2 == 0 { "B" } else { "C" }, true);
    }
    let is_segment = |path: PathBuf| path.extension().is_some_and(|end| end == "jsonl");
    wait_until("blocks are in segments", || {
        pay(&bank, "B", "C", true);
        // The folder is there once the archivist has begun.
        let files = fs::read_dir(bank.archive("A").unwrap()).into_iter().flatten().flatten();
        files.filter(|file| is_segment(file.path())).count() > 1
    });
    let whole =
        Tail::start(bank.client_command("A"), "follow --from 0", &folder.path().join("whole"));
    let mut parts: Vec<Value> = Vec::new();
    for round in 0..5 {
        let place =
            |last: &Value| format!("{}-{}", last["height"], last["number"].as_u64().unwrap() + 1);
        let from = parts.last().map_or_else(|| "0".to_owned(), place);
        let path = folder.path().join(format!("part{round}"));
        let part = Tail::start(bank.client_command("A"), &format!("follow --from {from}"), &path);
        for _ in 0..3 {
            pay(&bank, "B", "C", false);
            pay(&bank, "C", "A", true);
        }
        if round % 2 == 0 {
            bank.kill("A");
            pay(&bank, "B", "C", true);
            bank.start_server("A");
            bank.wait_until_connected();
        }
        bank.settle();
        let next = bank.chain("A").len();
        wait_until("it has come so far", || {
            let all = part.lines();
            all.last().is_some_and(|last| last["height"].as_u64() == Some(next as u64 - 1))
        });
        parts.extend(part.lines());
    }
    let expected = entries_of(&bank.chain("A"));
    assert!(expected.len() > 50, "{} entries", expected.len());
    wait_until("all has come", || whole.lines().len() >= expected.len());
    assert_eq!(whole.lines(), expected);
    assert_eq!(parts, expected);
}

fn follow(cluster: &Cluster, id: &str, what: &Value) -> Client {
    let mut client = cluster.client(id);
    let reply = client.ask(&json!({"id": "f", "follow": what}));
    assert_eq!(reply["server"], id, "{reply}");
    assert_eq!(reply["bank"].as_str().unwrap().len(), 64);
    client
}

/// The next line that is no mark.
fn next(client: &mut Client) -> Value {
    loop {
        let line = client.read().expect("a line");
        assert_eq!(line["id"], "f", "{line}");
        if line["next"].is_null() {
            return line;
        }
    }
}

fn settle(cluster: &Cluster, id: &str) {
    assert_eq!(cluster.ask(id, &json!({"settle": {}})).unwrap()["settled"], true);
}

fn in_memory() -> Cluster {
    let (cluster, _) = Cluster::in_memory(&["A", "B", "C"]);
    cluster.wait_until_open();
    cluster
}

#[test]
fn only_what_is_asked_for_comes_and_the_log_before_the_block() {
    let cluster = in_memory();
    let mut a = cluster.client("A");
    let mut batch = |items: Value| a.ask(&json!({"batch": {"items": items}}));
    batch(json!([{"open": "A/x"}, ["A", "A/x", 9], ["A", "B", 5]]));
    settle(&cluster, "A");
    let mut of_x = follow(&cluster, "B", &json!({"from": {"height": 0}, "accounts": ["A/x"]}));
    let mut of_b =
        follow(&cluster, "A", &json!({"from": {"height": 1, "number": 1}, "prefix": "B"}));
    let mut now = follow(&cluster, "C", &json!({}));
    let mut log = follow(&cluster, "A", &json!({"log": true}));
    let of =
        |line: &Value| (line["height"].as_u64(), line["number"].as_u64(), line["seq"].as_u64());
    assert_eq!(of(&next(&mut of_x)), (Some(1), Some(0), Some(1)));
    assert_eq!(of(&next(&mut of_x)), (Some(1), Some(1), Some(2)));
    assert_eq!(of(&next(&mut of_b)), (Some(1), Some(2), Some(3)));
    batch(json!([["A/x", "C", 1], ["A", "C", 2]]));
    for seq in [4, 5] {
        let line = next(&mut log);
        assert_eq!((&line["log"], of(&line)), (&json!(true), (None, None, Some(seq))));
    }
    settle(&cluster, "A");
    let line = next(&mut log);
    assert_eq!((&line["log"], of(&line)), (&Value::Null, (Some(2), Some(0), Some(4))));
    assert_eq!(of(&next(&mut now)), (Some(2), Some(0), Some(4)));
    assert_eq!(of(&next(&mut of_x)), (Some(2), Some(0), Some(4)));
    let all = entries_of(&[
        cluster.ask("B", &json!({"chain": {"from": 2}})).unwrap()["blocks"][0].clone()
    ]);
    let mut second = next(&mut now);
    second.as_object_mut().unwrap().remove("id");
    assert_eq!(second, all[1]);
}

#[test]
fn what_makes_no_sense_is_said_and_other_requests_go_on() {
    let cluster = in_memory();
    let mut client = cluster.client("A");
    for (follow, said) in [
        (json!({"from": 7}), "an object"),
        (
            json!({"from": {"number": 3}}),
            "\"from\" is {\"height\":7} or {\"height\":7,\"number\":3}",
        ),
        (json!({"prefix": "A//"}), "no account's name begins with \"A//\""),
        (json!({"accounts": ["A b"]}), "is not an account"),
        (json!({"accounts": vec!["A"; 1_001]}), "\"accounts\" are at most 1000, not 1001"),
        (json!({"since": 7}), "unknown field `since`"),
    ] {
        let reply = client.ask(&json!({"follow": follow}));
        assert_eq!(reply["error"], "bad_request", "{reply}");
        assert!(reply["message"].as_str().unwrap().contains(said), "{reply}");
    }
    let mut client = follow(&cluster, "A", &json!({}));
    let again = client.ask(&json!({"id": 2, "follow": {}}));
    assert_eq!((&again["id"], &again["error"]), (&json!(2), &json!("bad_request")));
    assert!(again["message"].as_str().unwrap().contains("follows already"), "{again}");
    assert_eq!(client.ask(&json!({"id": 3, "balance": {}}))["balance"], 100);
    let paid = client.ask(&json!({"id": 4, "transfer": {"to": "B", "amount": 1, "settled": true}}));
    assert_eq!(paid["id"], 4, "{paid}");
    let line = next_of(&mut client, "f");
    assert_eq!((&line["height"], &line["seq"]), (&json!(1), &json!(1)));
}

/// The next line of a request that is no mark.
fn next_of(client: &mut Client, id: &str) -> Value {
    loop {
        let line = client.read().expect("a line");
        if line["id"] == id && line["next"].is_null() {
            return line;
        }
    }
}

/// Whoever doesn't read is told nothing, holds up nobody, and is not disconnected: when it reads again, nothing is
/// missing.
#[test]
fn who_stops_reading_holds_up_nobody_and_misses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = in_memory();
    let client = |path: &str| {
        let mut client = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
        let at = &cluster.configs[&"A".parse().unwrap()].listen;
        client.args(["client", "--id", "A", "--connect", at]);
        Tail::start(client, "follow --from 0", &folder.path().join(path))
    };
    let (stopped, other) = (client("stopped"), client("other"));
    wait_until("both follow", || cluster.ask("A", &json!({"status": {}})).is_some());
    stopped.signal("STOP");
    let mut a = cluster.client("A");
    // More than all buffers on the way hold.
    const ROUNDS: usize = 50;
    const EACH: usize = 5_000;
    let items: Vec<Value> = (0..EACH).map(|_| json!(["A", "A/x", 1])).collect();
    let back: Vec<Value> = (0..EACH).map(|_| json!(["A/x", "A", 1])).collect();
    a.ask(&json!({"open": {"account": "A/x"}}));
    for round in 0..ROUNDS {
        // The money goes to and fro, a unit at a time.
        let mixed: Vec<&Value> =
            items.iter().zip(&back).flat_map(|(to, fro)| [to, fro]).take(EACH).collect();
        let reply = a.ask(&json!({"batch": {"items": mixed}}));
        assert_eq!(reply["outcomes"].as_array().map(Vec::len), Some(EACH), "round {round}");
    }
    settle(&cluster, "A");
    let mut expected = BTreeSet::new();
    let all = ROUNDS * EACH + 1;
    wait_until("the other one is told all", || other.lines().len() == all);
    for line in other.lines() {
        expected.insert((line["height"].as_u64().unwrap(), line["number"].as_u64().unwrap()));
    }
    assert_eq!(expected.len(), all);
    assert!(stopped.lines().len() < all);
    stopped.signal("CONT");
    wait_until("the stopped one is told all", || stopped.lines().len() == all);
    assert_eq!(stopped.lines(), other.lines());
}

/// How many threads of a process run only when nobody else wants the processor.
#[cfg(all(feature = "priorities", target_os = "linux"))]
fn idle_threads(pid: u32) -> usize {
    // SCHED_IDLE in field 41 (proc(5)), counted from the state behind the name in brackets, which is field 3.
    let is_idle =
        |stat: &str| stat.rsplit(')').next()?.split_whitespace().nth(41 - 3)?.parse().ok();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    stats.filter(|stat| is_idle(stat) == Some(5)).count()
}

#[cfg(all(feature = "priorities", target_os = "linux"))]
#[test]
fn who_follows_is_told_by_a_thread_that_gives_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut bank = Bank::start(&["A"]);
    let pid = bank.process("A").unwrap().pid();
    // None, unless the test itself is run so.
    let before = idle_threads(pid);
    let follower = Tail::start(bank.client_command("A"), "follow", &folder.path().join("all"));
    wait_until("its writer gives way", || idle_threads(pid) > before);
    drop(follower);
    wait_until("it has ended", || idle_threads(pid) == before);
}
