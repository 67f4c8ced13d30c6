//! Tests of [`super`]: what is counted, and how old and how fast things are.

use std::collections::BTreeMap;

use super::*;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::TurnNumber;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Record};
use crate::bank::reason::{Code, Reason};

fn id(name: &str) -> ServerId {
    name.parse().unwrap()
}

fn at(seq: u64) -> Position {
    Position { epoch: 1, seq }
}

/// Makes a turn that logs entries from this seq on.
fn logs(first: u64, entries: usize) -> Batch {
    let (from, to) = ("A".parse().unwrap(), "B".parse().unwrap());
    let action = Action::Transfer { from, to, amount: Amount::ZERO };
    let record = Record::plain(action);
    let element = Element::seal(at(first), vec![record; entries]);
    Batch { number: TurnNumber(1), writes: vec![Write::Log(element)] }
}

fn accepted(via: Via, repeated: bool, settled: Option<bool>) -> Outcome {
    let balance = Amount::ZERO;
    Outcome::Accepted { server: id("A"), epoch: 1, seq: 1, balance, via, repeated, settled }
}

#[test]
fn what_is_accepted_is_counted_once_and_timed_by_what_it_took() {
    let mut gauges = Gauges::new(id("A"));
    let came = gauges.now;
    gauges.now = came + Duration::from_millis(3);
    let refused = Outcome::Refused {
        reason: Reason::new(Code::InsufficientFunds, ""),
        balance: Amount::ZERO,
        consulted: Vec::new(),
        not_consulted: Vec::new(),
    };
    let unavailable = Outcome::Unavailable { reason: Reason::new(Code::NoRun, "") };
    let local = || accepted(Via::Local, false, None);
    let mut answer = |reply: &mut Reply| gauges.answered(reply, Some(came));
    answer(&mut Reply::One(local()));
    answer(&mut Reply::Batch { outcomes: vec![local(), refused.clone(), local()] });
    answer(&mut Reply::Batch { outcomes: vec![local(), accepted(Via::Paxos, false, None)] });
    answer(&mut Reply::One(accepted(Via::Local, false, Some(true))));
    answer(&mut Reply::One(accepted(Via::Paxos, true, None)));
    answer(&mut Reply::One(refused));
    answer(&mut Reply::One(unavailable));
    let Measured { accepted, refused, unavailable, .. } = gauges.counts;
    assert_eq!((accepted, refused, unavailable), (6, 2, 1));
    let now = gauges.now;
    let local = gauges.local.percentiles(now).unwrap();
    assert_eq!((local.count, gauges.paxos.percentiles(now).unwrap().count), (2, 2));
    assert!((3_000..3_751).contains(&local.p50_us), "{local:?}");
}

#[test]
fn requests_are_told_apart_by_their_numbers() {
    let (mut asked, start) = (Asked::default(), Instant::now());
    let moment = |n: u64| start + Duration::from_secs(n);
    for (id, n) in [(Some(1), 1), (None, 2), (Some(2), 3), (None, 4)] {
        asked.came(id, moment(n));
    }
    assert_eq!(asked.answered(Some(2)), Some(moment(3)));
    assert_eq!(asked.answered(None), Some(moment(2)));
    assert_eq!(asked.answered(Some(3)), None);
    for n in 0..2 * MAX_BACKLOG as u64 {
        asked.came(Some(n), moment(n));
    }
    assert_eq!(asked.0.len(), MAX_BACKLOG);
}

#[test]
fn the_oldest_entry_s_age_is_from_its_turn_or_from_the_load() {
    let mut gauges = Gauges::new(id("A"));
    let start = gauges.now;
    let later = |n| start + Duration::from_secs(n);
    gauges.turn(&logs(5, 2), Runs::default(), later(10), later(10));
    gauges.turn(&logs(7, 1), Runs::default(), later(20), later(20));
    assert_eq!(gauges.grew.since(at(4)), gauges.grew.since(at(1)), "from before the load");
    assert_eq!(gauges.grew.since(at(6)), later(10));
    assert_eq!(gauges.grew.since(at(7)), later(20));
    gauges.grew.left(at(6));
    assert_eq!((gauges.grew.since(at(7)), gauges.grew.0.len()), (later(20), 1));
    for n in 0..10 * MOMENTS as u64 {
        gauges.grew.logged(at(8 + n), later(21 + n));
    }
    assert!(gauges.grew.0.len() <= MOMENTS);
    assert_eq!(gauges.grew.since(at(7)), later(20), "the oldest is never thinned out");
}

#[test]
fn a_rate_is_over_a_few_seconds_and_falls_when_nothing_comes() {
    let (mut rate, start) = (Rate::default(), Instant::now());
    let later = |n: u64| start + Duration::from_millis(500 * n);
    assert_eq!(rate.per_second(start), 0);
    for n in 0..=20 {
        rate.add(at(50 * n), later(n));
    }
    let fast = rate.per_second(later(20));
    assert!((90..=100).contains(&fast), "{fast}");
    assert!(rate.per_second(later(100)) < 10);
}

#[test]
fn a_status_is_completed() {
    let mut gauges = Gauges::new(id("A"));
    let now = Instant::now();
    let standing =
        Standing { genesis: None, active: true, height: 1, turn: TurnNumber(1), position: at(3) };
    gauges.heard(&id("B"), &Message::ReconcileRequest);
    gauges.heard(&id("B"), &Message::Heartbeat(standing));
    let runs = Runs { started: 3, won: 2, lost: 1 };
    gauges.turn(&logs(1, 1), runs, now, now + Duration::from_millis(2));
    gauges.failed("the store failed: it hangs");
    let text = r#"{"server":"A","start":"baby","instance":"0000000000000001",
        "life":"0000000000000002","turn":3,"active":true,"waiting_for":[],"height":4,"head":"HEAD",
        "log_length":1,"waiting":0,"accounts":2,"promised":null,"run":"idle",
        "peers":[{"id":"B","connected":true,"height":1,"turn":1},
                 {"id":"C","connected":false,"height":null,"turn":null}]}"#;
    let mut status: Status =
        serde_json::from_str(&text.replace("HEAD", &BlockHash::NONE.to_string())).unwrap();
    assert_eq!(status.included, BTreeMap::new(), "a server of before says less");
    let measured = gauges.measured(&mut status);
    assert_eq!((measured.runs_started, measured.runs_won, measured.runs_lost), (3, 2, 1));
    assert_eq!(measured.redis.last_us, Some(2_000));
    assert_eq!(measured.redis.last_error.as_deref(), Some("the store failed: it hangs"));
    assert!(measured.oldest_entry_ms.is_some());
    assert_eq!(status.peers[0].entries_per_second, Some(0));
    assert_eq!((status.peers[1].heard_ms, status.peers[1].entries_per_second), (None, None));
}
