//! A bank with more accounts than one opening block takes, founded from a backup.

use serde_json::{Value, json};

use crate::bank::{Archived, SERVERS};
use crate::founded::New;
use crate::support::cluster::{Client, wait_until};
use crate::support::process::Bank;
use crate::support::redis::TestRedis;
use crate::told::back_up;

/// How many accounts each server opens: so there are three opening blocks of 512 KiB, and some.
const EACH: usize = 15_000;
/// The most items of a batch.
const BATCH: usize = 5_000;

fn name(id: &str, number: usize) -> String {
    format!("{id}/account-{number:06}")
}

/// Opens the accounts; every 100th gets 1.
fn open_all(bank: &Bank, id: &str) {
    let mut client = Client::try_connect(bank.address(id)).unwrap();
    let opens = (0..EACH).map(|number| json!({"open": name(id, number)}));
    let pays = (0..EACH).step_by(100).map(|number| json!([id, name(id, number), 1]));
    let items: Vec<Value> = opens.chain(pays).collect();
    for batch in items.chunks(BATCH) {
        let reply = client.ask(&json!({"batch": {"items": batch}}));
        let outcomes = reply["outcomes"].as_array().unwrap_or_else(|| panic!("{reply}"));
        assert!(outcomes.iter().all(Value::is_array), "each is accepted at once");
    }
}

/// Whether each server holds all accounts, and all the money.
fn assert_all_there(bank: &Bank) {
    for id in SERVERS {
        let status = bank.ask(id, &json!({"status": {}})).expect("an answer");
        let accounts = json!(SERVERS.len() * (EACH + 1));
        assert_eq!((&status["accounts"], &status["total"]), (&accounts, &json!(3_000)), "{id}");
        for of in SERVERS {
            let held = |number| {
                let ask = json!({"balance": {"account": name(of, number)}});
                bank.ask(id, &ask).expect("an answer")["balance"].clone()
            };
            assert_eq!([0, 1, EACH - 100].map(held), [1, 0, 1].map(|units| json!(units)), "{id}");
        }
    }
}

#[test]
fn a_bank_of_many_accounts_goes_on_and_all_its_servers_hold_them() {
    let mut old = Archived::open();
    for id in SERVERS {
        open_all(&old.bank, id);
    }
    old.bank.settle();
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a");
    let told = back_up(&mut old, "A", &dir);
    assert_eq!(told.status, 0, "{told:?}");
    SERVERS.iter().for_each(|id| old.bank.kill(id));
    let mut new = New::founded(&[&dir]);
    assert_all_there(&new.bank);
    let block_0 = &new.bank.ask("A", &json!({"chain": {"from": 0, "to": 0}})).unwrap()["blocks"][0];
    let opening = block_0["genesis"]["origin"]["blocks"].as_array().unwrap().len();
    assert!(opening > 2, "{opening} opening blocks");
    // Another start reads them in the store, a store that is lost gets them from the others.
    SERVERS.iter().for_each(|id| new.bank.kill(id));
    new.bank.start_all();
    assert_all_there(&new.bank);
    new.bank.kill("C");
    let place = new.bank.place("C");
    new.bank.stores[place] = TestRedis::start();
    new.bank.start_server_with("C", &["--rejoin"]);
    wait_until("C has rejoined", || new.log("C").contains("done: C has rejoined"));
    new.bank.wait_until_connected();
    assert_all_there(&new.bank);
    let pays =
        |number: usize| json!({"transfer": {"from": name("C", number), "to": "A", "amount": 1}});
    let outcome = |number| new.bank.ask("C", &pays(number)).unwrap()["outcome"].clone();
    assert_eq!([outcome(0), outcome(1)], [json!("accepted"), json!("refused")]);
    new.bank.settle();
    let (status, report) = new.audit(&[&dir]);
    assert_eq!(status, 0, "{report:#}");
    let said = report.to_string();
    assert!(said.contains("it goes on exactly where the bank"), "{report:#}");
}
