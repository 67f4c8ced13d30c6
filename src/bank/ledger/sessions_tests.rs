//! What is remembered of sessions, what is forgotten, and whose.

use super::*;
use crate::bank::amount::Amount;
use crate::bank::blockchain::derived::SessionsInChain;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{LifeId, Naming, Owner, SessionName};

const FIRST: ConnectionId = ConnectionId(1);
const SECOND: ConnectionId = ConnectionId(2);

fn session(opened_at: u64, count: u64) -> SessionId {
    let (server, bits) = ("A".parse().unwrap(), LifeId(1));
    let naming = Naming::ByServer { opened_at, bits, count };
    SessionName { naming, server, epoch: 1, owner: None }.into()
}

fn request(session: &SessionId, number: u64) -> RequestId {
    RequestId { session: session.clone(), number }
}

fn pays(amount: u64) -> Instruction {
    let account = |id: &str| id.parse().unwrap();
    let amount = Amount::new(amount).unwrap();
    Instruction::plain(Action::Transfer { from: account("A"), to: account("B"), amount })
}

fn small() -> Sessions {
    Sessions::new(&Limits { sessions: 10, remembered: 10, ..Limits::default() })
}

fn accepted(seq: u64) -> Fate {
    Fate::Accepted(Position { epoch: 1, seq }, Via::Local)
}

#[test]
fn a_retry_finds_the_first_fate_and_another_transfer_is_no_retry() {
    let (mut sessions, s) = (small(), session(0, 1));
    sessions.open(&s, FIRST);
    assert_eq!(sessions.find(&request(&s, 1), &pays(5), FIRST), Lookup::New);
    sessions.remember(&request(&s, 1), (&pays(5)).into(), accepted(1));
    let retry = sessions.find(&request(&s, 1), &pays(5), FIRST);
    assert_eq!(retry, Lookup::Known(accepted(1)));
    assert_eq!(sessions.find(&request(&s, 1), &pays(6), FIRST), Lookup::Reused);
}

#[test]
fn what_comes_on_an_older_connection_is_stale() {
    let (mut sessions, s) = (small(), session(0, 1));
    sessions.open(&s, FIRST);
    assert_eq!(sessions.find(&request(&s, 1), &pays(5), SECOND), Lookup::New);
    assert_eq!(sessions.find(&request(&s, 1), &pays(5), FIRST), Lookup::Stale);
}

#[test]
fn forgetting_a_number_makes_it_expired_never_new() {
    let (mut sessions, s) = (small(), session(0, 1));
    sessions.open(&s, FIRST);
    for number in 1..=10 + 1 {
        sessions.remember(&request(&s, number), (&pays(5)).into(), accepted(number));
    }
    assert_eq!(sessions.find(&request(&s, 1), &pays(5), FIRST), Lookup::Expired);
    assert_eq!(sessions.find(&request(&s, 2), &pays(5), FIRST), Lookup::Known(accepted(2)));
}

#[test]
fn forgetting_a_session_makes_it_expired_but_not_later_ones() {
    let mut sessions = small();
    let old = session(7, 0);
    sessions.remember(&request(&old, 1), (&pays(5)).into(), accepted(8));
    for count in 1..=10 {
        sessions.open(&session(8, count), FIRST);
    }
    assert_eq!(sessions.find(&request(&old, 1), &pays(5), SECOND), Lookup::Expired);
    assert_eq!(sessions.find(&request(&old, 2), &pays(5), SECOND), Lookup::Expired);
    let unseen = session(9, 10 + 1);
    assert_eq!(sessions.find(&request(&unseen, 1), &pays(5), SECOND), Lookup::New);
    sessions.remember(&request(&old, 2), (&pays(5)).into(), accepted(9));
    assert_eq!(sessions.find(&request(&old, 1), &pays(5), SECOND), Lookup::Expired);
}

#[test]
fn a_session_that_the_horizon_covers_never_comes_into_the_store_again() {
    let mut sessions = Sessions::new(&Limits { sessions: 1, ..Limits::default() });
    let (old, next) = (session(0, 1), session(1, 2));
    let element = |session: &SessionId, number, seq| {
        let Instruction { action, .. } = pays(5);
        let request = Some(request(session, number));
        let record = Record { action, request, via: Via::Local, linked: false, reference: None };
        Element::seal(Position { epoch: 1, seq }, vec![record])
    };
    let log = [element(&old, 8, 1), element(&old, 6, 2), element(&next, 1, 3)];
    for element in &log {
        sessions.recover(element.first(), &element.records()[0], false);
    }
    // It was forgotten before it came into the chain.
    let changes = sessions.came_into_chain(&log[..1]);
    assert_eq!((changes.highest.len(), changes.horizon), (0, opened_at(&next)));
    sessions.recover(log[1].first(), &log[1].records()[0], false);
    let changes = sessions.came_into_chain(&log[1..2]);
    assert_eq!(changes.highest.len(), 0, "6 is in the chain now, but so is 8");
    let mut kept = SessionsInChain::default();
    changes.change(&mut kept);
    let stored = Sessions::restore(&Limits::default(), &kept, false);
    let find = |number| stored.clone().find(&request(&old, number), &pays(5), FIRST);
    assert_eq!([find(6), find(8), find(9)], [Lookup::Expired, Lookup::Expired, Lookup::Expired]);
}

#[test]
fn a_session_that_was_never_used_is_forgotten_without_a_trace() {
    let mut sessions = small();
    for count in 1..=10 + 1 {
        sessions.open(&session(8, count), FIRST);
    }
    assert!(!sessions.is_known(&session(8, 1)), "there is no room for it");
    let find = |sessions: &mut Sessions, count| {
        sessions.find(&request(&session(8, count), 1), &pays(5), FIRST)
    };
    assert_eq!(find(&mut sessions, 10 + 1), Lookup::New);
    assert_eq!(find(&mut sessions, 1), Lookup::New, "nothing ever happened under its name");
    sessions.remember(&request(&session(8, 1), 1), (&pays(5)).into(), accepted(9));
    for count in 20..=40 {
        sessions.open(&session(8, count), FIRST);
    }
    assert_eq!(find(&mut sessions, 1), Lookup::Known(accepted(9)), "the unused ones go first");
}

#[test]
fn who_opens_many_loses_its_own() {
    let mut sessions =
        Sessions::new(&Limits { sessions: 10, sessions_of_one: 4, ..Limits::default() });
    let live = session(0, 1);
    sessions.open(&live, FIRST);
    let used = |sessions: &mut Sessions, session: &SessionId, by| {
        let found = sessions.find(&request(session, 1), &pays(5), by);
        if found == Lookup::New {
            sessions.remember(&request(session, 1), (&pays(5)).into(), accepted(1));
        }
        found
    };
    assert_eq!(used(&mut sessions, &live, FIRST), Lookup::New);
    // Sessions that were opened, used, and made up; on one connection and on many.
    for count in 100..200 {
        let by = ConnectionId(2 + count / 40);
        sessions.open(&session(8, count), by);
        used(&mut sessions, &session(8, count), by);
        used(&mut sessions, &session(8, 1_000 + count), by);
    }
    assert_eq!(used(&mut sessions, &live, FIRST), Lookup::Known(accepted(1)));
    assert_eq!(sessions.holders.count(Some(FIRST)), 1);
}

#[test]
fn those_go_first_whose_connection_is_gone_then_those_of_whom_holds_the_most() {
    let mut sessions = small();
    let by = |connection, count| (ConnectionId(connection), session(8, count));
    let all = [by(1, 1), by(2, 2), by(2, 3), by(2, 4), by(3, 5), by(4, 6), by(5, 7), by(6, 8)];
    for (connection, session) in all.iter().chain(&[by(7, 9), by(7, 10)]) {
        sessions.open(session, *connection);
    }
    sessions.closed(ConnectionId(1));
    let mut opens = |connection, count| {
        let known: Vec<u64> = (1..=count).filter(|n| sessions.is_known(&session(8, *n))).collect();
        sessions.open(&session(8, count), ConnectionId(connection));
        known.into_iter().filter(|n| !sessions.is_known(&session(8, *n))).collect::<Vec<u64>>()
    };
    assert_eq!(opens(8, 11), [1], "its connection is gone");
    assert_eq!(opens(9, 12), [2], "the connection 2 holds three");
    assert_eq!(opens(7, 13), [9], "2 and 7 hold two each, and 7 asks");
}

#[test]
fn who_asks_much_loses_its_older_numbers_and_nobody_else_does() {
    let mut sessions = Sessions::new(&Limits { remembered_in_all: 20, ..Limits::default() });
    let (quiet, busy) = (session(0, 1), session(0, 2));
    for (session, connection) in [(&quiet, FIRST), (&busy, SECOND)] {
        sessions.open(session, connection);
    }
    let ask = |sessions: &mut Sessions, session: &SessionId, number, by| {
        let found = sessions.find(&request(session, number), &pays(5), by);
        if found == Lookup::New {
            let request = request(session, number);
            sessions.remember(&request, (&pays(5)).into(), accepted(number));
        }
        found
    };
    ask(&mut sessions, &quiet, 1, FIRST);
    for number in 1..=100 {
        assert_eq!(ask(&mut sessions, &busy, number, SECOND), Lookup::New, "it goes on living");
    }
    assert_eq!(ask(&mut sessions, &quiet, 1, FIRST), Lookup::Known(accepted(1)));
    assert_eq!(ask(&mut sessions, &busy, 100, SECOND), Lookup::Known(accepted(100)));
    assert_eq!(ask(&mut sessions, &busy, 1, SECOND), Lookup::Expired);
    assert!(sessions.remembered <= 20);
}

fn named(name: &str, epoch: u64, owner: Option<u8>) -> SessionId {
    let owner = owner.map(|byte| Owner::of(Fingerprint([byte; 32])));
    let naming = Naming::ByClient(name.parse().unwrap());
    SessionName { naming, server: "A".parse().unwrap(), epoch, owner }.into()
}

#[test]
fn a_name_begins_only_where_it_can_not_have_been_used_and_there_is_room() {
    let mut sessions = Sessions::new(&Limits { names: 5, names_of_one: 2, ..Limits::default() });
    let mut use_it = |session: &SessionId| {
        sessions.remember(&request(session, 1), (&pays(1)).into(), accepted(1));
        sessions.clone()
    };
    use_it(&named("plain", 7, None));
    use_it(&named("former", 1, Some(1)));
    let begun = use_it(&named("of-one", 7, Some(1)));
    let refused = |sessions: &Sessions, name: &str, owner| {
        sessions.may_begin(&named(name, 7, owner)).err().unwrap_or_default()
    };
    assert!(refused(&begun, "plain", Some(1)).contains("before this bank had keys"));
    assert!(refused(&begun, "former", Some(1)).contains("in the bank that it goes on from"));
    assert_eq!(refused(&begun, "former", Some(2)), "", "another key's");
    // A bank without keys may go on from one with keys, and doesn't know whose the name is.
    assert!(refused(&begun, "former", None).contains("in the bank that it goes on from"));
    assert_eq!(refused(&begun, "of-one", Some(2)), "");
    let two = use_it(&named("of-one-too", 7, Some(1)));
    assert!(refused(&two, "third", Some(1)).contains("this key has used 2 names"));
    assert_eq!(refused(&two, "third", Some(2)), "");
    use_it(&named("x", 7, Some(2)));
    let full = use_it(&named("x", 7, Some(3)));
    assert!(refused(&full, "x", Some(4)).contains("5 names are used"), "not counting the former");
}

#[test]
fn a_name_stays_in_the_store_and_no_horizon_covers_it() {
    let mut sessions = Sessions::new(&Limits { sessions: 1, remembered: 1, ..Limits::default() });
    let own = named("invoices", 1, None);
    let element = |session: &SessionId, number, seq| {
        let Instruction { action, .. } = pays(5);
        let request = Some(request(session, number));
        let record = Record { request, ..Record::plain(action) };
        Element::seal(Position { epoch: 1, seq }, vec![record])
    };
    let log = [element(&own, 3, 1), element(&session(1, 1), 1, 2), element(&session(2, 2), 1, 3)];
    for element in &log {
        sessions.recover(element.first(), &element.records()[0], false);
    }
    let mut kept = SessionsInChain::default();
    sessions.came_into_chain(&log).change(&mut kept);
    assert!(kept.horizon > opened_at(&session(1, 1)), "the first of the others had to go");
    assert_eq!(kept.highest.get(&own), Some(&3));
    let mut stored = Sessions::restore(&Limits::default(), &kept, false);
    assert_eq!(stored.find(&request(&own, 3), &pays(5), FIRST), Lookup::Expired);
    assert_eq!(stored.open_again(&own, SECOND), 3);
    assert_eq!(stored.find(&request(&own, 4), &pays(5), SECOND), Lookup::New);
}
