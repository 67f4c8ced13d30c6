//! What a viewer sees of a store: all of it, and after a failure nothing that was meant for an earlier
//! question. And what a store does that can't be looked at any more.

mod support;

use std::time::Duration;

use paxos_banking::bank::effects::Write;
use paxos_banking::store::redis::Options;
use paxos_banking::store::redis::viewer::ReadOnlyRedis;
use paxos_banking::store::{Store, StoreError};
use support::cluster::wait_until;
use support::disk::{Disk, commit};
use support::process::signal;
use support::redis::{TestRedis, say};
use support::samples::*;

fn premises(redis: &TestRedis, timeout: Duration) -> ReadOnlyRedis {
    let options = Options { allow_weak: true, timeout, ..Options::default() };
    ReadOnlyRedis::new(&redis.url(), &options).unwrap()
}

#[test]
fn all_pages_are_seen_however_many_there_are() {
    let redis = TestRedis::start();
    let mut store = redis.open();
    let mut last = store.load().unwrap().turn.0;
    let pages: Vec<_> = (0..130).map(|number| page(number, 0, &[("A", 1)])).collect();
    commit(&mut store, &mut last, vec![append_pages(&genesis(), pages, 0)]);
    let mut visitor = premises(&redis, Duration::from_secs(20)).visit(&server("A"));
    let (mut seen, mut more) = (Vec::new(), true);
    while more {
        let found = visitor.pages(seen.len() as u64).unwrap();
        assert_eq!(found.blocks, 1);
        seen.extend(found.pages.iter().map(|page| page.number));
        more = found.more;
    }
    assert_eq!(seen, (0..130).collect::<Vec<u32>>());
}

/// Bug this guards against: the answer to a question that took too long is taken for the next one's.
#[test]
fn an_answer_that_comes_late_is_not_taken_for_another_ones() {
    let mut redis = TestRedis::start();
    let mut store = redis.open();
    let mut last = store.load().unwrap().turn.0;
    commit(&mut store, &mut last, vec![append(&genesis())]);
    let mut visitor = premises(&redis, Duration::from_millis(300)).visit(&server("A"));
    wait_until("Redis is quick enough", || visitor.length().is_ok_and(|blocks| blocks == 1));
    signal(redis.process(), "STOP");
    let error = visitor.contents().err();
    signal(redis.process(), "CONT");
    assert!(matches!(error, Some(StoreError::Failed(_))), "{error:?}");
    // Redis answers that now; nobody is to hear it.
    let mut length = 0;
    wait_until("it can be asked again", || match visitor.length() {
        Ok(blocks) => {
            length = blocks;
            true
        }
        Err(error) => !error.is_transient(),
    });
    assert_eq!(length, 1);
}

/// What was held before a look is over with it, also if it fails.
#[test]
fn who_looks_in_vain_writes_no_more() {
    let redis = TestRedis::start();
    let mut store = redis.open();
    let mut last = store.load().unwrap().turn.0;
    let promise = |round| vec![Write::Promise(ballot(round))];
    commit(&mut store, &mut last, promise(1));
    let c = &mut redis.connect();
    say::<()>(c, &["CONFIG", "SET", "appendfsync", "everysec"]);
    let error = store.look().unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error}");
    let error = store.commit(batch(last + 1, promise(2))).unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error}");
    say::<()>(c, &["CONFIG", "SET", "appendfsync", "always"]);
    assert_eq!(store.load().unwrap().promised, Some(ballot(1)));
}
