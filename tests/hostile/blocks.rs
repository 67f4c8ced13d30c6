//! Elements and blocks that a peer may send and that no honest server would have made.

use std::collections::BTreeMap;

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::effects::{Event, Timer, Write};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::paxos::message::{Message, Vote};

use crate::machine::stage::*;
use crate::{block_at, overdraft, settle_down, take, with_b};

/// Logs of B's that can't be.
fn bad_logs() -> Vec<(&'static str, Vec<Element>)> {
    let good = || element_of(1, [pays("B", "A", 1)]);
    vec![
        ("begins late", vec![element_of(2, [pays("B", "A", 1)])]),
        ("begins at 0", vec![element_of(0, [pays("B", "A", 1)])]),
        ("ends beyond all numbers", vec![element_of(u64::MAX, [opens("B/x"), opens("B/y")])]),
        ("has a gap", vec![good(), element_of(3, [pays("B", "A", 1)])]),
        ("says a thing twice", vec![good(), good()]),
        ("is of another epoch", vec![of_epoch(2)]),
        ("opens another home's account", vec![element_of(1, [opens("A/x")])]),
        ("opens an account of no server", vec![element_of(1, [opens("Z/x")])]),
        (
            "opens an account twice in one element",
            vec![element_of(1, [opens("B/x"), opens("B/x")])],
        ),
        (
            "opens an account twice in two",
            vec![element_of(1, [opens("B/x")]), element_of(2, [opens("B/x")])],
        ),
        ("opens an account that is there from the beginning", vec![element_of(1, [opens("B")])]),
        ("debits another home's account", vec![element_of(1, [pays("A", "B", 1)])]),
        ("pays to nobody", vec![element_of(1, [pays("B", "C/x", 1)])]),
        ("pays before it opens", vec![element_of(1, [pays("B", "B/x", 1), opens("B/x")])]),
        ("pays nothing", vec![element_of(1, [pays("B", "A", 0)])]),
        ("pays itself", vec![element_of(1, [pays("B", "B", 1)])]),
        (
            "overdraws in a later element",
            vec![
                element_of(1, [pays("B", "A", 6_000)]),
                element_of(2, [pays("B", "A", 4_000)]),
                element_of(3, [opens("B/x"), pays("B/x", "B", 1)]),
            ],
        ),
        ("overdraws by all there can be", vec![element_of(1, [pays("B", "A", (1 << 53) - 1)])]),
    ]
}

fn of_epoch(epoch: u64) -> Element {
    let text = format!(r#"{{"epoch":{epoch},"seq":1,"entries":[["B","A",1]]}}"#);
    Element::open(&text).unwrap()
}

/// Every way in which a peer can bring a block before A.
fn ways_in(block: &SealedBlock) -> Vec<Message> {
    let (height, hash) = (block.height(), block.hash());
    let accepted = Vote::Accepted { ballot: ballot(0, "B"), block: block.clone() };
    let (first, instance) = (ballot(1, "A"), instance("B"));
    let told = Message::Promise { height, ballot: first, instance, waiting: false, vote: accepted };
    vec![
        Message::Accept { height, ballot: ballot(7, "B"), block: block.clone() },
        Message::Commit { height, hash },
        Message::BlocksResponse { blocks: vec![block.clone()] },
        told,
    ]
}

fn takes_block(said: &Said) -> bool {
    let is_of_block = |write: &Write| matches!(write, Write::Accept { .. } | Write::Append { .. });
    said.writes.iter().any(is_of_block)
}

/// B says something. Blocks that it wasn't asked for wouldn't even be looked at, so it is asked before.
fn hear_of_b(stage: &mut Stage, message: &Message) -> Said {
    if let Message::BlocksResponse { blocks } = message {
        let (height, hash) = (blocks[0].height(), blocks[0].hash());
        stage.server.handle(Event::Received(OF_B, Message::Commit { height, hash }));
    }
    take(stage, Event::Received(OF_B, message.clone()))
}

fn assert_never_taken(what: &str, block: &SealedBlock) {
    for message in ways_in(block) {
        let mut stage = with_b();
        overdraft(&mut stage);
        settle_down(&mut stage);
        let said = hear_of_b(&mut stage, &message);
        assert!(!takes_block(&said), "a log that {what}, by {}", message.name());
    }
}

#[test]
fn a_block_of_a_log_that_cannot_be_is_neither_accepted_nor_appended() {
    for (what, log) in bad_logs() {
        assert_never_taken(what, &block_at(1, BTreeMap::from([(id("B"), log)])));
    }
}

#[test]
fn a_promise_of_a_log_that_cannot_be_leads_to_no_block() {
    let good = ("can be", vec![element_of(1, [pays("B", "A", 1)])]);
    let bad = bad_logs().into_iter().map(|log| (log, false));
    for ((what, log), can_be) in bad.chain([(good, true)]) {
        let mut stage = with_b();
        overdraft(&mut stage);
        settle_down(&mut stage);
        stage.server.handle(Event::Received(OF_B, promise("B", 1, log)));
        let said = take(&mut stage, Event::Timer(Timer::Gather { covered: false }));
        assert_eq!(takes_block(&said), can_be, "a log that {what}");
    }
}

#[test]
fn a_block_with_more_or_less_than_servers_logs_is_not_taken() {
    let good = || vec![element_of(1, [pays("B", "A", 1)])];
    let strangers = BTreeMap::from([(id("B"), good()), (id("Z"), good())]);
    assert_never_taken("is of no server of this bank", &block_at(1, strangers));
    let empty = BTreeMap::from([(id("B"), good()), (id("C"), Vec::new())]);
    assert_never_taken("is empty", &block_at(1, empty));
    assert_never_taken("is missing", &block_at(1, BTreeMap::new()));
}

#[test]
fn a_block_of_what_this_server_never_wrote_is_not_accepted() {
    let never = BTreeMap::from([(id("A"), vec![element_of(1, [pays("A", "B", 1)])])]);
    let accept = ways_in(&block_at(1, never)).swap_remove(0);
    assert!(!takes_block(&hear_of_b(&mut with_b(), &accept)));
}

#[test]
fn the_same_block_without_a_fault_is_taken() {
    let good = vec![
        element_of(1, [opens("B/x"), pays("B", "B/x", 60)]),
        element_of(3, [pays("B/x", "A", 60)]),
    ];
    let block = block_at(1, BTreeMap::from([(id("B"), good)]));
    for message in [&ways_in(&block)[0], &ways_in(&block)[2]] {
        assert!(takes_block(&hear_of_b(&mut with_b(), message)), "{}", message.name());
    }
}

/// What can't even be read.
#[test]
fn texts_that_are_no_elements_and_no_blocks_are_not_read() {
    let text = |entries: &str| format!(r#"{{"epoch":1,"seq":1,"entries":[{entries}]}}"#);
    for (what, entries) in [
        ("a group cut at its end", r#"["B","A",1,null,"linked"]"#),
        ("nothing", ""),
        ("an amount beyond all there can be", r#"["B","A",9007199254740992]"#),
        ("an amount below zero", r#"["B","A",-1]"#),
    ] {
        assert!(Element::open(&text(entries)).is_err(), "{what}");
    }
    let good =
        block_at(1, BTreeMap::from([(id("B"), vec![of_epoch(1)]), (id("C"), vec![of_epoch(1)])]));
    assert!(SealedBlock::open(good.text()).is_ok());
    let (b, c) = (r#""B":["#, r#""C":["#);
    let swapped = good.text().replace(b, r#""?":["#).replace(c, b).replace(r#""?":["#, c);
    let doubled = good.text().replace(c, b);
    for (what, text) in [("out of order", swapped), ("twice", doubled)] {
        let problem = SealedBlock::open(&text).unwrap_err().to_string();
        assert!(problem.contains("out of order"), "a server's log that is there {what}: {problem}");
    }
}
