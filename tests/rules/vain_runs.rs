//! Runs that bring nothing rest, once there were several of them in a row.

use paxos_banking::bank::effects::{Event, Timer, TimerCommand};
use paxos_banking::bank::ids::WaitId;
use paxos_banking::bank::limits::Limits;
use paxos_banking::bank::paxos::message::Vote;
use paxos_banking::bank::request::{Instruction, Outcome, Reply, Request};
use paxos_banking::bank::server::Config;
use paxos_banking::bank::server::Habit;

use crate::stage::*;

/// Two runs may bring nothing.
fn stage() -> Stage {
    let limits = Limits { vain_runs: 2, ..Limits::default() };
    Stage::open_as(Config { limits, ..config() })
}

/// B and C promise nothing to the run of this round for block 1.
fn in_vain(stage: &mut Stage, round: u64) -> Said {
    stage.hear(OF_B, promise("B", round, vec![]));
    stage.hear(OF_C, promise("C", round, vec![]))
}

/// After two overdrafts that were refused.
fn resting() -> Stage {
    let mut stage = stage();
    for round in 1..=2 {
        assert_eq!(stage.pay(TOO_MUCH, round).asked().len(), 2, "as fast as ever");
        let said = in_vain(&mut stage, round);
        assert!(matches!(said.outcomes()[..], [Outcome::Refused { .. }]), "{said:?}");
        assert_eq!(said.sets(Timer::Rest), round == 2, "{said:?}");
    }
    stage
}

#[test]
fn all_who_wait_meanwhile_share_the_next_run() {
    let mut stage = resting();
    assert_eq!(stage.pay(TOO_MUCH, 3).asked(), []);
    assert_eq!(stage.pay(TOO_MUCH, 4).asked(), []);
    assert_eq!(stage.time_out(Timer::Rest).asked().len(), 2);
    let said = in_vain(&mut stage, 3);
    assert_eq!(said.outcomes().len(), 2, "{said:?}");
    assert!(said.sets(Timer::Rest) && said.asked().is_empty(), "and the next rests again");
}

#[test]
fn a_run_that_serves_somebody_ends_that() {
    let mut stage = resting();
    stage.pay(OPENING + 5, 3);
    stage.time_out(Timer::Rest);
    stage.hear(OF_B, promise("B", 3, vec![element("B", 5)]));
    let block = stage.hear(OF_C, promise("C", 3, vec![])).proposal().unwrap();
    let said = stage.hear(OF_B, accepted("B", 3, &block));
    assert!(matches!(said.outcomes()[..], [Outcome::Accepted { .. }]), "{said:?}");
    assert!(!said.sets(Timer::Rest));
    assert_eq!(stage.pay(TOO_MUCH, 4).asked().len(), 2);
}

#[test]
fn who_settles_in_vain_rests_as_well_and_so_does_who_waits_for_money() {
    let patient = Instruction { wait_ms: Some(60_000), ..transfer(TOO_MUCH, 1) };
    for request in [Request::Settle, Request::One(patient)] {
        let mut stage = stage();
        stage.request(request.clone());
        assert!(!in_vain(&mut stage, 1).sets(Timer::Rest));
        stage.request(Request::Settle);
        assert!(in_vain(&mut stage, 2).sets(Timer::Rest), "{request:?}");
        assert_eq!(stage.request(Request::Settle).asked(), []);
        assert_eq!(stage.time_out(Timer::Rest).asked().len(), 2);
    }
}

/// Whoever lacks money for a moment, over and over, starts runs too.
#[test]
fn so_does_who_needs_no_run_any_more_when_it_has_begun() {
    let mut stage = stage();
    for round in 1..=2 {
        stage.pay(TOO_MUCH, round);
        let said = stage.time_out(Timer::Deadline(WaitId(round)));
        assert_eq!(said.sets(Timer::Rest), round == 2, "{said:?}");
    }
    assert_eq!(stage.pay(TOO_MUCH, 3).asked(), []);
}

#[test]
fn what_only_waited_for_its_turn_is_no_merit_of_the_run() {
    let mut stage = stage();
    for round in 1..=2 {
        let number = 2 * round;
        stage.request(Request::Batch(vec![transfer(TOO_MUCH, number), transfer(1, number + 1)]));
        let said = stage.win(round, vec![], vec![]);
        assert_eq!(said.sets(Timer::Rest), round == 2, "{said:?}");
    }
    assert_eq!(stage.pay(TOO_MUCH, 9).asked(), []);
}

#[test]
fn what_is_to_come_into_a_block_does_not_rest() {
    let mut stage = resting();
    let settled = Instruction { settled: true, ..transfer(1, 3) };
    assert_eq!(stage.request(Request::One(settled)).asked().len(), 2);
    let limits = Limits { vain_runs: 1, ..Limits::default() };
    let habit = Habit { by_length: Some(1), ..Habit::default() };
    let mut stage = Stage::open_as(Config { limits, habit, ..config() });
    stage.pay(TOO_MUCH, 1);
    assert!(in_vain(&mut stage, 1).sets(Timer::Rest));
    assert_eq!(stage.pay(1, 2).asked().len(), 2);
}

#[test]
fn while_more_is_on_the_way_runs_follow_at_once() {
    let mut stage = resting();
    stage.pay(OPENING + 5, 3);
    stage.time_out(Timer::Rest);
    let cut = Vote::Log { elements: vec![element("B", 1)], cut: true, whole: None };
    stage.hear(OF_B, vote("B", 3, cut));
    let block = stage.hear(OF_C, promise("C", 3, vec![])).proposal().unwrap();
    let said = stage.hear(OF_B, accepted("B", 3, &block));
    assert!(said.asked().len() == 2 && !said.timers.contains(&TimerCommand::Set(Timer::Rest)));
}

#[test]
fn a_loop_of_refusals_is_answered_all_the_same() {
    let mut stage = resting();
    for number in 3..20 {
        stage.pay(TOO_MUCH, number);
        stage.handle(Event::Timer(Timer::Rest));
        let replies = in_vain(&mut stage, number).replies();
        assert!(matches!(replies[..], [Reply::One(Outcome::Refused { .. })]), "{replies:?}");
        assert_eq!(stage.status().run, "idle");
    }
}
