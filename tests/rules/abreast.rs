//! Which of the others a run waits for: those that are connected, not behind, and have a vote.

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::effects::{Event, Timer};
use paxos_banking::bank::ids::InstanceId;
use paxos_banking::bank::paxos::message::{Hello, Message, Vote};
use paxos_banking::bank::request::Outcome;

use crate::stage::*;

const GATHER: Timer = Timer::Gather { covered: false };

/// What B promises to A's run for this height: an empty log.
fn promise_at(height: u64, round: u64) -> Message {
    match promise("B", round, vec![]) {
        Message::Promise { ballot, instance, waiting, vote, .. } => {
            Message::Promise { height, ballot, instance, waiting, vote }
        }
        other => other,
    }
}

/// B's blocks 1 and 2.
fn two_blocks() -> [SealedBlock; 2] {
    let one = block_after(&genesis(), &[("B", 1)]);
    let two = block_of(&one, [("B", element_of(2, [pays("B", "A", 1)]))]);
    [one, two]
}

/// Whether the run of this height and round, of which B has just been heard, waits for somebody else.
fn waits(stage: &mut Stage, height: u64, round: u64) -> bool {
    let said = stage.hear(OF_B, promise_at(height, round));
    assert_eq!(said.sets(GATHER), said.outcomes().is_empty(), "{said:?}");
    said.sets(GATHER)
}

/// A appends these blocks of B's, whose rounds count from 1.
fn append(stage: &mut Stage, blocks: &[SealedBlock]) {
    for (block, round) in blocks.iter().zip(1..) {
        stage.hear(OF_B, accept("B", round, block));
        assert!(stage.hear(OF_B, commit(block)).appends());
    }
}

#[test]
fn one_that_lacks_only_the_last_block_is_waited_for() {
    let mut stage = Stage::open();
    append(&mut stage, &two_blocks()[..1]);
    stage.hear(OF_C, Message::Heartbeat(standing(0)));
    stage.pay(TOO_MUCH, 1);
    assert!(waits(&mut stage, 2, 2), "C may have accepted that block");
}

/// B's blocks up to this height.
fn blocks(height: u64) -> Vec<SealedBlock> {
    let mut head = genesis();
    let next = |seq| {
        head = block_of(&head, [("B", element_of(seq, [pays("B", "A", 1)]))]);
        head.clone()
    };
    (1..=height).map(next).collect()
}

#[test]
fn one_that_lacks_many_blocks_is_not_waited_for() {
    let mut stage = Stage::open();
    append(&mut stage, &blocks(17));
    stage.hear(OF_C, Message::Heartbeat(standing(0)));
    stage.pay(TOO_MUCH, 1);
    assert!(!waits(&mut stage, 18, 18));
}

#[test]
fn one_that_shows_by_what_it_says_that_it_has_caught_up_is_waited_for() {
    let mut stage = Stage::open();
    append(&mut stage, &blocks(17));
    stage.hear(OF_C, Message::Heartbeat(standing(0)));
    stage.hear(OF_C, prepare("C", 20, blocks(17).last().unwrap()));
    stage.pay(TOO_MUCH, 1);
    stage.time_out(Timer::BackOff { attempt: 1 });
    assert!(waits(&mut stage, 18, 21));
}

#[test]
fn one_that_has_no_vote_yet_is_not_waited_for() {
    let mut stage = Stage::alone();
    stage.meet("B");
    let newcomer = Hello { instance: InstanceId(33), rejoins: true, ..hello("C") };
    stage.handle(Event::Greeted(OF_C, newcomer.clone()));
    stage.handle(Event::LinkUp(id("C")));
    stage.handle(Event::LinkAnswered(id("C"), Message::Hello(newcomer)));
    stage.pay(TOO_MUCH, 1);
    assert!(!waits(&mut stage, 1, 1), "the chain names another store of C");
}

/// Who was not asked by a run that only ended another one's round has not been asked in vain.
#[test]
fn a_block_that_was_adopted_excuses_nobody_from_the_run_that_may_refuse() {
    let mut stage = Stage::open();
    stage.pay(TOO_MUCH, 1);
    let [one, _] = two_blocks();
    let before = Vote::Accepted { ballot: ballot(0, "C"), block: one.clone() };
    assert_eq!(stage.hear(OF_B, vote("B", 1, before)).proposal(), Some(one.clone()));
    let said = stage.hear(OF_B, accepted("B", 1, &one));
    assert!(said.appends() && said.outcomes().is_empty() && said.asked().len() == 2, "{said:?}");
    assert!(waits(&mut stage, 2, 1));
    let said = stage.time_out(GATHER);
    assert!(said.outcomes().is_empty() && said.asked().len() == 2, "one further run: {said:?}");
    assert!(waits(&mut stage, 2, 2));
    let said = stage.time_out(GATHER);
    let [Outcome::Refused { not_consulted, .. }] = &said.outcomes()[..] else { panic!("{said:?}") };
    assert_eq!(*not_consulted, [id("C")]);
}
