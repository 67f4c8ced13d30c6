//! Plays of logs that are too long for a block, of settlements, and of runs that bring nothing.

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::effects::{Event, Timer};
use crate::bank::ids::{ConnectionId, InstanceId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position};
use crate::bank::limits::Limits;
use crate::bank::paxos::message::{Message, Vote, Whole};
use crate::bank::request::Request;
use crate::bank::server::Config;
use crate::plays::{Stage, ballot, config, log, numbered, pays, record};

/// A promise for a block: these elements, of a log that ends there and brings this.
fn cut(
    (height, instance): (u64, u64),
    elements: Vec<Element>,
    last: u64,
    brings: &[(&str, u64)],
) -> Message {
    let amount = |units| Amount::new(units).unwrap();
    let brings = brings.iter().map(|(name, units)| (name.parse().unwrap(), amount(*units)));
    let whole = Whole { last: Position { epoch: 1, seq: last }, brings: brings.collect() };
    promise((height, instance), Vote::Log { elements, cut: true, whole: Some(whole) })
}

fn promise((height, instance): (u64, u64), vote: Vote) -> Message {
    let (ballot, instance) = (ballot(height, "A"), InstanceId(instance));
    Message::Promise { height, ballot, instance, waiting: false, vote }
}

fn nothing() -> Vote {
    Vote::Log { elements: Vec::new(), cut: false, whole: None }
}

fn block(free: &[Message]) -> SealedBlock {
    let block = free.iter().find_map(|message| match message {
        Message::Accept { block, .. } => Some(block.clone()),
        _ => None,
    });
    block.expect("a block is proposed")
}

/// B and C promise this for a block, and B accepts it; returns what A asks then.
fn win(stage: &mut Stage, height: u64, of_b: Message, of_c: Message) -> Vec<Message> {
    stage.hear(2, of_b);
    let (_, free) = stage.hear(3, of_c);
    let (hash, instance, ballot) = (block(&free).hash(), InstanceId(2), ballot(height, "A"));
    stage.hear(2, Message::Accepted { height, ballot, hash, instance }).1
}

fn asks(free: &[Message]) -> bool {
    free.iter().any(|message| matches!(message, Message::Prepare { .. }))
}

fn with(limits: Limits) -> Stage {
    Stage::of(Config { limits, ..config() })
}

fn opens(name: &str) -> Action {
    Action::Open { account: name.parse().unwrap() }
}

pub fn what_came_with_the_block_is_not_left() {
    let mut stage = Stage::new();
    stage.ask(9, 120, 1);
    let of_b = cut((1, 2), log("B", 10), 9, &[("A", 10)]);
    let free = win(&mut stage, 1, of_b, promise((1, 3), nothing()));
    assert!(!asks(&free), "10 came with the block, and that is all: refused");
}

pub fn what_is_left_of_all_logs_counts() {
    let mut stage = Stage::new();
    stage.ask(9, 200, 1);
    let of_b = cut((1, 2), log("B", 10), 9, &[("A", 70)]);
    let free = win(&mut stage, 1, of_b, cut((1, 3), Vec::new(), 9, &[("A", 30)]));
    assert!(asks(&free), "100 are on the way, of two servers");
}

pub fn the_own_rest_brings_nothing_new() {
    let mut stage = with(Limits { element: 1, block: 3, ..Limits::default() });
    stage.ask(9, 1, 1);
    stage.ask(9, 1, 2);
    stage.ask(9, 500, 3);
    let free = win(&mut stage, 1, promise((1, 2), nothing()), promise((1, 3), nothing()));
    assert!(!asks(&free), "the local balance has all of the own log: refused");
}

pub fn who_was_not_asked_for_is_not_refused() {
    let mut stage = with(Limits { asked: 1, ..Limits::default() });
    stage.instruct(9, numbered(opens("A/x"), 1));
    for number in [2, 3] {
        let from = if number == 2 { "A" } else { "A/x" };
        let patient = numbered(pays(from, "B", 500), number);
        stage.server.handle(Event::Request(ConnectionId(9), None, Request::One(patient)));
    }
    stage.turn();
    // Run 1 began with the first alone; what follows it is for both, and asks for A, which came first.
    win(&mut stage, 1, cut((1, 2), log("B", 1), 9, &[("A", 700)]), promise((1, 3), nothing()));
    let later = Element::seal(Position { epoch: 1, seq: 2 }, vec![record(pays("B", "A", 1))]);
    win(&mut stage, 2, cut((2, 2), vec![later], 9, &[("A", 699)]), promise((2, 3), nothing()));
    let Some(status) = stage.waiting() else { panic!("it says how it is") };
    assert_eq!(status, 2, "what is left for A/x is not known");
}

pub fn who_says_nothing_of_the_rest_may_have_one() {
    let mut stage = Stage::new();
    stage.ask(9, 120, 1);
    let of_b = promise((1, 2), Vote::Log { elements: log("B", 10), cut: true, whole: None });
    let free = win(&mut stage, 1, of_b, promise((1, 3), nothing()));
    assert!(asks(&free), "B may have logged more for A");
}

pub fn a_payee_may_be_opened_by_the_rest() {
    let mut stage = Stage::new();
    stage.instruct(9, numbered(pays("A", "B/new", 1), 1));
    let of_b = cut((1, 2), log("B", 1), 9, &[("B/new", 0)]);
    win(&mut stage, 1, of_b, promise((1, 3), nothing()));
    assert_eq!(stage.waiting(), Some(1), "B has opened it");
}

pub fn a_log_settles_from_half_of_its_bound_on() {
    let mut stage = with(Limits { log: 4, ..Limits::default() });
    stage.ask(9, 1, 1);
    assert!(asks(&stage.ask(9, 1, 2).1), "the log is half full");
}

pub fn a_settlement_has_an_end() {
    let mut stage = Stage::new();
    stage.server.handle(Event::Request(ConnectionId(9), None, Request::Settle));
    stage.turn();
    for seq in 1..=2 {
        let first = Position { epoch: 1, seq };
        let element = vec![Element::seal(first, vec![record(pays("B", "A", 1))])];
        let of_b = cut((seq, 2), element, seq + 1, &[]);
        let free = win(&mut stage, seq, of_b, promise((seq, 3), nothing()));
        assert_eq!(asks(&free), seq == 1, "two entries were in B's log at first");
    }
}

pub fn runs_in_vain_rest() {
    let mut stage = with(Limits { vain_runs: 2, ..Limits::default() });
    for number in 1..=3 {
        let (_, free) = stage.ask(9, 500, number);
        assert_eq!(asks(&free), number < 3, "after two runs the third rests");
        for peer in [2, 3] {
            let (ballot, instance, vote) = (ballot(number, "A"), InstanceId(peer), nothing());
            let message = Message::Promise { height: 1, ballot, instance, waiting: false, vote };
            stage.hear(peer, message);
        }
    }
    stage.server.handle(Event::Timer(Timer::Rest));
    assert!(asks(&stage.turn().1), "it has rested");
}
