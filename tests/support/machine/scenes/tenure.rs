//! A promise that stands, and a proposer that goes on by it (DESIGN.md, "A standing promise").

use std::collections::BTreeSet;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::chain::Chain;
use crate::bank::effects::{Timer, Write};
use crate::bank::ids::{InstanceId, LifeId};
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Message, Vote};
use crate::bank::paxos::proposer::Proposer;
use crate::bank::request::Outcome;
use crate::machine::stage::*;

fn b2(amount: u64) -> Element {
    element_of(2, [pays("B", "A", amount)])
}

/// Says that B accepted a block, and what its log holds beyond it.
fn accepted_and(block: &SealedBlock, round: u64, beyond: Option<Vec<Element>>) -> Message {
    let Message::Accepted { height, ballot, hash, instance, waiting, .. } =
        accepted("B", round, block)
    else {
        unreachable!()
    };
    Message::Accepted { height, ballot, hash, instance, waiting, beyond }
}

/// A has won block 1, which brought it B's 5, and has paid 10,005 on. B told this of its log beyond.
fn after_a_run(beyond: Option<Vec<Element>>) -> (Stage, SealedBlock) {
    let mut stage = Stage::open();
    stage.pay(OPENING + 5, 1);
    stage.hear(OF_B, promise("B", 1, vec![element("B", 5)]));
    let one = stage.hear(OF_C, promise("C", 1, vec![])).proposal().expect("a block");
    let said = stage.hear(OF_B, accepted_and(&one, 1, beyond));
    assert!(said.appends() && matches!(said.outcomes()[..], [Outcome::Accepted { .. }]));
    (stage, one)
}

/// The ballots of the prepares that were sent, and their heights.
fn prepares(said: &Said) -> Vec<(u64, Ballot)> {
    let prepare = |message: &Message| match message {
        Message::Prepare { height, ballot, .. } => Some((*height, ballot.clone())),
        _ => None,
    };
    said.free.iter().filter_map(|(_, message)| prepare(message)).collect()
}

fn promises(said: &Said) -> bool {
    said.writes.iter().any(|write| matches!(write, Write::Promise(_)))
}

/// A promise for another height than 1.
fn promise_at(height: u64, of: &str, round: u64, elements: Vec<Element>) -> Message {
    let vote = Vote::Log { elements, cut: false, whole: None };
    let (ballot, instance) = (ballot(round, "A"), instance(of));
    Message::Promise { height, ballot, instance, waiting: false, vote }
}

pub fn who_won_last_asks_again_in_the_same_ballot_and_writes_no_promise() {
    let (mut stage, _) = after_a_run(Some(Vec::new()));
    let said = stage.pay(7, 2);
    assert_eq!(prepares(&said), [(2, ballot(1, "A")), (2, ballot(1, "A"))]);
    assert!(!promises(&said), "{said:?}");
    stage.hear(OF_B, promise_at(2, "B", 1, vec![b2(7)]));
    let two = stage.hear(OF_C, promise_at(2, "C", 1, vec![])).proposal().expect("a block");
    assert_eq!(two.block().log(&id("B")), [b2(7)]);
}

pub fn a_promise_stands_for_the_heights_to_come_and_outlives_a_crash() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    assert!(promises(&stage.hear(OF_B, prepare("B", 4, &genesis()))));
    stage.hear(OF_B, accept("B", 4, &one));
    assert!(stage.hear(OF_B, commit(&one)).appends());
    let said = stage.hear(OF_C, prepare("C", 3, &one));
    assert!(said.told().iter().any(|(_, message)| message.name() == "nack"), "{said:?}");
    let said = stage.hear(OF_B, prepare("B", 4, &one));
    assert!(said.told().iter().any(|(_, message)| message.name() == "promise"), "{said:?}");
    assert_eq!(said.writes, [], "it has promised this");
    stage.crash();
    let said = stage.hear(OF_C, prepare("C", 3, &one));
    assert!(said.told().iter().any(|(_, message)| message.name() == "nack"), "{said:?}");
    assert!(promises(&stage.hear(OF_C, prepare("C", 4, &one))), "a higher one");
}

pub fn a_round_after_which_they_begin_anew_is_promised_for_one_height() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    let far = Ballot::MAX_LEAP / 2 + 1;
    stage.hear(OF_B, prepare("B", far, &genesis()));
    stage.hear(OF_B, accept("B", far, &one));
    stage.hear(OF_B, commit(&one));
    assert!(promises(&stage.hear(OF_C, prepare("C", 1, &one))), "nothing stands");
}

pub fn where_the_money_is_known_the_next_block_is_proposed_at_once() {
    let (mut stage, one) = after_a_run(Some(vec![b2(7)]));
    let said = stage.pay(7, 2);
    assert_eq!(said.asked(), [], "nobody is asked");
    let two = said.proposal().expect("a block");
    assert_eq!((two.height(), two.block().previous), (2, one.hash()));
    assert_eq!(two.block().log(&id("B")), [b2(7)]);
    // The own log as far as it said it with its own vote; what it paid since is not durable for sure.
    assert_eq!(two.block().log(&id("A")), []);
    let said = stage.hear(OF_B, accepted_and(&two, 1, Some(Vec::new())));
    assert!(matches!(said.outcomes()[..], [Outcome::Accepted { .. }]), "{said:?}");
}

/// Bug (seed 331691): a server told twice of the same entries, with a late *accepted* and with its promise. The promise was
/// taken for a wrong one; if it was the server's own, the run waited for it for ever.
pub fn what_is_told_while_a_run_asks_for_it_is_known_once() {
    let (mut stage, one) = after_a_run(Some(Vec::new()));
    assert_eq!(prepares(&stage.pay(7, 2)).len(), 2);
    stage.hear(OF_B, accepted_and(&one, 1, Some(vec![b2(7)])));
    let said = stage.hear(OF_B, promise_at(2, "B", 1, vec![b2(7)]));
    assert!(!said.notes("a promise of B is wrong"), "{said:?}");
    let two = stage.hear(OF_C, promise_at(2, "C", 1, vec![])).proposal().expect("a block");
    assert_eq!(two.block().log(&id("B")), [b2(7)]);
}

pub fn what_is_told_too_late_to_be_counted_is_known_all_the_same() {
    let (mut stage, one) = after_a_run(Some(Vec::new()));
    let of_c = element("C", 9);
    let Message::Accepted { height, ballot, hash, instance, .. } = accepted("C", 1, &one) else {
        unreachable!()
    };
    let beyond = Some(vec![of_c.clone()]);
    let late = Message::Accepted { height, ballot, hash, instance, waiting: false, beyond };
    stage.hear(OF_C, late);
    let two = stage.pay(9, 2).proposal().expect("a block");
    assert_eq!(two.block().log(&id("C")), [of_c]);
}

pub fn what_is_not_known_to_suffice_is_asked_for() {
    let (mut stage, _) = after_a_run(Some(vec![b2(7)]));
    let said = stage.pay(8, 2);
    assert!(said.proposal().is_none() && said.asked().len() == 2, "too little: {said:?}");
    let (mut stage, _) = after_a_run(None);
    let said = stage.pay(7, 2);
    assert!(said.proposal().is_none() && said.asked().len() == 2, "B has more to tell: {said:?}");
}

pub fn a_second_run_for_one_height_has_a_higher_ballot() {
    let (mut stage, _) = after_a_run(Some(Vec::new()));
    assert_eq!(prepares(&stage.pay(7, 2))[0], (2, ballot(1, "A")));
    stage.hear(OF_B, promise_at(2, "B", 1, vec![]));
    // A's own log is in the block; so the next height is 3.
    let two = stage.hear(OF_C, promise_at(2, "C", 1, vec![])).proposal().expect("a block");
    let said = stage.hear(OF_B, accepted_and(&two, 1, Some(Vec::new())));
    assert!(matches!(said.outcomes()[..], [Outcome::Refused { .. }]), "{said:?}");
    assert_eq!(prepares(&stage.pay(7, 3))[0], (3, ballot(1, "A")));
    stage.hear(OF_B, promise_at(3, "B", 1, vec![]));
    let said = stage.hear(OF_C, promise_at(3, "C", 1, vec![]));
    assert!(said.proposal().is_none(), "all logs are empty: {said:?}");
    assert!(matches!(said.outcomes()[..], [Outcome::Refused { .. }]), "{said:?}");
    let said = stage.pay(7, 4);
    assert_eq!(prepares(&said)[0], (3, ballot(2, "A")), "a late promise to 1.A is not for this");
    assert!(promises(&said));
}

pub fn a_higher_ballot_ends_it_and_so_does_a_crash() {
    let (mut stage, one) = after_a_run(Some(vec![b2(7)]));
    stage.hear(OF_C, prepare("C", 5, &one));
    let said = stage.pay(7, 2);
    assert!(said.proposal().is_none(), "{said:?}");
    let said = stage.time_out(Timer::BackOff { attempt: 1 });
    assert_eq!(prepares(&said)[0], (2, ballot(6, "A")));
    let (mut stage, _) = after_a_run(Some(vec![b2(7)]));
    let said = stage.pay(7, 2);
    assert!(said.proposal().is_some());
    let promised = ballot(3, "C");
    let nack = Message::Nack { height: 2, ballot: ballot(1, "A"), promised, waiting: false };
    stage.hear(OF_C, nack);
    let said = stage.time_out(Timer::BackOff { attempt: 1 });
    assert_eq!(prepares(&said)[0], (2, ballot(4, "A")), "{said:?}");
    let (mut stage, _) = after_a_run(Some(vec![b2(7)]));
    stage.crash();
    let said = stage.pay(7, 2);
    assert!(said.proposal().is_none(), "{said:?}");
    assert_eq!(prepares(&said)[0].1.round, 2, "by what it has promised: {said:?}");
}

pub fn an_accept_for_the_height_after_an_accepted_block_appends_that() {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    stage.hear(OF_B, accept("B", 1, &one));
    let other = block_after(&genesis(), &[("B", 2)]);
    let stranger = block_of(&other, [("B", b2(1))]);
    assert!(!stage.hear(OF_B, accept("B", 1, &stranger)).appends(), "it links to another block");
    let two = block_of(&one, [("B", b2(1))]);
    let said = stage.hear(OF_B, accept("B", 1, &two));
    assert!(said.appends(), "{said:?}");
    assert!(said.writes.iter().any(|write| matches!(write, Write::Accept { .. })), "{said:?}");
    assert!(stage.hear(OF_B, commit(&two)).appends());
}

/// The chain of A, B and C, with a block for each of these entries of B's.
fn chain_of(entries: &[Action]) -> Chain {
    let mut chain = Chain::found(&genesis()).expect("a block 0");
    let mut balances = Balances::new(0, 256);
    balances.found(chain.opening_balances());
    let mut last = genesis();
    for (entry, seq) in entries.iter().zip(1..) {
        let block = block_of(&last, [("B", element_of(seq, [entry.clone()]))]);
        let consequences = chain.verify(&balances, &block).expect("a good block");
        let changes = chain.append(&block, consequences);
        balances.commit(changes, block.height());
        last = block;
    }
    chain
}

/// A's proposer, after a run for the height after this chain, in which these have voted.
fn proposer_after(chain: &Chain, voters: &[&str]) -> Proposer {
    let mut proposer = Proposer::default();
    let next = chain.height() + 1;
    proposer.begin(next, (id("A"), LifeId(1)), BTreeSet::new(), BTreeSet::new());
    voters.iter().for_each(|voter| proposer.is_promised_by(chain, &id(voter), true));
    proposer
}

fn change(of: fn(crate::bank::ids::ServerId) -> MemberChange) -> Action {
    Action::Member(Box::new(of(id("C"))))
}

pub fn a_majority_has_to_have_promised() {
    let (now, next) = (chain_of(&[]), chain_of(&[pays("B", "A", 1)]));
    assert!(!proposer_after(&now, &["A"]).may_accept_at_once(&next), "A alone");
    let proposer = proposer_after(&now, &["A", "C"]);
    assert!(proposer.may_accept_at_once(&next));
    assert!(!proposer.may_accept_at_once(&now), "twice for one height");
}

pub fn what_a_branch_said_does_not_count_when_it_has_a_vote() {
    let demote = change(|server| MemberChange::Demote { server });
    let promote = change(|server| MemberChange::Promote { server });
    let (now, next) = (chain_of(std::slice::from_ref(&demote)), chain_of(&[demote, promote]));
    assert!(!proposer_after(&now, &["A", "C"]).may_accept_at_once(&next), "C promised nothing");
    assert!(proposer_after(&now, &["A", "B", "C"]).may_accept_at_once(&next));
}

pub fn what_a_store_promised_does_not_count_for_the_one_in_its_place() {
    let (server, old, new) = (id("C"), instance("C"), InstanceId(33));
    let rejoin = Action::Rejoin { server, old, new, key: None };
    let (now, next) = (chain_of(&[]), chain_of(&[rejoin]));
    assert!(!proposer_after(&now, &["A", "C"]).may_accept_at_once(&next), "that was another store");
    assert!(proposer_after(&now, &["A", "B"]).may_accept_at_once(&next));
}

/// Whoever has paid it: what is known of the money is asked for no more, and nobody is refused for it.
pub fn a_run_that_asks_nobody_refuses_nobody() {
    let (mut stage, one) = after_a_run(Some(vec![b2(7)]));
    let two = stage.pay(7, 2).proposal().expect("a block");
    // This came when the run had begun, and before.
    stage.pay(900, 3);
    let said = stage.hear(OF_B, accepted_and(&two, 1, Some(Vec::new())));
    assert_eq!(two.block().previous, one.hash());
    let [Outcome::Accepted { .. }] = said.outcomes()[..] else { panic!("{said:?}") };
    assert_eq!(said.asked().len(), 2, "the other one needs a run that asks: {said:?}");
}
