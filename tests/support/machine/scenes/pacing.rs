//! Who begins the next run, and when (DESIGN.md, "A standing promise" and "Whose run is next").

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::effects::{Event, Timer};
use crate::bank::ledger::element::Element;
use crate::bank::paxos::message::{Message, Vote};
use crate::bank::request::{Instruction, Outcome, Request};
use crate::machine::stage::*;

fn pay_settled(stage: &mut Stage, amount: u64, number: u64) -> Said {
    let instruction = Instruction { settled: true, ..transfer(amount, number) };
    stage.request(Request::One(instruction))
}

fn accepted_and(block: &SealedBlock, told: Vec<Element>) -> Message {
    let Message::Accepted { height, ballot, hash, instance, waiting, .. } = accepted("B", 1, block)
    else {
        unreachable!()
    };
    Message::Accepted { height, ballot, hash, instance, waiting, beyond: Some(told) }
}

/// A asks both others for a block with its first entry, while a second one is logged or not.
fn asking(second: bool) -> (Stage, SealedBlock) {
    let mut stage = Stage::open();
    assert_eq!(pay_settled(&mut stage, 30, 1).asked().len(), 2);
    if second {
        pay_settled(&mut stage, 20, 2);
    }
    stage.hear(OF_B, promise("B", 1, vec![]));
    let one = stage.hear(OF_C, promise("C", 1, vec![])).proposal().expect("a block");
    (stage, one)
}

/// A has won block 1, and B told this of its log with its vote.
fn won(told: Vec<Element>) -> Stage {
    let (mut stage, one) = asking(false);
    let said = stage.hear(OF_B, accepted_and(&one, told));
    assert!(said.appends() && said.asked().is_empty(), "{said:?}");
    stage
}

fn own_of(block: &SealedBlock) -> Vec<u64> {
    block.block().log(&id("A")).iter().map(|element| element.last().seq).collect()
}

pub fn for_its_own_entries_who_won_last_asks_only_itself() {
    let told = element_of(1, [pays("B", "A", 7)]);
    let mut stage = won(vec![told.clone()]);
    let said = pay_settled(&mut stage, 20, 2);
    assert_eq!(said.asked(), [], "the others' promises stand");
    let two = said.proposal().expect("a block");
    assert_eq!((two.height(), own_of(&two)), (2, vec![2]));
    assert_eq!(two.block().log(&id("B")), [told], "and what they told is in it");
    let said = stage.hear(OF_B, accepted_and(&two, Vec::new()));
    assert!(matches!(said.outcomes()[..], [Outcome::Accepted { settled: Some(true), .. }]));
}

pub fn for_the_logs_of_others_it_asks_them() {
    let mut stage = won(Vec::new());
    assert_eq!(stage.request(Request::Settle).asked().len(), 2);
    let mut stage = won(Vec::new());
    stage.pay(20, 2);
    let said = stage.time_out(Timer::Settle);
    assert_eq!(said.asked().len(), 2, "a habit is in no hurry: {said:?}");
}

pub fn clients_that_were_answered_have_a_moment_to_come_again() {
    let (mut stage, one) = asking(true);
    let said = stage.hear(OF_B, accepted_and(&one, Vec::new()));
    assert!(said.sets(Timer::Comeback) && said.proposal().is_none(), "{said:?}");
    assert!(pay_settled(&mut stage, 10, 3).proposal().is_none(), "not yet");
    let two = stage.time_out(Timer::Comeback).proposal().expect("a block");
    assert_eq!(own_of(&two), [2, 3], "one block for both");
    assert!(stage.time_out(Timer::Comeback).free.is_empty(), "once");
}

/// A has accepted B's block, and a client asks for more than there is.
fn accepted_of_b() -> (Stage, SealedBlock) {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 5)]);
    let said = stage.hear(OF_B, accept("B", 1, &one));
    assert!(said.sets(Timer::FinishRound));
    let said = stage.pay(OPENING + 9, 1);
    assert_eq!(said.asked(), [], "a run could only propose B's block again: {said:?}");
    (stage, one)
}

pub fn who_has_accepted_a_block_waits_for_its_commit() {
    let (mut stage, one) = accepted_of_b();
    let said = stage.hear(OF_B, commit(&one));
    assert!(said.appends() && said.asked().len() == 2, "{said:?}");
}

pub fn but_not_for_ever() {
    let (mut stage, _) = accepted_of_b();
    assert_eq!(stage.time_out(Timer::FinishRound).asked().len(), 2);
}

pub fn nor_for_a_proposer_that_is_gone() {
    let (mut stage, _) = accepted_of_b();
    let said = stage.handle(Event::LinkDown(id("B")));
    assert_eq!(said.asked(), [id("C")], "{said:?}");
}

/// B wins block 1 with an entry of its own, and then block 2, or C does.
fn two_blocks(second: (&str, u64)) -> Stage {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 5)]);
    stage.hear(OF_B, accept("B", 1, &one));
    assert!(stage.hear(OF_B, commit(&one)).appends());
    let (of, round) = second;
    let connection = connection(&id(of));
    let mut two = block_of(&one, [("C", element("C", 3))]).block().clone();
    two.proposer = Some(id(of));
    let two = SealedBlock::seal(two);
    stage.hear(connection, accept(of, round, &two));
    assert!(stage.hear(connection, commit(&two)).appends());
    stage
}

pub fn who_settles_lets_the_usual_winner_go_first_once() {
    let mut stage = two_blocks(("B", 1));
    let said = pay_settled(&mut stage, 20, 1);
    assert!(said.asked().is_empty() && said.notes("B may go first"), "{said:?}");
    assert!(said.sets(Timer::BackOff { attempt: 1 }));
    let said = stage.time_out(Timer::BackOff { attempt: 1 });
    assert_eq!(said.asked().len(), 2, "{said:?}");
}

pub fn who_waits_for_money_lets_a_run_go_first_once_for_each_height() {
    let mut stage = Stage::open();
    stage.hear(OF_B, prepare("B", 3, &genesis()));
    let said = stage.pay(OPENING + 9, 1);
    assert!(said.asked().is_empty() && said.notes("the run of B may go first"), "{said:?}");
    // B runs on and on, and finds nothing.
    stage.hear(OF_B, prepare("B", 4, &genesis()));
    let said = stage.time_out(Timer::BackOff { attempt: 1 });
    assert_eq!(said.asked().len(), 2, "{said:?}");
}

pub fn who_asked_long_ago_is_waited_for_by_nobody() {
    let mut stage = Stage::open();
    stage.hear(OF_B, prepare("B", 3, &genesis()));
    stage.time_out(Timer::Heartbeat);
    assert_eq!(stage.pay(OPENING + 9, 1).asked().len(), 2);
}

pub fn nor_is_who_asked_and_is_gone() {
    let mut stage = Stage::open();
    stage.hear(OF_B, prepare("B", 3, &genesis()));
    stage.handle(Event::LinkDown(id("B")));
    assert_eq!(stage.pay(OPENING + 9, 1).asked(), [id("C")]);
}

/// A waits for more money than there is, and has let B's run go first. Then this server's block comes, with 5 for A.
fn after_a_block_of(proposer: &str, more: u64) -> Said {
    let mut stage = Stage::open();
    stage.hear(OF_B, prepare("B", 3, &genesis()));
    assert!(stage.pay(OPENING + more, 1).asked().is_empty());
    let mut one = block_after(&genesis(), &[("B", 5)]).block().clone();
    one.proposer = Some(id(proposer));
    let one = SealedBlock::seal(one);
    let connection = connection(&id(proposer));
    stage.hear(connection, accept(proposer, 4, &one));
    stage.hear(connection, commit(&one))
}

/// The turn goes round: after C's block it is A's, and after B's it is C's.
pub fn whose_turn_it_is_begins_with_the_block_if_it_still_waits() {
    let said = after_a_block_of("C", 9);
    assert!(said.asked().len() == 2 && said.cancels(Timer::BackOff { attempt: 1 }), "{said:?}");
    let said = after_a_block_of("C", 5);
    assert!(said.asked().is_empty() && !said.outcomes().is_empty(), "it is served: {said:?}");
    let said = after_a_block_of("B", 9);
    assert!(said.asked().is_empty() && said.appends(), "it is C's turn: {said:?}");
}

/// Bug: where all servers settled by habit, each waited now and then for a winner that had nothing to settle: entries
/// came into a block a quarter later.
pub fn who_settles_by_habit_waits_for_no_usual_winner() {
    let mut stage = two_blocks(("B", 1));
    stage.pay(20, 1);
    let said = stage.time_out(Timer::Settle);
    assert!(said.asked().len() == 2 && !said.notes("B may go first"), "{said:?}");
}

pub fn who_won_once_is_waited_for_by_nobody() {
    let mut stage = two_blocks(("C", 2));
    assert_eq!(pay_settled(&mut stage, 20, 1).asked().len(), 2);
}

pub fn who_is_gone_is_no_usual_winner() {
    let mut stage = two_blocks(("B", 1));
    stage.handle(Event::LinkDown(id("B")));
    assert_eq!(pay_settled(&mut stage, 20, 1).asked(), [id("C")]);
}

/// Blocks that one server chooses alone, or that two choose without the third, come faster than the third hears of them.
pub fn one_that_lacks_a_few_blocks_is_heard_before_anybody_is_refused() {
    let mut stage = two_blocks(("B", 1));
    stage.hear(OF_C, Message::Heartbeat(standing(0)));
    stage.pay(TOO_MUCH, 1);
    let vote = Vote::Log { elements: Vec::new(), cut: false, whole: None };
    let (ballot, instance) = (ballot(2, "A"), instance("B"));
    let promise = Message::Promise { height: 3, ballot, instance, waiting: false, vote };
    let said = stage.hear(OF_B, promise);
    assert!(said.outcomes().is_empty() && said.sets(Timer::Gather { covered: false }), "{said:?}");
}
