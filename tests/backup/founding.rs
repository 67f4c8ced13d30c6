//! A new bank is founded where another one ended, by the backups of what is left of it.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::bank::{Archived, SERVERS};
use crate::founded::{New, Old, accepted, asked};
use crate::support::cluster::wait_until;
use crate::support::process::{Bank, Setup};
use crate::told::{Told, manifest, program};

#[test]
fn a_bank_is_founded_where_another_one_ended_and_no_request_pays_again() {
    let mut old = Old::bank();
    let balances = |archived: &Archived| {
        SERVERS.map(|id| asked(archived, id, &json!({"balance": {}}))["balance"].as_u64().unwrap())
    };
    let before = balances(&old.archived);
    let (a, b) = (old.back_up("A"), old.back_up("B"));
    SERVERS.iter().for_each(|id| old.archived.bank.kill(id));
    let mut new = New::founded(&[&a, &b]);
    let after = ["A", "B", "C"].map(|account| new.balance(account).as_u64().unwrap());
    // C's 3 to A were in C's log only. What the others paid C's account came with their logs.
    assert_eq!((after[0], new.balance("A/alice")), (before[0], json!(65)));
    assert_eq!(after.iter().sum::<u64>() + 65, 3_000, "{before:?} {after:?}");
    // Each server says what it goes on from, what was carried over, and what is lost.
    for id in SERVERS {
        let log = new.log(id);
        for words in [
            "entries of A from its log: 2",
            "entries of B from its log: 1",
            "lost for good: all that C",
            "lost for good: what A accepted after A.1.",
        ] {
            assert!(log.contains(words), "{id}: {words}: {log}");
        }
    }
    for life in 0..2 {
        for (place, (id, request)) in old.requests.iter().enumerate() {
            let reply = new.bank.ask(id, request).unwrap();
            let outcome = reply["outcome"].as_str().unwrap();
            let again = reply["repeated"] == json!(true);
            let is_right = outcome == "expired" || (place == 1 && outcome == "accepted" && again);
            assert!(is_right, "in life {life}: {request}: {reply}");
        }
        let now = ["A", "B", "C"].map(|account| new.balance(account).as_u64().unwrap());
        assert_eq!(now, after);
        SERVERS.iter().for_each(|id| new.bank.kill(id));
        new.bank.start_all();
    }
    let paid =
        new.bank.ask("C", &json!({"transfer": {"to": "A/alice", "amount": 1, "settled": true}}));
    assert_eq!(paid.unwrap()["epoch"], json!(1_000_001));
    new.bank.settle();
    let (status, report) = new.audit(&[&a, &b]);
    assert_eq!(status, 0, "{report:#}");
    let said = report.to_string();
    assert!(said.contains("it goes on exactly where the bank"), "{report:#}");
    // Servers tell the carried entries, and not in which elements they were.
    let servers = SERVERS.map(|id| format!("{id}={}", new.bank.address(id))).join(",");
    let asked = Told::of(program(&["audit", "--server", &servers]).output().unwrap());
    assert_eq!(asked.status, 0, "{asked:?}");
    // The new bank can be backed up, lost, and founded anew in its turn.
    SERVERS.iter().for_each(|id| new.bank.kill(id));
    let dir = old.root.path().join("second");
    let url = new.bank.redis("C").url();
    let told =
        Told::of(program(&["backup", "--id", "C", "--redis", &url]).arg(&dir).output().unwrap());
    assert_eq!(told.status, 0, "{told:?}");
    let mut third = New::founded(&[&dir]);
    let paid = third.bank.ask("A", &json!({"transfer": {"to": "B", "amount": 1}}));
    assert_eq!(paid.unwrap()["epoch"], json!(2_000_001));
    let (status, report) = third.audit(&[&a, &b, &dir]);
    assert_eq!(status, 0, "{report:#}");
}

#[test]
fn servers_that_are_told_different_things_refuse_each_other_and_found_nothing() {
    let mut old = Old::bank();
    let a = old.back_up("A");
    old.archived.pay(1);
    let b = old.back_up("B");
    let mut new = New::bank(&SERVERS);
    new.start("A", &[&a]);
    new.start("B", &[&a]);
    new.start("C", &[&b]);
    for id in ["A", "C"] {
        new.wait_until_said(id, "all servers have to be given equal backups");
    }
    assert_eq!(new.bank.ask("A", &json!({"status": {}})).unwrap()["active"], json!(false));
    new.bank.kill("C");
    new.start("C", &[]);
    new.wait_until_said("C", "without --found-from");
    assert_eq!(new.bank.ask("A", &json!({"status": {}})).unwrap()["active"], json!(false));
    new.bank.kill("C");
    new.start("C", &[&a]);
    new.bank.wait_until_connected();
}

#[test]
fn what_a_new_bank_can_not_be_founded_on_is_said() {
    let mut old = Old::bank();
    let (a, b) = (old.back_up("A"), old.back_up("B"));
    let c = old.back_up("C");
    SERVERS.iter().for_each(|id| old.archived.bank.kill(id));
    let broken = old.root.path().join("broken");
    fs::create_dir(&broken).unwrap();
    for entry in fs::read_dir(&a).unwrap().flatten() {
        fs::copy(entry.path(), broken.join(entry.file_name())).unwrap();
    }
    let twice = old.root.path().join("twice");
    fs::rename(&broken, &twice).unwrap();
    fs::create_dir(&broken).unwrap();
    fs::copy(twice.join("backup.json"), broken.join("backup.json")).unwrap();
    let other = Bank::start(&SERVERS);
    let elsewhere = old.root.path().join("elsewhere");
    let url = other.stores[0].url();
    let told = Told::of(
        program(&["backup", "--id", "B", "--redis", &url]).arg(&elsewhere).output().unwrap(),
    );
    assert_eq!(told.status, 0, "{told:?}");
    let fresh = New::bank(&["A", "B", "C"]);
    let smaller = New::bank(&["A", "B"]);
    let used = old.archived.bank.redis("A").url();
    let archive = old.archived.folder("A");
    let try_it = |bank: &Bank, more: &[&str], folders: &[&Path]| {
        let mut command = bank.server_command("A");
        for folder in folders {
            command.arg("--found-from").arg(folder);
        }
        let told = Told::of(command.args(more).env("NO_COLOR", "1").output().unwrap());
        assert_ne!(told.status, 0, "{told:?}");
        told.errors
    };
    let a_used = ["--redis", &used];
    let missing = old.root.path().join("missing");
    // Given twice, the later URL would be an error; so the used store is asked for by its own command.
    let mut on_used =
        program(&["server", "--id", "A", "--cluster", "A=127.0.0.1:1,B=127.0.0.1:2,C=127.0.0.1:3"]);
    let on_used = Told::of(on_used.args(a_used).arg("--found-from").arg(&a).output().unwrap());
    assert!(on_used.status == 1, "{on_used:?}");
    for words in
        ["holds a bank already", "on empty stores", "start the server without --found-from"]
    {
        assert!(on_used.errors.contains(words), "{words}: {on_used:?}");
    }
    for (said, words) in [
        (try_it(&fresh.bank, &[], &[&missing]), "no such folder"),
        (try_it(&fresh.bank, &[], &[&broken]), "it is missing"),
        (try_it(&fresh.bank, &[], &[&a, &twice]), "two backups of server A"),
        (try_it(&fresh.bank, &[], &[&a, &elsewhere]), "are of different banks"),
        (try_it(&smaller.bank, &[], &[&a]), "C is missing"),
        (
            try_it(&fresh.bank, &["--archive", archive.to_str().unwrap()], &[&a]),
            "a new bank needs new folders",
        ),
        (try_it(&fresh.bank, &["--rejoin"], &[&a]), "cannot be used with"),
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // With all three logs nothing that was in them is lost.
    let new = New::founded(&[&c, &b, &a]);
    assert_eq!(new.balance("A/alice"), json!(65));
    let all = ["A", "B", "C"].map(|account| new.balance(account).as_u64().unwrap());
    assert_eq!(all.iter().sum::<u64>() + 65, 3_000);
    drop(new.logs);
}

#[test]
fn a_founding_that_is_cut_short_goes_on_and_an_open_bank_says_so() {
    let mut old = Old::bank();
    let a = old.back_up("A");
    SERVERS.iter().for_each(|id| old.archived.bank.kill(id));
    let mut new = New::bank(&SERVERS);
    // A and B know C's store, and C is gone before it has block 0 or after.
    for round in 0..6 {
        SERVERS.iter().for_each(|id| new.start(id, &[&a]));
        std::thread::sleep(std::time::Duration::from_millis(40 * round));
        SERVERS.iter().for_each(|id| new.bank.kill(id));
        if SERVERS.iter().any(|id| new.log(id).contains("is open")) {
            break;
        }
    }
    // Ended at the moment when the first is open: the others may or may not be.
    SERVERS.iter().for_each(|id| new.start(id, &[&a]));
    wait_until("one is open", || SERVERS.iter().any(|id| new.log(id).contains("is open")));
    SERVERS.iter().for_each(|id| new.bank.kill(id));
    // Whoever is told again goes on, or ends and says that the bank is open. The others may wait for exactly that
    // server, so what it says is done.
    SERVERS.iter().for_each(|id| new.start(id, &[&a]));
    let mut obeyed = Vec::new();
    wait_until("each is open, at the latest when it is started as was said", || {
        for id in SERVERS.iter().filter(|id| !obeyed.contains(id)).collect::<Vec<_>>() {
            let log = new.log(id);
            if log.contains("start the server without --found-from, and with --bank") {
                new.bank.kill(id);
                new.bank.start_server(id);
                obeyed.push(id);
            }
        }
        SERVERS.iter().all(|id| {
            let status = new.bank.ask(id, &json!({"status": {}}));
            status.is_some_and(|status| status["active"] == json!(true))
        })
    });
    SERVERS.iter().for_each(|id| new.bank.kill(id));
    new.bank.start_all();
    assert_eq!(new.balance("A/alice"), json!(65));
    let height = manifest(&a)["height"].as_u64().unwrap();
    let block_0 = &new.bank.chain("A")[0];
    assert_eq!(block_0["genesis"]["origin"]["height"], json!(height));
    SERVERS.iter().for_each(|id| new.bank.kill(id));
    let mut again = new.bank.server_command("A");
    let told = Told::of(again.arg("--found-from").arg(&a).output().unwrap());
    assert!(told.status == 1 && told.errors.contains("and with --bank"), "{told:?}");
}

/// Members that came and went: C was dismissed, and D is a branch.
fn changed_members() -> Bank {
    let setup = Setup { redis_each: true, ..Setup::default() };
    let mut old = Bank::set_up(&SERVERS, setup);
    old.start_all();
    admit(&mut old, "D");
    accepted(&old.ask("A", &json!({"transfer": {"to": "D", "amount": 30}})).unwrap());
    old.settle();
    accepted(&old.ask("D", &json!({"transfer": {"to": "B", "amount": 10}})).unwrap());
    accepted(&old.ask("C", &json!({"transfer": {"to": "A", "amount": 100}})).unwrap());
    let dismissed = old.ask("C", &json!({"members": {"dismiss": "C"}})).unwrap();
    assert!(dismissed["members"].is_array(), "{dismissed}");
    old.has_ended("C");
    // In D's log, and in no block.
    accepted(&old.ask("D", &json!({"transfer": {"to": "B", "amount": 5}})).unwrap());
    old
}

/// Starts a server that the bank doesn't know, and has A order that it is admitted as a branch.
fn admit(bank: &mut Bank, id: &str) {
    bank.add(id);
    bank.start_server(id);
    let order = json!({"members": {"admit": id, "at": bank.address(id), "branch": true}});
    wait_until(&format!("{id} is admitted"), || {
        let answer = bank.ask("A", &order);
        answer.is_some_and(|answer| answer["members"].is_array())
    });
    wait_until(&format!("{id} takes part"), || {
        let own = bank.ask(id, &json!({"balance": {}}));
        own.is_some_and(|own| own["committed"].is_u64())
    });
}

#[test]
fn only_who_voted_has_to_found_the_new_bank_and_the_others_are_admitted_again() {
    let mut old = changed_members();
    let root = tempfile::tempdir().unwrap();
    let mut back_up = |id: &str| {
        let dir = root.path().join(id);
        let mut backup = program(&["backup", "--redis", &old.redis(id).url(), "--id", id]);
        let told = Told::of(backup.arg(&dir).output().unwrap());
        assert_eq!(told.status, 0, "{told:?}");
        dir
    };
    let (a, d) = (back_up("A"), back_up("D"));
    drop(old);
    // Without B, which voted, nothing is founded.
    let mut alone = New::bank(&["A"]);
    alone.start("A", &[&a, &d]);
    alone.wait_until_said("A", "B is missing (its branches may be admitted later)");
    let mut new = New::bank(&["A", "B"]);
    ["A", "B"].iter().for_each(|id| new.start(id, &[&a, &d]));
    new.bank.wait_until_connected();
    for words in [
        "D is not in --cluster: its accounts are carried over and hold 20 together",
        "C is not in --cluster: its accounts are carried over and hold 0 together",
        "entries of D from its log: 1",
    ] {
        assert!(new.log("A").contains(words), "{words}: {}", new.log("A"));
    }
    assert_eq!(new.balance("B"), json!(115), "with what D had logged");
    let paid = new.bank.ask("A", &json!({"transfer": {"to": "D", "amount": 1}})).unwrap();
    assert_eq!(paid["outcome"], json!("invalid"), "nobody could pay it out: {paid}");
    admit(&mut new.bank, "D");
    assert_eq!(new.balance("D"), json!(15));
    accepted(&new.bank.ask("D", &json!({"transfer": {"to": "A", "amount": 15}})).unwrap());
    new.bank.settle();
    let mut audit = program(&["audit"]);
    for id in ["A", "B", "D"] {
        audit.args(["--redis", &new.bank.redis(id).url()]);
    }
    let told = Told::of(audit.args([&a, &d]).output().unwrap());
    assert_eq!(told.status, 0, "{told:?}");
}
