//! What a server says of a store that is not as it left it: which key, which place in it, what is wrong
//! there. Nothing is written to such a store, and it stays whose it was.

mod support;

use std::io::{Read, Seek};
use std::process::Command;
use std::time::{Duration, Instant};

use paxos_banking::play::guard::Guarded;
use serde_json::json;

use support::cluster::{Client, wait_until};
use support::damage::{
    Damage, bank_with_a_history, do_all, dump, of_chain, of_the_rest, restore, written,
};
use support::pages::{of_older_pages, of_pages};
use support::process::Bank;

const KEYS: [&str; 8] =
    ["BLOCKCHAIN", "LOG", "ACCEPTED", "BALANCES", "STATE", "LIVES", "OWNER", "TURN"];

/// Starts a server that is to end at once; returns its exit status, unless it runs on, and what it said.
fn start(command: &Command) -> (Option<i32>, String) {
    let mut said = tempfile::tempfile().expect("a file");
    let errors = said.try_clone().expect("the same file");
    let mut server = Guarded::start(command, errors.into()).expect("a shell");
    let until = Instant::now() + Duration::from_secs(20);
    while server.ended().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    let status = server.ended().and_then(|status| status.code());
    server.kill();
    let mut text = String::new();
    said.rewind().and_then(|()| said.read_to_string(&mut text)).expect("what it said");
    (status, text)
}

#[test]
fn what_is_damaged_stops_the_start_is_named_and_stays_as_it_is() {
    let mut bank = bank_with_a_history();
    let c = &mut bank.redis("A").connect();
    let whole = dump(c);
    assert!(
        KEYS.iter().all(|key| *key == "ACCEPTED" || whole.contains_key(&format!("SERVER-{key}-A")))
    );
    let mut damages = of_chain(c);
    damages.extend(of_pages(c));
    damages.extend(of_the_rest(c));
    let mut wrong = Vec::new();
    for Damage { what, commands, says } in damages {
        do_all(c, &commands);
        assert!(dump(c) != whole, "{what}: nothing is damaged");
        let before = written(c);
        let (status, said) = start(&bank.server_command("A"));
        let is_one_line = said.lines().count() == 1 && said.len() < 1_000;
        if status != Some(1) || !is_one_line {
            wrong.push(format!("{what}: it ends with {status:?} and says: {said}"));
        }
        if !says.iter().all(|part| said.contains(part)) {
            wrong.push(format!("{what}: it should say {says:?}: {said}"));
        }
        if written(c) != before {
            wrong.push(format!("{what}: something was written"));
        }
        restore(c, &whole);
        println!("{what}: {}", said.trim_end());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    bank.start_all();
}

/// A store needn't have the newest pages: the blocks since are in the chain.
#[test]
fn from_older_pages_a_server_starts_as_well() {
    let mut bank = bank_with_a_history();
    let c = &mut bank.redis("A").connect();
    let whole = dump(c);
    for commands in of_older_pages(c) {
        do_all(c, &commands);
        bank.start_all();
        for (account, committed, balance) in [("A", 45, 38), ("A/alice", 50, 30)] {
            let reply = bank.ask("A", &json!({"balance": {"account": account}})).unwrap();
            let found = (&reply["committed"], &reply["balance"]);
            assert_eq!(found, (&json!(committed), &json!(balance)), "{commands:?}: {reply}");
        }
        ["A", "B"].into_iter().for_each(|id| bank.kill(id));
        restore(c, &whole);
    }
}

/// With what makes no sense for that bank: such a process must not take it from the one that serves.
#[test]
fn who_cannot_use_a_store_does_not_take_it_from_its_owner() {
    let bank = Bank::start(&["A", "B"]);
    let mut client = Client::connect(bank.address("A"));
    let mut pays = || {
        let reply = client.ask(&json!({"transfer": {"to": "B", "amount": 1}}));
        assert_eq!(reply["outcome"], json!("accepted"), "{reply}");
    };
    pays();
    let elsewhere = support::cluster::free_address();
    let mut other = bank.server_command("A");
    other.args(["--listen", &elsewhere, "--opening-balance", "7"]);
    let (status, said) = start(&other);
    assert!(status == Some(1) && said.contains("opening balance 100"), "{status:?}: {said}");
    pays();
    wait_until("A still serves", || {
        bank.ask("A", &json!({"balance": {}})).is_some_and(|reply| reply["balance"] == json!(98))
    });
}
