//! Transfers that may wait for money to come by itself.

use paxos_banking::bank::effects::Timer;
use paxos_banking::bank::ids::WaitId;
use paxos_banking::bank::ledger::entry::Via;
use paxos_banking::bank::request::{Instruction, Outcome, Request};

use crate::stage::*;

const MS: u64 = 60_000;
const FIRST: Timer = Timer::Patience { wait: WaitId(1), ms: MS };
const DEADLINE: Timer = Timer::Deadline(WaitId(1));

fn patient(amount: u64, number: u64) -> Instruction {
    Instruction { wait_ms: Some(MS), ..transfer(amount, number) }
}

fn wait(stage: &mut Stage, amount: u64, number: u64) -> Said {
    stage.request(Request::One(patient(amount, number)))
}

/// B's block, of its payment of so much to A.
fn credit(stage: &mut Stage, amount: u64) -> Said {
    let one = block_after(&genesis(), &[("B", amount)]);
    stage.hear(OF_B, accept("B", 9, &one));
    stage.hear(OF_B, commit(&one))
}

fn accepted_seqs(said: &Said) -> Vec<u64> {
    let seqs = said.outcomes().into_iter().filter_map(|outcome| match outcome {
        Outcome::Accepted { seq, via: Via::Paxos, .. } => Some(seq),
        _ => None,
    });
    seqs.collect()
}

#[test]
fn one_run_looks_for_the_money_and_no_further() {
    let mut stage = Stage::open();
    let said = wait(&mut stage, OPENING + 5, 1);
    assert!(said.sets(FIRST) && !said.sets(DEADLINE) && said.asked().len() == 2, "{said:?}");
    let said = stage.win(1, vec![], vec![]);
    assert!(said.outcomes().is_empty() && said.asked().is_empty(), "{said:?}");
    let status = stage.status();
    assert_eq!((status.waiting, status.run), (1, "idle".into()));
    let said = credit(&mut stage, 5);
    assert_eq!(accepted_seqs(&said), [1]);
    assert!(said.cancels(FIRST) && !said.cancels(DEADLINE));
    assert_eq!(stage.status().waiting, 0);
}

#[test]
fn its_time_over_it_waits_for_a_run_that_refuses() {
    let mut stage = Stage::open();
    wait(&mut stage, OPENING + 5, 1);
    stage.win(1, vec![], vec![]);
    let said = stage.time_out(FIRST);
    assert!(said.sets(DEADLINE) && said.asked().len() == 2, "{said:?}");
    assert!(stage.pay(1, 2).outcomes().is_empty(), "now it holds up its account");
    let said = stage.win(2, vec![], vec![]);
    assert!(matches!(said.outcomes()[0], Outcome::Refused { .. }), "{said:?}");
    assert_eq!(accepted_seqs(&said), [1], "and what was behind it goes on");
    assert!(said.cancels(DEADLINE) && !said.cancels(FIRST));
    assert_eq!(stage.time_out(FIRST).timers, [], "it is gone");
}

#[test]
fn its_time_over_it_is_served_if_there_is_money() {
    let mut stage = Stage::open();
    wait(&mut stage, OPENING + 5, 1);
    stage.time_out(FIRST);
    let said = credit(&mut stage, 5);
    assert_eq!(accepted_seqs(&said), [1]);
    assert!(said.cancels(DEADLINE) && !said.cancels(FIRST));
}

#[test]
fn its_time_over_a_payee_is_looked_for_that_was_not_known() {
    let mut stage = Stage::open();
    let unknown = Instruction { wait_ms: Some(MS), ..numbered(pays("A", "B/bob", 1), 1) };
    let said = stage.request(Request::One(unknown));
    assert!(said.sets(FIRST) && said.sets(Timer::LookUp));
    stage.win(1, vec![], vec![]);
    assert_eq!(stage.time_out(FIRST).asked(), [], "lookups rest");
    assert_eq!(stage.time_out(Timer::LookUp).asked().len(), 2);
    let said = stage.win(2, vec![], vec![]);
    assert!(matches!(said.outcomes()[..], [Outcome::Refused { .. }]), "{said:?}");
}

#[test]
fn the_patient_are_served_in_their_order_as_far_as_the_money_goes() {
    let mut stage = Stage::open();
    for (number, more) in [(1, 20), (2, 1), (3, 7), (4, 1)] {
        wait(&mut stage, OPENING + more, number);
    }
    assert_eq!(stage.win(1, vec![], vec![]).asked().len(), 2, "for those that came later");
    assert!(stage.win(2, vec![], vec![]).asked().is_empty());
    assert!(stage.pay(OPENING - 1, 5).outcomes().len() == 1, "they hold nothing up");
    assert_eq!(stage.status().waiting, 4);
    assert_eq!(accepted_seqs(&credit(&mut stage, OPENING)), [2], "number 2 takes it");
    let status = stage.status();
    assert_eq!((status.waiting, status.run), (3, "idle".into()));
}

#[test]
fn what_waits_for_a_run_goes_before_the_patient() {
    let mut stage = Stage::open();
    wait(&mut stage, OPENING + 5, 1);
    stage.pay(OPENING + 20, 2);
    let said = stage.win(1, vec![element("B", 6)], vec![]);
    assert!(accepted_seqs(&said).is_empty(), "the money is not for the patient one: {said:?}");
}

#[test]
fn a_group_is_as_patient_as_its_most_patient() {
    let mut stage = Stage::open();
    let first = Instruction { linked: true, wait_ms: Some(9), ..transfer(OPENING, 1) };
    let said = stage.request(Request::Batch(vec![first, patient(1, 2)]));
    assert!(said.sets(FIRST), "{said:?}");
    assert_eq!(accepted_seqs(&credit(&mut stage, 1)), [1, 2]);
}

#[test]
fn patience_has_a_bound() {
    let mut stage = Stage::open();
    let day = 86_400_000;
    let waits =
        |ms, number| Request::One(Instruction { wait_ms: Some(ms), ..transfer(TOO_MUCH, number) });
    assert!(stage.request(waits(day, 1)).outcomes().is_empty());
    let outcomes = stage.request(waits(day + 1, 2)).outcomes();
    let [Outcome::Invalid { reason }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(&**reason, "at most 86400000 ms can be waited for money");
}

#[test]
fn a_gathering_need_not_bring_the_money_for_those_that_were_looked_for_in_vain() {
    let mut stage = Stage::open();
    wait(&mut stage, TOO_MUCH, 1);
    stage.win(1, vec![], vec![]);
    stage.pay(OPENING + 3, 2);
    let said = stage.hear(OF_B, promise("B", 2, vec![element("B", 5)]));
    assert!(said.sets(Timer::Gather { covered: true }), "{said:?}");
}
