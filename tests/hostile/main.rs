//! What peers and clients may send without taking a server down, or wedging it.

mod blocks;
mod instructions;
#[allow(dead_code, reason = "no simulation is played here")]
#[path = "../support/machine/mod.rs"]
mod machine;
mod votes;

use std::collections::{BTreeMap, BTreeSet};

use machine::stage::*;
use paxos_banking::bank;
use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{Block, BlockHash, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::blockchain::chain::Chain;
use paxos_banking::bank::effects::{Bound, Event, Timer, Write};
use paxos_banking::bank::ids::{ConnectionId, InstanceId, LifeId, ServerId, WaitId};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::paxos::ballot::Ballot;
use paxos_banking::bank::paxos::message::{Hello, Message, Vote};
use paxos_banking::bank::request::{Reply, Request};

const EXTREMES: [u64; 4] = [0, 1, 2, u64::MAX];

/// Server A of an open bank, with B connected both ways.
fn with_b() -> Stage {
    let mut stage = Stage::alone();
    stage.meet("B");
    stage
}

/// Lets an event in, and what the server then says to itself.
fn take(stage: &mut Stage, event: Event) -> Said {
    stage.server.handle(event);
    settle_down(stage)
}

/// Ends the turn, lets the server hear itself until it is silent, and expects it to go on.
fn settle_down(stage: &mut Stage) -> Said {
    let said = stage.turn();
    assert_eq!(said.stop, None);
    said
}

fn overdraft(stage: &mut Stage) {
    let request = Request::One(transfer(TOO_MUCH, 1));
    stage.server.handle(Event::Request(CLIENT, Some(1), request));
}

fn block_at(height: u64, logs: BTreeMap<ServerId, Vec<Element>>) -> SealedBlock {
    let (previous, proposer) = (genesis().hash(), Some(id("B")));
    SealedBlock::seal(Block { height, previous, proposer, genesis: None, opening: None, logs })
}

fn block(height: u64) -> SealedBlock {
    block_at(height, BTreeMap::new())
}

/// One of each, about this height and round.
fn messages(height: u64, round: u64) -> Vec<Message> {
    let (ballot, instance, hash) = (ballot(round, "B"), instance("B"), BlockHash::NONE);
    let own = self::ballot(round, "A");
    let known = BTreeMap::from([(id("A"), height), (id("Z"), height)]);
    let vote = Vote::Accepted { ballot: ballot.clone(), block: block(height) };
    vec![
        Message::Prepare {
            height,
            ballot: ballot.clone(),
            previous: genesis().hash(),
            known: known.clone(),
            asks: BTreeSet::new(),
        },
        Message::Prepare {
            height,
            ballot: own.clone(),
            previous: hash,
            known,
            asks: BTreeSet::from(["A", "B", "B/x", "Z/z"].map(|name| name.parse().unwrap())),
        },
        Message::Promise { height, ballot: own.clone(), instance, waiting: true, vote },
        Message::Accept { height, ballot: ballot.clone(), block: block(height) },
        Message::Accepted {
            height,
            ballot: own.clone(),
            hash,
            instance,
            waiting: true,
            beyond: Some(block(height).block().logs.values().flatten().cloned().collect()),
        },
        Message::Commit { height, hash },
        Message::Nack { height, ballot: own, promised: ballot, waiting: true },
        Message::ReconcileRequest,
        Message::ReconcileAck { height },
        Message::BlocksRequest { from: height, to: round },
        Message::BlocksResponse { blocks: vec![block(height)] },
    ]
}

/// Timers that may go off at any time, whether they were set or not.
fn late_timers() -> Vec<Timer> {
    let mut timers = vec![Timer::Comeback, Timer::Reconcile, Timer::FinishRound, Timer::Repeat];
    timers.extend([Timer::LookUp, Timer::Rest, Timer::Settle, Timer::Gather { covered: false }]);
    for wait in EXTREMES.map(WaitId) {
        timers.extend([Timer::Deadline(wait), Timer::Patience { wait, ms: u64::MAX }]);
    }
    timers
}

#[test]
fn no_number_in_a_message_takes_a_server_down() {
    for height in EXTREMES {
        for round in EXTREMES {
            for message in messages(height, round) {
                for waits in [false, true] {
                    let mut stage = with_b();
                    if waits {
                        overdraft(&mut stage);
                    }
                    take(&mut stage, Event::Received(OF_B, message.clone()));
                    overdraft(&mut stage);
                    for timer in late_timers() {
                        stage.server.handle(Event::Timer(timer));
                    }
                    for attempt in 0..5 {
                        stage.server.handle(Event::Timer(Timer::BackOff { attempt }));
                    }
                    settle_down(&mut stage);
                }
            }
        }
    }
}

#[test]
fn what_is_said_of_long_words_is_short() {
    let mut stage = Stage::alone();
    let reason = "x".repeat(1 << 20);
    stage.server.handle(Event::LinkUp(id("B")));
    let reject = Message::Reject { reason, hello: Some(Box::new(hello("B"))), over: false };
    stage.server.handle(Event::LinkAnswered(id("B"), reject));
    let mut crowded = hello("C");
    crowded.configuration.servers = (0..100_000).map(|number| id(&format!("S{number}"))).collect();
    stage.server.handle(Event::Greeted(OF_C, crowded.clone()));
    stage.server.handle(Event::LinkUp(id("C")));
    let said = stage.handle(Event::LinkAnswered(id("C"), Message::Hello(crowded)));
    assert!(said.notes.len() >= 3);
    for note in said.notes {
        assert!(note.len() < 1_000, "{} bytes", note.len());
    }
    for bound in said.bound {
        if let Bound::Answer(_, Message::Reject { reason, .. }) = bound {
            assert!(reason.len() < 1_000, "{} bytes", reason.len());
        }
    }
}

#[test]
fn a_round_that_nobody_can_have_reached_is_not_promised() {
    let mut stage = with_b();
    let mut writes = |ballot| {
        let (previous, known, asks) = (genesis().hash(), BTreeMap::new(), BTreeSet::new());
        let prepare = Message::Prepare { height: 1, ballot, previous, known, asks };
        take(&mut stage, Event::Received(OF_B, prepare)).writes
    };
    assert_eq!(writes(ballot(u64::MAX, "B")), [], "no such round");
    assert_eq!(writes(ballot(5, "C")), [], "not B's to propose in");
    assert_eq!(writes(ballot(5, "B")), [Write::Promise(ballot(5, "B"))]);
}

#[test]
fn a_list_is_answered_even_if_it_is_empty_or_names_a_waiting_transfer_twice() {
    let mut stage = with_b();
    let said = take(&mut stage, Event::Request(CLIENT, Some(1), Request::Batch(Vec::new())));
    let empty = Reply::Batch { outcomes: Vec::new() };
    assert_eq!(said.bound, [Bound::Reply(CLIENT, Some(1), empty)]);

    let twice = Request::Batch(vec![transfer(TOO_MUCH, 1), transfer(TOO_MUCH, 1)]);
    take(&mut stage, Event::Request(CLIENT, Some(2), twice));
    let mut replies = Vec::new();
    for number in 1..=2 {
        replies.extend(take(&mut stage, Event::Timer(Timer::Deadline(WaitId(number)))).bound);
    }
    let is_answer = |bound: &&Bound| match bound {
        Bound::Reply(CLIENT, Some(2), Reply::Batch { outcomes }) => outcomes.len() == 2,
        _ => false,
    };
    assert_eq!(replies.iter().filter(is_answer).count(), 1, "{replies:?}");
}

#[test]
fn a_greeting_that_comes_late_does_not_replace_a_newer_connection() {
    let mut stage = Stage::alone();
    let (older, newer) = (ConnectionId(1), ConnectionId(2));
    stage.server.handle(Event::Greeted(newer, hello("B")));
    stage.server.handle(Event::Greeted(older, hello("B")));
    stage.server.handle(Event::Closed(older));
    stage.server.handle(Event::Received(newer, Message::ReconcileRequest));
    assert!(stage.status().peers[0].connected, "B speaks on its newer connection");
}

#[test]
fn a_peer_that_lost_block_0_before_anybody_got_it_does_not_hold_up_the_founding() {
    let mut stage = Stage::baby();
    stage.server.handle(Event::Greeted(OF_B, hello("B")));
    stage.server.handle(Event::Greeted(OF_C, baby("C")));
    let wiped = Hello { instance: InstanceId(22), ..baby("B") };
    let said = take(&mut stage, Event::Greeted(ConnectionId(41), wiped));
    assert!(said.appends(), "all instances are known");
}

#[test]
fn no_bank_is_founded_with_more_money_than_can_be_counted() {
    let opening_balance = Amount::MAX;
    let servers = BTreeMap::from([(id("A"), InstanceId(1)), (id("B"), InstanceId(2))]);
    let genesis = SealedBlock::genesis(Genesis {
        format: FORMAT,
        opening_balance,
        servers,
        keys: BTreeMap::new(),
        origin: None,
        issuing: false,
    });
    assert!(Chain::found(&genesis).is_err());
}
