//! Votes that do not count.

use super::*;

/// Brings A, which has a transfer waiting, to propose a block of B's log; returns what it proposes.
fn propose(stage: &mut Stage) -> SealedBlock {
    overdraft(stage);
    settle_down(stage);
    let log = vec![element_of(1, [pays("B", "A", 9)])];
    let said = take(stage, Event::Received(OF_B, promise("B", 1, log)));
    said.proposal().expect("a block is proposed")
}

#[test]
fn only_an_accepted_of_the_very_ballot_by_the_very_instance_chooses() {
    let mut stage = with_b();
    let hash = propose(&mut stage).hash();
    let ballot = ballot(1, "A");
    let accepted = |ballot: &Ballot, instance, hash| Message::Accepted {
        height: 1,
        ballot: ballot.clone(),
        hash,
        instance: InstanceId(instance),
        waiting: false,
        beyond: None,
    };
    let earlier = Ballot { round: 0, ..ballot.clone() };
    let of_another_life = Ballot { life: LifeId(4), ..ballot.clone() };
    let wrong = [
        accepted(&earlier, 2, hash),
        accepted(&of_another_life, 2, hash),
        accepted(&ballot, 22, hash),
        accepted(&ballot, 2, BlockHash::NONE),
    ];
    for message in wrong {
        let said = take(&mut stage, Event::Received(OF_B, message.clone()));
        assert!(!said.appends(), "{message:?}");
    }
    let said = take(&mut stage, Event::Received(OF_B, accepted(&ballot, 2, hash)));
    assert!(said.appends());
}

#[test]
fn nothing_is_promised_or_accepted_for_a_height_whose_block_before_is_missing() {
    let mut stage = with_b();
    for message in messages(2, 5).into_iter().chain(messages(3, 6)) {
        let said = take(&mut stage, Event::Received(OF_B, message));
        assert_eq!(said.writes, [], "nothing to make durable");
    }
}
