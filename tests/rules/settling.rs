//! Replies that wait for a block, clients that settle, and a server's own habit.

use std::collections::BTreeMap;

use paxos_banking::bank::effects::{Event, Timer};
use paxos_banking::bank::ids::WaitId;
use paxos_banking::bank::ledger::entry::{Position, Via};
use paxos_banking::bank::limits::Limits;
use paxos_banking::bank::paxos::message::{Message, Vote, Whole};
use paxos_banking::bank::request::{ErrorCode, Instruction, Outcome, Reply, Request};
use paxos_banking::bank::server::Config;
use paxos_banking::bank::server::Habit;

use crate::stage::*;

const FIRST: Timer = Timer::Deadline(WaitId(1));

fn when_settled(instruction: Instruction) -> Instruction {
    Instruction { settled: true, ..instruction }
}

fn pay_settled(stage: &mut Stage, amount: u64, number: u64) -> Said {
    stage.request(Request::One(when_settled(transfer(amount, number))))
}

/// Entry 1, of 30 units; these are told of its balance, of a retry, and of being in a block.
fn paid(balance: u64, repeated: bool, settled: Option<bool>) -> Outcome {
    let (server, balance) = (id("A"), units(balance));
    Outcome::Accepted { server, epoch: 1, seq: 1, balance, via: Via::Local, repeated, settled }
}

fn settled(said: &Said) -> Vec<Option<bool>> {
    let settled = said.outcomes().into_iter().filter_map(|outcome| match outcome {
        Outcome::Accepted { settled, .. } => Some(settled),
        _ => None,
    });
    settled.collect()
}

#[test]
fn a_reply_waits_for_the_block_if_that_was_asked_for() {
    let mut stage = Stage::open();
    let said = pay_settled(&mut stage, 30, 1);
    assert!(said.outcomes().is_empty() && said.sets(FIRST), "{said:?}");
    assert_eq!(said.asked().len(), 2, "so a run begins");
    let said = stage.win(1, vec![], vec![]);
    assert_eq!(said.outcomes(), [paid(OPENING - 30, false, Some(true))]);
    assert!(said.cancels(FIRST) && said.asked().is_empty());
    assert_eq!(stage.status().run, "idle");
    let again = pay_settled(&mut stage, 30, 1);
    assert_eq!(again.outcomes(), [paid(OPENING - 30, true, Some(true))], "it is in a block");
    assert_eq!(stage.pay(30, 1).outcomes(), [paid(OPENING - 30, true, None)], "not asked for");
}

#[test]
fn a_deadline_tells_that_it_happened_and_is_in_no_block_yet() {
    let mut stage = Stage::alone();
    pay_settled(&mut stage, 30, 1);
    assert!(stage.time_out(Timer::Deadline(WaitId(7))).replies().is_empty());
    let said = stage.time_out(FIRST);
    assert_eq!(said.outcomes(), [paid(OPENING - 30, false, Some(false))]);
    assert_eq!(stage.status().run, "idle", "nobody waits any more");
    let again = pay_settled(&mut stage, 30, 1);
    assert!(again.outcomes().is_empty() && again.sets(Timer::Deadline(WaitId(2))));
}

#[test]
fn one_reply_tells_of_all_when_the_last_is_in_a_block() {
    let mut stage = Stage::open();
    let both = vec![when_settled(transfer(1, 1)), transfer(2, 2), when_settled(transfer(3, 3))];
    let said = stage.request(Request::Batch(both));
    assert!(said.replies().is_empty());
    let deadlines = said.timers.iter().filter(|timer| format!("{timer:?}").contains("Deadline"));
    assert_eq!(deadlines.count(), 1, "one for the request");
    // Logged after the promise, so the block is without it.
    pay_settled(&mut stage, 4, 4);
    let said = stage.win(1, vec![], vec![]);
    assert_eq!(settled(&said), [Some(true), None, Some(true)]);
    assert!(said.cancels(FIRST) && !said.cancels(Timer::Deadline(WaitId(2))));
    assert!(said.sets(Timer::Comeback), "the last one still waits: {said:?}");
}

#[test]
fn no_more_replies_wait_for_a_block_than_there_is_room_for() {
    let limits = Limits { waiting: 2, ..Limits::default() };
    let mut stage = Stage::alone_as(Config { limits, ..config() });
    for number in 1..=2 {
        assert!(pay_settled(&mut stage, 1, number).replies().is_empty());
    }
    let said = pay_settled(&mut stage, 1, 3);
    assert_eq!(settled(&said), [Some(false)], "it happened all the same");
}

/// With a habit, and everybody connected.
fn with(habit: Habit) -> Stage {
    Stage::open_as(Config { habit, ..config() })
}

fn by_age() -> Habit {
    Habit { by_age: true, ..Habit::default() }
}

#[test]
fn an_old_log_is_settled_up_to_where_it_was_old() {
    let mut stage = with(by_age());
    assert!(!stage.status().run.contains("preparing"));
    let said = stage.pay(1, 1);
    assert!(said.sets(Timer::Settle) && said.asked().is_empty());
    assert!(!stage.pay(2, 2).sets(Timer::Settle), "it is set already");
    assert_eq!(stage.time_out(Timer::Settle).asked().len(), 2);
    assert!(stage.pay(3, 3).sets(Timer::Settle), "for what is younger");
    let said = stage.win(1, vec![], vec![]);
    assert!(said.appends() && said.asked().is_empty() && !said.sets(Timer::Settle), "{said:?}");
    assert_eq!((stage.status().run, stage.status().log_length), ("idle".into(), 1));
    assert_eq!(stage.time_out(Timer::Settle).asked().len(), 2);
}

#[test]
fn what_is_left_in_the_log_by_another_s_block_is_settled_in_its_time() {
    let mut stage = with(by_age());
    stage.pay(1, 1);
    stage.time_out(Timer::Settle);
    // The block of another server is without the log of this one.
    let one = block_after(&genesis(), &[("B", 1)]);
    let said = stage.fetch("B", &[one]);
    assert_eq!(said.asked().len(), 2, "entry 1 is still not in a block");
}

#[test]
fn an_empty_log_is_never_too_old() {
    let mut stage = with(by_age());
    assert_eq!(stage.time_out(Timer::Settle).asked(), []);
    assert!(!Stage::open().pay(1, 1).sets(Timer::Settle), "without the habit");
}

#[test]
fn a_log_is_old_in_the_next_life_too() {
    let mut stage = Stage::open();
    stage.pay(1, 1);
    let habit = by_age();
    stage.server = stage.disk.load(Config { habit, ..config() }, 2);
    assert!(stage.turn().sets(Timer::Settle));
}

#[test]
fn a_long_log_is_settled() {
    let mut stage = with(Habit { by_length: Some(2), ..Habit::default() });
    assert_eq!(stage.pay(1, 1).asked(), []);
    assert_eq!(stage.pay(2, 2).asked().len(), 2);
    assert!(stage.win(1, vec![], vec![]).asked().is_empty());
    assert_eq!(stage.pay(3, 3).asked(), []);
}

/// Its share of a block is four entries, and it settles when its log holds three.
fn small_shares() -> Config {
    let habit = Habit { by_length: Some(3), ..Habit::default() };
    let limits = Limits { element: 2, block: 12, ..Limits::default() };
    Config { habit, limits, ..config() }
}

#[test]
fn clients_are_held_back_while_more_is_logged_than_the_next_block_takes() {
    let mut stage = Stage::open_as(small_shares());
    let crowded: Vec<bool> = (1..=5)
        .map(|number| {
            stage.pay(1, number);
            stage.server.is_crowded()
        })
        .collect();
    assert_eq!(crowded, [false, false, false, true, true]);
    stage.win(1, vec![], vec![]);
    assert!(!stage.server.is_crowded(), "only what came after the promise is left");
}

#[test]
fn clients_are_not_held_back_for_a_block_that_nobody_wants_or_no_majority_can_make() {
    let mut alone = Stage::alone_as(small_shares());
    let mut content = Stage::open_as(Config { habit: Habit::default(), ..small_shares() });
    for number in 1..=5 {
        alone.pay(1, number);
        content.pay(1, number);
    }
    assert!(!alone.server.is_crowded() && !content.server.is_crowded());
    alone.meet("B");
    assert!(alone.server.is_crowded());
    // Who waits for money waits for all of it to be in the chain.
    content.pay(TOO_MUCH, 6);
    assert!(content.server.is_crowded());
}

#[test]
fn a_server_may_put_every_transfer_into_a_block_before_it_is_answered() {
    let mut stage = with(Habit { always: true, ..Habit::default() });
    let said = stage.pay(30, 1);
    assert!(said.outcomes().is_empty() && said.sets(FIRST), "{said:?}");
    assert_eq!(said.asked().len(), 2, "though nobody asked for it a run begins");
    let said = stage.win(1, vec![], vec![]);
    assert_eq!(said.outcomes(), [paid(OPENING - 30, false, Some(true))]);
    let again = stage.pay(30, 1);
    assert_eq!(
        again.outcomes(),
        [paid(OPENING - 30, true, Some(true))],
        "and a retry's answer says it"
    );
}

#[test]
fn who_only_settles_lets_the_run_of_another_go_first_once() {
    let mut stage = Stage::open();
    stage.hear(OF_B, prepare("B", 3, &genesis()));
    let said = stage.request(Request::Settle);
    assert!(said.asked().is_empty() && said.sets(Timer::BackOff { attempt: 1 }), "{said:?}");
    assert!(said.notes("the run of B may go first"));
    assert_eq!(stage.time_out(Timer::BackOff { attempt: 1 }).asked().len(), 2, "it had its time");
}

#[test]
fn who_always_lets_another_go_first_begins_at_once_when_that_one_is_gone() {
    let mut stage = Stage::open();
    let mut head = genesis();
    stage.hear(OF_B, prepare("B", 1, &head));
    stage.request(Request::Settle);
    for seq in 1..=5 {
        head = block_of(&head, [("B", element_of(seq, [pays("B", "A", 1)]))]);
        assert!(stage.hear(OF_B, accept("B", seq, &head)).asked().is_empty());
        assert!(stage.hear(OF_B, commit(&head)).appends());
        stage.hear(OF_B, prepare("B", seq + 1, &head));
        let said = stage.time_out(Timer::BackOff { attempt: 1 });
        assert!(said.notes("the run of B may go first"), "{said:?}");
    }
    let said = stage.handle(Event::Closed(OF_B));
    assert!(said.cancels(Timer::BackOff { attempt: 1 }), "{said:?}");
    assert_eq!(said.asked().len(), 2, "{said:?}");
}

#[test]
fn a_run_of_its_own_is_nothing_to_yield_to() {
    let mut stage = Stage::open();
    stage.pay(TOO_MUCH, 1);
    stage.time_out(FIRST);
    assert_eq!(stage.status().promised, Some(ballot(1, "A")));
    assert_eq!(stage.request(Request::Settle).asked().len(), 2);
}

#[test]
fn a_settlement_is_told_by_the_run_that_began_after_it() {
    let mut stage = Stage::open();
    stage.pay(TOO_MUCH, 1);
    stage.request(Request::Settle);
    let said = stage.win(1, vec![element("B", 1)], vec![]);
    let settled = |said: &Said| said.replies().iter().any(|r| matches!(r, Reply::Settled { .. }));
    assert!(!settled(&said) && said.asked().len() == 2, "{said:?}");
}

#[test]
fn a_retry_of_one_that_waits_may_ask_to_be_told_when_it_is_in_a_block() {
    let mut stage = Stage::open();
    stage.pay(OPENING + 5, 1);
    assert!(pay_settled(&mut stage, OPENING + 5, 1).outcomes().is_empty());
    let said = stage.win(1, vec![element("B", 5)], vec![]);
    assert!(said.appends() && said.outcomes().is_empty(), "it is only in the log: {said:?}");
    let said = stage.time_out(Timer::Deadline(WaitId(2)));
    assert_eq!(settled(&said), [Some(false)]);
}

fn is_settled(said: &Said) -> bool {
    said.replies().iter().any(|reply| matches!(reply, Reply::Settled { settled: true, .. }))
}

/// What B promises to A's run for a block: an entry, of a log that ends so much further on.
fn cut(height: u64, seq: u64, last: u64) -> Message {
    let whole = Some(Whole { last: Position { epoch: 1, seq: last }, brings: BTreeMap::new() });
    let elements = vec![element_of(seq, [pays("B", "A", 1)])];
    promise_for(height, "B", Vote::Log { elements, cut: true, whole })
}

fn promise_for(height: u64, of: &str, vote: Vote) -> Message {
    let (ballot, instance) = (ballot(1, "A"), instance(of));
    Message::Promise { height, ballot, instance, waiting: false, vote }
}

/// The run for a block hears that from B, and nothing from C, and is won.
fn win_cut(stage: &mut Stage, height: u64, of_b: Message) -> Said {
    stage.hear(OF_B, of_b);
    let nothing = Vote::Log { elements: vec![], cut: false, whole: None };
    let block = stage.hear(OF_C, promise_for(height, "C", nothing)).proposal().unwrap();
    stage.hear(OF_B, accepted("B", 1, &block))
}

#[test]
fn a_settlement_is_of_what_logs_held_and_not_of_what_comes_meanwhile() {
    let mut stage = Stage::open();
    stage.request(Request::Settle);
    let said = win_cut(&mut stage, 1, cut(1, 1, 3));
    assert!(!is_settled(&said) && said.asked().len() == 2, "{said:?}");
    // B's log gets longer as fast as blocks take of it.
    let said = win_cut(&mut stage, 2, cut(2, 2, 4));
    assert!(!is_settled(&said) && said.asked().len() == 2, "{said:?}");
    let said = win_cut(&mut stage, 3, cut(3, 3, 5));
    assert!(is_settled(&said) && said.asked().is_empty(), "{said:?}");
    assert!(said.cancels(FIRST));
}

#[test]
fn what_this_server_logs_after_it_was_asked_to_settle_is_not_waited_for() {
    let limits = Limits { element: 1, block: 3, ..Limits::default() };
    let mut stage = Stage::open_as(Config { limits, ..config() });
    stage.pay(1, 1);
    stage.request(Request::Settle);
    stage.pay(1, 2);
    assert!(is_settled(&stage.win(1, vec![], vec![])));
    assert_eq!(stage.status().log_length, 1);
}

#[test]
fn a_settlement_has_more_time_only_while_it_comes_closer() {
    let mut stage = Stage::open();
    stage.request(Request::Settle);
    win_cut(&mut stage, 1, cut(1, 1, 9));
    assert!(win_cut(&mut stage, 2, cut(2, 2, 9)).sets(FIRST), "7 are left");
    let head = stage.disk.chain.last().unwrap().clone();
    let others = block_of(&head, [("C", element_of(1, [pays("C", "A", 1)]))]);
    stage.hear(OF_C, accept("C", 9, &others));
    let said = stage.hear(OF_C, commit(&others));
    assert!(said.appends() && !said.sets(FIRST), "still 7: {said:?}");
    let reason =
        "2 Paxos runs got through in time, but none brought an answer; all servers are connected";
    let reply = Reply::Error { error: ErrorCode::Unavailable, message: reason.into() };
    assert_eq!(stage.time_out(FIRST).replies(), [reply]);
}

#[test]
fn a_log_is_settled_from_half_of_its_bound_on_whatever_the_habit() {
    let limits = Limits { log: 6, element: 1, block: 3, ..Limits::default() };
    for by_length in [None, Some(5)] {
        let habit = Habit { by_length, ..Habit::default() };
        let mut stage = Stage::open_as(Config { habit, limits: limits.clone(), ..config() });
        stage.pay(1, 1);
        assert!(stage.pay(1, 2).asked().is_empty() && !stage.server.is_crowded());
        assert_eq!(stage.pay(1, 3).asked().len(), 2);
        assert!(stage.server.is_crowded(), "so clients are held back before it is full");
        stage.win(1, vec![], vec![]);
        assert!(!stage.server.is_crowded());
        assert_eq!((stage.status().log_length, stage.status().run), (2, "idle".into()));
    }
}
