//! A bank that runs, pays and settles all the time is sound whenever it is looked at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use paxos_banking::audit::{NO_BANK, Options, SOUND, WRONG};
use serde_json::json;

use crate::banks::{accepted, audit, audit_files, nothing, told};
use crate::corruption::{edit, tell};
use crate::support::cluster::{Client, wait_until};
use crate::support::process::{Bank, Setup};

/// Pays, opens accounts and moves money on, until it is told to stop.
fn pay(address: &str, id: &str, other: &str, stop: &AtomicBool) {
    let mut client = Client::connect(address);
    let session = client.ask(&json!({"session": {}}))["session"].clone();
    let mut number = 1;
    for round in 0.. {
        let account = format!("{id}/{round}");
        let items = json!([
            {"open": account},
            [id, account, 2],
            [account, other, 1, "linked"],
            [account, id, 1],
            [id, other, 1]
        ]);
        let batch = json!({"items": items, "session": session, "number": number});
        number += 5;
        // What is not covered is refused: of no interest here.
        let reply = client.ask(&json!({"batch": batch}));
        assert!(reply["outcomes"].is_array(), "{reply}");
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// Does it while two servers pay.
fn while_paying<T>(bank: &Bank, what: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for (id, other) in [("A", "B"), ("B", "A")] {
            let (address, stop) = (bank.address(id), &stop);
            scope.spawn(move || pay(address, id, other, stop));
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what));
        stop.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn busy_bank() -> Bank {
    let settle = ["--settle-every", "20ms", "--settle-at", "50"].map(str::to_owned);
    let mut setup = Setup::default();
    setup.flags.extend(settle);
    let mut bank = Bank::set_up(&["A", "B", "C"], setup);
    bank.start_all();
    bank
}

#[test]
fn a_bank_that_runs_is_sound_at_any_moment() {
    let mut bank = busy_bank();
    let url = bank.redis("A").url();
    let stores = Options { redis: vec![url.clone()], ..nothing() };
    let servers = ["A", "B", "C"].map(|id| (id.parse().unwrap(), bank.address(id).to_owned()));
    let servers = Options { servers: servers.into(), ..nothing() };
    let both = Options { redis: vec![url.clone()], ..servers.clone() };
    let mut heights = Vec::new();
    while_paying(&bank, || {
        for options in [&stores, &servers, &both].into_iter().cycle().take(15) {
            let audited = audit(options);
            assert_eq!(audited.status, SOUND, "{}", audited.report);
            heights.push(audited.report["across"]["height"].as_u64().unwrap());
        }
    });
    let (first, last) = (heights[0], heights[heights.len() - 1]);
    assert!(last > first, "blocks came meanwhile: {heights:?}");
}

#[test]
fn an_export_of_a_store_in_use_is_of_one_moment() {
    let mut bank = busy_bank();
    let folder = tempfile::tempdir().unwrap();
    let url = bank.redis("A").url();
    while_paying(&bank, || {
        for number in 0..5 {
            let file = folder.path().join(number.to_string());
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
            command.args(["export", "--redis", &url, "--id", "A", "--output"]).arg(&file);
            assert!(command.status().unwrap().success());
            let audited = audit_files(&[file]);
            assert_eq!(audited.status, SOUND, "{}", audited.report);
        }
    });
}

/// It runs on, since it has read its store long before.
#[test]
fn what_is_wrong_is_found_while_servers_run() {
    let mut bank = Bank::start(&["A", "B", "C"]);
    let mut client = Client::connect(bank.address("A"));
    for _ in 0..3 {
        accepted(&mut client, &json!({"transfer": {"to": "B", "amount": 5}}));
        bank.settle();
    }
    edit(&mut bank.redis("A").connect(), "SERVER-BLOCKCHAIN-C", 2, ",5]", ",4]");
    let stores = Options { redis: vec![bank.redis("A").url()], ..nothing() };
    let found = audit(&stores);
    assert_eq!(found.status, WRONG);
    assert_eq!(found.report["first"]["key"], json!("SERVER-BLOCKCHAIN-C"));
    assert_eq!(found.report["first"]["index"], json!(2));
    // What C answers is what it finds there.
    let at = bank.address("C").to_owned();
    let server = Options { servers: vec![("C".parse().unwrap(), at.clone())], ..nothing() };
    let found = audit(&server);
    assert_eq!(
        found.report["first"]["key"],
        json!(format!("chain of C at {at}")),
        "{}",
        found.report
    );
    assert_eq!(found.report["first"]["index"], json!(3));
}

#[test]
fn a_store_without_a_bank_is_not_taken_for_sound() {
    let mut bank = Bank::new(&["A", "B"]);
    bank.start_server("A");
    let stores = Options { redis: vec![bank.redis("A").url()], ..nothing() };
    // Before, it is the store of A that was never used.
    let notes = || audit(&stores).report["stores"][0]["notes"].to_string();
    wait_until("A has an instance", || notes().contains("not founded yet"));
    let found = audit(&stores);
    assert_eq!(
        (found.status, &found.report["across"]),
        (NO_BANK, &json!(null)),
        "{}",
        found.report
    );
    assert_eq!(
        (&found.report["sound"], &found.report["stores"][0]["no_bank"]),
        (&json!(false), &json!(true))
    );
    assert!(told(&stores).contains("\nNO BANK in A in Redis at"), "{}", told(&stores));
    bank.kill("A");
    tell(&mut bank.redis("A").connect(), &["RPUSH", "SERVER-LOG-A", LOGGED]);
    let found = audit(&stores);
    assert_eq!(found.report["first"]["key"], json!("SERVER-BLOCKCHAIN-A"), "{}", found.report);
}

const LOGGED: &str = r#"{"epoch":1,"seq":1,"entries":[["A","B",1]]}"#;

#[test]
fn a_server_that_is_another_one_or_away_is_not_taken_for_sound() {
    let mut bank = Bank::start(&["A", "B", "C"]);
    let options = |id: &str, at: &str| Options {
        servers: vec![(id.parse().unwrap(), at.to_owned())],
        timeout: std::time::Duration::from_millis(500),
        ..nothing()
    };
    let wrong = options("B", bank.address("A"));
    assert!(told(&wrong).contains("is A, not B"), "{}", told(&wrong));
    assert_eq!(audit(&wrong).status, 3);
    bank.kill("C");
    let away = options("C", bank.address("C"));
    wait_until("C is away", || audit(&away).status == 3);
    assert!(told(&away).contains("not all could be read"), "{}", told(&away));
}
