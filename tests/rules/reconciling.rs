//! How a server gets the blocks that it lacks.

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::effects::{Bound, Event, Timer};
use paxos_banking::bank::ids::ServerId;
use paxos_banking::bank::paxos::message::Message;

use crate::stage::*;

/// Blocks 1 to 4, of B's entries.
fn blocks() -> Vec<SealedBlock> {
    let mut blocks = vec![genesis()];
    for seq in 1..=4 {
        let element = element_of(seq, [pays("B", "A", 1)]);
        blocks.push(block_of(&blocks[seq as usize - 1], [("B", element)]));
    }
    blocks.remove(0);
    blocks
}

fn piece(blocks: &[SealedBlock]) -> Message {
    Message::BlocksResponse { blocks: blocks.to_vec() }
}

fn ack(height: u64) -> Message {
    Message::ReconcileAck { height }
}

fn wants(of: &str, from: u64, to: u64) -> (ServerId, Message) {
    (id(of), Message::BlocksRequest { from, to })
}

/// Has heard of block 4, and asked B and C which heights they hold.
fn asking() -> Stage {
    let mut stage = Stage::open();
    let said = stage.hear(OF_B, Message::Heartbeat(standing(4)));
    assert_eq!(said.free, ["B", "C"].map(|name| (id(name), Message::ReconcileRequest)));
    stage
}

/// Fetches from B up to block 4, and knows that C holds 3.
fn fetching() -> Stage {
    let mut stage = asking();
    assert_eq!(stage.hear(OF_C, ack(3)).free, [], "B has yet to answer");
    let said = stage.hear(OF_B, ack(4));
    assert_eq!(said.free, [wants("B", 1, 4)]);
    assert!(said.sets(Timer::Reconcile));
    stage
}

#[test]
fn it_fetches_piece_by_piece_up_to_the_target() {
    let mut stage = fetching();
    let said = stage.hear(OF_B, piece(&blocks()[..2]));
    assert!(said.appends() && said.sets(Timer::Reconcile));
    assert_eq!(said.free, [wants("B", 3, 4)]);
    let said = stage.hear(OF_B, piece(&blocks()[1..]));
    assert_eq!((stage.status().height, said.free.len()), (Some(4), 0));
    assert!(said.cancels(Timer::Reconcile) && said.notes("reconciled up to block 4"));
    assert_eq!(stage.time_out(Timer::Reconcile).free, [], "nothing is under way");
}

#[test]
fn no_run_begins_meanwhile() {
    let mut stage = fetching();
    assert_eq!(stage.pay(TOO_MUCH, 1).asked(), []);
    assert_eq!(stage.hear(OF_B, piece(&blocks())).asked().len(), 2);
}

#[test]
fn one_that_sends_nothing_or_too_late_is_left_for_another() {
    let mut stage = fetching();
    assert_eq!(stage.time_out(Timer::Reconcile).free, [wants("C", 1, 3)]);
    let mut stage = fetching();
    assert_eq!(stage.hear(OF_B, piece(&[])).free, [wants("C", 1, 3)], "B doesn't hold them");
    let late = stage.hear(OF_B, piece(&blocks()[..1]));
    assert!(!late.appends(), "it is too late: C is asked now");
    let said = stage.hear(OF_C, piece(&blocks()[..3]));
    assert!(said.free.is_empty() && said.cancels(Timer::Reconcile), "C has no more");
    let mut stage = fetching();
    stage.time_out(Timer::Reconcile);
    let said = stage.time_out(Timer::Reconcile);
    assert!(said.free.is_empty() && said.cancels(Timer::Reconcile), "all were tried");
}

#[test]
fn who_does_not_say_what_it_holds_is_not_waited_for_long() {
    let mut stage = asking();
    stage.hear(OF_B, ack(4));
    assert_eq!(stage.time_out(Timer::Reconcile).free, [wants("B", 1, 4)]);
    let mut stage = asking();
    stage.handle(Event::Closed(OF_C));
    assert_eq!(stage.hear(OF_B, ack(4)).free, [wants("B", 1, 4)], "C is gone");
    let mut stage = asking();
    stage.handle(Event::LinkDown(id("C")));
    assert_eq!(stage.hear(OF_B, ack(4)).free, [wants("B", 1, 4)], "C was never asked");
    let mut stage = asking();
    stage.hear(OF_B, ack(0));
    assert!(stage.hear(OF_C, ack(0)).cancels(Timer::Reconcile), "nobody holds more");
}

#[test]
fn who_connects_meanwhile_is_asked_as_well() {
    let mut stage = asking();
    stage.handle(Event::LinkDown(id("C")));
    let said = stage.meet("C");
    assert_eq!(said.free, [(id("C"), Message::ReconcileRequest)]);
    assert_eq!(fetching().meet("C").free, []);
}

#[test]
fn a_block_from_further_on_is_asked_for_again() {
    let mut stage = fetching();
    let said = stage.hear(OF_B, piece(&blocks()[1..2]));
    assert_eq!(said.free, [wants("C", 1, 3)]);
    assert!(!said.notes("FORK"));
}

#[test]
fn whose_blocks_do_not_link_or_can_not_be_is_reported_and_not_asked_again() {
    let unlinked = block_after(&genesis(), &[("C", 1)]);
    let unlinked = block_after(&unlinked, &[("B", 1)]);
    let mut stage = Stage::open();
    stage.fetch("B", &blocks()[..1]);
    assert!(stage.fetch("C", &[unlinked]).notes("FORK: the chain of C"));
    let mut stage = Stage::open();
    let wrong = block_after(&genesis(), &[("B", TOO_MUCH)]);
    let said = stage.fetch("C", &[wrong]);
    assert!(said.notes("FORK") && said.notes("block 1 of C can't be right"));
    stage.hear(OF_B, Message::Heartbeat(standing(4)));
    stage.hear(OF_C, ack(9));
    assert_eq!(stage.hear(OF_B, ack(4)).free, [wants("B", 1, 4)], "though C says that it has more");
}

#[test]
fn what_is_held_is_told_and_sent() {
    let mut stage = Stage::open();
    stage.fetch("B", &blocks()[..2]);
    let said = stage.hear(OF_C, Message::ReconcileRequest);
    assert_eq!(said.told(), [(id("C"), ack(2))]);
    let mut asked = |from, to| stage.hear(OF_C, Message::BlocksRequest { from, to }).bound;
    let sent = |from, up_to| vec![Bound::SendBlocks { to: id("C"), from, up_to }];
    assert_eq!(asked(1, 9), sent(1, 2));
    assert_eq!(asked(1, 1), sent(1, 1));
    assert_eq!(asked(2, 2), sent(2, 2));
    let nothing = vec![Bound::Peer(id("C"), piece(&[]))];
    assert_eq!(asked(3, 9), nothing);
    assert_eq!(asked(2, 1), nothing);
}
