//! Local logs, sessions' memory, and from whom blocks are fetched.

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::blockchain::reconcile::Reconcile;
use paxos_banking::bank::ids::{ConnectionId, RequestId};
use paxos_banking::bank::ledger::entry::{Position, Record, Via};
use paxos_banking::bank::ledger::local_log::{Different, LocalLog};
use paxos_banking::bank::ledger::sessions::{Fate, Lookup, Sessions, opened_at};
use paxos_banking::bank::limits::{Limits, Share};

use crate::stage::*;

fn pays_b() -> Record {
    record(pays("A", "B", 1))
}

#[test]
fn an_element_has_a_bound() {
    let mut log = LocalLog::new(Position::START, Vec::new()).unwrap();
    assert!(log.is_empty());
    let sealed: Vec<usize> = (0..7)
        .filter_map(|_| log.append(vec![pays_b()], 3))
        .map(|element| element.records().len())
        .collect();
    assert_eq!(sealed, [3, 3]);
    assert!(!log.is_empty());
    assert_eq!((log.len(), log.last().seq), (7, 7));
}

#[test]
fn what_leaves_the_log_is_counted_off() {
    let mut log = LocalLog::new(Position::START, Vec::new()).unwrap();
    let elements: Vec<_> = (0..2)
        .map(|_| {
            log.append(vec![pays_b()], 3);
            log.append(vec![pays_b()], 3);
            log.seal().unwrap()
        })
        .collect();
    assert_eq!(log.trim(&elements[..1]), Ok(1));
    assert_eq!((log.len(), log.last().seq), (2, 4));
    assert_eq!(log.trim(&[elements[1].clone(), elements[1].clone()]), Err(Different));
    assert_eq!(log.promise(0, Share::ALL), (vec![elements[1].clone()], false));
}

#[test]
fn a_log_of_just_the_limit_is_not_cut() {
    let pays = || pays("A", "B", 1);
    let elements = vec![element_of(1, [pays(), pays()]), element_of(3, [pays()])];
    let log = LocalLog::new(Position::START, elements).unwrap();
    let promised = |limit| {
        let (elements, cut) = log.promise(0, Share::of_entries(limit));
        (elements.len(), cut)
    };
    assert_eq!([promised(3), promised(2), promised(1)], [(2, false), (1, true), (0, true)]);
}

const SESSIONS: u64 = 12;
const REMEMBERED: u64 = 5;
const REMEMBERED_IN_ALL: u64 = 50;

fn sessions() -> Sessions {
    Sessions::new(&Limits {
        sessions: SESSIONS as usize,
        remembered: REMEMBERED as usize,
        remembered_in_all: REMEMBERED_IN_ALL as usize,
        ..Limits::default()
    })
}

fn request(opened: u64, count: u64, number: u64) -> RequestId {
    RequestId { session: session_at(opened, count).into(), number }
}

fn remember(sessions: &mut Sessions, request: &RequestId) {
    let position = opened_at(&request.session).unwrap().next();
    let fate = Fate::Accepted(position, Via::Local);
    sessions.remember(request, (&transfer(1, 1)).into(), fate);
}

fn find(sessions: &mut Sessions, request: &RequestId) -> Lookup {
    sessions.find(request, &transfer(1, 1), ConnectionId(1))
}

#[test]
fn a_late_retry_of_a_forgotten_session_takes_no_other_session_s_place() {
    let mut sessions = sessions();
    let forgotten = request(7, 0, 1);
    remember(&mut sessions, &forgotten);
    for count in 1..=SESSIONS {
        remember(&mut sessions, &request(9, count, 1));
    }
    assert_eq!(find(&mut sessions, &forgotten), Lookup::Expired);
    assert!(matches!(find(&mut sessions, &request(9, 1, 1)), Lookup::Known(_)), "still known");
}

#[test]
fn a_session_opened_just_after_a_forgotten_one_is_new() {
    let mut sessions = sessions();
    remember(&mut sessions, &request(7, 0, 1));
    remember(&mut sessions, &request(5, 1, 1));
    for count in 2..=SESSIONS {
        remember(&mut sessions, &request(9, count, 1));
    }
    assert_eq!(find(&mut sessions, &request(7, 0, 1)), Lookup::Expired);
    assert_eq!(find(&mut sessions, &request(8, 99_999, 1)), Lookup::New);
}

#[test]
fn what_is_remembered_in_all_is_bounded_by_forgetting_whole_sessions() {
    let mut sessions = sessions();
    let full = REMEMBERED_IN_ALL / REMEMBERED;
    for count in 1..=full {
        (1..=REMEMBERED).for_each(|n| remember(&mut sessions, &request(count, count, n)));
    }
    let is_known = |count, sessions: &mut Sessions| {
        find(sessions, &request(count, count, 1)) != Lookup::Expired
    };
    let mut as_they_are = sessions.clone();
    assert!((1..=full).all(|count| is_known(count, &mut as_they_are)), "just so many");
    remember(&mut sessions, &request(full, full + 1, 1));
    let mut as_they_are = sessions.clone();
    assert!(!is_known(1, &mut as_they_are), "the one unused for longest makes room");
    for number in 2..=REMEMBERED {
        remember(&mut sessions, &request(full, full + 1, number));
    }
    assert!((2..=full).all(|count| is_known(count, &mut sessions)), "for as many as it held");
}

#[test]
fn the_newest_session_loses_its_older_numbers_if_it_alone_is_too_much() {
    let limits = Limits { remembered: 9, remembered_in_all: 3, ..Limits::default() };
    let mut sessions = Sessions::new(&limits);
    (1..=9).for_each(|number| remember(&mut sessions, &request(1, 1, number)));
    let mut find = |number| find(&mut sessions, &request(1, 1, number));
    assert!((7..=9).all(|number| matches!(find(number), Lookup::Known(_))));
    assert_eq!([find(1), find(6), find(10)], [Lookup::Expired, Lookup::Expired, Lookup::New]);
}

#[test]
fn blocks_are_fetched_from_the_longest_chain_that_was_not_tried() {
    let choose = |height, acks: [(&str, u64); 2], tried: &[&str]| {
        let acks = BTreeMap::from(acks.map(|(name, held)| (id(name), held)));
        let tried: BTreeSet<_> = tried.iter().map(|name| id(name)).collect();
        let mut reconcile = Reconcile::default();
        let chosen = reconcile.choose(height, acks.clone(), tried.clone());
        match &chosen {
            None => assert!(reconcile.is_idle()),
            Some((peer, target)) => {
                let (peer, target) = (peer.clone(), *target);
                assert_eq!(reconcile, Reconcile::Fetching { peer, target, acks, tried });
            }
        }
        chosen
    };
    assert_eq!(choose(None, [("B", 0), ("C", 0)], &["C"]), Some((id("B"), 0)));
    assert_eq!(choose(Some(4), [("B", 6), ("C", 5)], &[]), Some((id("B"), 6)));
    assert_eq!(choose(Some(4), [("B", 6), ("C", 5)], &["B"]), Some((id("C"), 5)));
    assert_eq!(choose(Some(5), [("B", 6), ("C", 5)], &["B"]), None);
}
