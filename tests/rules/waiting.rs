//! Transfers that wait for money, clients that settle, and when they are told what.

use paxos_banking::bank::effects::{Bound, Event, Timer};
use paxos_banking::bank::ids::WaitId;
use paxos_banking::bank::ledger::entry::Via;
use paxos_banking::bank::limits::Limits;
use paxos_banking::bank::paxos::message::Vote;
use paxos_banking::bank::reason::{Code, Reason};
use paxos_banking::bank::request::{ErrorCode, Instruction, Outcome, Reply, Request};
use paxos_banking::bank::server::Config;

use crate::stage::*;

const FIRST: Timer = Timer::Deadline(WaitId(1));
const SECOND: Timer = Timer::Deadline(WaitId(2));

fn unavailable(said: Said) -> String {
    match &said.replies()[..] {
        [Reply::One(Outcome::Unavailable { reason })] => reason.words.clone(),
        [Reply::Error { error: ErrorCode::Unavailable, message }] => message.clone(),
        _ => panic!("{said:?}"),
    }
}

/// The run so numbered is won, with payments of B and C to A.
fn win(stage: &mut Stage, round: u64, of_b: u64, of_c: u64) -> Said {
    stage.win(round, vec![element("B", of_b)], vec![element("C", of_c)])
}

#[test]
fn a_deadline_ends_a_wait_with_the_reason() {
    let mut stage = Stage::alone();
    assert!(stage.pay(TOO_MUCH, 1).sets(FIRST));
    assert!(stage.request(Request::Settle).sets(SECOND));
    assert_eq!(stage.status().waiting, 1);
    assert_eq!(unavailable(stage.time_out(FIRST)), "no majority in time: B, C not connected");
    assert_eq!((stage.status().waiting, stage.status().run), (0, "preparing".into()));
    stage.meet("B");
    let reason = "no Paxos run got through in time: C not connected, B is";
    assert_eq!(unavailable(stage.time_out(SECOND)), reason);
    assert_eq!(stage.status().run, "idle", "nothing waits");
    assert_eq!(stage.time_out(FIRST).replies(), []);
    stage.meet("C");
    stage.pay(TOO_MUCH, 2);
    let reason = unavailable(stage.time_out(Timer::Deadline(WaitId(3))));
    assert!(reason.contains("though all servers are connected"), "{reason}");
    let again = stage.pay(TOO_MUCH, 2);
    assert_eq!(unavailable(again), reason, "a retry gets the same");
}

#[test]
fn who_has_money_enough_waits_behind_those_who_came_before() {
    let mut stage = Stage::open();
    stage.pay(OPENING + 5, 1);
    assert_eq!(stage.pay(1, 2).outcomes(), []);
    assert_eq!(stage.status().waiting, 2);
    let said = win(&mut stage, 1, 4, 2);
    let paid = |outcome: &Outcome| matches!(outcome, Outcome::Accepted { via: Via::Paxos, .. });
    assert!(said.outcomes().len() == 2 && said.outcomes().iter().all(paid), "{said:?}");
    assert!(said.cancels(FIRST) && said.cancels(SECOND));
    assert_eq!(stage.status().waiting, 0);
}

#[test]
fn a_deadline_lets_those_behind_go_on() {
    let mut stage = Stage::alone();
    stage.pay(TOO_MUCH, 1);
    stage.pay(2, 2);
    let outcomes = stage.time_out(FIRST).outcomes();
    assert!(matches!(outcomes[..], [Outcome::Unavailable { .. }, Outcome::Accepted { .. }]));
    let mut stage = Stage::alone();
    stage.pay(TOO_MUCH, 1);
    stage.pay(2, 2);
    assert_eq!(stage.time_out(SECOND).outcomes().len(), 1, "in any order");
    assert_eq!(stage.time_out(FIRST).outcomes().len(), 1);
    assert_eq!(stage.status().run, "idle");
}

#[test]
fn a_refusal_names_who_was_consulted() {
    let mut stage = Stage::open();
    stage.pay(TOO_MUCH, 1);
    let said = win(&mut stage, 1, 4, 2);
    let refused = Outcome::Refused {
        reason: Reason::new(
            Code::InsufficientFunds,
            "insufficient funds: A has 10006, 20000 asked",
        ),
        balance: units(OPENING + 6),
        consulted: ["A", "B", "C"].map(id).to_vec(),
        not_consulted: vec![],
    };
    assert_eq!(said.outcomes(), std::slice::from_ref(&refused));
    assert!(said.cancels(FIRST));
    assert_eq!(stage.pay(TOO_MUCH, 1).outcomes(), [refused.again()], "a retry is told so");
}

#[test]
fn a_connected_server_that_does_not_answer_two_runs_is_not_consulted() {
    for settles in [false, true] {
        let mut stage = Stage::open();
        if settles {
            stage.request(Request::Settle)
        } else {
            stage.pay(TOO_MUCH, 1)
        };
        stage.hear(OF_B, promise("B", 1, vec![]));
        let said = stage.time_out(Timer::Gather { covered: false });
        assert_eq!((said.replies().len(), said.asked().len()), (0, 2), "one further run");
        stage.hear(OF_B, promise("B", 2, vec![]));
        let said = stage.time_out(Timer::Gather { covered: false });
        let (heard, not_heard) = match &said.replies()[..] {
            [Reply::One(Outcome::Refused { consulted, not_consulted, .. })] => {
                (consulted.clone(), not_consulted.clone())
            }
            [Reply::Settled { consulted, not_consulted, .. }] => {
                (consulted.clone(), not_consulted.clone())
            }
            _ => panic!("{said:?}"),
        };
        assert_eq!((heard, not_heard), (vec![id("A"), id("B")], vec![id("C")]));
        assert!(said.cancels(FIRST));
    }
}

#[test]
fn who_is_not_connected_is_not_waited_for() {
    let mut stage = Stage::open();
    stage.handle(Event::Closed(OF_C));
    stage.pay(TOO_MUCH, 1);
    assert_eq!(stage.hear(OF_B, promise("B", 1, vec![])).outcomes().len(), 1);
}

#[test]
fn what_came_in_after_the_prepare_is_not_refused_by_it() {
    let mut stage = Stage::open();
    stage.pay(TOO_MUCH, 1);
    stage.pay(TOO_MUCH, 2);
    let said = win(&mut stage, 1, 4, 2);
    assert_eq!((said.outcomes().len(), said.asked().len()), (1, 2), "{said:?}");
    assert!(said.cancels(FIRST) && !said.cancels(SECOND));
}

#[test]
fn a_run_that_cut_a_log_refuses_nothing() {
    let mut stage = Stage::open();
    stage.pay(TOO_MUCH, 1);
    stage.hear(OF_B, promise("B", 1, vec![]));
    let cut = Vote::Log { elements: vec![element("C", 1)], cut: true, whole: None };
    let block = stage.hear(OF_C, vote("C", 1, cut)).proposal().unwrap();
    let said = stage.hear(OF_B, accepted("B", 1, &block));
    assert_eq!((said.outcomes().len(), said.asked().len()), (0, 2), "it goes on");
}

#[test]
fn a_retry_of_what_waits_takes_over_its_reply() {
    let mut stage = Stage::alone();
    stage.handle(Event::Request(CLIENT, Some(1), Request::One(transfer(TOO_MUCH, 1))));
    stage.handle(Event::Request(CLIENT, Some(2), Request::One(transfer(TOO_MUCH, 1))));
    let twice = vec![transfer(TOO_MUCH, 2), transfer(TOO_MUCH, 2)];
    stage.handle(Event::Request(CLIENT, Some(3), Request::Batch(twice)));
    assert_eq!(stage.status().waiting, 2);
    let answers = |said: Said| -> Vec<Option<u64>> {
        let number = |bound| match bound {
            Bound::Reply(_, number, _) => number,
            _ => None,
        };
        said.bound.into_iter().map(number).collect()
    };
    assert_eq!(answers(stage.time_out(FIRST)), [Some(2)]);
    assert_eq!(answers(stage.time_out(SECOND)), [Some(3)]);
}

#[test]
fn no_more_may_wait_than_there_is_room_for() {
    const MOST: usize = 10;
    let limits = Limits { waiting: MOST, waiting_anyway: 1, ..Limits::default() };
    let mut stage = Stage::alone_as(Config { limits, ..config() });
    let one = Instruction::plain(pays("A", "B", TOO_MUCH));
    assert_eq!(stage.request(Request::Batch(vec![one.clone(); MOST])).replies(), []);
    let said = stage.request(Request::One(one));
    assert_eq!(unavailable(said), "already 10 transfers wait at this server");
    for _ in 0..MOST {
        stage.server.handle(Event::Request(CLIENT, None, Request::Settle));
    }
    assert_eq!(stage.turn().replies(), []);
    let reason = unavailable(stage.request(Request::Settle));
    assert_eq!(reason, "already 10 clients wait for a settlement");
}

#[test]
fn those_who_wait_for_money_leave_half_of_the_room_to_others() {
    let limits = Limits { waiting: 10, waiting_anyway: 1, ..Limits::default() };
    let mut stage = Stage::alone_as(Config { limits, ..config() });
    let other = Instruction::plain(pays("A", "B", TOO_MUCH));
    let patient = Instruction { wait_ms: Some(9), ..other.clone() };
    assert_eq!(stage.request(Request::Batch(vec![patient.clone(); 5])).replies(), []);
    let said = stage.request(Request::One(patient));
    assert_eq!(unavailable(said), "already half of those that may wait here wait for money");
    assert_eq!(stage.request(Request::Batch(vec![other; 5])).replies(), []);
}

#[test]
fn money_that_covers_all_that_waits_needs_no_long_gathering() {
    let gathers = |second: Option<u64>, settles: bool| {
        let mut stage = Stage::open();
        stage.pay(OPENING + 3, 1);
        if let Some(amount) = second {
            stage.pay(amount, 2);
        }
        if settles {
            stage.request(Request::Settle);
        }
        let said = stage.hear(OF_B, promise("B", 1, vec![element("B", 5)]));
        (said.sets(Timer::Gather { covered: true }), said.sets(Timer::Gather { covered: false }))
    };
    assert_eq!(gathers(None, false), (true, false));
    assert_eq!(gathers(Some(2), false), (true, false));
    assert_eq!(gathers(Some(3), false), (false, true));
    assert_eq!(gathers(None, true), (false, true));
}

#[test]
fn what_waits_behind_a_debit_is_not_refused_by_the_run_before_it() {
    let mut stage = Stage::open();
    let both = vec![transfer(OPENING + 5, 1), transfer(TOO_MUCH, 2)];
    stage.request(Request::Batch(both));
    let said = win(&mut stage, 1, 4, 2);
    assert_eq!((said.replies().len(), said.asked().len()), (0, 2), "a further run decides");
    assert!(said.cancels(FIRST) && !said.cancels(SECOND));
}
