//! Plays of transfers that wait: whom they hold up, and when another run is needed.

use crate::bank::effects::Timer;
use crate::bank::ids::WaitId;
use crate::bank::request::{Instruction, Request};
use crate::machine::stage::*;

fn instruct(stage: &mut Stage, instruction: Instruction) -> Said {
    stage.request(Request::One(instruction))
}

pub fn runs_for_unknown_payees_rest() {
    let mut stage = Stage::open();
    let said = instruct(&mut stage, numbered(pays("A", "B/never", 1), 1));
    assert_ne!(said.free, [], "the first is looked for");
    stage.hear(OF_B, promise("B", 1, vec![]));
    stage.hear(OF_C, promise("C", 1, vec![]));
    let said = instruct(&mut stage, numbered(pays("A", "B/never", 1), 2));
    assert_eq!(said.free, [], "the next waits a while");
    let said = stage.pay(1, 3);
    assert_eq!(said.free, [], "what only waits behind it does not change that");
    assert_ne!(stage.time_out(Timer::LookUp).free, [], "then it is looked for as well");
}

pub fn a_patient_transfer_holds_nothing_up() {
    let mut stage = Stage::open();
    let patient = Instruction { wait_ms: Some(60_000), ..transfer(TOO_MUCH, 1) };
    assert_eq!(instruct(&mut stage, patient).writes.len(), 1, "A promises to itself");
    assert!(stage.pay(30, 2).logs(), "what is covered need not wait");
}

/// A, with an account A/x that holds 40.
fn with_two_accounts() -> Stage {
    let mut stage = Stage::open();
    assert!(instruct(&mut stage, numbered(opens("A/x"), 1)).logs(), "A/x is open");
    assert!(instruct(&mut stage, numbered(pays("A", "A/x", 40), 2)).logs(), "and has money");
    stage
}

pub fn an_account_that_waits_holds_up_no_other() {
    let mut stage = with_two_accounts();
    assert!(!stage.pay(TOO_MUCH, 3).logs(), "A waits");
    assert!(instruct(&mut stage, numbered(pays("A/x", "B", 10), 4)).logs(), "A/x does not");
    assert!(!stage.pay(1, 5).logs(), "what comes after it from A does");
}

pub fn a_linked_group_holds_up_all_that_it_debits() {
    let mut stage = with_two_accounts();
    let first = Instruction { linked: true, ..transfer(TOO_MUCH, 3) };
    let group = Request::Batch(vec![first, numbered(pays("A/x", "B", 10), 4)]);
    assert!(!stage.request(group).logs(), "A has too little");
    let said = instruct(&mut stage, numbered(pays("A/x", "B", 5), 5));
    assert!(!said.logs(), "A/x waits with it");
}

/// B's later payment, of which the run knows nothing, may have brought what the debit took.
pub fn a_debit_spares_a_patient_transfer_of_this_run() {
    let (wait, ms) = (WaitId(1), 60_000);
    let mut stage = Stage::open();
    instruct(&mut stage, Instruction { wait_ms: Some(ms), ..transfer(OPENING + 10, 1) });
    stage.hear(OF_B, promise("B", 1, vec![element("B", 10)]));
    assert!(stage.pay(30, 2).logs(), "the debit");
    stage.time_out(Timer::Patience { wait, ms });
    let block = stage.hear(OF_C, promise("C", 1, vec![])).proposal().expect("all have promised");
    let said = stage.hear(OF_B, accepted("B", 1, &block));
    assert_ne!(said.asked(), [], "that needs a run which begins after the debit");
}
