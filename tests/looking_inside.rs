//! What a client sees when it looks into a running bank: status, logs, blocks, balances of all.

mod support;

use std::time::Duration;

use paxos_banking::client::Options;
use paxos_banking::client::repl::Repl;
use serde_json::{Value, json};
use support::cluster::{Cluster, wait_until};

fn options(cluster: &Cluster, id: &str, json: bool) -> Options {
    let id = id.parse().unwrap();
    Options {
        address: cluster.configs[&id].listen.clone(),
        id,
        others: Default::default(),
        doors: None,
        timeout: Duration::from_secs(20),
        give_up_after: Duration::from_secs(60),
        json,
        session: None,
        commands: Vec::new(),
    }
}

/// What commands print at a server, and the exit status.
fn say(cluster: &Cluster, id: &str, json: bool, commands: &[&str]) -> (String, u8) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let commands: Vec<String> = commands.iter().map(|command| (*command).into()).collect();
    let mut repl = Repl::new(&options(cluster, id, json), &mut output, &mut errors);
    let status = repl.obey(&commands);
    (String::from_utf8([output, errors].concat()).unwrap(), status)
}

fn ask(cluster: &Cluster, id: &str, command: &str) -> Value {
    let (printed, _) = say(cluster, id, true, &[command]);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{command}: {error}: {printed}"))
}

/// A has paid B 60, B has paid C 70 and all that is in block 1; then C has paid A 20, which is in
/// its log, and A has opened an account.
fn bank() -> Cluster {
    let (cluster, _) = Cluster::in_memory(&["A", "B", "C"]);
    cluster.wait_until_open();
    for (id, command) in
        [("A", "t B 60"), ("B", "t C 70"), ("A", "settle"), ("C", "t A 20"), ("A", "open A/x")]
    {
        let (printed, status) = say(&cluster, id, false, &[command]);
        assert_eq!(status, 0, "{printed}");
    }
    for id in ["A", "B", "C"] {
        wait_until(&format!("{id} has block 1"), || {
            ask(&cluster, id, "status")["height"] == json!(1)
        });
    }
    cluster
}

#[test]
fn a_mistyped_name_is_answered_with_the_one_that_was_meant() {
    let cluster = bank();
    for (command, meant) in [
        ("t b 5", "\ndid you mean B?\n"),
        ("t a/X b 5", "\ndid you mean A/x and B?\n"),
        ("balance a", "\ndid you mean A?\n"),
        ("history a/x", "\ndid you mean A/x?\n"),
        ("log c", "\ndid you mean C?\n"),
    ] {
        let (printed, _) = say(&cluster, "A", false, &[command]);
        assert!(printed.contains(meant), "{command}: {printed}");
        let (line, _) = say(&cluster, "A", true, &[command]);
        assert_eq!(line.lines().count(), 1, "{line}");
    }
    let (printed, _) = say(&cluster, "A", false, &["t B 5000", "t D 5"]);
    assert!(!printed.contains("did you mean"), "{printed}");
}

#[test]
fn a_height_beyond_the_chain_is_one_error_for_both_commands() {
    let cluster = bank();
    let [chain, block] =
        ["chain 99", "block 99"].map(|command| say(&cluster, "A", false, &[command]));
    assert_eq!(chain, block);
    assert_eq!(chain, ("error: there is no block 99: the last is 1\n".into(), 2));
    assert_eq!(say(&cluster, "A", false, &["chain 1 99"]).1, 0, "what there is of it");
}

#[test]
fn a_statement_without_a_name_is_the_own_account_s() {
    let cluster = bank();
    assert_eq!(say(&cluster, "A", false, &["history"]), say(&cluster, "A", false, &["history A"]));
    assert_eq!(
        say(&cluster, "A", false, &["history 1"]),
        say(&cluster, "A", false, &["history A 1"])
    );
}

#[test]
fn every_server_s_log_and_every_block_can_be_read_from_any_server() {
    let cluster = bank();
    let (printed, status) = say(&cluster, "A", false, &["log C", "block 1", "log"]);
    assert_eq!(status, 0, "{printed}");
    let (time, of_c) = ("2026-11-30T05:42:43Z", "local log of C: 1 entry\n  ");
    let later = printed.strip_prefix(of_c).map(|rest| &rest[time.len()..]);
    assert!(later.is_some_and(|rest| rest.starts_with("  C.1.1: C pays A 20\n")), "{printed}");
    assert!(printed.ends_with("  A.1.2: A/x is opened\n"), "{printed}");
    let (block, chain) = (ask(&cluster, "A", "block 1"), ask(&cluster, "B", "chain"));
    assert_eq!(block, chain["blocks"][1]);
    for line in ["hash", "previous"] {
        let whole = block[line].as_str().unwrap();
        assert!(whole.len() == 64 && printed.contains(whole), "{line}: {printed}");
    }
    let (printed, status) = say(&cluster, "A", false, &["log D", "block 2"]);
    let expected = "error: there is no server D; the bank's servers are A, B, C\n\
                    error: there is no block 2: the last is 1\n";
    assert_eq!((printed.as_str(), status), (expected, 2));
}

#[test]
fn balances_are_one_server_s_or_all_servers_together() {
    let mut cluster = bank();
    let (printed, _) = say(&cluster, "C", false, &["balances"]);
    let own = "A: 60 (40 in the chain at height 1, +20 in the log here)\n\
               B: 90 (90 in the chain at height 1)\n\
               C: 150 (170 in the chain at height 1, -20 in the log here)\n";
    assert_eq!(printed, own, "A/x is in A's log alone");
    let (printed, _) = say(&cluster, "C", false, &["balances 2", "more"]);
    assert_eq!(printed.replace("  to go on: more, or: balances 2 --after B\n", ""), own);
    let all = ask(&cluster, "B", "balances --all");
    let sum = |account: &str| {
        let balances = all["balances"].as_array().unwrap();
        balances.iter().find(|sum| sum["account"] == account).unwrap()["balance"].clone()
    };
    assert_eq!([sum("A"), sum("A/x"), sum("B"), sum("C")], [60, 0, 90, 150]);
    assert_eq!((&all["height"], &all["moved"]), (&json!(1), &json!(false)));
    assert_eq!(all["logs"], json!({"A": 1, "B": 0, "C": 1}));
    let only = ask(&cluster, "B", "balances --all A/");
    assert_eq!(only["balances"], json!([{"account": "A/x", "logs": 0, "balance": 0}]));

    cluster.kill("C");
    let (printed, status) = say(&cluster, "B", false, &["balances --all"]);
    assert_eq!(status, 0);
    assert!(printed.contains("\n  C did not answer, so its log is missing: "), "{printed}");
    assert!(printed.contains("A: 40 (40 in the chain)\n"), "{printed}");
    assert!(printed.contains("4 accounts, 300 in all"), "{printed}");
}

#[test]
fn a_status_tells_what_was_measured_and_counted() {
    let mut cluster = bank();
    let (printed, _) = say(&cluster, "A", false, &["t B 900", "t B 10", "t B 1 --settled"]);
    assert!(printed.starts_with("refused: "), "{printed}");
    let status = ask(&cluster, "A", "status");
    let measured = &status["measured"];
    assert_eq!([&measured["accepted"], &measured["refused"]], [4, 1]);
    assert_eq!(measured["local"]["count"], 3, "60, the opening and 10: {measured}");
    assert_eq!(measured["paxos"]["count"], 1, "that which was settled: {measured}");
    let [started, won] = ["runs_started", "runs_won"].map(|runs| measured[runs].as_u64().unwrap());
    assert!(won >= 2 && started >= won, "{measured}");
    assert!(measured["redis"]["last_us"].as_u64().is_some(), "{measured}");
    assert_eq!(measured["oldest_entry_ms"], Value::Null, "all is in the chain");
    assert_eq!(status["included"]["A"], json!({"epoch": 1, "seq": 4}));
    for peer in status["peers"].as_array().unwrap() {
        assert!(
            peer["heard_ms"].as_u64().is_some() && peer["entries_per_second"].is_u64(),
            "{peer}"
        );
    }
    say(&cluster, "A", false, &["t B 1"]);
    cluster.kill("A");
    cluster.start("A");
    let status = ask(&cluster, "A", "status");
    assert!(status["measured"]["oldest_entry_ms"].is_u64(), "from before: {status}");
    assert_eq!(status["measured"]["accepted"], 0, "counted since it started: {status}");
}

#[test]
fn watch_looks_as_often_as_it_is_told() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    let (printed, status) = say(&cluster, "A", true, &["watch 2", "watch"]);
    let lines: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((status, lines.len()), (2, 3));
    assert!(lines[..2].iter().all(|line| line["server"] == "A"), "{printed}");
    assert!(lines[2]["message"].as_str().unwrap().contains("watch 5"), "{printed}");
}

/// Each kind of request, and some that are refused; each once by itself, and once among many.
#[test]
fn every_reply_repeats_the_id_be_it_a_text_or_a_number() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    let mut client = cluster.client("A");
    let many: Vec<Value> = (0..3_000).map(|_| json!(["A", "A/x", 0])).collect();
    let kinds = [
        r#""session":{}"#.to_owned(),
        r#""open":{"account":"A/x"}"#.to_owned(),
        r#""transfer":{"to":"A/x","amount":1}"#.to_owned(),
        r#""transfer":{"to":"A/x","amount":1,"settled":true}"#.to_owned(),
        r#""transfer":{"to":"A/x","amount":5000,"wait_ms":300}"#.to_owned(),
        format!(r#""batch":{{"items":{}}}"#, json!(many)),
        r#""balance":{}"#.to_owned(),
        r#""balance":{"account":"A/nobody"}"#.to_owned(),
        r#""history":{}"#.to_owned(),
        r#""accounts":{}"#.to_owned(),
        r#""log":{}"#.to_owned(),
        r#""chain":{}"#.to_owned(),
        r#""settle":{}"#.to_owned(),
        r#""status":{}"#.to_owned(),
        r#""rejoin":{}"#.to_owned(),
        r#""members":{}"#.to_owned(),
        r#""kind":"link""#.to_owned(),
        r#""kind":"link","fault":"rust""#.to_owned(),
        r#""teleport":{}"#.to_owned(),
        r#""status":{},"version":1"#.to_owned(),
        r#""transfer":{"to":"A/x"}"#.to_owned(),
    ];
    for id in [r#""pay-7""#, r#""ä \"quoted\"""#, "7", "-1.50", "18446744073709551616"] {
        for kind in &kinds {
            client.send(format!("{{\"id\":{id},{kind}}}\n").as_bytes());
            let line = client.read_line().expect("an answer");
            assert!(line.starts_with(&format!("{{\"id\":{id},")), "{id} {kind}: {line}");
        }
    }
    let mut expected: Vec<String> =
        (0..kinds.len()).map(|number| format!("request {number}")).collect();
    for (number, kind) in kinds.iter().enumerate() {
        client.send(format!("{{\"id\":\"request {number}\",{kind}}}\n").as_bytes());
    }
    let mut told: Vec<String> =
        kinds.iter().map(|_| client.read().unwrap()["id"].as_str().unwrap().to_owned()).collect();
    told.sort();
    expected.sort();
    assert_eq!(told, expected, "each has its reply, once");
    assert!(client.ask_line(r#"{"balance":{}}"#).get("id").is_none(), "who gives none gets none");
    let refused = client.ask_line(r#"{"id":null,"balance":{}}"#);
    assert!(
        refused["message"].as_str().unwrap().contains("a number or a text of at most 64 bytes")
    );
}
