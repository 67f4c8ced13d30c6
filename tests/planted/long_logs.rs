//! Plays of logs that are too long for a block, of settlements, and of runs that bring nothing.

use crate::bank::effects::{Event, Timer};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::bank::limits::Limits;
use crate::bank::paxos::message::{Message, Vote, Whole};
use crate::bank::request::Request;
use crate::bank::server::Config;
use crate::machine::stage::*;

/// A promise for the block at this height: these elements, of a log that ends there and brings this.
fn cut(
    of: &str,
    height: u64,
    elements: Vec<Element>,
    last: u64,
    brings: &[(&str, u64)],
) -> Message {
    let brings = brings.iter().map(|(name, amount)| (account(name), units(*amount)));
    let whole = Whole { last: Position { epoch: 1, seq: last }, brings: brings.collect() };
    promises(of, height, Vote::Log { elements, cut: true, whole: Some(whole) })
}

/// A promise to the first run for a height: all such have one ballot.
fn promises(of: &str, height: u64, vote: Vote) -> Message {
    let (ballot, instance) = (ballot(1, "A"), instance(of));
    Message::Promise { height, ballot, instance, waiting: false, vote }
}

fn nothing() -> Vote {
    Vote::Log { elements: Vec::new(), cut: false, whole: None }
}

/// B and C promise this for a block, and B accepts it; returns whether A begins a run then.
fn win_and_ask(stage: &mut Stage, of_b: Message, of_c: Message) -> bool {
    stage.hear(OF_B, of_b);
    let block = stage.hear(OF_C, of_c).proposal().expect("a block is proposed");
    asks(&stage.hear(OF_B, accepted("B", 1, &block)))
}

fn asks(said: &Said) -> bool {
    !said.asked().is_empty()
}

fn with(limits: Limits) -> Stage {
    Stage::open_as(Config { limits, ..config() })
}

pub fn what_came_with_the_block_is_not_left() {
    let mut stage = Stage::open();
    stage.pay(OPENING + 20, 1);
    let of_b = cut("B", 1, vec![element("B", 10)], 9, &[("A", 10)]);
    let asks = win_and_ask(&mut stage, of_b, promises("C", 1, nothing()));
    assert!(!asks, "10 came with the block, and that is all: refused");
}

pub fn what_is_left_of_all_logs_counts() {
    let mut stage = Stage::open();
    stage.pay(OPENING + 100, 1);
    let of_b = cut("B", 1, vec![element("B", 10)], 9, &[("A", 70)]);
    let of_c = cut("C", 1, Vec::new(), 9, &[("A", 30)]);
    assert!(win_and_ask(&mut stage, of_b, of_c), "100 are on the way, of two servers");
}

pub fn the_own_rest_brings_nothing_new() {
    let mut stage = with(Limits { element: 1, block: 3, ..Limits::default() });
    stage.pay(1, 1);
    stage.pay(1, 2);
    stage.pay(TOO_MUCH, 3);
    let (of_b, of_c) = (promises("B", 1, nothing()), promises("C", 1, nothing()));
    let asks = win_and_ask(&mut stage, of_b, of_c);
    assert!(!asks, "the local balance has all of the own log: refused");
}

pub fn who_was_not_asked_for_is_not_refused() {
    let mut stage = with(Limits { asked: 1, ..Limits::default() });
    stage.request(Request::One(numbered(opens("A/x"), 1)));
    for (from, number) in [("A", 2), ("A/x", 3)] {
        let patient = Request::One(numbered(pays(from, "B", TOO_MUCH), number));
        stage.server.handle(Event::Request(CLIENT, None, patient));
    }
    stage.turn();
    // Run 1 began with the first alone; what follows it is for both, and asks for A, which came first.
    let rest = TOO_MUCH + 1;
    let of_b = cut("B", 1, vec![element("B", 1)], 9, &[("A", rest)]);
    win_and_ask(&mut stage, of_b, promises("C", 1, nothing()));
    let later = element_of(2, [pays("B", "A", 1)]);
    let of_b = cut("B", 2, vec![later], 9, &[("A", rest - 1)]);
    win_and_ask(&mut stage, of_b, promises("C", 2, nothing()));
    assert_eq!(stage.status().waiting, 2, "what is left for A/x is not known");
}

pub fn who_says_nothing_of_the_rest_may_have_one() {
    let mut stage = Stage::open();
    stage.pay(OPENING + 20, 1);
    let log = Vote::Log { elements: vec![element("B", 10)], cut: true, whole: None };
    let of_b = promises("B", 1, log);
    let asks = win_and_ask(&mut stage, of_b, promises("C", 1, nothing()));
    assert!(asks, "B may have logged more for A");
}

pub fn a_payee_may_be_opened_by_the_rest() {
    let mut stage = Stage::open();
    stage.request(Request::One(numbered(pays("A", "B/new", 1), 1)));
    let of_b = cut("B", 1, vec![element("B", 1)], 9, &[("B/new", 0)]);
    win_and_ask(&mut stage, of_b, promises("C", 1, nothing()));
    assert_eq!(stage.status().waiting, 1, "B has opened it");
}

pub fn a_log_settles_from_half_of_its_bound_on() {
    let mut stage = with(Limits { log: 4, ..Limits::default() });
    stage.pay(1, 1);
    assert!(asks(&stage.pay(1, 2)), "the log is half full");
}

pub fn a_settlement_has_an_end() {
    let mut stage = Stage::open();
    stage.request(Request::Settle);
    for seq in 1..=2 {
        let of_b = cut("B", seq, vec![element_of(seq, [pays("B", "A", 1)])], seq + 1, &[]);
        let asks = win_and_ask(&mut stage, of_b, promises("C", seq, nothing()));
        assert_eq!(asks, seq == 1, "two entries were in B's log at first");
    }
}

pub fn runs_in_vain_rest() {
    let mut stage = with(Limits { vain_runs: 2, ..Limits::default() });
    for number in 1..=3 {
        let said = stage.pay(TOO_MUCH, number);
        assert_eq!(asks(&said), number < 3, "after two runs the third rests");
        for (connection, peer) in [(OF_B, "B"), (OF_C, "C")] {
            stage.hear(connection, vote(peer, number, nothing()));
        }
    }
    assert!(asks(&stage.time_out(Timer::Rest)), "it has rested");
}
