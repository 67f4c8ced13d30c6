//! A bank's past in the eyes of `ledger` and `hledger`: both read the journal strictly, and have our balances.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::banks::accepted;
use crate::support::cluster::Client;
use crate::support::process::Bank;

/// What is in each account; what is in none of it is left out.
type Balances = BTreeMap<String, i128>;

fn run(program: &str, arguments: &[&str]) -> Output {
    let done = Command::new(program).args(arguments).output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}; .ci/install-ledger has it"));
    assert!(done.status.success(), "{program} {arguments:?}: {done:?}");
    done
}

fn export(arguments: &[&str], folder: &TempDir) -> PathBuf {
    let path = folder.path().join("bank.journal");
    let output = ["--ledger", "--output", path.to_str().unwrap()];
    run(env!("CARGO_BIN_EXE_paxos-banking"), &[&["export"], arguments, &output].concat());
    path
}

/// The balances by the lines that a program prints, `ACCOUNT,AMOUNT UNIT` or with quotes.
fn read(done: &Output) -> Balances {
    let text = String::from_utf8(done.stdout.clone()).unwrap().replace('"', "");
    let lines = text.lines().filter_map(|line| line.split_once(','));
    let amount = |text: &str| text.split(' ').next().unwrap().parse::<i128>();
    let all = lines.filter_map(|(account, text)| Some((account.to_owned(), amount(text).ok()?)));
    all.filter(|(_, amount)| *amount != 0).collect()
}

/// The balances by both programs, which have to agree and to find nothing wrong.
fn by_both(journal: &Path) -> Balances {
    let file = journal.to_str().unwrap();
    run("hledger", &["-f", file, "check", "--strict"]);
    let flat = ["balance", "--flat", "--empty", "--no-total"];
    let by_hledger = read(&run("hledger", &[&["-f", file], &flat[..], &["-O", "csv"]].concat()));
    let format = ["--format", "%(account),%(amount)\n"];
    let by_ledger =
        read(&run("ledger", &[&["-f", file, "--pedantic"], &flat[..], &format].concat()));
    assert_eq!(by_hledger, by_ledger);
    assert_eq!(by_hledger.values().sum::<i128>(), 0, "what is in the accounts came from somewhere");
    by_hledger
}

/// Our balances, as they should be there.
fn expected(ours: impl IntoIterator<Item = (String, i128)>, issued: i128) -> Balances {
    let mut expected: Balances =
        ours.into_iter().map(|(name, amount)| (format!("Assets:{name}"), amount)).collect();
    expected.insert("Equity:Opening".into(), issued - expected.values().sum::<i128>());
    expected.insert("Equity:Issued".into(), -issued);
    expected.retain(|_, amount| *amount != 0);
    expected
}

/// What a server says that each account holds.
fn told(client: &mut Client) -> Balances {
    let list = client.ask(&json!({"accounts": {"limit": 1000}}));
    let names =
        list["accounts"].as_array().unwrap().iter().map(|one| one["account"].as_str().unwrap());
    let balance = |name: &str| {
        let told = client.ask(&json!({"balance": {"account": name}}));
        (name.to_owned(), told["balance"].as_i64().unwrap().into())
    };
    names.map(balance).collect()
}

#[test]
#[ignore = "needs ledger and hledger: ./dev.sh ledger"]
fn both_have_the_balances_of_a_store_a_file_and_a_backup() {
    let mut bank = Bank::new(&["A", "B", "C"]);
    ["A", "B", "C"].iter().for_each(|id| bank.start_server_with(id, &["--issuing"]));
    bank.wait_until_connected();
    let [mut a, mut b] = ["A", "B"].map(|id| Client::connect(bank.address(id)));
    accepted(&mut a, &json!({"open": {"account": "A/alice"}}));
    accepted(&mut b, &json!({"open": {"account": "B/..-_"}}));
    accepted(
        &mut a,
        &json!({"batch": {"items": [["A", "A/alice", 60, "linked"], ["A", "B", 10]]}}),
    );
    accepted(&mut b, &json!({"transfer": {"from": "B", "to": "A", "amount": 70}}));
    let rent = json!({"from": "A", "to": "C", "amount": 90, "reference": "(May); the | \"rent\""});
    accepted(&mut a, &json!({"transfer": rent}));
    accepted(&mut b, &json!({"mint": {"amount": 30, "reference": "brought in"}}));
    assert_eq!(a.ask(&json!({"settle": {}}))["settled"], true);
    accepted(&mut a, &json!({"transfer": {"from": "A/alice", "to": "B/..-_", "amount": 3}}));
    accepted(&mut a, &json!({"transfer": {"from": "A", "to": "A/alice", "amount": 1}}));
    accepted(&mut a, &json!({"burn": {"amount": 5}}));
    let ours = expected(told(&mut a), 25);
    let url = bank.redis("A").url();
    let folder = tempfile::tempdir().unwrap();
    let from_redis = ["--redis", &url, "--id", "A"];
    let running = export(&from_redis, &folder);
    assert_eq!(by_both(&running), ours, "while the server runs");
    let text = fs::read_to_string(&running).unwrap();
    assert!(text.contains(" ! (A.1.6) local log of A  ; local\n"), "{text}");
    assert!(text.contains("* (A.1.2) block 1, number 2  ; local, linked\n"), "{text}");
    let rent = "* (A.1.4) - (May), the / \"rent\"  ; block ";
    assert!(text.contains(rent) && text.contains("\n    Equity:Issued  5 UNIT\n"), "{text}");
    let mut pending = text.lines().filter(|line| line.contains(" ! (A."));
    assert!(pending.all(|line| line.starts_with("20")), "they tell their dates: {text}");
    bank.kill("A");
    assert_eq!(
        fs::read_to_string(export(&from_redis, &folder)).unwrap(),
        text,
        "and once it is down"
    );
    let [file, backup] =
        ["bank.jsonl", "backup"].map(|name| folder.path().join(name).display().to_string());
    let program = env!("CARGO_BIN_EXE_paxos-banking");
    run(program, &[&["export"], &from_redis[..], &["--output", &file]].concat());
    run(program, &[&["backup", &backup], &from_redis[..]].concat());
    for source in [&file, &backup] {
        assert_eq!(fs::read_to_string(export(&[source], &folder)).unwrap(), text, "{source}");
    }
}

/// The most money that there can be, in names that other programs might take for something else.
#[test]
#[ignore = "needs ledger and hledger: ./dev.sh ledger"]
fn both_take_every_name_and_the_largest_amounts() {
    const MOST: i128 = (1 << 53) - 1;
    let servers = ["-", "9", "A", "B", "Z-z_9", "_", "sixteen-letters_"];
    let long = format!("A/{}", "x".repeat(64));
    let opened = [
        "A/..",
        "A/-",
        "A/-5",
        "A/.5",
        "A/1",
        "A/2026-01-01",
        "A/A",
        "A/_",
        "B/1e5",
        "B/Assets",
        "B/a..b",
        "B/account",
        "B/e",
        "-/-",
        "_/--",
        "9/0",
        &long,
    ];
    let each = MOST / servers.len() as i128;
    let mut ours: Balances = servers.iter().map(|id| ((*id).to_owned(), each)).collect();
    let mut logs: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut enter = |home: &str, entry: Value| {
        let log = logs.entry(home.to_owned()).or_default();
        log.push(json!({"epoch": 1, "seq": log.len() + 1, "entries": [entry]}));
    };
    for account in opened {
        enter(account.split('/').next().unwrap(), json!({"open": account}));
        ours.insert(account.to_owned(), 0);
    }
    let mut pay = |from: &str, to: &str, amount: i128, enter: &mut dyn FnMut(&str, Value)| {
        enter(from.split('/').next().unwrap(), json!([from, to, amount as u64]));
        *ours.get_mut(from).unwrap() -= amount;
        *ours.get_mut(to).unwrap() += amount;
    };
    let others = servers.iter().filter(|id| **id != "A");
    others.for_each(|id| pay(id, "A/..", each, &mut enter));
    (1..).zip(opened).for_each(|(amount, account)| pay("A", account, amount, &mut enter));
    let log = json!({"log": {"epoch": 1, "seq": logs["A"].len() + 1, "entries": [["A", "B/nowhere-yet", 7]]}});
    *ours.get_mut("A").unwrap() -= 7;
    ours.insert("B/nowhere-yet".into(), 7);
    let none = "0".repeat(64);
    let instances: BTreeMap<&str, String> =
        servers.iter().map(|id| (*id, "0".repeat(16))).collect();
    let genesis = json!({"format": 5, "opening_balance": each as u64, "servers": instances});
    // What kind a line is of is seen by its beginning.
    let lines = [
        format!(r#"{{"server":"A","format":5,"instance":"{}"}}"#, "0".repeat(16)),
        format!(r#"{{"height":0,"previous":"{none}","genesis":{genesis}}}"#),
        format!(r#"{{"height":1,"previous":"{none}","proposer":"A","logs":{}}}"#, json!(logs)),
        log.to_string(),
        r#"{"end":{"blocks":2,"elements":1}}"#.to_owned(),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bank.jsonl");
    fs::write(&file, lines.join("\n") + "\n").unwrap();
    assert_eq!(by_both(&export(&[file.to_str().unwrap()], &folder)), expected(ours, 0));
}
