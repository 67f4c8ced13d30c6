//! Logs that are too long for a block: what may be refused all the same, and what has to wait.

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::effects::{Event, Timer};
use paxos_banking::bank::ids::{AccountId, WaitId};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Position, Via};
use paxos_banking::bank::limits::{Limits, MAX_ASKED};
use paxos_banking::bank::paxos::message::{Message, Vote, Whole};
use paxos_banking::bank::reason::{Code, Reason};
use paxos_banking::bank::request::{Instruction, Outcome, Request};
use paxos_banking::bank::server::Config;

use crate::stage::*;

const FIRST: Timer = Timer::Deadline(WaitId(1));

/// What a server says that promises these elements of a log of a hundred entries, all of which bring this.
fn cut(of: &str, round: u64, elements: Vec<Element>, brings: &[(&str, u64)]) -> Message {
    let brings = brings.iter().map(|(name, amount)| (account(name), units(*amount))).collect();
    let whole = Some(Whole { last: Position { epoch: 1, seq: 100 }, brings });
    vote(of, round, Vote::Log { elements, cut: true, whole })
}

/// Run 1: B and C say this, of which nothing but one entry of B's, that pays A 1, comes into the block.
fn win(stage: &mut Stage, of_b: &[(&str, u64)], of_c: &[(&str, u64)]) -> Said {
    stage.hear(OF_B, cut("B", 1, vec![element("B", 1)], of_b));
    let block = stage.hear(OF_C, cut("C", 1, vec![], of_c)).proposal().expect("a block");
    stage.hear(OF_B, accepted("B", 1, &block))
}

fn refusals(said: &Said) -> Vec<String> {
    let reasons = said.outcomes().into_iter().filter_map(|outcome| match outcome {
        Outcome::Refused { reason, .. } => Some(reason.words),
        _ => None,
    });
    reasons.collect()
}

fn asks(said: &Said) -> BTreeSet<AccountId> {
    let asks = said.free.iter().find_map(|(_, message)| match message {
        Message::Prepare { asks, .. } => Some(asks.clone()),
        _ => None,
    });
    asks.expect("a run began")
}

fn accounts<const N: usize>(names: [&str; N]) -> BTreeSet<AccountId> {
    names.map(account).into()
}

/// A/x is open, with so much.
fn with_account(stage: &mut Stage, amount: u64) {
    stage.request(Request::Batch(vec![
        Instruction::plain(opens("A/x")),
        Instruction::plain(pays("A", "A/x", amount)),
    ]));
}

#[test]
fn what_not_even_the_rest_covers_is_refused() {
    let mut stage = Stage::open();
    assert_eq!(asks(&stage.pay(TOO_MUCH, 1)), accounts(["A"]));
    let said = win(&mut stage, &[("A", 41)], &[("A", 2)]);
    let refused = Outcome::Refused {
        reason: Reason::new(
            Code::InsufficientFunds,
            "insufficient funds: A has 10001, and 42 on the way, 20000 asked",
        ),
        balance: units(OPENING + 43),
        consulted: ["A", "B", "C"].map(id).to_vec(),
        not_consulted: vec![],
    };
    assert_eq!(said.outcomes(), [refused]);
    assert!(said.notes("more is logged than a block takes; that brings 42 to A"), "{said:?}");
    assert!(said.cancels(FIRST) && said.asked().is_empty());
}

#[test]
fn what_the_rests_cover_together_waits_for_the_blocks_that_bring_it() {
    let mut stage = Stage::open();
    stage.pay(OPENING + 100, 1);
    let said = win(&mut stage, &[("A", 60)], &[("A", 40)]);
    assert!(said.outcomes().is_empty() && said.asked().len() == 2, "{said:?}");
}

#[test]
fn what_is_in_the_block_is_not_in_the_rest_as_well() {
    let mut stage = Stage::open();
    stage.pay(OPENING + 100, 1);
    let said = win(&mut stage, &[("A", 60)], &[("A", 39)]);
    assert_eq!(refusals(&said).len(), 1, "1 of the 60 came with the block: {said:?}");
}

#[test]
fn a_server_that_does_not_say_what_is_left_keeps_all_from_being_refused() {
    let mut stage = Stage::open();
    stage.pay(TOO_MUCH, 1);
    stage.hear(OF_B, cut("B", 1, vec![element("B", 1)], &[]));
    let silent = Vote::Log { elements: vec![], cut: true, whole: None };
    let block = stage.hear(OF_C, vote("C", 1, silent)).proposal().unwrap();
    let said = stage.hear(OF_B, accepted("B", 1, &block));
    assert!(said.outcomes().is_empty() && said.asked().len() == 2, "{said:?}");
}

#[test]
fn what_is_left_of_the_own_log_brings_the_own_accounts_nothing_new() {
    let limits = Limits { element: 1, block: 3, ..Limits::default() };
    let mut stage = Stage::open_as(Config { limits, ..config() });
    stage.pay(1, 1);
    stage.pay(2, 2);
    stage.pay(TOO_MUCH, 3);
    stage.hear(OF_B, promise("B", 1, vec![]));
    let block = stage.hear(OF_C, promise("C", 1, vec![])).proposal().unwrap();
    let said = stage.hear(OF_B, accepted("B", 1, &block));
    assert_eq!(refusals(&said), ["insufficient funds: A has 9997, 20000 asked"], "{said:?}");
    assert_eq!(stage.status().log_length, 1);
}

#[test]
fn a_run_asks_for_those_who_can_be_too_poor_and_for_unknown_payees() {
    let mut stage = Stage::open();
    with_account(&mut stage, 10);
    let group = [
        numbered(pays("A", "C/new", OPENING), 1),
        numbered(pays("A", "A/x", 1), 2),
        numbered(pays("A/x", "B", 10), 3),
    ];
    let group = group.map(|one| Instruction { linked: true, ..one });
    let last = numbered(pays("A", "B", 0), 4);
    let mut group = group.to_vec();
    group.push(Instruction { action: pays("A", "B", 1), ..last });
    assert_eq!(asks(&stage.request(Request::Batch(group))), accounts(["A", "C/new"]));
}

#[test]
fn who_was_not_asked_for_is_not_refused() {
    let limits = Limits { asked: 1, ..Limits::default() };
    let mut stage = Stage::open_as(Config { limits, ..config() });
    with_account(&mut stage, 10);
    assert_eq!(asks(&stage.pay(TOO_MUCH, 1)), accounts(["A"]));
    stage.request(Request::One(numbered(pays("A/x", "B", 11), 2)));
    // The first run began before it came, the second finds what it was asked for first.
    let said = win(&mut stage, &[("A", 1)], &[]);
    assert_eq!((refusals(&said).len(), asks(&said)), (1, accounts(["A/x"])));

    let mut stage =
        Stage::alone_as(Config { limits: Limits { asked: 1, ..Limits::default() }, ..config() });
    with_account(&mut stage, 10);
    stage.pay(TOO_MUCH, 1);
    stage.request(Request::One(numbered(pays("A/x", "B", 11), 2)));
    stage.time_out(FIRST);
    stage.pay(TOO_MUCH, 3);
    stage.meet("B");
    stage.meet("C");
    let said = win(&mut stage, &[("A", 1)], &[]);
    assert!(refusals(&said).iter().all(|reason| reason.contains("A has")), "{said:?}");
}

#[test]
fn a_payee_that_no_log_opens_is_refused_and_one_that_the_rest_opens_is_waited_for() {
    for (opened, refused) in [(None, 1), (Some(("B/new", 5)), 0)] {
        let mut stage = Stage::open();
        stage.request(Request::One(numbered(pays("A", "B/new", 1), 1)));
        let of_b: Vec<(&str, u64)> = opened.into_iter().collect();
        let said = win(&mut stage, &of_b, &[]);
        assert_eq!(refusals(&said).len(), refused, "{opened:?}: {said:?}");
    }
}

#[test]
fn a_group_is_refused_for_the_one_that_not_even_the_rest_covers() {
    let mut stage = Stage::open();
    with_account(&mut stage, 10);
    let first = Instruction { linked: true, ..numbered(pays("A/x", "A", 12), 1) };
    // A holds 9,990, gets 12 in the group, 1 by the block and 7 by the rest.
    let group = |amount| Request::Batch(vec![first.clone(), numbered(pays("A", "B", amount), 2)]);
    stage.request(group(OPENING + 11));
    let said = win(&mut stage, &[("A", 8), ("A/x", 2)], &[]);
    let reason = "insufficient funds: A has 9991, and 7 on the way (10010 after the earlier parts of its linked \
                  group), 10011 asked";
    assert_eq!(refusals(&said), [reason], "{said:?}");
    assert!(matches!(said.outcomes()[0], Outcome::LinkedFailed { .. }));

    let mut stage = Stage::open();
    with_account(&mut stage, 10);
    stage.request(group(OPENING + 10));
    let said = win(&mut stage, &[("A", 8), ("A/x", 2)], &[]);
    assert_eq!(said.outcomes(), [], "all that it needs is on the way");
}

#[test]
fn a_patient_one_lets_runs_go_on_while_its_money_is_on_the_way_and_no_longer() {
    for (rest, asked) in [(99, 0), (100, 2)] {
        let mut stage = Stage::open();
        let patient = Instruction { wait_ms: Some(60_000), ..transfer(OPENING + 100, 1) };
        stage.request(Request::One(patient));
        let said = win(&mut stage, &[("A", rest)], &[]);
        assert_eq!((said.outcomes().len(), said.asked().len()), (0, asked), "{said:?}");
    }
}

#[test]
fn a_promise_that_contradicts_itself_does_not_count() {
    let ends = Some(Whole { last: Position { epoch: 1, seq: 0 }, brings: BTreeMap::new() });
    let ends = Vote::Log { elements: vec![element("B", 5)], cut: true, whole: ends };
    let wrong = [
        (cut("B", 1, vec![element("B", 5)], &[("A", 4)]), "brings A less than the beginning of it"),
        (vote("B", 1, ends), "ends before the part of it that was promised"),
    ];
    for (promise, words) in wrong {
        let mut stage = Stage::open();
        stage.pay(TOO_MUCH, 1);
        let said = stage.hear(OF_B, promise);
        assert!(said.notes(words), "{said:?}");
        assert!(stage.status().unanswered.contains(&id("B")));
    }
}

#[test]
fn more_money_than_there_can_be_refuses_nothing_and_harms_nothing() {
    let mut stage = Stage::open();
    let most = (1 << 53) - 1;
    stage.pay(TOO_MUCH, 1);
    let said = win(&mut stage, &[("A", most)], &[("A", most)]);
    assert_eq!(said.outcomes(), [], "{said:?}");
}

#[test]
fn an_acceptor_says_what_its_whole_log_brings_to_those_asked_for() {
    let limits = Limits { element: 1, block: 3, ..Limits::default() };
    let mut stage = Stage::open_as(Config { limits, ..config() });
    let all = [pays("A", "B", 3), pays("A", "B", 4), opens("A/x"), pays("A", "A/x", 9)];
    stage.request(Request::Batch(all.map(Instruction::plain).to_vec()));
    let asks = accounts(["A", "A/x", "A/y", "B", "C", "Z/z"]);
    let ask = |asks| {
        let (height, previous, known) = (1, genesis().hash(), BTreeMap::new());
        Message::Prepare { height, ballot: ballot(1, "B"), previous, known, asks }
    };
    let said = stage.hear(OF_B, ask(asks));
    let Some((_, Message::Promise { vote: Vote::Log { whole, elements, .. }, .. })) =
        said.told().pop()
    else {
        panic!("{said:?}")
    };
    let brings = [("A/x", 9), ("B", 7)].map(|(name, amount)| (account(name), units(amount)));
    let whole_log = Whole { last: Position { epoch: 1, seq: 4 }, brings: brings.into() };
    assert_eq!((whole, elements.len()), (Some(whole_log), 1));

    let names = (0..=MAX_ASKED).map(|number| account(&format!("B/{number}")));
    let said = stage.hear(OF_B, ask(names.collect()));
    assert!(said.told().is_empty() && said.notes("a prepare of B can't be"), "{said:?}");
}

#[test]
fn runs_that_got_through_are_not_denied() {
    let mut stage = Stage::open();
    stage.pay(OPENING + 100, 1);
    win(&mut stage, &[("A", 60)], &[("A", 40)]);
    let reason =
        "one Paxos run got through in time, but brought no answer; all servers are connected";
    let said = stage.time_out(FIRST);
    assert_eq!(
        said.outcomes(),
        [Outcome::Unavailable { reason: Reason::new(Code::Undecided, reason) }]
    );

    let mut stage = Stage::open();
    stage.pay(TOO_MUCH, 1);
    let (height, promised) = (1, ballot(7, "B"));
    let nack = Message::Nack { height, ballot: ballot(1, "A"), promised, waiting: false };
    stage.hear(OF_B, nack);
    stage.handle(Event::Closed(OF_C));
    let reason = "no Paxos run got through in time: 1 lost to others; C not connected";
    let said = stage.time_out(FIRST);
    assert_eq!(
        said.outcomes(),
        [Outcome::Unavailable { reason: Reason::new(Code::NoRun, reason) }]
    );
}

#[test]
fn what_comes_with_a_later_block_is_accepted() {
    let mut stage = Stage::open();
    stage.pay(OPENING + 100, 1);
    win(&mut stage, &[("A", 100)], &[]);
    let status = stage.status();
    assert_eq!((status.height, status.run), (Some(1), "preparing".into()));
    let of_b =
        Vote::Log { elements: vec![element_of(2, [pays("B", "A", 99)])], cut: false, whole: None };
    let promise = |of, vote| Message::Promise {
        height: 2,
        ballot: ballot(1, "A"),
        instance: instance(of),
        waiting: false,
        vote,
    };
    stage.hear(OF_B, promise("B", of_b));
    let of_c = Vote::Log { elements: vec![], cut: false, whole: None };
    let block = stage.hear(OF_C, promise("C", of_c)).proposal().unwrap();
    let said = stage.hear(OF_B, accepted("B", 1, &block));
    assert!(matches!(said.outcomes()[..], [Outcome::Accepted { via: Via::Paxos, .. }]), "{said:?}");
}
