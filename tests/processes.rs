//! The shipped program as processes on a real Redis.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::request::Outcome;
use paxos_banking::client::session::{Ending, Session};
use paxos_banking::play::guard::Guarded;
use serde_json::{Value, json};

use support::cluster::{Client, wait_until};
use support::process::Bank;
use support::redis::say;

/// (server, epoch, seq)
type Name = (String, u64, u64);

fn name(entry: &Value) -> Name {
    let number = |field: &str| entry[field].as_u64().expect("a number");
    (entry["server"].as_str().expect("a server").into(), number("epoch"), number("seq"))
}

/// Pays the others until told to stop, often more than is there at hand: then a run is needed, and
/// all servers need one at once. Returns what was accepted and how often it was not.
fn overdraw(
    mut session: Session,
    to: [&str; 2],
    stop: &AtomicBool,
    decided: &AtomicUsize,
) -> (Vec<Name>, usize) {
    let (mut accepted, mut others) = (Vec::new(), 0);
    let mut dice = fastrand::Rng::new();
    while !stop.load(Ordering::Relaxed) {
        let amount = Amount::new(dice.u64(20..120)).unwrap();
        match session.transfer(None, to[dice.usize(..2)].parse().unwrap(), amount) {
            Ending::Decided(Outcome::Accepted { server, epoch, seq, .. }) => {
                accepted.push((server.to_string(), epoch, seq));
            }
            Ending::Decided(_) | Ending::NotDone(_) => others += 1,
            Ending::Unknown { request, reason } => panic!("{request}: {reason}"),
        }
        decided.fetch_add(1, Ordering::Relaxed);
    }
    (accepted, others)
}

#[test]
fn servers_killed_in_turn_while_all_overdraw_lose_and_double_nothing() {
    let mut bank = Bank::start(&["A", "B", "C"]);
    let (stop, decided) = (&AtomicBool::new(false), &AtomicUsize::new(0));
    let go_on = |transfers: usize| {
        let target = decided.load(Ordering::Relaxed) + transfers;
        wait_until("the clients go on", || decided.load(Ordering::Relaxed) >= target);
    };
    let results: Vec<(Vec<Name>, usize)> = std::thread::scope(|threads| {
        let clients: Vec<_> = [("A", ["B", "C"]), ("B", ["C", "A"]), ("C", ["A", "B"])]
            .map(|(id, to)| (bank.session(id), to))
            .into_iter()
            .map(|(session, to)| threads.spawn(move || overdraw(session, to, stop, decided)))
            .collect();
        for id in ["A", "B", "C", "A", "B", "C", "A", "B", "C", "A"] {
            go_on(30);
            bank.kill(id);
            go_on(10);
            bank.start_server(id);
            bank.wait_until_connected();
        }
        go_on(30);
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    bank.settle();
    judge(&bank, results.iter().flat_map(|(accepted, _)| accepted.iter().cloned()).collect());
    let not_accepted: usize = results.iter().map(|(_, others)| others).sum();
    assert!(not_accepted > 0, "some were more than there was");
    let blocks = bank.chain("A").len();
    let accepted: usize = results.iter().map(|(accepted, _)| accepted.len()).sum();
    println!("{accepted} accepted, {not_accepted} not, {blocks} blocks, 10 kills");
}

/// All chains are equal, no entry is in two blocks, the total is unchanged, and what was accepted
/// is there once.
fn judge(bank: &Bank, accepted: Vec<Name>) {
    let chains: Vec<Vec<Value>> = bank.ids().iter().map(|id| bank.chain(id)).collect();
    assert!(chains.iter().all(|chain| *chain == chains[0]), "all chains are equal");
    let mut names = BTreeSet::new();
    let mut balances: BTreeMap<String, i64> = bank.ids().into_iter().map(|id| (id, 100)).collect();
    let blocks = chains[0].windows(2);
    assert!(blocks.clone().all(|pair| pair[1]["previous"] == pair[0]["hash"]), "all are linked");
    for entry in chains[0].iter().flat_map(|block| block["entries"].as_array().unwrap()) {
        assert!(names.insert(name(entry)), "{entry} is in the chain twice");
        let amount = entry["amount"].as_i64().unwrap();
        *balances.get_mut(entry["from"].as_str().unwrap()).unwrap() -= amount;
        *balances.get_mut(entry["to"].as_str().unwrap()).unwrap() += amount;
        assert!(balances.values().all(|balance| *balance >= 0), "below zero after {entry}");
    }
    assert_eq!(balances.values().sum::<i64>(), 100 * bank.ids().len() as i64);
    let distinct: BTreeSet<&Name> = accepted.iter().collect();
    assert_eq!(distinct.len(), accepted.len(), "each transfer has an entry of its own");
    let lost: Vec<_> = accepted.iter().filter(|name| !names.contains(name)).collect();
    assert!(lost.is_empty(), "accepted, and not in the chain: {lost:?}");
    assert_eq!(names.len(), accepted.len(), "nothing is there that nobody was told of");
    assert!(accepted.len() > 10, "something happened");
}

#[test]
fn a_retry_after_a_kill_between_the_write_and_the_reply_is_paid_once() {
    let mut bank = Bank::start(&["A", "B", "C"]);
    let mut client = Client::connect(bank.address("A"));
    let session = client.ask(&json!({"session": {}}))["session"].clone();
    let transfer = json!({"transfer": {"to": "B", "amount": 30, "session": session, "number": 1}});
    client.send(format!("{transfer}\n").as_bytes());
    // Durable; whatever reply there was is never read.
    let mut redis = bank.redis("A").connect();
    wait_until("the entry is durable", || say::<usize>(&mut redis, &["LLEN", "SERVER-LOG-A"]) == 1);
    bank.kill("A");
    drop(client);
    bank.start_server("A");
    let retry = Client::connect(bank.address("A")).ask(&transfer);
    assert_eq!(retry["outcome"], json!("accepted"), "{retry}");
    assert_eq!((&retry["seq"], &retry["balance"]), (&json!(1), &json!(70)), "{retry}");
    assert_eq!(retry["repeated"], json!(true));
    // The same after it has moved to a block.
    bank.wait_until_connected();
    bank.settle();
    bank.kill("A");
    bank.start_server("A");
    let retry = Client::connect(bank.address("A")).ask(&transfer);
    assert_eq!((&retry["outcome"], &retry["seq"]), (&json!("accepted"), &json!(1)), "{retry}");
    bank.wait_until_connected();
    bank.settle();
    let entries: usize =
        bank.chain("B").iter().map(|block| block["entries"].as_array().unwrap().len()).sum();
    assert_eq!(entries, 1, "paid once");
}

#[test]
fn redis_holds_the_documented_keys_and_nothing_else() {
    let mut bank = Bank::start(&["A", "B"]);
    assert!(matches!(
        bank.session("A").transfer(None, "B".parse().unwrap(), Amount::new(5).unwrap()),
        Ending::Decided(Outcome::Accepted { .. })
    ));
    let keys_page = include_str!("../doc/OPERATING.md");
    let keys: Vec<String> = say(&mut bank.redis("A").connect(), &["KEYS", "*"]);
    assert!(keys.len() >= 12, "{keys:?}");
    for key in keys {
        let (kind, id) = key.rsplit_once('-').expect("it ends with a server's id");
        assert!(["A", "B"].contains(&id), "{key}");
        assert!(
            keys_page.contains(&format!("| `{kind}-<id>` |")),
            "{key} is not in doc/OPERATING.md"
        );
    }
}

#[test]
fn piped_commands_print_a_line_of_json_each() {
    let bank = Bank::start(&["A", "B", "C"]);
    let mut client = bank.client_command("A");
    client.arg("--json").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = client.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"transfer B 30\nbalance\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["outcome"], json!("accepted"));
    assert_eq!(lines[1], json!({"account": "A", "balance": 70, "committed": 100, "height": 0}));
}

#[test]
fn a_bank_that_was_founded_otherwise_is_not_opened() {
    let mut bank = Bank::start(&["A", "B"]);
    bank.kill("A");
    let output =
        bank.server_command("A").args(["--opening-balance", "7"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("opening balance 100") && said.contains("opening balance 7"), "{said}");
    bank.start_server("A");
    bank.wait_until_connected();
}

#[test]
fn who_asks_before_the_founding_is_told_for_whom_the_server_waits() {
    let mut bank = Bank::new(&["A", "B", "C"]);
    bank.start_server("A");
    let reply = Client::connect(bank.address("A")).ask(&json!({"id": 7, "balance": {}}));
    assert_eq!((&reply["id"], &reply["error"]), (&json!(7), &json!("unavailable")), "{reply}");
    assert!(reply["message"].as_str().unwrap().contains("waits for B, C"), "{reply}");
}

#[test]
fn a_redis_that_is_killed_and_comes_back_loses_nothing() {
    let mut bank = Bank::start(&["A", "B", "C"]);
    let mut session = bank.session("A");
    let pays = |session: &mut Session, to: &str, amount| {
        session.transfer(None, to.parse().unwrap(), Amount::new(amount).unwrap())
    };
    let accepted = |ending| matches!(ending, Ending::Decided(Outcome::Accepted { .. }));
    assert!(accepted(pays(&mut session, "B", 30)));
    bank.redis("A").kill();
    // Asked while there is no Redis: answered, once, when it is back.
    let waiting = std::thread::spawn(move || {
        let ending = pays(&mut session, "C", 20);
        (session, ending)
    });
    wait_until("A has noticed", || {
        let status = bank.ask("A", &json!({"status": {}}));
        status.is_none_or(|status| status["error"] == json!("store"))
    });
    bank.redis("A").restart();
    let (_session, ending) = waiting.join().unwrap();
    assert!(accepted(ending));
    bank.wait_until_connected();
    let status = bank.ask("A", &json!({"status": {}})).unwrap();
    assert_eq!((&status["start"], &status["log_length"]), (&json!("zombie"), &json!(2)));
    bank.settle();
    let chain = bank.chain("C");
    let entries = chain.iter().flat_map(|block| block["entries"].as_array().unwrap());
    assert_eq!(entries.count(), 2);
}

#[test]
fn nothing_outlives_a_test_that_is_hung_up_on() {
    // The program doesn't heed the signal; the one who holds the guard's input does.
    let mut program = Command::new("sh");
    program.args(["-c", "trap '' HUP TERM; while :; do sleep 0.05; done"]);
    let mut guarded = Guarded::start(&program, Stdio::null()).expect("a shell");
    let pid = guarded.pid().to_string();
    let of = |pid: &str| {
        let found = Command::new("ps").args(["-o", "ppid=", "-p", pid]).output().expect("ps runs");
        String::from_utf8_lossy(&found.stdout).trim().to_owned()
    };
    let shell = of(&pid);
    for signal in ["-HUP", "-TERM", "-INT"] {
        assert!(Command::new("kill").args([signal, &shell]).status().expect("kill runs").success());
    }
    assert!(guarded.ended().is_none());
    guarded.kill();
    wait_until("it is gone", || of(&pid).is_empty());
}
