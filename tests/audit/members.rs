//! Members that came and went: their stores, and those that came after them under the same name.

use paxos_banking::audit::{NO_BANK, Options, SOUND, WRONG};
use serde_json::{Value, json};

use crate::banks::{Audited, audit, nothing, told};
use crate::corruption::edit;
use crate::support::cluster::wait_until;
use crate::support::damage::{dump, restore};
use crate::support::process::{Bank, Setup};
use crate::support::redis::{TestRedis, say};

fn pays(bank: &Bank, from: &str, to: &str, amount: u64) {
    let paid = bank.ask(from, &json!({"transfer": {"to": to, "amount": amount}})).unwrap();
    assert_eq!(paid["outcome"], json!("accepted"), "{paid}");
}

/// Starts D with an empty store, and has it admitted.
fn admit(bank: &mut Bank) {
    bank.add("D");
    bank.start_server("D");
    let order = json!({"members": {"admit": "D", "at": bank.address("D")}});
    wait_until("D is admitted", || {
        bank.ask("A", &order).is_some_and(|answer| answer["members"].is_array())
    });
    wait_until("D takes part", || {
        let own = bank.ask("D", &json!({"balance": {}}));
        own.is_some_and(|own| own["committed"].is_u64())
    });
}

fn copy_of(bank: &mut Bank) -> TestRedis {
    let copy = TestRedis::start();
    restore(&mut copy.connect(), &dump(&mut bank.redis("D").connect()));
    copy
}

/// The audit of all stores and of these copies.
fn audited(bank: &Bank, copies: &[&TestRedis]) -> (Audited, Options) {
    let copies = copies.iter().map(|copy| copy.url());
    let redis = bank.stores.iter().map(TestRedis::url).chain(copies).collect();
    let options = Options { redis, ..nothing() };
    (audit(&options), options)
}

fn notes(report: &Value, store: usize) -> String {
    report["stores"][store]["notes"].to_string()
}

#[test]
fn a_store_that_was_dismissed_and_the_one_that_came_after_it_are_sound() {
    let mut bank = Bank::set_up(&["A", "B", "C"], Setup { redis_each: true, ..Setup::default() });
    bank.start_all();
    admit(&mut bank);
    pays(&bank, "A", "D", 30);
    bank.settle();
    pays(&bank, "D", "B", 30);
    // D logs that it goes, and none of its runs gets anywhere.
    bank.kill("D");
    bank.start_server_with("D", &["--allow-fault-injection"]);
    for peer in ["A", "B", "C"] {
        let lost = json!({"kind": "link", "fault": "lose", "peer": peer, "messages": ["prepare"]});
        wait_until("D loses what it asks", || {
            bank.ask("D", &lost).is_some_and(|answer| answer["faults"].is_array())
        });
    }
    wait_until("D logs that it goes", || {
        let late = bank.ask("D", &json!({"members": {"dismiss": "D"}})).unwrap();
        assert_eq!(late["error"], json!("unavailable"), "{late}");
        let log = bank.ask("D", &json!({"log": {}})).unwrap();
        let last = log["entries"].as_array().and_then(|all| all.last());
        last.is_some_and(|last| last["dismiss"] == json!("D"))
    });
    bank.kill("D");
    let before = copy_of(&mut bank);
    bank.start_server("D");
    bank.has_ended("D");
    let after = copy_of(&mut bank);
    say::<()>(&mut bank.redis("D").connect(), &["FLUSHALL"]);
    // It waits to be admitted again.
    bank.start_server("D");
    wait_until("D asks", || {
        let members = bank.ask("A", &json!({"members": {}}));
        members.is_some_and(|members| members["asks"] != json!([]))
    });
    let (found, _) = audited(&bank, &[&before, &after]);
    assert_eq!(found.status, NO_BANK, "{}", found.report);
    assert!(notes(&found.report, 4).contains("D was dismissed since"), "{}", found.report);
    assert!(notes(&found.report, 3).contains("not founded yet"), "{}", found.report);
    bank.kill("D");
    bank.forget("D");
    admit(&mut bank);
    pays(&bank, "A", "D", 5);
    bank.settle();
    pays(&bank, "D", "C", 2);
    let (found, options) = audited(&bank, &[&before, &after]);
    assert_eq!(found.status, SOUND, "{}", found.report);
    assert!(
        notes(&found.report, 3) == "[]" || notes(&found.report, 3) == "null",
        "{}",
        found.report
    );
    assert!(
        notes(&found.report, 4).contains("another store has taken its place"),
        "{}",
        found.report
    );
    assert!(notes(&found.report, 5).contains("D was dismissed"), "{}", found.report);
    assert!(told(&options).ends_with("sound\n"));
    // What the dismissed store had logged is still held against the chain.
    let c = &mut before.connect();
    edit(c, "SERVER-LOG-D", 0, "30", "29");
    let (found, _) = audited(&bank, &[&before, &after]);
    assert_eq!(found.status, WRONG, "{}", found.report);
    assert_eq!(found.report["first"]["key"], json!("SERVER-LOG-D"), "{}", found.report);
}
