//! A server that lost its store counts anew, in the next epoch; the store that was lost may turn up.

use paxos_banking::audit::{Options, SOUND, WRONG};
use serde_json::json;

use crate::banks::{accepted, audit, nothing};
use crate::corruption::edit;
use crate::support::cluster::{Client, wait_until};
use crate::support::damage::{dump, restore};
use crate::support::process::{Bank, Setup};
use crate::support::redis::{TestRedis, say};

/// Lets B lose its store, with an entry in its log, and rejoin. Returns the lost store.
fn rejoin(bank: &mut Bank) -> TestRedis {
    let pays = |bank: &Bank, amount| {
        let mut client = Client::connect(bank.address("B"));
        accepted(&mut client, &json!({"transfer": {"to": "A", "amount": amount}}));
    };
    pays(bank, 1);
    bank.settle();
    pays(bank, 2);
    bank.kill("B");
    let lost = TestRedis::start();
    let c = &mut bank.redis("B").connect();
    restore(&mut lost.connect(), &dump(c));
    say::<()>(c, &["FLUSHALL"]);
    bank.start_server_with("B", &["--rejoin"]);
    wait_until("B has rejoined", || {
        bank.ask("B", &json!({"transfer": {"to": "C", "amount": 3}}))
            .is_some_and(|reply| reply["outcome"] == json!("accepted"))
    });
    bank.settle();
    pays(bank, 4);
    lost
}

#[test]
fn epochs_are_followed_and_a_store_that_was_replaced_is_known() {
    let mut bank = Bank::set_up(&["A", "B", "C"], Setup { redis_each: true, ..Setup::default() });
    bank.start_all();
    let lost = rejoin(&mut bank);
    let urls = ["A", "B", "C"].map(|id| bank.redis(id).url());
    let all = Options { redis: urls.into(), ..nothing() };
    let audited = audit(&all);
    assert_eq!(audited.status, SOUND, "{}", audited.report);
    let mut with_lost = all.clone();
    with_lost.redis.push(lost.url());
    let audited = audit(&with_lost);
    assert_eq!(audited.status, SOUND, "{}", audited.report);
    let notes = audited.report["stores"][3]["notes"].to_string();
    assert!(notes.contains("another store has taken its place"), "{}", audited.report);
    // In the older epoch that entry would be the next one.
    ["A", "B", "C"].into_iter().for_each(|id| bank.kill(id));
    let c = &mut bank.redis("B").connect();
    edit(c, "SERVER-LOG-B", 0, "\"epoch\":2", "\"epoch\":1");
    let audited = audit(&all);
    assert_eq!(audited.status, WRONG, "{}", audited.report);
    let first = &audited.report["first"];
    assert_eq!((&first["key"], &first["index"]), (&json!("SERVER-LOG-B"), &json!(0)), "{first}");
}
