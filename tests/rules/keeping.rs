//! What nobody waits for any more is not kept: else a server that runs for long would be full of it.

use paxos_banking::bank::effects::{Event, Timer};
use paxos_banking::bank::ids::{ConnectionId, WaitId};
use paxos_banking::bank::limits::Limits;
use paxos_banking::bank::request::{Instruction, Outcome, Reply, Request};
use paxos_banking::bank::server::Config;

use crate::stage::*;

/// How many requests wait to be answered.
fn calls(stage: &Stage) -> usize {
    format!("{:?}", stage.server).matches("Call {").count()
}

#[test]
fn of_a_request_and_all_its_retries_one_is_kept() {
    let mut stage = Stage::alone();
    for _ in 0..5 {
        assert_eq!(stage.pay(TOO_MUCH, 1).outcomes(), []);
        assert_eq!(calls(&stage), 1);
    }
    let older = ConnectionId(CLIENT.0 - 1);
    let again = Request::One(transfer(TOO_MUCH, 1));
    let said = stage.handle(Event::Request(older, Some(1), again));
    assert!(matches!(&said.replies()[..], [Reply::TakenOver { .. }]), "{said:?}");
    assert_eq!(calls(&stage), 1, "nobody hears on an older connection");
    let both = Request::Batch(vec![transfer(TOO_MUCH, 1), transfer(TOO_MUCH, 2)]);
    stage.request(both.clone());
    stage.request(both);
    assert_eq!(calls(&stage), 1, "the last request has taken over the others' replies");
    stage.handle(Event::Closed(CLIENT));
    assert_eq!(calls(&stage), 0);
}

#[test]
fn who_has_waited_for_money_takes_no_room_of_those_who_come_later() {
    let limits = Limits { waiting: 4, ..Limits::default() };
    let mut stage = Stage::alone_as(Config { limits, ..config() });
    const MS: u64 = 1_000;
    for number in 1..=5 {
        let patient = Instruction { wait_ms: Some(MS), ..transfer(TOO_MUCH, number) };
        let wait = WaitId(number);
        let said = stage.request(Request::One(patient));
        assert!(said.outcomes().is_empty(), "number {number}: {said:?}");
        assert!(stage.time_out(Timer::Patience { wait, ms: MS }).outcomes().is_empty());
        let said = stage.time_out(Timer::Deadline(wait));
        assert!(matches!(said.outcomes()[..], [Outcome::Unavailable { .. }]), "{said:?}");
    }
}
