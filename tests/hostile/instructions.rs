//! Instructions that a client may send and that make no sense.

use paxos_banking::bank::effects::{Event, Write};
use paxos_banking::bank::ids::ConnectionId;
use paxos_banking::bank::ledger::entry::Action;
use paxos_banking::bank::limits::MAX_BATCH;
use paxos_banking::bank::request::{Instruction, Outcome, Request};

use crate::machine::stage::*;
use crate::{take, with_b};

fn linked(instruction: Instruction) -> Instruction {
    Instruction { linked: true, ..instruction }
}

/// Asks, and returns how many entries were written and the outcomes that were told.
fn ask(stage: &mut Stage, batch: Vec<Instruction>) -> (usize, Vec<Outcome>) {
    ask_on(stage, CLIENT, batch)
}

fn ask_on(
    stage: &mut Stage,
    connection: ConnectionId,
    batch: Vec<Instruction>,
) -> (usize, Vec<Outcome>) {
    let said = take(stage, Event::Request(connection, None, Request::Batch(batch)));
    let entries = said.writes.iter().map(|write| match write {
        Write::Log(element) => element.records().len(),
        _ => 0,
    });
    (entries.sum(), said.outcomes())
}

fn is_invalid(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Invalid { .. })
}

fn is_accepted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Accepted { .. })
}

#[test]
fn a_group_longer_than_an_element_happens_not_at_all() {
    let mut stage = with_b();
    let plain = |_| Instruction::plain(pays("A", "B", 1));
    let mut group: Vec<Instruction> = (0..MAX_BATCH).map(plain).map(linked).collect();
    group[MAX_BATCH - 1].linked = false;
    let (written, outcomes) = ask(&mut stage, group);
    assert_eq!((written, outcomes.len()), (0, MAX_BATCH));
    assert!(!outcomes.iter().any(is_accepted));
    assert_eq!(outcomes.iter().filter(|outcome| is_invalid(outcome)).count(), 1);
}

#[test]
fn many_that_are_not_linked_are_each_looked_at() {
    let mut stage = with_b();
    let (written, outcomes) =
        ask(&mut stage, (0..100).map(|_| Instruction::plain(pays("A", "B", 1))).collect());
    assert_eq!((written, outcomes.iter().filter(|o| is_accepted(o)).count()), (100, 100));
}

#[test]
fn a_number_twice_in_a_group_keeps_it_from_happening() {
    let mut stage = with_b();
    let pair = || vec![linked(numbered(pays("A", "B", 1), 1)), numbered(pays("A", "C", 1), 1)];
    let (written, outcomes) = ask(&mut stage, pair());
    assert_eq!((written, outcomes.iter().any(is_accepted)), (0, false));
    let (written, outcomes) = ask(&mut stage, pair());
    assert_eq!((written, outcomes.iter().any(is_accepted)), (0, false), "nor does its retry");
}

#[test]
fn what_is_linked_to_nothing_does_not_happen_and_says_nothing_about_what_did() {
    let mut stage = with_b();
    let instruction = || numbered(pays("A", "B", 1), 1);
    let (written, outcomes) = ask(&mut stage, vec![linked(instruction())]);
    assert_eq!((written, outcomes.iter().all(is_invalid)), (0, true));

    let happens = || numbered(pays("A", "B", 2), 2);
    let (written, first) = ask(&mut stage, vec![happens()]);
    assert_eq!((written, first.iter().all(is_accepted)), (1, true));
    let (written, outcomes) = ask(&mut stage, vec![linked(happens())]);
    assert_eq!((written, outcomes.iter().all(is_invalid)), (0, true));
    let (written, again) = ask(&mut stage, vec![happens()]);
    let repeated = matches!(again[..], [Outcome::Accepted { repeated: true, .. }]);
    assert!(written == 0 && repeated, "a retry hears the first outcome: {again:?}");
}

#[test]
fn what_is_linked_to_nothing_on_an_older_connection_is_dropped() {
    let mut stage = with_b();
    ask_on(&mut stage, ConnectionId(11), vec![numbered(pays("A", "B", 1), 1)]);
    let late = vec![linked(numbered(pays("A", "B", 2), 2))];
    assert_eq!(ask_on(&mut stage, ConnectionId(10), late), (0, Vec::new()));
    let (_, outcomes) = ask_on(&mut stage, ConnectionId(11), vec![numbered(pays("A", "B", 2), 2)]);
    assert!(outcomes.iter().all(is_accepted), "{outcomes:?}");
}

#[test]
fn nobody_waits_for_longer_than_can_be_waited() {
    let mut stage = with_b();
    for wait_ms in [u64::MAX, 24 * 60 * 60 * 1_000 + 1] {
        let endless =
            Instruction { wait_ms: Some(wait_ms), ..Instruction::plain(pays("A", "B", TOO_MUCH)) };
        let (written, outcomes) = ask(&mut stage, vec![endless]);
        assert_eq!((written, outcomes.iter().all(is_invalid), outcomes.len()), (0, true, 1));
    }
}

#[test]
fn accounts_of_no_server_and_of_another_are_told_apart() {
    let mut stage = with_b();
    let nowhere: [Action; 5] = [
        opens("Z/x"),
        pays("Z", "A", 1),
        pays("A", "Z", 1),
        pays("A", "Z/x", 1),
        pays("A/x", "B", 1),
    ];
    for action in nowhere {
        let (written, outcomes) = ask(&mut stage, vec![Instruction::plain(action.clone())]);
        assert_eq!((written, outcomes.len()), (0, 1));
        assert!(is_invalid(&outcomes[0]), "{action:?}: {outcomes:?}");
    }
    for action in [opens("B/x"), pays("B", "A", 1), pays("B/x", "B", 1)] {
        let (written, outcomes) = ask(&mut stage, vec![Instruction::plain(action.clone())]);
        let right = |outcome: &Outcome| match outcome {
            Outcome::WrongServer { server, .. } => *server == id("B"),
            _ => false,
        };
        assert!(written == 0 && outcomes.iter().all(right), "{action:?}: {outcomes:?}");
    }
}

#[test]
fn an_account_is_not_opened_again() {
    let mut stage = with_b();
    let (written, outcomes) = ask(&mut stage, vec![Instruction::plain(opens("A/x"))]);
    assert_eq!((written, outcomes.iter().all(is_accepted)), (1, true));
    for batch in [
        vec![Instruction::plain(opens("A/x"))],
        vec![Instruction::plain(opens("A"))],
        vec![linked(Instruction::plain(opens("A/y"))), Instruction::plain(opens("A/y"))],
        vec![linked(Instruction::plain(pays("A", "B", 1))), Instruction::plain(opens("A/x"))],
    ] {
        let (written, outcomes) = ask(&mut stage, batch);
        assert_eq!(written, 0);
        let refused = |outcome: &&Outcome| matches!(outcome, Outcome::Refused { .. });
        assert_eq!(outcomes.iter().filter(refused).count(), 1, "{outcomes:?}");
        assert!(!outcomes.iter().any(is_accepted), "{outcomes:?}");
    }
}

#[test]
fn a_group_spends_what_it_brings_and_no_more() {
    let mut stage = with_b();
    let group = |last: u64| {
        let all = [opens("A/x"), pays("A", "A/x", 60), pays("A/x", "B", last)];
        let mut group: Vec<Instruction> =
            all.into_iter().map(Instruction::plain).map(linked).collect();
        group[2].linked = false;
        group
    };
    assert_eq!(ask(&mut stage, group(61)), (0, Vec::new()), "it waits for a run");
    let (written, outcomes) = ask(&mut stage, group(60));
    assert_eq!((written, outcomes.len()), (0, 0), "and holds up what comes after it");
}
