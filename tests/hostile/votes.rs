//! Votes that do not count.

use super::*;

/// The ballot of A's first run.
pub fn first_ballot() -> Ballot {
    Ballot { round: 1, server: id("A"), life: LifeId(5) }
}

/// B's promise to A's run for block 1.
pub fn promise(ballot: &Ballot, elements: Vec<Element>) -> Message {
    let (ballot, instance) = (ballot.clone(), InstanceId(2));
    let vote = Vote::Log { elements, cut: false, whole: None };
    Message::Promise { height: 1, ballot, instance, waiting: false, vote }
}

/// Brings A, which has a transfer waiting, to propose a block of B's log; returns its ballot and
/// what it proposes.
fn propose(server: &mut Server) -> (Ballot, SealedBlock) {
    overdraft(server);
    settle_down(server);
    let ballot = first_ballot();
    server.handle(Event::Received(OF_B, promise(&ballot, vec![element(1, [pays("B", "A", 9)])])));
    let turn = server.end_turn();
    let accept = turn.free.into_iter().find_map(|(_, message)| match message {
        Message::Accept { block, .. } => Some(block),
        _ => None,
    });
    let receipt = (!turn.batch.writes.is_empty()).then(|| Receipt::durable(turn.batch.number));
    for bound in turn.bound.release(receipt) {
        if let Bound::Own(message) = bound {
            server.handle(Event::Own(message));
        }
    }
    settle_down(server);
    (ballot, accept.expect("a block is proposed"))
}

#[test]
fn only_an_accepted_of_the_very_ballot_by_the_very_instance_chooses() {
    let mut server = open_server();
    let (ballot, block) = propose(&mut server);
    let hash = block.hash();
    let accepted = |ballot: &Ballot, instance, hash| Message::Accepted {
        height: 1,
        ballot: ballot.clone(),
        hash,
        instance: InstanceId(instance),
    };
    let earlier = Ballot { round: 0, ..ballot.clone() };
    let of_another_life = Ballot { life: LifeId(4), ..ballot.clone() };
    let wrong = [
        accepted(&earlier, 2, hash),
        accepted(&of_another_life, 2, hash),
        accepted(&ballot, 22, hash),
        accepted(&ballot, 2, BlockHash::NONE),
    ];
    let appended = |server: &mut Server| {
        end_turn(server).0.iter().any(|write| matches!(write, Write::Append { .. }))
    };
    for message in wrong {
        server.handle(Event::Received(OF_B, message.clone()));
        assert!(!appended(&mut server), "{message:?}");
    }
    server.handle(Event::Received(OF_B, accepted(&ballot, 2, hash)));
    assert!(appended(&mut server));
}

#[test]
fn nothing_is_promised_or_accepted_for_a_height_whose_block_before_is_missing() {
    let mut server = open_server();
    for message in messages(2, 5).into_iter().chain(messages(3, 6)) {
        server.handle(Event::Received(OF_B, message));
        assert_eq!(end_turn(&mut server).0, [], "nothing to make durable");
    }
}
