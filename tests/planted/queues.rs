//! Plays of transfers that wait: whom they hold up, and when another run is needed.

use crate::bank::effects::{Event, Timer, WaitId};
use crate::bank::ids::{ConnectionId, InstanceId};
use crate::bank::ledger::entry::Action;
use crate::bank::paxos::message::Message;
use crate::bank::request::{Instruction, Request};
use crate::plays::{Stage, ballot, log, logs, numbered, pays, promise, proposed};

pub fn runs_for_unknown_payees_rest() {
    let mut stage = Stage::new();
    let (_, free) = stage.instruct(9, numbered(pays("A", "B/never", 1), 1));
    assert!(!free.is_empty(), "the first is looked for");
    stage.hear(2, promise(2, Vec::new()));
    stage.hear(3, promise(3, Vec::new()));
    let (_, free) = stage.instruct(9, numbered(pays("A", "B/never", 1), 2));
    assert_eq!(free, [], "the next waits a while");
    let (_, free) = stage.instruct(9, numbered(pays("A", "B", 1), 3));
    assert_eq!(free, [], "what only waits behind it does not change that");
    stage.server.handle(Event::Timer(Timer::LookUp));
    assert!(!stage.turn().1.is_empty(), "then it is looked for as well");
}

pub fn a_patient_transfer_holds_nothing_up() {
    let mut stage = Stage::new();
    let patient = Instruction { wait_ms: Some(60_000), ..numbered(pays("A", "B", 500), 1) };
    assert_eq!(stage.instruct(9, patient).0.len(), 1, "A promises to itself");
    assert!(logs(&stage.ask(9, 30, 2).0), "what is covered need not wait");
}

pub fn an_account_that_waits_holds_up_no_other() {
    let mut stage = Stage::new();
    let opens = Action::Open { account: "A/x".parse().unwrap() };
    assert!(logs(&stage.instruct(9, numbered(opens, 1)).0), "A/x is open");
    assert!(logs(&stage.instruct(9, numbered(pays("A", "A/x", 40), 2)).0), "and has money");
    assert!(!logs(&stage.ask(9, 500, 3).0), "A waits");
    assert!(logs(&stage.instruct(9, numbered(pays("A/x", "B", 10), 4)).0), "A/x does not");
    assert!(!logs(&stage.ask(9, 1, 5).0), "what comes after it from A does");
}

pub fn a_linked_group_holds_up_all_that_it_debits() {
    let mut stage = Stage::new();
    let opens = Action::Open { account: "A/x".parse().unwrap() };
    stage.instruct(9, numbered(opens, 1));
    stage.instruct(9, numbered(pays("A", "A/x", 40), 2));
    let first = Instruction { linked: true, ..numbered(pays("A", "B", 500), 3) };
    let group = Request::Batch(vec![first, numbered(pays("A/x", "B", 10), 4)]);
    stage.server.handle(Event::Request(ConnectionId(9), None, group));
    assert!(!logs(&stage.turn().0), "A has too little");
    assert!(!logs(&stage.instruct(9, numbered(pays("A/x", "B", 5), 5)).0), "A/x waits with it");
}

/// B's later payment, of which the run knows nothing, may have brought what the debit took.
pub fn a_debit_spares_a_patient_transfer_of_this_run() {
    let (wait, ms) = (WaitId(1), 60_000);
    let mut stage = Stage::new();
    stage.instruct(9, Instruction { wait_ms: Some(ms), ..numbered(pays("A", "B", 110), 1) });
    stage.hear(2, promise(2, log("B", 10)));
    assert!(logs(&stage.ask(9, 30, 2).0), "the debit");
    stage.server.handle(Event::Timer(Timer::Patience { wait, ms }));
    let (_, free) = stage.hear(3, promise(3, Vec::new()));
    let (hash, instance) = (proposed(&free), InstanceId(2));
    let accepted = Message::Accepted { height: 1, ballot: ballot(1, "A"), hash, instance };
    let (_, free) = stage.hear(2, accepted);
    let asks = free.iter().any(|message| matches!(message, Message::Prepare { .. }));
    assert!(asks, "that needs a run which begins after the debit");
}
