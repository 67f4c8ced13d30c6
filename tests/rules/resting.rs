//! A server whose store takes no writes: it only reads, and says only what is durable.

use paxos_banking::bank::effects::{Event, Timer};
use paxos_banking::bank::limits::Limits;
use paxos_banking::bank::paxos::message::Message;
use paxos_banking::bank::request::{ErrorCode, Reply, Request};
use paxos_banking::bank::server::Config;
use paxos_banking::bank::server::Habit;

use crate::machine::disk::Disk;
use crate::stage::*;

/// With an entry in its log, in the life that it had when the store would take no more.
fn resting() -> (Stage, Disk) {
    let mut stage = Stage::open();
    stage.pay(7, 1);
    let disk = stage.disk.clone();
    // One that settles by itself at any length would begin a run at once, and hold clients back until its
    // log, which is all that a block takes, is in the chain.
    let habit = Habit { by_length: Some(1), ..Habit::default() };
    let limits = Limits { element: 1, block: 3, ..Limits::default() };
    let mut stored = disk.clone();
    stored.stored.blocks = stored.chain.len() as u64;
    let recovery = stored.recover(Config { habit, limits, ..config() }).unwrap();
    assert!(recovery.can_rest());
    let server = recovery
        .resting("it is full".into())
        .finish(paxos_banking::bank::ledger::secret::Secret([1, 1]))
        .unwrap();
    let mut stage = Stage { disk: disk.clone(), server };
    stage.meet("B");
    stage.meet("C");
    (stage, disk)
}

#[test]
fn reads_are_answered_and_all_else_is_declined_with_the_reason() {
    let (mut stage, disk) = resting();
    let account = "A".parse().unwrap();
    for request in [
        Request::Balance(None),
        Request::Log { after: None },
        Request::Chain { from: 0, to: None },
        Request::History { account, before: None, limit: 5 },
        Request::Accounts { prefix: String::new(), after: None, limit: 5 },
    ] {
        let said = stage.request(request);
        assert_eq!(said.bound.len(), 1);
        assert!(!said.replies().iter().any(|reply| matches!(reply, Reply::Error { .. })));
    }
    assert_eq!(stage.status().no_writes.as_deref(), Some("it is full"));
    for request in [
        Request::One(transfer(1, 2)),
        Request::Batch(vec![transfer(1, 1), transfer(1, 2)]),
        Request::Settle,
        Request::Session(None),
    ] {
        let replies = stage.request(request).replies();
        let [Reply::Error { error: ErrorCode::Full, message }] = &replies[..] else {
            panic!("{replies:?}")
        };
        assert!(
            message.contains("nothing was done") && message.contains("it is full"),
            "{message}"
        );
    }
    assert_eq!(stage.disk.stored, disk.stored, "nothing is written");
}

/// It begins no run in a life of which it has forgotten the ballots, and can't make a vote durable.
#[test]
fn it_starts_nothing_votes_for_nothing_and_still_tells_where_it_stands() {
    let (mut stage, disk) = resting();
    let turn = disk.stored.turn;
    let one = block_after(&genesis(), &[("B", 1)]);
    for message in [
        prepare("B", 3, &genesis()),
        accept("B", 3, &one),
        commit(&one),
        Message::BlocksResponse { blocks: vec![one.clone()] },
        Message::Rejoin { old: instance("B"), new: instance("C") },
        Message::Heartbeat(standing(4)),
    ] {
        let said = stage.hear(OF_B, message);
        assert!(said.writes.is_empty() && said.asked().is_empty() && said.told().is_empty());
    }
    for timer in [Timer::FinishRound, Timer::Settle, Timer::Reconcile, Timer::Repeat] {
        assert!(stage.time_out(timer).free.is_empty());
    }
    let told = stage.time_out(Timer::Heartbeat).told();
    let [(_, Message::Heartbeat(to_b)), (_, Message::Heartbeat(_))] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((to_b.turn, to_b.position.seq), (turn, 1), "what is durable");
    assert_eq!(stage.hear(OF_C, Message::ReconcileRequest).told().len(), 1);
    let greets = stage.handle(Event::LinkUp(id("C"))).told();
    let [(_, Message::Hello(hello))] = &greets[..] else { panic!("{greets:?}") };
    assert_eq!(hello.lives, disk.stored.lives, "no life that isn't durable");
}

/// Bug: with more in its log than a block takes it let in one read in 100 ms. Cause: it still counted as
/// wanting a run, which it never begins. Fix: who only reads is not crowded.
#[test]
fn it_holds_nobody_back_for_a_run_that_it_does_not_begin() {
    let (stage, _) = resting();
    assert!(!stage.server.is_crowded());
}

#[test]
fn a_server_of_no_open_bank_can_not_rest() {
    let mut disk = Disk::empty(1);
    disk.load(config(), 1);
    assert!(!disk.recover(config()).unwrap().can_rest());
}
