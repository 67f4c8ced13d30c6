//! A session goes on over a newer connection: what the older one is told, and that each request has one answer.

use paxos_banking::bank::effects::{Bound, Event, Timer};
use paxos_banking::bank::ids::{ConnectionId, WaitId};
use paxos_banking::bank::request::{ErrorCode, Instruction, Outcome, Reply, Request};

use crate::machine::stage::*;

const OLDER: ConnectionId = ConnectionId(71);
const NEWER: ConnectionId = ConnectionId(72);

fn ask(stage: &mut Stage, on: ConnectionId, id: u64, instruction: Instruction) -> Vec<Bound> {
    stage.handle(Event::Request(on, Some(id), Request::One(instruction))).bound
}

fn is_accepted(bound: &Bound, on: ConnectionId, id: u64) -> bool {
    matches!(bound, Bound::Reply(to, Some(of), Reply::One(Outcome::Accepted { .. })) if (*to, *of) == (on, id))
}

/// True if the reply says to the older connection that the session went on elsewhere.
fn is_elsewhere(reply: &Reply) -> bool {
    matches!(reply, Reply::TakenOver { error: ErrorCode::TakenOver, session, message }
        if message.contains(&session.to_string()))
}

#[test]
fn the_older_connection_is_told_once_and_its_requests_are_answered_but_not_done() {
    let mut stage = Stage::open();
    assert!(is_accepted(&ask(&mut stage, OLDER, 1, numbered(pays("A", "B", 1), 1))[0], OLDER, 1));
    let said = ask(&mut stage, NEWER, 2, numbered(pays("A", "B", 1), 2));
    let [Bound::Tell(OLDER, word), accepted] = &said[..] else { panic!("{said:?}") };
    assert!(is_elsewhere(word) && is_accepted(accepted, NEWER, 2));
    let said = ask(&mut stage, NEWER, 3, numbered(pays("A", "B", 1), 3));
    assert!(matches!(&said[..], [one] if is_accepted(one, NEWER, 3)), "told once: {said:?}");
    // A new payment, a retry, and several at once: none is done, each is answered.
    for (id, number) in [(4, 4), (5, 1)] {
        let said = ask(&mut stage, OLDER, id, numbered(pays("A", "B", 1), number));
        let [Bound::Reply(OLDER, Some(of), reply)] = &said[..] else { panic!("{said:?}") };
        assert!(*of == id && is_elsewhere(reply), "{reply:?}");
    }
    let several = (5..8).map(|number| numbered(pays("A", "B", 1), number)).collect();
    let said = stage.handle(Event::Request(OLDER, Some(6), Request::Batch(several)));
    let [Bound::Reply(OLDER, Some(6), reply)] = &said.bound[..] else { panic!("{said:?}") };
    assert!(is_elsewhere(reply) && !said.logs());
    // A payment without a session is nobody's but the connection's.
    let plain = Instruction::plain(pays("A", "B", 1));
    assert!(is_accepted(&ask(&mut stage, OLDER, 7, plain)[0], OLDER, 7));
}

#[test]
fn who_waits_on_the_older_connection_hears_where_the_answer_goes() {
    let mut stage = Stage::alone();
    assert_eq!(ask(&mut stage, OLDER, 1, transfer(TOO_MUCH, 1)), []);
    assert_eq!(ask(&mut stage, OLDER, 2, transfer(TOO_MUCH, 2)), []);
    let said = ask(&mut stage, NEWER, 3, transfer(TOO_MUCH, 1));
    let [Bound::Tell(OLDER, word), Bound::Reply(OLDER, Some(1), reply)] = &said[..] else {
        panic!("{said:?}")
    };
    assert!(is_elsewhere(word) && is_elsewhere(reply));
    let answered = |said: Said| match &said.bound[..] {
        [Bound::Reply(to, Some(id), Reply::One(Outcome::Unavailable { .. }))] => (*to, *id),
        other => panic!("{other:?}"),
    };
    assert_eq!(answered(stage.time_out(Timer::Deadline(WaitId(1)))), (NEWER, 3));
    // What was not asked again is answered where it was asked.
    assert_eq!(answered(stage.time_out(Timer::Deadline(WaitId(2)))), (OLDER, 2));
}

#[test]
fn a_later_try_on_the_same_connection_takes_the_answer_and_the_first_hears_so() {
    let mut stage = Stage::alone();
    assert_eq!(ask(&mut stage, OLDER, 1, transfer(TOO_MUCH, 1)), []);
    let said = ask(&mut stage, OLDER, 2, transfer(TOO_MUCH, 1));
    let [Bound::Reply(OLDER, Some(1), reply)] = &said[..] else { panic!("{said:?}") };
    assert!(is_elsewhere(reply));
}

#[test]
fn nobody_is_told_once_the_older_connection_is_gone() {
    let mut stage = Stage::open();
    ask(&mut stage, OLDER, 1, numbered(pays("A", "B", 1), 1));
    stage.handle(Event::Closed(OLDER));
    let said = ask(&mut stage, NEWER, 2, numbered(pays("A", "B", 1), 2));
    assert!(matches!(&said[..], [one] if is_accepted(one, NEWER, 2)), "{said:?}");
}
