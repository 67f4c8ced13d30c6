//! What an acceptor answers, and what it doesn't.

use std::collections::BTreeMap;

use paxos_banking::bank::blockchain::block::{Block, BlockHash, SealedBlock};
use paxos_banking::bank::effects::{Bound, Event, Timer, Write};
use paxos_banking::bank::ids::LifeId;
use paxos_banking::bank::limits::Limits;
use paxos_banking::bank::paxos::ballot::Ballot;
use paxos_banking::bank::paxos::message::{Message, Vote};
use paxos_banking::bank::request::{Instruction, Request};
use paxos_banking::bank::server::Config;

use crate::stage::*;

#[test]
fn a_server_that_is_not_open_votes_for_nothing() {
    let mut stage = Stage::baby();
    stage.turn();
    stage.handle(Event::Greeted(OF_B, baby("B")));
    assert!(stage.handle(Event::Greeted(OF_C, baby("C"))).appends(), "all instances are known");
    let said = stage.hear(OF_B, prepare("B", 1, &genesis()));
    assert_eq!((said.writes, said.bound), (vec![], vec![]));
}

#[test]
fn the_newest_of_the_prepares_that_came_too_early_is_answered() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    for (of, connection, round) in [("B", OF_B, 3), ("C", OF_C, 5), ("B", OF_B, 4)] {
        let said = stage.hear(connection, prepare(of, round, &one));
        assert_eq!(said.writes, [], "block 1 is not here");
    }
    stage.hear(OF_B, Message::ReconcileAck { height: 1 });
    stage.hear(OF_C, Message::ReconcileAck { height: 0 });
    let said = stage.hear(OF_B, Message::BlocksResponse { blocks: vec![one] });
    assert!(said.writes.contains(&Write::Promise(ballot(5, "C"))), "{said:?}");
    assert!(said.told().iter().any(|(to, m)| *to == id("C") && m.name() == "promise"));
}

#[test]
fn a_prepare_for_the_height_after_an_accepted_block_appends_that() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    assert!(stage.hear(OF_B, accept("B", 1, &one)).sets(Timer::FinishRound));
    let other = block_after(&genesis(), &[("B", 2)]);
    let said = stage.hear(OF_C, prepare("C", 2, &other));
    assert!(!said.appends(), "another block was chosen than was accepted here");
    let said = stage.hear(OF_C, prepare("C", 3, &one));
    assert!(said.appends() && said.writes.contains(&Write::Promise(ballot(3, "C"))), "{said:?}");
}

#[test]
fn a_proposer_with_another_block_before_gets_no_promise_and_is_reported() {
    let mut stage = Stage::open();
    let message = Message::Prepare {
        height: 1,
        ballot: ballot(1, "B"),
        previous: BlockHash::NONE,
        known: BTreeMap::new(),
        asks: [].into(),
    };
    let said = stage.hear(OF_B, message.clone());
    assert_eq!(said.writes, []);
    assert!(said.notes("FORK"), "{said:?}");
    assert!(!stage.hear(OF_B, message).notes("FORK"), "once");
    assert!(stage.pay(TOO_MUCH, 1).asked().contains(&id("C")));
}

#[test]
fn who_proposes_for_a_height_that_is_taken_is_told_what_was_chosen() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    let two = block_after(&one, &[]);
    stage.hear(OF_B, accept("B", 1, &one));
    stage.hear(OF_B, commit(&one));
    let sent = Bound::Peer(id("C"), commit(&one));
    assert_eq!(stage.hear(OF_C, prepare("C", 2, &genesis())).bound, std::slice::from_ref(&sent));
    assert_eq!(stage.hear(OF_C, accept("C", 2, &one)).bound, [sent]);
    let said = stage.hear(OF_C, accept("C", 2, &block_after(&two, &[])));
    assert!(said.bound.is_empty(), "height 3 is too early");
    assert!(said.free.contains(&(id("C"), Message::ReconcileRequest)));
    stage.handle(Event::LinkDown(id("C")));
    let said = stage.hear(OF_C, prepare("C", 3, &genesis()));
    assert_eq!(said.bound, [], "there is no way to it");
}

#[test]
fn a_ballot_below_the_promised_one_is_told_so() {
    let mut stage = Stage::open();
    stage.hear(OF_B, prepare("B", 5, &genesis()));
    let one = block_after(&genesis(), &[("C", 1)]);
    for message in [prepare("C", 4, &genesis()), accept("C", 4, &one)] {
        let said = stage.hear(OF_C, message);
        let (height, ballot, promised) = (1, ballot(4, "C"), ballot(5, "B"));
        let nack = Message::Nack { height, ballot, promised, waiting: false };
        assert_eq!(said.writes, []);
        assert_eq!(said.told(), [(id("C"), nack)]);
    }
}

#[test]
fn a_second_block_in_one_ballot_is_not_accepted() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    assert_eq!(stage.hear(OF_B, accept("B", 1, &one)).told().len(), 1);
    assert_eq!(stage.hear(OF_B, accept("B", 1, &one)).told().len(), 1, "it may not have heard");
    let other = block_after(&genesis(), &[("B", 2)]);
    let said = stage.hear(OF_B, accept("B", 1, &other));
    assert_eq!((said.writes.len(), said.told().len()), (0, 0));
}

#[test]
fn a_block_with_entries_of_this_server_that_its_log_lacks_is_not_accepted() {
    let mut stage = Stage::open();
    stage.pay(7, 1);
    let not_mine = block_after(&genesis(), &[("A", 8)]);
    assert_eq!(stage.hear(OF_B, accept("B", 1, &not_mine)).writes, []);
    let elsewhere = Block { height: 1, ..block_after(&not_mine, &[("B", 1)]).block().clone() };
    let unlinked = SealedBlock::seal(elsewhere);
    assert_eq!(stage.hear(OF_B, accept("B", 1, &unlinked)).writes, []);
}

#[test]
fn a_commit_of_a_block_that_is_not_here_is_fetched() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    let other = block_after(&genesis(), &[("B", 2)]);
    stage.hear(OF_B, accept("B", 1, &one));
    let said = stage.hear(OF_C, commit(&other));
    assert!(!said.appends());
    assert_eq!(said.free, [(id("C"), Message::BlocksRequest { from: 1, to: 1 })]);
    assert!(said.sets(Timer::Reconcile));
    let said = stage.hear(OF_C, Message::BlocksResponse { blocks: vec![other.clone()] });
    assert!(said.appends() && said.cancels(Timer::Reconcile) && said.cancels(Timer::FinishRound));
    let said = stage.hear(OF_C, commit(&other));
    assert_eq!((said.writes.len(), said.free.len()), (0, 0), "it is here");
}

#[test]
fn a_long_log_is_promised_up_to_its_share_of_a_block() {
    let limits = Limits { element: 10, block: 200, ..Limits::default() };
    let mut stage = Stage::open_as(Config { limits, ..config() });
    let one = Instruction::plain(pays("A", "B", 1));
    let said = stage.request(Request::Batch(vec![one; 70]));
    assert_eq!(said.writes.len(), 7, "one for each element");
    let said = stage.hear(OF_B, prepare("B", 1, &genesis()));
    let Some((_, Message::Promise { vote: Vote::Log { elements, cut, .. }, .. })) =
        said.told().pop()
    else {
        panic!("{said:?}")
    };
    // A third of a block's 200 entries, in whole elements.
    assert_eq!((elements.len(), cut), (6, true));
}

#[test]
fn an_accepted_block_that_nobody_commits_is_finished() {
    let mut stage = Stage::open();
    assert_eq!(stage.time_out(Timer::FinishRound).asked(), [], "nothing was accepted");
    let one = block_after(&genesis(), &[("B", 1)]);
    stage.hear(OF_B, accept("B", 1, &one));
    let said = stage.time_out(Timer::FinishRound);
    assert_eq!(said.asked(), [id("B"), id("C")]);
    assert!(stage.time_out(Timer::FinishRound).sets(Timer::FinishRound), "the run may be lost");
}

#[test]
fn what_is_promised_is_in_the_status_and_outlives_a_crash() {
    let mut stage = Stage::open();
    stage.hear(OF_B, prepare("B", 6, &genesis()));
    assert_eq!(stage.status().promised, Some(ballot(6, "B")));
    stage.crash();
    assert_eq!(stage.status().promised, Some(ballot(6, "B")));
    let said = stage.pay(TOO_MUCH, 1);
    let own = Ballot { life: LifeId(2), ..ballot(7, "A") };
    assert!(said.writes.contains(&Write::Promise(own)), "above what was promised: {said:?}");
}

#[test]
fn rounds_are_such_as_json_s_numbers_can_tell_apart() {
    let is_possible = |round| ballot(round, "B").is_possible();
    assert!(is_possible((1 << 53) - 1) && !is_possible(1 << 53));
}

#[test]
fn a_promise_ends_the_element_that_grows_in_this_turn() {
    let mut stage = Stage::open();
    let pay = |number| Event::Request(CLIENT, None, Request::One(transfer(1, number)));
    stage.server.handle(pay(1));
    stage.server.handle(Event::Received(OF_B, prepare("B", 1, &genesis())));
    let said = stage.handle(pay(2));
    let logged = said.writes.iter().filter(|write| matches!(write, Write::Log(_)));
    assert_eq!(logged.count(), 2, "what came later is an element of its own");
}

#[test]
fn a_prepare_for_blocks_that_nobody_holds_is_not_asked_about_again_and_again() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    assert_eq!(stage.hear(OF_B, prepare("B", 1, &one)).free.len(), 2);
    stage.hear(OF_B, Message::ReconcileAck { height: 0 });
    assert_eq!(stage.hear(OF_C, Message::ReconcileAck { height: 0 }).free, []);
}

#[test]
fn a_commit_from_further_on_appends_nothing_that_was_only_accepted() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    stage.hear(OF_B, accept("B", 1, &one));
    let said = stage.hear(OF_C, Message::Commit { height: 3, hash: BlockHash::NONE });
    assert!(!said.appends());
    assert_eq!(said.free, [(id("C"), Message::BlocksRequest { from: 1, to: 3 })]);
}

#[test]
fn a_round_that_was_to_be_finished_and_is_committed_after_all_needs_no_run_any_more() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    stage.hear(OF_B, accept("B", 1, &one));
    assert_eq!(stage.time_out(Timer::FinishRound).asked().len(), 2);
    let said = stage.hear(OF_B, commit(&one));
    assert!(said.appends() && said.asked().is_empty(), "{said:?}");
    assert_eq!(stage.status().run, "idle");
}

/// Its text is in the store already, and may be megabytes.
#[test]
fn a_block_that_was_accepted_is_not_written_again_when_it_is_appended() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    let moved = |said: &Said| {
        said.writes.iter().any(|write| matches!(write, Write::Append { from_accepted: true, .. }))
    };
    stage.hear(OF_B, accept("B", 1, &one));
    assert!(moved(&stage.hear(OF_B, commit(&one))));
    let two = block_of(&one, [("B", element_of(2, [pays("B", "A", 1)]))]);
    stage.hear(OF_B, commit(&two));
    let said = stage.hear(OF_B, Message::BlocksResponse { blocks: vec![two] });
    assert!(said.appends() && !moved(&said), "that one was never accepted here");
}
