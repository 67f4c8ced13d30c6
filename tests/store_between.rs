//! What happens between a transaction and the `WATCH` behind it, which guards the next one: another
//! process can take the store over there, and whoever is the owner then must not be taken for oneself.

mod support;

use std::sync::mpsc::{Receiver, channel};

use paxos_banking::bank::effects::Write;
use paxos_banking::store::redis::{Options, RedisStore};
use paxos_banking::store::{Store, StoreError};
use support::disk::{Disk, commit};
use support::redis::{TestRedis, say};
use support::relay::Relay;
use support::samples::*;

/// A store by way of a relay.
fn open_by(relay: &Relay) -> RedisStore {
    RedisStore::new(&relay.url(), &server("A"), Options::default()).unwrap()
}

/// Lets another process take the store over behind the `EXEC` of this number; returns where that one's
/// store and last turn come.
fn take_over_behind(
    relay: &Relay,
    redis: &TestRedis,
    number: usize,
) -> Receiver<(RedisStore, u64)> {
    let (taken, newer) = channel();
    let mut store = redis.open();
    relay.between(number, move || {
        let turn = store.load().unwrap().turn.0;
        taken.send((store, turn)).unwrap();
    });
    newer
}

fn promise(round: u64) -> Vec<Write> {
    vec![Write::Promise(ballot(round))]
}

/// Bug: the owner that was read back with a turn was not compared, so one that came between the turn
/// and the `WATCH` was the one watched, and the earlier process wrote on. Fix: it is fenced at once.
#[test]
fn an_owner_that_comes_behind_a_turn_is_noticed_by_that_very_turn() {
    let redis = TestRedis::start();
    let relay = Relay::before(&redis);
    let mut older = open_by(&relay);
    let mut last = older.load().unwrap().turn.0;
    commit(&mut older, &mut last, promise(1));
    let newer = take_over_behind(&relay, &redis, 1);
    let error = older.commit(batch(last + 1, promise(2))).unwrap_err();
    assert!(matches!(error, StoreError::Fenced(_)), "{error}");
    let (mut newer, mut turn) = newer.recv().unwrap();
    // What was executed before the other one came has happened; nothing after that has.
    assert_eq!(turn, last + 2);
    older.commit(batch(turn + 1, promise(3))).unwrap_err();
    commit(&mut newer, &mut turn, promise(4));
    let error = older.load().unwrap_err();
    assert!(matches!(error, StoreError::Fenced(_)), "{error}");
    assert_eq!(redis.open().load().unwrap().promised, Some(ballot(4)));
}

/// A load is four transactions: an empty one that finds out whether there are any, the look, the taking
/// of the owner, and the turn that begins the life.
#[test]
fn of_an_owner_that_comes_within_a_load_and_the_one_that_loads_one_remains() {
    for founded in [false, true] {
        for number in 1..=4 {
            let redis = TestRedis::start();
            if founded {
                redis.open().load().unwrap();
            }
            let relay = Relay::before(&redis);
            let mut older = open_by(&relay);
            let newer = take_over_behind(&relay, &redis, number);
            let loaded = older.load();
            assert!(relay.is_done());
            let (mut newer, newer_turn) = newer.recv().unwrap();
            let lives: u64 = say(&mut redis.connect(), &["LLEN", "SERVER-LIVES-A"]);
            let begun = |others: u64| u64::from(founded) + others;
            match (number, loaded) {
                // It looked again, and so came after the other one.
                (1..=3, Ok(stored)) => {
                    assert_eq!((stored.turn.0, lives), (newer_turn + 1, begun(2)));
                    commit(&mut older, &mut { stored.turn.0 }, promise(1));
                    let error = newer.commit(batch(newer_turn + 1, promise(2))).unwrap_err();
                    assert!(matches!(error, StoreError::Fenced(_)), "{error}");
                }
                // Its life had begun before.
                (4, Err(StoreError::Fenced(_))) => {
                    assert_eq!(lives, begun(2));
                    commit(&mut newer, &mut { newer_turn }, promise(1));
                }
                (_, other) => panic!("behind transaction {number}, {founded}: {other:?}"),
            }
            assert_eq!(redis.open().load().unwrap().promised, Some(ballot(1)));
        }
    }
}
