//! Local logs, sessions' memory, and from whom blocks are fetched.

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::blockchain::reconcile::Reconcile;
use paxos_banking::bank::ids::{ConnectionId, RequestId, SessionId};
use paxos_banking::bank::ledger::entry::{Entry, Position, Via};
use paxos_banking::bank::ledger::local_log::{LocalLog, MAX_ELEMENT, TrimError};
use paxos_banking::bank::ledger::sessions::{
    Fate, Found, MAX_REMEMBERED, MAX_REMEMBERED_IN_ALL, MAX_SESSIONS, Sessions,
};

use crate::stage::*;

fn entries(count: usize) -> impl Iterator<Item = Entry> {
    (1..=count as u64).map(|seq| Entry { seq, ..entry("A", 1) })
}

#[test]
fn an_element_has_a_bound() {
    let mut log = LocalLog::new(Position::START, Vec::new()).unwrap();
    assert!(log.is_empty());
    let begins: Vec<bool> = entries(2 * MAX_ELEMENT + 1).map(|entry| log.append(entry)).collect();
    let places: Vec<usize> = (0..begins.len()).filter(|place| begins[*place]).collect();
    assert_eq!(places, [0, MAX_ELEMENT, 2 * MAX_ELEMENT]);
    assert!(!log.is_empty());
    assert_eq!((log.len(), log.last().seq), (2 * MAX_ELEMENT + 1, 2 * MAX_ELEMENT as u64 + 1));
}

#[test]
fn an_element_that_was_taken_off_does_not_grow() {
    let mut log = LocalLog::new(Position::START, Vec::new()).unwrap();
    let entries: Vec<Entry> = entries(3).collect();
    assert!(log.append(entries[0].clone()));
    assert!(!log.append(entries[1].clone()));
    assert_eq!(log.trim(&[&entries[0]]), Err(TrimError::WithinElement));
    assert_eq!(log.trim(&[&entries[0], &entries[1]]), Ok(1));
    assert!(log.append(entries[2].clone()));
    assert_eq!(log.trim(&[&entries[2], &entries[2]]), Err(TrimError::Different));
    let empty = LocalLog::new(Position::START, vec![Vec::new()]);
    assert_eq!(empty, Err(Position { epoch: 1, seq: 1 }), "an element holds something");
}

#[test]
fn a_log_of_just_the_limit_is_not_cut() {
    let elements = vec![entries(3).take(2).collect(), entries(3).skip(2).collect()];
    let log = LocalLog::new(Position::START, elements).unwrap();
    let promised = |limit| {
        let (entries, cut) = log.promise(0, limit);
        (entries.len(), cut)
    };
    assert_eq!([promised(3), promised(2), promised(1)], [(3, false), (2, true), (0, true)]);
}

fn request(opened_at: u64, count: u64, number: u64) -> RequestId {
    let session = transfer(1, 1).request.unwrap().session;
    RequestId { session: SessionId { opened_at, count, ..session }, number }
}

fn remember(sessions: &mut Sessions, request: &RequestId) {
    let position = Position { epoch: 1, seq: request.session.opened_at + 1 };
    sessions.remember(request, &transfer(1, 1), Fate::Accepted(position, Via::Local));
}

fn find(sessions: &mut Sessions, request: &RequestId) -> Found {
    sessions.find(request, &transfer(1, 1), ConnectionId(1))
}

#[test]
fn a_late_retry_of_a_forgotten_session_takes_no_other_session_s_place() {
    let mut sessions = Sessions::default();
    let forgotten = request(7, 0, 1);
    remember(&mut sessions, &forgotten);
    for count in 1..=MAX_SESSIONS as u64 {
        remember(&mut sessions, &request(9, count, 1));
    }
    assert_eq!(find(&mut sessions, &forgotten), Found::Expired);
    assert!(matches!(find(&mut sessions, &request(9, 1, 1)), Found::Known(_)), "still known");
}

#[test]
fn a_session_opened_just_after_a_forgotten_one_is_new() {
    let mut sessions = Sessions::default();
    remember(&mut sessions, &request(7, 0, 1));
    remember(&mut sessions, &request(5, 1, 1));
    for count in 2..=MAX_SESSIONS as u64 {
        remember(&mut sessions, &request(9, count, 1));
    }
    assert_eq!(find(&mut sessions, &request(7, 0, 1)), Found::Expired);
    assert_eq!(find(&mut sessions, &request(8, 99_999, 1)), Found::New);
}

#[test]
fn what_is_remembered_in_all_is_bounded_by_forgetting_whole_sessions() {
    let mut sessions = Sessions::default();
    let full = (MAX_REMEMBERED_IN_ALL / MAX_REMEMBERED) as u64;
    for count in 1..=full {
        (1..=MAX_REMEMBERED as u64)
            .for_each(|n| remember(&mut sessions, &request(count, count, n)));
    }
    let is_known = |count, sessions: &mut Sessions| {
        find(sessions, &request(count, count, 1)) != Found::Expired
    };
    assert!((1..=full).all(|count| is_known(count, &mut sessions)), "just so many");
    remember(&mut sessions, &request(full, full + 1, 1));
    assert!(!is_known(1, &mut sessions), "the one unused for longest makes room");
    for number in 2..=MAX_REMEMBERED as u64 {
        remember(&mut sessions, &request(full, full + 1, number));
    }
    assert!((2..=full).all(|count| is_known(count, &mut sessions)), "for as many as it held");
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
