//! Which code a client is told, and which of two that apply.

use paxos_banking::bank::ids::WaitId;
use paxos_banking::bank::limits::{Limits, MAX_WAIT_MS};
use paxos_banking::bank::reason::Code;
use paxos_banking::bank::request::{Instruction, Outcome, Request};
use paxos_banking::bank::server::Config;
use paxos_banking::bank::timer::Timer;

use crate::machine::stage::*;

/// The codes of all outcomes that are told, in order.
fn codes(said: &Said) -> Vec<Code> {
    let code = |outcome| match outcome {
        Outcome::Accepted { .. } => None,
        Outcome::Refused { reason, .. }
        | Outcome::WrongServer { reason, .. }
        | Outcome::Unavailable { reason }
        | Outcome::Invalid { reason }
        | Outcome::LinkedFailed { reason }
        | Outcome::Expired { reason } => Some(reason.code),
    };
    said.outcomes().into_iter().filter_map(code).collect()
}

fn plain(from: &str, to: &str, amount: u64) -> Instruction {
    Instruction::plain(pays(from, to, amount))
}

#[test]
fn what_can_never_be_is_told_by_its_code() {
    let mut stage = Stage::open();
    let too_long = Instruction { wait_ms: Some(MAX_WAIT_MS + 1), ..plain("A", "B", 1) };
    let never = [
        (plain("A", "B", 0), Code::AmountZero),
        (plain("A", "A", 1), Code::SameAccount),
        (plain("A/x", "B", 1), Code::UnknownAccount),
        (plain("Z", "A", 1), Code::NoSuchServer),
        (plain("B", "A", 1), Code::WrongServer),
        (too_long, Code::WaitTooLong),
        (Instruction::plain(opens("A")), Code::AccountExists),
        (Instruction { linked: true, ..plain("A", "B", 1) }, Code::LinkedAtEnd),
    ];
    for (instruction, code) in never {
        assert_eq!(codes(&stage.request(Request::One(instruction))), [code]);
    }
}

#[test]
fn of_two_that_apply_the_first_is_told() {
    let mut stage = Stage::open();
    let mut told = |instruction| codes(&stage.request(Request::One(instruction)));
    assert_eq!(told(plain("B", "B", 0)), [Code::WrongServer], "before the amount and the payee");
    assert_eq!(told(plain("A", "A", 0)), [Code::AmountZero], "before the payee");
    assert_eq!(told(plain("A/x", "A/x", 1)), [Code::SameAccount], "before what is not known");
    assert!(told(numbered(pays("A", "B", 5), 1)).is_empty());
    assert_eq!(told(numbered(pays("B", "B", 0), 1)), [Code::NumberReused], "before all of those");
}

#[test]
fn one_stands_in_the_way_and_the_others_fail_with_it() {
    let mut stage = Stage::open();
    let linked = Instruction { linked: true, ..plain("A", "B", 1) };
    let said = stage.request(Request::Batch(vec![linked, plain("A", "A", 1)]));
    assert_eq!(codes(&said), [Code::LinkedFailed, Code::SameAccount]);
}

#[test]
fn what_could_not_be_decided_tells_why() {
    let mut stage = Stage::open();
    stage.pay(TOO_MUCH, 1);
    assert_eq!(codes(&stage.time_out(Timer::Deadline(WaitId(1)))), [Code::NoRun]);
    let mut stage = Stage::alone();
    stage.pay(TOO_MUCH, 1);
    assert_eq!(codes(&stage.time_out(Timer::Deadline(WaitId(1)))), [Code::NoMajority]);
    let limits = Limits { log: 2, ..Limits::default() };
    let mut stage = Stage::open_as(Config { limits, ..config() });
    (1..=2).for_each(|number| drop(stage.pay(1, number)));
    assert_eq!(codes(&stage.pay(1, 3)), [Code::LogFull]);
}
