//! Money that is issued and taken back, and the times of entries.

use crate::bank::blockchain::block::{Genesis, SealedBlock};
use crate::bank::effects::Write;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position};
use crate::bank::limits::MAX_ISSUED;
use crate::bank::paxos::message::{Configuration, Hello, Standing};
use crate::bank::reason::Code;
use crate::bank::request::{Instruction, Outcome, Request};
use crate::bank::server::Config;
use crate::bank::wall_time::WallTime;

use super::keys::{ALICE, AUDITOR, OPERATOR, asks as asks_in, keyed_bank_of};
use crate::machine::stage::*;

const MOST: u64 = MAX_ISSUED as u64;

pub fn mint(of: &str, amount: u64) -> Action {
    Action::Mint { account: account(of), amount: units(amount) }
}

pub fn burn(of: &str, amount: u64) -> Action {
    Action::Burn { account: account(of), amount: units(amount) }
}

fn issuing_configuration() -> Configuration {
    Configuration { issuing: true, ..configuration() }
}

fn issuing_genesis() -> SealedBlock {
    let genesis = genesis().block().genesis.clone().expect("block 0");
    SealedBlock::genesis(Genesis { issuing: true, ..genesis })
}

fn issuing_config() -> Config {
    Config { configuration: issuing_configuration(), ..config() }
}

fn meets(stage: &mut Stage, of: &str) {
    let standing = Standing { genesis: Some(issuing_genesis().hash()), ..standing(0) };
    let hello = Hello { configuration: issuing_configuration(), standing, ..hello(of) };
    greetings(&hello).into_iter().for_each(|event| stage.server.handle(event));
    stage.turn();
}

/// An open bank that issues money, with B and C connected.
pub fn issuing_bank() -> Stage {
    let mut stage = Stage::alone_on(issuing_config(), &issuing_genesis());
    meets(&mut stage, "B");
    meets(&mut stage, "C");
    stage
}

/// A dies, and comes back with what is on its disk.
fn crash(stage: &mut Stage) {
    stage.server = stage.disk.load(issuing_config(), 2);
    meets(stage, "B");
    meets(stage, "C");
}

/// The code of the reason why it did not happen; none if it was accepted.
fn asks(stage: &mut Stage, action: Action) -> Option<Code> {
    group(stage, vec![action]).pop().expect("an outcome")
}

/// The same of linked ones.
fn group(stage: &mut Stage, actions: Vec<Action>) -> Vec<Option<Code>> {
    let last = actions.len() - 1;
    let linked =
        |(place, action)| Instruction { linked: place < last, ..Instruction::plain(action) };
    let all = actions.into_iter().enumerate().map(linked).collect();
    let outcomes = stage.request(Request::Batch(all)).outcomes();
    let code = |outcome: &Outcome| match outcome {
        Outcome::Accepted { .. } => None,
        Outcome::Invalid { reason }
        | Outcome::Unavailable { reason }
        | Outcome::LinkedFailed { reason }
        | Outcome::Refused { reason, .. } => Some(reason.code),
        other => panic!("{other:?}"),
    };
    outcomes.iter().map(code).collect()
}

fn total(stage: &mut Stage) -> u64 {
    stage.status().total.expect("it is founded").units()
}

/// Settles: A's log comes into a block.
fn settle(stage: &mut Stage) {
    let begun = stage.request(Request::Settle);
    assert!(!begun.asked().is_empty(), "a run begins");
    let round = stage.status().ballot.expect("of the run").round;
    assert!(stage.win(round, vec![], vec![]).appends(), "the block is chosen");
}

/// Nothing but a founding for it lets money be issued: neither a client here nor another server's block.
pub fn a_bank_that_was_not_founded_for_it_issues_nothing() {
    let mut stage = Stage::open();
    for action in [mint("A", 5), burn("A", 5)] {
        assert_eq!(asks(&mut stage, action), Some(Code::NotIssuing));
    }
    let foreign = block_of(&genesis(), [("B", element_of(1, [mint("B", 5)]))]);
    let said = stage.fetch("B", &[foreign]);
    assert!(!said.appends(), "a block with issued money is none here");
}

pub fn what_is_issued_and_taken_back_changes_the_total_once_it_is_in_the_chain() {
    let mut stage = issuing_bank();
    let before = total(&mut stage);
    assert_eq!(asks(&mut stage, mint("A", 70)), None);
    assert_eq!(asks(&mut stage, burn("A", 20)), None);
    assert_eq!(total(&mut stage), before, "by the chain");
    settle(&mut stage);
    assert_eq!(total(&mut stage), before + 50);
    crash(&mut stage);
    assert_eq!(total(&mut stage), before + 50, "and so it stays");
    let derived = &stage.disk.stored.derived;
    assert_eq!(derived.issued.get(&id("A")), Some(&50));
}

/// A home has a bound, in the log and in the chain together. What it takes back it may issue again.
pub fn a_home_issues_no_more_than_its_bound() {
    let mut stage = issuing_bank();
    assert_eq!(asks(&mut stage, mint("A", MOST + 1)), Some(Code::IssuedTooMuch));
    assert_eq!(
        group(&mut stage, vec![mint("A", MOST), mint("A", 1)]),
        [Some(Code::LinkedFailed), Some(Code::IssuedTooMuch)]
    );
    assert_eq!(group(&mut stage, vec![mint("A", MOST), burn("A", 1), mint("A", 1)]), [None; 3]);
    assert_eq!(asks(&mut stage, mint("A", 1)), Some(Code::IssuedTooMuch), "in the log");
    settle(&mut stage);
    assert_eq!(asks(&mut stage, mint("A", 1)), Some(Code::IssuedTooMuch), "in the chain");
    crash(&mut stage);
    assert_eq!(asks(&mut stage, mint("A", 1)), Some(Code::IssuedTooMuch), "after a crash");
    assert_eq!(asks(&mut stage, burn("A", 7)), None);
    assert_eq!(asks(&mut stage, mint("A", 7)), None);
}

/// Nor does a block in which another home has issued more count.
pub fn a_block_in_which_a_home_issued_too_much_is_none() {
    let mut stage = issuing_bank();
    let element = element_of(1, [mint("B", MOST), mint("B", 1)]);
    let said = stage.fetch("B", &[block_of(&issuing_genesis(), [("B", element)])]);
    assert!(!said.appends());
    let element = element_of(1, [mint("B", MOST), burn("B", 1), mint("B", 1)]);
    let said = stage.fetch("B", &[block_of(&issuing_genesis(), [("B", element)])]);
    assert!(said.appends(), "but this one does");
}

/// What isn't there can't be taken back, until a run brings it.
pub fn what_is_taken_back_has_to_be_there() {
    let mut stage = issuing_bank();
    let said = stage.request(Request::One(Instruction::plain(burn("A", OPENING + 5))));
    assert!(!said.asked().is_empty() && said.outcomes().is_empty(), "it waits for a run");
    let round = stage.status().ballot.expect("of the run").round;
    let of_b = element_of(1, [pays("B", "A", 5)]);
    let said = stage.win(round, vec![of_b], vec![]);
    assert!(matches!(said.outcomes()[..], [Outcome::Accepted { .. }]), "{:?}", said.outcomes());
    assert_eq!(asks(&mut stage, mint("A", 0)), Some(Code::AmountZero));
    assert_eq!(asks(&mut stage, mint("A/nobody", 1)), Some(Code::UnknownAccount));
    assert_eq!(asks(&mut stage, burn("A/nobody", 1)), Some(Code::UnknownAccount));
}

/// In a bank with keys, only operators issue, and only at an account without a key.
pub fn only_operators_issue_and_only_at_a_till() {
    let mut stage = keyed_bank_of(true);
    for of in [ALICE, AUDITOR] {
        assert_eq!(asks_in(&mut stage, of, mint("A", 1)), Some(Code::Forbidden), "{of:?}");
        assert_eq!(asks_in(&mut stage, of, burn("A", 1)), Some(Code::Forbidden), "{of:?}");
    }
    for action in [mint("A/alice", 1), burn("A/alice", 1)] {
        assert_eq!(asks_in(&mut stage, OPERATOR, action.clone()), Some(Code::Forbidden));
        assert_eq!(asks_in(&mut stage, ALICE, action), Some(Code::Forbidden), "nor its owner");
    }
    assert_eq!(asks_in(&mut stage, OPERATOR, mint("A", 1)), None);
    assert_eq!(asks_in(&mut stage, OPERATOR, burn("A", 1)), None);
}

fn time(millis: u64) -> WallTime {
    WallTime::new(millis).unwrap()
}

/// The time of the element that a payment at this time is logged in.
fn logged_at(stage: &mut Stage, millis: u64) -> Option<u64> {
    stage.server.tell_time(time(millis));
    let said = stage.request(Request::One(Instruction::plain(pays("A", "B", 1))));
    let element = said.writes.iter().find_map(|write| match write {
        Write::Log(element) => Some(element.clone()),
        _ => None,
    });
    element.expect("it is logged").time().map(WallTime::millis)
}

/// Whatever the clock does, and across a crash and blocks.
pub fn no_element_is_earlier_than_the_one_before() {
    let mut stage = issuing_bank();
    assert_eq!(logged_at(&mut stage, 5_000), Some(5_000));
    assert_eq!(logged_at(&mut stage, 3_000), Some(5_000), "the clock was set back");
    settle(&mut stage);
    crash(&mut stage);
    assert_eq!(logged_at(&mut stage, 4_999), Some(5_000), "after a crash, with an empty log");
    crash(&mut stage);
    assert_eq!(logged_at(&mut stage, 4_000), Some(5_000), "and with entries in it");
    assert_eq!(logged_at(&mut stage, 5_001), Some(5_001));
}

/// A block with an element that is earlier than the one before, in it or in the chain, is none.
pub fn a_block_in_which_time_goes_back_is_none() {
    let at = |seq, millis| {
        let records = vec![record(pays("B", "A", 1))];
        Element::seal_at(Some(time(millis)), Position { epoch: 1, seq }, records)
    };
    let mut stage = Stage::open();
    let block = |previous: &SealedBlock, elements: Vec<Element>| {
        let mut block = block_after(previous, &[("B", 1)]).block().clone();
        block.logs = [(id("B"), elements)].into();
        SealedBlock::seal(block)
    };
    assert!(!stage.fetch("B", &[block(&genesis(), vec![at(1, 9), at(2, 8)])]).appends());
    let first = block(&genesis(), vec![at(1, 9), at(2, 9), element_of(3, [pays("B", "A", 1)])]);
    assert!(stage.fetch("B", std::slice::from_ref(&first)).appends(), "one without a time, too");
    assert!(!stage.fetch("B", &[block(&first, vec![at(4, 8)])]).appends());
    assert!(stage.fetch("B", &[block(&first, vec![at(4, 9)])]).appends());
}
