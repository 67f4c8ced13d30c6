//! How a store that went back in time is known by where it was seen; and what a peer logs for one that
//! comes in the place of a lost one.

use paxos_banking::bank::effects::{Bound, Event, Write};
use paxos_banking::bank::ids::{ConnectionId, InstanceId, LifeId, TurnNumber};
use paxos_banking::bank::ledger::entry::{Action, Position};
use paxos_banking::bank::paxos::message::{Hello, Message, Sighting, Standing};

use crate::stage::*;

/// A in its second life, with two entries in its log.
fn in_a_second_life() -> Stage {
    let mut stage = Stage::alone();
    stage.pay(1, 1);
    stage.crash();
    stage.pay(1, 2);
    stage
}

/// Whether A stops when B and C say that they saw A there.
fn stops(life: u64, turn: u64, seq: u64) -> bool {
    let mut stage = in_a_second_life();
    let (life, turn) = (LifeId(life), TurnNumber(turn));
    let seen =
        Sighting { instance: instance("A"), life, turn, position: Position { epoch: 1, seq } };
    let says = |of: &str| Hello { saw_you_at: Some(seen), ..hello(of) };
    assert_eq!(stage.handle(Event::Greeted(ConnectionId(4), says("B"))).stop, None, "B alone");
    let said = stage.handle(Event::Greeted(ConnectionId(5), says("C")));
    assert!(said.stop.iter().all(|stop| stop.to_string().contains("was rolled back")), "{said:?}");
    said.stop.is_some()
}

#[test]
fn a_store_stops_that_has_not_been_where_it_was_seen() {
    let stage = in_a_second_life();
    let [(LifeId(1), _), (LifeId(2), began)] = stage.disk.stored.lives[..] else { panic!("two") };
    let (began, last) = (began.0, stage.disk.stored.turn.0);
    assert!(last > began);
    // (life, turn, seq), and whether it was there.
    for (life, turn, seq, was) in [
        (2, last, 2, true),
        (2, last, 3, false),
        (2, last + 1, 2, false),
        (1, began - 1, 1, true),
        (1, began, 1, false),
        (1, began - 1, 3, false),
        (9, last, 2, false),
        (9, began, 0, false),
        // Before the first life that it names.
        (9, 0, 0, true),
    ] {
        assert_eq!(stops(life, turn, seq), !was, "life {life}, turn {turn}, entry {seq}");
    }
}

/// B as it is in this life, which began with turn 7, as the next one after that of [`hello`].
fn later(turn: u64) -> Hello {
    let lives = vec![(LifeId(7), TurnNumber(1)), (LifeId(8), TurnNumber(7))];
    let standing = Standing { turn: TurnNumber(turn), ..standing(0) };
    Hello { life: LifeId(8), lives, standing, ..hello("B") }
}

/// Why B's greeting is refused, if it is.
fn refused(stage: &mut Stage, hello: Hello) -> Option<String> {
    let said = stage.handle(Event::Greeted(ConnectionId(4), hello));
    said.bound.into_iter().find_map(|bound| match bound {
        Bound::Answer(_, Message::Reject { reason, .. }) => Some(reason),
        _ => None,
    })
}

#[test]
fn a_peer_that_has_not_been_where_it_was_seen_is_refused() {
    let seen = |turn| Standing { turn: TurnNumber(turn), ..standing(0) };
    for (turn, is_back) in [(6, false), (7, true), (9, true)] {
        let mut stage = Stage::open();
        stage.hear(OF_B, Message::Heartbeat(seen(turn)));
        let reason = refused(&mut stage, later(8));
        assert_eq!(reason.is_some(), is_back, "seen at turn {turn}");
        assert!(reason.is_none_or(|reason| reason.contains("the store of B was rolled back")));
    }
}

#[test]
fn an_older_word_that_comes_late_hides_nothing() {
    let mut stage = Stage::open();
    stage.hear(OF_B, Message::Heartbeat(Standing { turn: TurnNumber(9), ..standing(0) }));
    // The answer on the other connection was said before that.
    stage.handle(Event::LinkUp(id("B")));
    stage.handle(Event::LinkAnswered(id("B"), Message::Hello(hello("B"))));
    assert!(refused(&mut stage, later(10)).is_some(), "it was seen at turn 9");
}

/// The rejoins that come into A's log.
fn rejoins(said: &Said) -> usize {
    let elements = said.writes.iter().filter_map(|write| match write {
        Write::Log(element) => Some(element),
        _ => None,
    });
    let records = elements.flat_map(|element| element.records());
    records.filter(|record| matches!(record.action, Action::Rejoin { .. })).count()
}

#[test]
fn a_rejoin_is_logged_once_for_the_store_that_greeted_in_the_place_of_the_one_that_counts() {
    let mut stage = Stage::alone();
    stage.meet("C");
    let newcomer = InstanceId(22);
    let hello = Hello { instance: newcomer, rejoins: true, ..hello("B") };
    stage.handle(Event::Greeted(OF_B, hello));
    let mut ask = |old, new| rejoins(&stage.hear(OF_B, Message::Rejoin { old, new }));
    assert_eq!(ask(InstanceId(99), newcomer), 0, "the chain names another one");
    assert_eq!(ask(instance("B"), InstanceId(33)), 0, "another one has greeted");
    assert_eq!(ask(instance("B"), newcomer), 1);
    assert_eq!(ask(instance("B"), newcomer), 0, "it is logged already");
}

#[test]
fn no_store_greets_in_the_place_of_one_that_is_connected() {
    let mut stage = Stage::open();
    let newcomer = || Hello { instance: InstanceId(22), rejoins: true, ..hello("B") };
    let reason = refused(&mut stage, newcomer()).expect("B is there");
    assert!(reason.contains("B is connected, as instance"), "{reason}");
    stage.handle(Event::Closed(OF_B));
    assert_eq!(refused(&mut stage, newcomer()), None);
}
