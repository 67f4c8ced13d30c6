//! The proposer alone, without a server; and what it knows of logs.

use std::collections::BTreeMap;

use super::*;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, FORMAT, Genesis};
use crate::bank::ids::InstanceId;
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::entry::{Action, Record};
use crate::bank::paxos::rest::Consulted;

fn id(name: &str) -> ServerId {
    name.parse().unwrap()
}

fn chain() -> Chain {
    let servers = [("A", 1), ("B", 2), ("C", 3)].map(|(name, of)| (id(name), InstanceId(of)));
    let opening_balance = Amount::new(100).unwrap();
    let genesis = Genesis {
        format: FORMAT,
        opening_balance,
        servers: servers.into(),
        keys: BTreeMap::new(),
        origin: None,
        issuing: false,
    };
    Chain::found(&SealedBlock::genesis(genesis)).unwrap()
}

fn block(height: u64) -> SealedBlock {
    let (proposer, genesis, logs) = (None, None, BTreeMap::new());
    SealedBlock::seal(Block {
        height,
        previous: BlockHash::NONE,
        proposer,
        genesis,
        opening: None,
        logs,
    })
}

/// Makes a log of one payment, from this seq on.
fn log(of: &str, seq: u64) -> Vec<Element> {
    let (from, to) = (of.parse().unwrap(), "A".parse().unwrap());
    let action = Action::Transfer { from, to, amount: Amount::new(1).unwrap() };
    let record = Record::plain(action);
    vec![Element::seal(Position { epoch: 1, seq }, vec![record])]
}

fn promises(elements: Vec<Element>) -> Vote {
    Vote::Log { elements, cut: false, whole: None }
}

/// A's proposer among three servers, in a run for block 1.
struct Stage {
    proposer: Proposer,
    chain: Chain,
    ballot: Ballot,
}

impl Stage {
    fn new() -> Stage {
        let mut proposer = Proposer::default();
        let ballot = proposer.begin(1, (id("A"), LifeId(1)), BTreeSet::new(), BTreeSet::new());
        Stage { proposer, chain: chain(), ballot }
    }

    /// Gives it a server's promise, and returns whether the promise counts.
    fn promise(&mut self, of: &str, vote: Vote) -> Result<(), Ignored> {
        let from = id(of);
        self.proposer.awaits_promise(&from, true, 1, &self.ballot)?;
        let taken = self.proposer.on_promise(&self.chain, &from, (of == "A", false), vote);
        taken.expect("a good log");
        Ok(())
    }

    /// Returns what follows while these servers are expected.
    fn weigh(&mut self, expected: &[&str], covered: bool) -> Step {
        let expected = expected.iter().map(|name| id(name)).collect();
        self.proposer.weigh(Quorum::of_all(3), &expected, |_, _| covered)
    }

    fn accepted(&mut self, of: &str, hash: BlockHash) -> Step {
        let said = (hash, false, Some(Vec::new()));
        self.proposer.on_accepted(&id(of), true, (1, &self.ballot), said, Quorum::of_all(3))
    }
}

#[test]
fn each_run_goes_above_every_round_that_was_seen() {
    let Stage { mut proposer, ballot, .. } = Stage::new();
    assert_eq!(ballot.round, 1);
    proposer.saw(&Ballot { round: 7, server: id("C"), life: LifeId(9) });
    let next = proposer.begin(1, (id("A"), LifeId(1)), BTreeSet::new(), BTreeSet::new());
    assert_eq!(next.round, 8);
}

#[test]
fn a_promise_counts_once_and_only_for_its_run() {
    let mut stage = Stage::new();
    let other = Ballot { round: 2, ..stage.ballot.clone() };
    let awaits = |stage: &Stage, may_vote, height, ballot: &Ballot| {
        stage.proposer.awaits_promise(&id("B"), may_vote, height, ballot)
    };
    assert_eq!(awaits(&stage, true, 1, &other), Err(Ignored::OtherRun));
    assert_eq!(awaits(&stage, true, 2, &stage.ballot), Err(Ignored::OtherRun));
    assert_eq!(awaits(&stage, false, 1, &stage.ballot), Err(Ignored::NoVote));
    assert_eq!(stage.promise("B", promises(log("B", 1))), Ok(()));
    assert_eq!(stage.promise("B", promises(log("B", 1))), Err(Ignored::NoVote));
    assert_eq!(stage.weigh(&[], false), Step::Wait, "one is no majority");
}

#[test]
fn a_log_that_does_not_go_on_from_the_chain_does_not_count() {
    let mut stage = Stage::new();
    let vote = promises(log("B", 2));
    assert!(stage.proposer.on_promise(&stage.chain, &id("B"), (false, false), vote).is_err());
    assert_eq!(stage.promise("B", promises(log("B", 1))), Ok(()), "it may try again");
}

#[test]
fn whoever_is_expected_gets_a_moment_and_a_shorter_one_if_all_is_covered() {
    let mut stage = Stage::new();
    for of in ["A", "B"] {
        stage.promise(of, promises(Vec::new())).unwrap();
    }
    let short = Timer::Gather { covered: false };
    let gather = |until, instead_of| Step::Gather { until, instead_of };
    assert_eq!(stage.weigh(&["C"], false), gather(short, None));
    assert_eq!(stage.weigh(&["C"], false), Step::Wait, "that timer is set");
    assert_eq!(stage.weigh(&["C"], true), gather(Timer::Gather { covered: true }, Some(short)));
    assert!(matches!(
        stage.proposer.gather_is_over(Quorum::of_all(3)),
        Step::Propose(Value::Build(_))
    ));
    assert!(matches!(stage.weigh(&["A", "B"], false), Step::Propose(Value::Build(_))));
}

#[test]
fn an_accepted_block_is_adopted_at_once() {
    let mut stage = Stage::new();
    stage.promise("A", promises(Vec::new())).unwrap();
    let ballot = Ballot { round: 0, server: id("C"), life: LifeId(3) };
    stage.promise("B", Vote::Accepted { ballot, block: block(1) }).unwrap();
    assert_eq!(stage.weigh(&["C"], false), Step::Propose(Value::Adopt(block(1))));
}

#[test]
fn a_majority_for_exactly_the_block_chooses_it_once() {
    let mut stage = Stage::new();
    assert_eq!(stage.accepted("A", block(1).hash()), Step::Ignored(Ignored::NoBlockYet));
    let consulted = Consulted { ends: BTreeMap::new(), rest: Rest::Nothing };
    stage.proposer.fix(block(1), Origin::Built(consulted));
    assert_eq!(stage.accepted("A", block(2).hash()), Step::Ignored(Ignored::NoVote));
    assert_eq!(stage.accepted("A", block(1).hash()), Step::Wait);
    let Stage { proposer, ballot, .. } = &mut stage;
    let said = (block(1).hash(), false, Some(Vec::new()));
    let stranger = proposer.on_accepted(&id("C"), false, (1, ballot), said, Quorum::of_all(3));
    assert_eq!(stranger, Step::Ignored(Ignored::NoVote), "its vote does not count");
    assert_eq!(stage.accepted("A", block(1).hash()), Step::Ignored(Ignored::NoVote));
    let Step::Chosen(chosen) = stage.accepted("C", block(1).hash()) else { panic!("a majority") };
    assert_eq!(chosen.accepted, ["A", "C"].map(|of| (id(of), Some(Vec::new()))).into());
    assert_eq!(stage.accepted("B", block(1).hash()), Step::Ignored(Ignored::OtherRun));
}

#[test]
fn a_nack_beats_only_its_own_run() {
    let mut stage = Stage::new();
    let higher = Ballot { round: 5, server: id("B"), life: LifeId(2) };
    let other = Ballot { round: 3, ..stage.ballot.clone() };
    let nack = stage.proposer.on_nack(1, &other, higher.clone());
    assert_eq!(nack, Step::Ignored(Ignored::OtherRun));
    assert_eq!(stage.proposer.highest_round, 5, "the round was seen all the same");
    let nack = stage.proposer.on_nack(1, &stage.ballot, higher.clone());
    assert_eq!(nack, Step::Beaten(higher));
}

#[test]
fn a_distrusted_server_has_to_promise_again() {
    let mut stage = Stage::new();
    stage.promise("B", promises(log("B", 1))).unwrap();
    stage.proposer.distrust(&id("B"));
    assert!(stage.proposer.knowledge.log(&id("B")).is_empty());
    assert_eq!(stage.promise("B", promises(log("B", 1))), Ok(()));
}

/// Appends a block of what A's proposer knows of these servers' logs.
fn append_known(stage: &mut Stage, of: &[&str]) {
    let Stage { proposer, chain, .. } = stage;
    let mut balances = Balances::new(0, 16);
    balances.found(chain.opening_balances());
    let logs = proposer.knowledge.gather(&of.iter().map(|name| id(name)).collect());
    let (previous, proposer) = (chain.head(), Some(id("A")));
    let next = SealedBlock::seal(Block {
        height: 1,
        previous,
        proposer,
        genesis: None,
        opening: None,
        logs,
    });
    let consequences = chain.verify(&balances, &next).unwrap();
    chain.append(&next, consequences);
}

#[test]
fn what_is_known_of_a_log_goes_on_until_the_chain_holds_it() {
    let mut stage = Stage::new();
    let Stage { proposer: Proposer { knowledge, .. }, chain, .. } = &mut stage;
    for (server, seq) in [("B", 1), ("B", 2), ("C", 1)] {
        knowledge.learn(chain, &id(server), &log(server, seq)).unwrap();
    }
    assert!(knowledge.learn(chain, &id("B"), &log("B", 4)).is_err(), "3 is missing");
    let seqs = [("A", 0), ("B", 2), ("C", 1)].map(|(server, seq)| (id(server), seq));
    assert_eq!(knowledge.known(chain), seqs.into());
    let gathered = knowledge.gather(&["A", "B"].map(id).into());
    assert_eq!(gathered, [(id("B"), [log("B", 1), log("B", 2)].concat())].into());
    // B's second element came after the block was fixed.
    let (one, two) = (log("B", 1), log("B", 2));
    knowledge.forget(&id("B"));
    knowledge.learn(chain, &id("B"), &one).unwrap();
    append_known(&mut stage, &["B"]);
    let Stage { proposer: Proposer { knowledge, .. }, chain, .. } = &mut stage;
    assert!(knowledge.learn(chain, &id("B"), &two).is_err(), "the first is in the chain and known");
    knowledge.trim(chain);
    assert_eq!(knowledge.end(chain, &id("B")).seq, 1, "by the chain");
    assert_eq!(knowledge.learn(chain, &id("B"), &two), Ok(()));
    let ends = ["A", "B", "C"].map(|server| knowledge.end(chain, &id(server)).seq);
    assert_eq!((ends, knowledge.log(&id("B"))), ([0, 2, 1], &two[..]));
}

#[test]
fn who_asks_again_is_told_what_is_known_and_who_answered_is_not_asked_again() {
    let mut stage = Stage::new();
    stage.promise("B", promises(log("B", 1))).unwrap();
    assert_eq!(stage.proposer.request(&id("B"), &stage.chain), None);
    match stage.proposer.request(&id("C"), &stage.chain) {
        Some(Message::Prepare { height: 1, known, .. }) => assert_eq!(known[&id("B")], 1),
        other => panic!("a prepare: {other:?}"),
    }
    let consulted = Consulted { ends: BTreeMap::new(), rest: Rest::Nothing };
    stage.proposer.fix(block(1), Origin::Built(consulted));
    stage.accepted("C", block(1).hash());
    assert_eq!(stage.proposer.request(&id("C"), &stage.chain), None);
    let to_b = stage.proposer.request(&id("B"), &stage.chain);
    assert!(matches!(to_b, Some(Message::Accept { block: of, .. }) if of == block(1)));
}

#[test]
fn what_is_left_of_a_log_that_was_cut_is_known_only_if_it_was_said() {
    let rest_of = |of: &str, whole: Option<Whole>| {
        let mut stage = Stage::new();
        let vote = Vote::Log { elements: log(of, 1), cut: true, whole };
        stage.promise(of, vote).unwrap();
        match stage.proposer.run.unwrap().phase {
            Phase::Preparing { promises, .. } => promises[&id(of)].clone(),
            phase => panic!("it prepares: {phase:?}"),
        }
    };
    let seq = |seq| Position { epoch: 1, seq };
    let whole = |last| Some(Whole { last: seq(last), brings: BTreeMap::new() });
    assert_eq!(rest_of("B", None), Promised::Log { end: None, rest: Rest::Unknown });
    let brings = Rest::Brings(BTreeMap::new());
    assert_eq!(rest_of("B", whole(5)), Promised::Log { end: Some(seq(5)), rest: brings });
    let own = rest_of("A", whole(5));
    assert_eq!(
        own,
        Promised::Log { end: Some(seq(5)), rest: Rest::Nothing },
        "A's balances count it"
    );
    let mut stage = Stage::new();
    let two = [log("B", 1), log("B", 2)].concat();
    let vote = Vote::Log { elements: two, cut: true, whole: whole(1) };
    let taken = stage.proposer.on_promise(&stage.chain, &id("B"), (false, false), vote);
    assert!(taken.unwrap_err().contains("ends before the part"));
}

#[test]
fn who_waits_elsewhere_is_a_rival_and_a_leap_is_far_beyond_all_rounds() {
    let mut stage = Stage::new();
    for (of, own) in [("A", true), ("B", false)] {
        let vote = promises(Vec::new());
        stage.proposer.on_promise(&stage.chain, &id(of), (own, true), vote).unwrap();
    }
    let Proposer { run, .. } = &stage.proposer;
    assert_eq!(run.as_ref().unwrap().plan.rivals, ["B"].map(id).into());
    let mut proposer = Proposer::new(&id("A"), Some(&Ballot { round: 10, ..stage.ballot.clone() }));
    let most = 10 + Ballot::MAX_LEAP;
    assert_eq!([most, most + 1].map(|round| proposer.is_leap(round)), [false, true]);
    proposer.begin_rounds_anew();
    assert_eq!(proposer.highest_round, 10);
    proposer.saw(&Ballot { round: most, ..stage.ballot });
    proposer.begin_rounds_anew();
    assert_eq!(proposer.highest_round, 0);
}

#[test]
fn a_tenure_is_of_voters_and_of_the_stores_that_the_chain_names() {
    let mut stage = Stage::new();
    let Stage { proposer, chain, .. } = &mut stage;
    assert!(!proposer.may_accept_at_once(chain), "not twice for one height");
    let next = |proposer: &mut Proposer| {
        let of = (id("A"), LifeId(1));
        proposer.begin(0, of, BTreeSet::new(), BTreeSet::new());
    };
    next(proposer);
    proposer.tenure = proposer.tenure.take().map(|tenure| Tenure::new(tenure.ballot().clone(), 0));
    for (of, held) in [("A", false), ("D", false), ("A", false), ("B", true), ("C", true)] {
        proposer.is_promised_by(chain, &id(of), true);
        assert_eq!(proposer.may_accept_at_once(chain), held, "{of}");
    }
    proposer.learn_beyond(chain, &id("C"), None);
    assert!(!proposer.may_accept_at_once(chain), "C has more to tell");
    proposer.learn_beyond(chain, &id("C"), Some(Vec::new()));
    assert!(proposer.may_accept_at_once(chain));
    proposer.wary = true;
    assert!(!proposer.may_accept_at_once(chain), "it has to look before it asks");
    proposer.wary = false;
    let lower = Ballot { round: 0, server: id("B"), life: LifeId(1) };
    proposer.saw(&lower);
    assert!(proposer.may_accept_at_once(chain));
    proposer.saw(&Ballot { round: 9, ..lower });
    assert!(!proposer.may_accept_at_once(chain), "it was overtaken");
}

#[test]
fn only_a_block_that_was_built_here_is_the_runs_own() {
    let mut stage = Stage::new();
    let built = |stage: &Stage, height| stage.proposer.has_built(height, &stage.ballot);
    stage.proposer.fix(block(1), Origin::Adopted);
    assert!(!built(&stage, 1));
    let consulted = Consulted { ends: BTreeMap::new(), rest: Rest::Nothing };
    stage.proposer.fix(block(1), Origin::Built(consulted));
    assert!(built(&stage, 1) && !built(&stage, 2));
}
