//! Which messages there can be, and what follows from a block that contradicts the own log.

use paxos_banking::bank::paxos::ballot::Ballot;
use paxos_banking::bank::paxos::message::{Message, Vote};

use crate::stage::*;

#[test]
fn messages_that_carry_blocks_are_bulky() {
    let one = block_after(&genesis(), &[("B", 1)]);
    assert!(accept("B", 1, &one).is_bulky());
    assert!(Message::BlocksResponse { blocks: vec![one.clone()] }.is_bulky());
    assert!(!prepare("B", 1, &one).is_bulky() && !commit(&one).is_bulky());
}

#[test]
fn ballots_that_nobody_can_have_made_are_told() {
    let one = block_after(&genesis(), &[("B", 1)]);
    let is_possible = |message: Message| message.is_possible(&id("B"));
    let too_high = Ballot::MAX_ROUND + 1;
    for (round, possible) in [(Ballot::MAX_ROUND, true), (too_high, false)] {
        assert_eq!(is_possible(prepare("B", round, &one)), possible);
        assert_eq!(is_possible(accept("B", round, &one)), possible);
        assert_eq!(is_possible(promise("B", round, vec![])), possible);
        assert_eq!(is_possible(accepted("B", round, &one)), possible);
    }
    assert!(!is_possible(prepare("C", 1, &one)) && !is_possible(accept("C", 1, &one)));
    let before = |accepted, round| {
        let ballot = ballot(accepted, "A");
        is_possible(vote("B", round, Vote::Accepted { ballot, block: one.clone() }))
    };
    assert!(before(3, 3) && !before(4, 3) && !before(3, too_high));
    let nack = |of, promised| {
        let (ballot, promised) = (ballot(of, "B"), ballot(promised, "B"));
        is_possible(Message::Nack { height: 1, ballot, promised, waiting: false })
    };
    assert!(nack(3, 4) && !nack(3, 3) && !nack(3, too_high));
}

#[test]
fn a_server_whose_log_is_contradicted_by_a_block_stops() {
    let mut stage = Stage::open();
    let blocks = [block_after(&genesis(), &[("A", 1)])];
    assert_eq!(stage.fetch("B", &blocks).stop, None, "B is alone with it");
    let said = stage.fetch("C", &blocks);
    let stop = said.stop.expect("it stops").to_string();
    assert!(
        stop.contains("block 1 holds entries of this server that its log doesn't begin with: ")
    );
    assert!(stop.contains("the store of A was rolled back"), "{stop}");
    assert_eq!(said.writes, []);
}
