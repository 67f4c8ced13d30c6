//! What one client, or one request, may not cost another.

use crate::bank::effects::{Event, Timer};
use crate::bank::ids::{ConnectionId, Naming, RequestId, SessionId, WaitId};
use crate::bank::limits::Limits;
use crate::bank::request::{Instruction, Outcome, Reply, Request};
use crate::bank::server::Config;

use crate::machine::stage::*;

/// Few sessions are remembered, and fewer of one connection.
fn small() -> Stage {
    let limits = Limits { sessions: 10, sessions_of_one: 4, ..Limits::default() };
    Stage::open_as(Config { limits, ..config() })
}

fn opens_session(stage: &mut Stage, by: u64) -> SessionId {
    let event = Event::Request(ConnectionId(by), None, Request::Session(None));
    match stage.handle(event).replies().pop() {
        Some(Reply::Session { session, .. }) => session,
        other => panic!("no session: {other:?}"),
    }
}

/// Pays 1 to B as a session's first; says whether it had been paid before, if it is paid.
fn pays_first(stage: &mut Stage, by: u64, session: &SessionId) -> Option<bool> {
    let request = Some(RequestId { session: session.clone(), number: 1 });
    let asked = Instruction { request, ..Instruction::plain(pays("A", "B", 1)) };
    let event = Event::Request(ConnectionId(by), None, Request::One(asked));
    match stage.handle(event).outcomes()[..] {
        [Outcome::Accepted { repeated, .. }] => Some(repeated),
        _ => None,
    }
}

pub fn who_opens_thousands_of_sessions_ends_nobody_else_s() {
    let mut stage = small();
    let live = opens_session(&mut stage, 20);
    assert_eq!(pays_first(&mut stage, 20, &live), Some(false));
    let first = opens_session(&mut stage, 21);
    for _ in 0..10_000 {
        opens_session(&mut stage, 21);
    }
    for _ in 0..100 {
        let session = opens_session(&mut stage, 21);
        pays_first(&mut stage, 21, &session);
    }
    assert_eq!(pays_first(&mut stage, 20, &live), Some(true), "a retry is known");
    assert_eq!(pays_first(&mut stage, 21, &first), None, "its own are gone");
    // A connection holds no more than its share, whatever room there is.
    let limits = Limits { sessions: 1_000, sessions_of_one: 4, ..Limits::default() };
    let mut stage = Stage::open_as(Config { limits, ..config() });
    let all: Vec<SessionId> = (0..5).map(|_| opens_session(&mut stage, 21)).collect();
    let paid: Vec<Option<bool>> = all.iter().map(|s| pays_first(&mut stage, 21, s)).collect();
    assert_eq!(paid, [Some(false); 5], "a first request is new, though its session was forgotten");
    assert_eq!(pays_first(&mut stage, 21, &all[0]), None);
    assert_eq!(pays_first(&mut stage, 21, &all[4]), Some(true));
}

pub fn those_whose_connection_is_gone_go_first() {
    let mut stage = small();
    let mut all = Vec::new();
    for by in [20, 20, 20, 20, 21, 21, 21, 21] {
        let session = opens_session(&mut stage, by);
        pays_first(&mut stage, by, &session);
        all.push(session);
    }
    stage.handle(Event::Closed(ConnectionId(20)));
    for by in [22, 23, 24, 25] {
        opens_session(&mut stage, by);
    }
    for live in &all[4..] {
        assert_eq!(pays_first(&mut stage, 21, live), Some(true));
    }
    assert_eq!(pays_first(&mut stage, 26, &all[0]), None, "it was the oldest that is nobody's");
    assert_eq!(pays_first(&mut stage, 26, &all[3]), Some(true), "there was no need for more");
}

pub fn the_next_session_s_name_can_not_be_told_beforehand() {
    let names = |life| {
        let mut stage = Stage::open();
        stage.server = stage.disk.load(config(), life);
        [opens_session(&mut stage, 20), opens_session(&mut stage, 20)]
    };
    let ([a, b], [c, d]) = (names(7), names(8));
    assert!(a != c && b != d, "another life, other names: {a}, {c}");
    let bits = |session: &SessionId| match session.naming {
        Naming::ByServer { bits, .. } => bits.0,
        Naming::ByClient(_) => panic!("{session} has a name of its own"),
    };
    let apart = |one, next| bits(next).wrapping_sub(bits(one));
    assert!(apart(&a, &b) != apart(&c, &d), "{a}, {b}, {c}, {d}");
    assert_eq!(a.to_string().matches('.').count(), 3, "{a}");
}

/// The run had prepared before the account's last debit: it says nothing of what waits behind that.
pub fn the_third_of_a_queue_needs_another_run_after_a_debit_too() {
    let mut stage = Stage::open();
    stage.request(Request::One(numbered(opens("A/x"), 1)));
    stage.request(Request::One(numbered(pays("A", "A/x", 100), 2)));
    let holds = OPENING - 100;
    let queue =
        [(holds + 50, 3), (TOO_MUCH, 4), (TOO_MUCH, 5)].map(|(units, n)| transfer(units, n));
    let said = stage.request(Request::Batch(queue.to_vec()));
    assert_eq!((said.asked().len(), said.outcomes().len()), (2, 0), "a run for all three");
    stage.request(Request::One(numbered(pays("A/x", "A", 60), 6)));
    assert_eq!(stage.status().waiting, 2, "the credit serves the first, and that is a debit");
    stage.time_out(Timer::Deadline(WaitId(2)));
    let said = stage.win(1, vec![], vec![]);
    assert_eq!(said.outcomes(), [], "the third is not refused by that run");
    assert_eq!((said.asked().len(), stage.status().waiting), (2, 1), "but by another");
}

/// So few items may wait that a list of three fills a connection's share.
fn narrow() -> Stage {
    let limits =
        Limits { items_that_wait: 4, items_of_one: 3, items_anyway: 1, ..Limits::default() };
    Stage::open_as(Config { limits, ..config() })
}

fn list(transfers: &[(u64, u64)], settled: bool) -> Request {
    let all = transfers.iter().map(|(units, n)| Instruction { settled, ..transfer(*units, *n) });
    Request::Batch(all.collect())
}

fn ask(stage: &mut Stage, by: u64, request: Request) -> Said {
    stage.handle(Event::Request(ConnectionId(by), None, request))
}

pub fn what_waits_is_bounded_in_items() {
    let mut stage = narrow();
    assert!(
        ask(&mut stage, 20, list(&[(1, 1), (TOO_MUCH, 2), (1, 3)], false)).replies().is_empty()
    );
    // One of two would wait: it would keep room for both.
    let said = ask(&mut stage, 21, list(&[(TOO_MUCH, 11), (TOO_MUCH, 12)], false));
    let told = |outcome: &Outcome| matches!(outcome, Outcome::Unavailable { reason } if reason.contains("too much waits"));
    assert!(said.outcomes().len() == 2 && said.outcomes().iter().all(told), "{said:?}");
    let said = ask(&mut stage, 22, list(&[(TOO_MUCH, 21)], false));
    assert!(said.replies().is_empty(), "one may always");
    // What has happened is told as it is.
    let said = ask(
        &mut stage,
        23,
        Request::Batch(vec![
            Instruction { settled: true, ..Instruction::plain(opens("A/x")) },
            Instruction { settled: true, ..Instruction::plain(opens("A/y")) },
        ]),
    );
    let not_yet = |o: &Outcome| matches!(o, Outcome::Accepted { settled: Some(false), .. });
    assert!(said.outcomes().len() == 2 && said.outcomes().iter().all(not_yet), "{said:?}");
    // Whoever is gone makes room.
    stage.handle(Event::Closed(ConnectionId(20)));
    let said = ask(&mut stage, 24, list(&[(TOO_MUCH, 13), (TOO_MUCH, 14)], false));
    assert!(said.replies().is_empty(), "{said:?}");
}

/// Two connections fill all places of those that wait; a third finds room for a little all the same.
pub fn a_few_transfers_of_each_may_wait_whatever_the_others_have() {
    let limits = Limits { waiting: 8, waiting_of_one: 4, waiting_anyway: 2, ..Limits::default() };
    let mut stage = Stage::alone_as(Config { limits, ..config() });
    let waits = |stage: &mut Stage, by: u64, count: usize, patient: bool| {
        let wait_ms = patient.then_some(9);
        let one = Instruction { wait_ms, ..Instruction::plain(pays("A", "B", TOO_MUCH)) };
        match ask(stage, by, Request::Batch(vec![one; count])).outcomes().pop() {
            None => String::new(),
            Some(Outcome::Unavailable { reason }) => reason.words,
            Some(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(waits(&mut stage, 20, 2, true), "");
    let half = "already half of those of this connection that may wait wait for money";
    assert_eq!(waits(&mut stage, 20, 1, true), half);
    assert_eq!(waits(&mut stage, 20, 2, false), "");
    let share = "already 4 transfers of this connection wait";
    assert_eq!(waits(&mut stage, 20, 1, false), share);
    assert_eq!(waits(&mut stage, 21, 2, true), "");
    assert_eq!(waits(&mut stage, 21, 2, false), "");
    assert_eq!(waits(&mut stage, 22, 1, false), "");
    assert_eq!(waits(&mut stage, 22, 1, true), "", "nor do those who wait for money keep it out");
    let all = "already 8 transfers wait at this server";
    assert_eq!(waits(&mut stage, 22, 1, false), all);
    // The same of those who settle.
    for (by, asks) in [(20, 4), (21, 4), (22, 2)] {
        for _ in 0..asks {
            assert_eq!(ask(&mut stage, by, Request::Settle).replies(), []);
        }
    }
    let said = ask(&mut stage, 22, Request::Settle);
    let [Reply::Error { message, .. }] = &said.replies()[..] else { panic!("{said:?}") };
    assert_eq!(message, "already 8 clients wait for a settlement");
    // What is over makes room.
    for over in [3, 4, 7, 8] {
        stage.time_out(Timer::Deadline(WaitId(over)));
    }
    assert_eq!(waits(&mut stage, 20, 1, false), "");
}

pub fn a_retry_that_finds_no_room_is_told_nothing() {
    let mut stage = narrow();
    ask(&mut stage, 20, list(&[(TOO_MUCH, 1)], false));
    ask(&mut stage, 21, list(&[(TOO_MUCH, 31), (TOO_MUCH, 32), (TOO_MUCH, 33)], false));
    let said = ask(&mut stage, 22, list(&[(TOO_MUCH, 1), (TOO_MUCH, 31)], false));
    let replies = said.replies();
    let (elsewhere, others): (Vec<_>, Vec<_>) =
        replies.iter().partition(|reply| matches!(reply, Reply::TakenOver { .. }));
    let [Reply::Error { message, .. }] = others[..] else { panic!("{said:?}") };
    assert!(message.contains("too much waits"), "{message}");
    assert!(!elsewhere.is_empty(), "whose reply it would have taken is told so");
    assert_eq!(stage.status().waiting, 4, "they wait on, and may yet happen");
}
