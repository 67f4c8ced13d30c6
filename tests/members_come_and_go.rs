//! Members come and go while clients pay: processes of the shipped program, each on a Redis of its own.

mod support;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use paxos_banking::audit::{self, Options};
use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::reason::Code;
use paxos_banking::bank::request::Outcome;
use paxos_banking::client::session::{Ending, Session};
use serde_json::{Value, json};

use support::cluster::{PATIENCE, wait_until};
use support::process::{Bank, Setup};

/// Who is paid, and from where. A branch that closes is taken out of both, one after the other.
struct Town {
    payers: Mutex<BTreeSet<&'static str>>,
    payees: Mutex<BTreeSet<&'static str>>,
    decided: AtomicUsize,
}

impl Town {
    fn is_open(&self, id: &'static str) -> bool {
        self.payers.lock().unwrap().contains(id)
    }

    fn may_be_paid(&self, id: &str) -> bool {
        self.payees.lock().unwrap().contains(id)
    }

    /// Lets the clients go on for a while.
    fn goes_on(&self) {
        let target = self.decided.load(Ordering::Relaxed) + 40;
        let gone_on = || self.decided.load(Ordering::Relaxed) >= target;
        wait_until("the clients go on", gone_on);
    }
}

/// Pays until the branch closes, often more than is there. Whatever ends as an error is tried again under its old
/// name, until it was paid or refused.
fn pay(mut session: Session, id: &'static str, town: &Town) {
    let mut dice = fastrand::Rng::new();
    while town.is_open(id) {
        let payees: Vec<&str> = {
            let payees = town.payees.lock().unwrap();
            payees.iter().filter(|payee| **payee != id).copied().collect()
        };
        let to = payees[dice.usize(..payees.len())];
        let amount = Amount::new(dice.u64(1..40)).unwrap();
        let mut ending = session.transfer(None, to.parse().unwrap(), amount);
        loop {
            ending = match ending {
                Ending::Decided(Outcome::Accepted { .. } | Outcome::Refused { .. }) => break,
                Ending::Unknown { .. } => session.again().expect("it was unknown").remove(0),
                Ending::NotDone(failure) if failure.is_transient() => {
                    session.transfer(None, to.parse().unwrap(), amount)
                }
                Ending::Decided(Outcome::Unavailable { .. }) => {
                    session.transfer(None, to.parse().unwrap(), amount)
                }
                // It was chosen before it closed. Nothing was paid, and that is said.
                Ending::Decided(Outcome::Invalid { reason })
                    if reason.code == Code::NoSuchServer && !town.may_be_paid(to) =>
                {
                    break;
                }
                other => panic!("{id} pays {to}: no retry mends this: {other:?}"),
            };
        }
        town.decided.fetch_add(1, Ordering::Relaxed);
    }
}

/// Gives an order about the members; returns its answer.
fn order(bank: &Bank, at: &str, order: Value) -> Value {
    bank.ask(at, &json!({"members": order})).expect("an answer")
}

/// The members as a server knows them.
fn members(bank: &Bank, at: &str) -> String {
    let reply = order(bank, at, json!({}));
    let members = reply["members"].as_array().expect("members");
    members.iter().map(|member| member["server"].as_str().unwrap()).collect()
}

/// Pays all out that a server's account holds, and dismisses it. Others may pay it meanwhile: then once more.
fn dismiss(bank: &mut Bank, id: &str, to: &str) {
    wait_until(&format!("{id} is dismissed"), || {
        let held = bank.ask(id, &json!({"balance": {}})).map(|reply| reply["balance"].clone());
        if let Some(held) = held.and_then(|held| held.as_u64()).filter(|held| *held > 0) {
            bank.ask(id, &json!({"transfer": {"to": to, "amount": held}}));
        }
        if let Some(answer) = bank.ask(id, &json!({"members": {"dismiss": id}})) {
            let why = answer["message"].as_str().unwrap_or_default();
            let holds =
                why.contains("still holds money") || why.contains("dismiss it when none does");
            let later = answer["error"] == json!("unavailable");
            assert!(answer["members"].is_array() || holds || later, "{answer}");
        }
        !members(bank, "D").contains(id)
    });
    bank.has_ended(id);
}

fn audited(bank: &mut Bank) -> Value {
    let redis = bank.stores.iter().map(|store| store.url()).collect();
    let (archives, ids, servers, server_keys, files) = Default::default();
    let (doors, json, timeout) = (None, true, PATIENCE);
    let options =
        Options { redis, archives, ids, servers, doors, server_keys, files, json, timeout };
    let mut out = Vec::new();
    let status = audit::run(&options, &mut out);
    let report: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(status, audit::SOUND, "{report}");
    report
}

/// Whether D knows a member to be found at this address.
fn is_found_at(bank: &Bank, id: &str, at: &str) -> bool {
    let told = bank.ask("D", &json!({"members": {}})).unwrap_or_default();
    let members = told["members"].as_array().cloned().unwrap_or_default();
    members.iter().any(|one| one["server"] == json!(id) && one["address"] == json!(at))
}

/// D and E are admitted, A, B and C move, A and B are dismissed.
fn come_and_go(bank: &mut Bank, town: &Town, open: impl Fn(&Bank, &'static str)) {
    for id in ["D", "E"] {
        town.goes_on();
        bank.start_server(id);
        let at = bank.address(id).to_owned();
        wait_until(&format!("{id} answers"), || {
            bank.ask(id, &json!({"status": {}}))
                .is_some_and(|status| status["active"] == json!(false))
        });
        wait_until(&format!("{id} is admitted"), || {
            let answer = order(bank, "B", json!({"admit": id, "at": at}));
            answer["members"].is_array() || members(bank, "B").contains(id)
        });
        wait_until(&format!("{id} takes part"), || {
            bank.ask(id, &json!({"balance": {}})).is_some_and(|reply| reply["balance"].is_u64())
        });
        town.payees.lock().unwrap().insert(id);
        town.payers.lock().unwrap().insert(id);
        open(bank, id);
    }
    for id in ["A", "B", "C"] {
        town.goes_on();
        bank.kill(id);
        let at = bank.move_away(id);
        bank.start_server(id);
        let moved = order(bank, "D", json!({"move": id, "at": at}));
        // Where all is slow it stands in the log for longer than a client waits.
        let later = moved["error"] == json!("unavailable");
        assert!(moved["members"].is_array() || later, "{moved}");
        wait_until(&format!("{id} has moved"), || is_found_at(bank, id, &at));
        wait_until("all are connected", || bank.is_connected());
    }
    for (id, to) in [("A", "D"), ("B", "E")] {
        town.goes_on();
        town.payees.lock().unwrap().remove(id);
        town.payers.lock().unwrap().remove(id);
        dismiss(bank, id, to);
    }
    town.goes_on();
}

#[test]
fn members_come_move_and_go_under_load_and_nobody_notices() {
    let setup = Setup { redis_each: true, ..Setup::default() };
    let mut bank = Bank::set_up(&["A", "B", "C"], setup);
    bank.start_all();
    ["D", "E"].into_iter().for_each(|id| bank.add(id));
    let first = || ["A", "B", "C"].into();
    let (payers, payees) = (Mutex::new(first()), Mutex::new(first()));
    let town = &Town { payers, payees, decided: AtomicUsize::new(0) };
    std::thread::scope(|threads| {
        let open = |bank: &Bank, id: &'static str| {
            let session = bank.session(id);
            threads.spawn(move || pay(session, id, town));
        };
        ["A", "B", "C"].into_iter().for_each(|id| open(&bank, id));
        let shown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            come_and_go(&mut bank, town, open);
        }));
        // The clients end, whatever became of it.
        town.payers.lock().unwrap().clear();
        shown.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    wait_until("all is settled", || {
        let settled = bank.ask("D", &json!({"settle": {}}));
        settled.is_some_and(|reply| reply["settled"] == json!(true))
    });
    assert_eq!(members(&bank, "D"), "CDE");
    let report = audited(&mut bank);
    let stores = report["stores"].as_array().unwrap();
    assert_eq!(stores.len(), 5, "{report}");
    for store in &stores[..2] {
        assert!(store["notes"].to_string().contains("was dismissed"), "{store}");
    }
    let sum = |id: &str| bank.ask(id, &json!({"balance": {}})).unwrap()["committed"].as_u64();
    let held: u64 = ["C", "D", "E"].into_iter().map(|id| sum(id).unwrap()).sum();
    let late = |id: &str| {
        bank.ask("D", &json!({"balance": {"account": id}})).unwrap()["committed"].as_u64()
    };
    assert_eq!(held + late("A").unwrap() + late("B").unwrap(), 300, "{report}");
}
