//! The checker of `tests/chaos` finds what is wrong. Chains and histories are doctored here, one
//! thing at a time.

mod support;

use std::collections::BTreeMap;

use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::ids::RequestId;
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Record, Via};

use support::checker::history::{Asked, Fate, History, Read};
use support::checker::{Evidence, check};
use support::samples::{account, amount, block_of, element_of, genesis, server};

fn request(server: &str, number: u64) -> RequestId {
    format!("{server}.1.0.00000000000000aa.1#{number}").parse().unwrap()
}

fn pay(from: &str, to: &str, units: u64) -> Action {
    Action::Transfer { from: account(from), to: account(to), amount: amount(units) }
}

fn record(number: u64, action: Action, linked: bool) -> Record {
    let home = action.subject().expect("a client's").home();
    let request = Some(request(home, number));
    Record { action, request, via: Via::Local, linked, reference: None }
}

/// What two servers, A and B, logged for two blocks: of each server the first seq, and the records.
struct Scene {
    blocks: Vec<Vec<(u64, Vec<Record>)>>,
    history: History,
}

impl Scene {
    /// A pays B 30; then, in block 2, two linked payments and an account; B pays back in block 1.
    fn sound() -> Scene {
        let open = Action::open(account("A/alice"));
        let blocks = vec![
            vec![
                (1, vec![record(1, pay("A", "B", 30), false)]),
                (1, vec![record(1, pay("B", "A", 100), false)]),
            ],
            vec![
                (
                    2,
                    vec![
                        record(2, open, false),
                        record(3, pay("A", "A/alice", 150), true),
                        record(4, pay("A/alice", "B", 50), false),
                    ],
                ),
                (2, vec![record(2, pay("B", "A", 20), false)]),
            ],
        ];
        let accepted = |seq, balance| Fate::Accepted { epoch: 1, seq, balance };
        let fates = [Some(70), Some(0), Some(0), Some(20), Some(100), Some(10)];
        // In the order of the blocks: A.1, B.1, A.2, A.3, A.4, B.2.
        let seqs = [1, 1, 2, 3, 4, 2];
        let records = blocks.iter().flatten().flat_map(|(_, records)| records);
        let asked =
            records.zip(seqs.into_iter().zip(fates)).map(|(record, (seq, balance))| Asked {
                request: record.request.clone().unwrap(),
                action: record.action.clone(),
                linked: record.linked,
                fate: accepted(seq, balance),
            });
        let asked = asked.collect();
        let read = |name: &str, balance, committed, height, after_seq| Read {
            account: account(name),
            balance,
            committed,
            height,
            after_seq,
        };
        let reads = vec![read("A", 70, Some(100), 0, 1), read("A/alice", 100, None, 1, 4)];
        Scene { blocks, history: History { asked, reads } }
    }

    fn chain(&self) -> Vec<SealedBlock> {
        let mut chain = vec![genesis()];
        for block in &self.blocks {
            let log = |(id, (first, records)): (&str, &(u64, Vec<Record>))| {
                (server(id), vec![element_of(*first, records.clone())])
            };
            let logs: BTreeMap<_, Vec<Element>> =
                ["A", "B"].into_iter().zip(block).map(log).collect();
            chain.push(block_of(chain.last().unwrap(), logs));
        }
        chain
    }

    fn evidence(self) -> Evidence {
        let texts: Vec<String> = self.chain().iter().map(|block| block.text().to_owned()).collect();
        let chains = ["A", "B"].map(|id| (id.to_owned(), texts.clone())).into();
        Evidence { opening: 100, visitors: Default::default(), chains, history: self.history }
    }

    /// The records of a server in a block.
    fn records(&mut self, height: usize, server: usize) -> &mut Vec<Record> {
        &mut self.blocks[height - 1][server].1
    }

    fn ask(&mut self, record: &Record, fate: Fate) {
        self.history.asked.push(Asked {
            request: record.request.clone().unwrap(),
            action: record.action.clone(),
            linked: record.linked,
            fate,
        });
    }
}

#[track_caller]
fn found(scene: Scene, words: &str) {
    found_in(&scene.evidence(), words);
}

#[track_caller]
fn found_in(evidence: &Evidence, words: &str) {
    let finding = check(evidence).expect_err("something is wrong");
    assert!(finding.contains(words), "{words:?} is wrong, not: {finding}");
}

#[test]
fn nothing_is_wrong_with_what_is_sound() {
    assert_eq!(check(&Scene::sound().evidence()), Ok((3, 6)));
}

#[test]
fn an_accepted_entry_that_is_lost() {
    let mut scene = Scene::sound();
    let lost = record(9, pay("B", "A", 1), false);
    scene.ask(&lost, Fate::Accepted { epoch: 1, seq: 3, balance: None });
    found(scene, "is lost");
}

#[test]
fn what_is_unknown_may_be_there_or_not() {
    let mut scene = Scene::sound();
    scene.ask(&record(9, pay("B", "A", 1), false), Fate::Unknown);
    scene.history.asked[0].fate = Fate::Unknown;
    assert_eq!(check(&scene.evidence()), Ok((3, 6)));
}

#[test]
fn a_request_that_happened_twice() {
    let mut scene = Scene::sound();
    let again = record(1, pay("B", "A", 5), false);
    scene.records(2, 1).push(again);
    found(scene, "happened twice");
}

#[test]
fn what_was_refused_and_happened() {
    let mut scene = Scene::sound();
    scene.history.asked[1].fate = Fate::NotDone("refused");
    found(scene, "was refused, and block 1 has");
}

#[test]
fn what_nobody_asked_for() {
    let mut scene = Scene::sound();
    scene.history.asked.remove(1);
    found(scene, "nobody asked for it");
}

#[test]
fn other_contents_than_were_asked_for() {
    let mut scene = Scene::sound();
    scene.history.asked[0].action = pay("A", "B", 31);
    found(scene, "asked for");
}

#[test]
fn another_name_than_was_told() {
    let mut scene = Scene::sound();
    scene.history.asked[0].fate = Fate::Accepted { epoch: 1, seq: 2, balance: None };
    found(scene, "was accepted as 1.2");
}

#[test]
fn an_account_below_zero_though_only_for_a_while() {
    let mut scene = Scene::sound();
    scene.records(1, 0)[0].action = pay("A", "B", 101);
    scene.history.asked[0].action = pay("A", "B", 101);
    found(scene, "A is below zero");
}

#[test]
fn a_total_that_is_another() {
    let mut evidence = Scene::sound().evidence();
    evidence.opening = 99;
    found_in(&evidence, "opened with 100 each");
}

#[test]
fn money_that_vanishes_as_its_account_is_opened_again() {
    let mut scene = Scene::sound();
    let again = record(5, Action::open(account("A/alice")), false);
    scene.records(2, 0).push(again);
    found(scene, "opened twice");
}

#[test]
fn money_for_an_account_that_is_not_there() {
    let mut scene = Scene::sound();
    scene.records(1, 0)[0].action = pay("A", "B/bob", 30);
    found(scene, "there is no B/bob");
}

#[test]
fn a_gap_and_a_reuse_in_the_numbers() {
    let mut scene = Scene::sound();
    scene.blocks[1][0].0 = 3;
    found(scene, "after A.1.1 block 2 has A.1.3");
    let mut scene = Scene::sound();
    scene.blocks[1][0].0 = 1;
    found(scene, "after A.1.1 block 2 has A.1.1");
}

#[test]
fn chains_that_differ_in_a_byte_or_in_length() {
    let mut evidence = Scene::sound().evidence();
    let last = evidence.chains.get_mut("B").unwrap().last_mut().unwrap();
    *last = last.replacen(", ", ",", 1);
    found_in(&evidence, "A and B differ in block 2");
    let mut evidence = Scene::sound().evidence();
    evidence.chains.get_mut("B").unwrap().pop();
    found_in(&evidence, "A has 3 blocks, B has 2");
}

#[test]
fn a_block_that_is_not_linked() {
    let mut evidence = Scene::sound().evidence();
    for texts in evidence.chains.values_mut() {
        texts[1] = texts[1].replacen(", ", ",", 1);
    }
    found_in(&evidence, "block 2 is not linked");
}

#[test]
fn what_is_linked_and_apart() {
    // The client had linked A's third entry to B's second, not to A's fourth.
    let mut scene = Scene::sound();
    scene.history.asked.swap(4, 5);
    found(scene, "is not with what it is linked to");
    // And here to something that has not happened.
    let mut scene = Scene::sound();
    let absent = record(9, pay("A", "B", 1), false);
    scene.ask(&absent, Fate::NotDone("refused"));
    scene.history.asked.swap(4, 6);
    found(scene, "is not with what it is linked to");
}

#[test]
fn a_balance_that_was_told_wrong() {
    // A had 70 after its first entry; nothing that came from B makes it 71.
    let mut scene = Scene::sound();
    scene.history.asked[0].fate = Fate::Accepted { epoch: 1, seq: 1, balance: Some(71) };
    found(scene, "fits no height");
}

#[test]
fn a_balance_from_before_what_was_told_already() {
    // After its third entry A had been paid 100 by block 1; it can't have been without at its fourth.
    let mut scene = Scene::sound();
    let late = record(5, pay("A", "B", 1), false);
    scene.records(2, 0).push(late.clone());
    scene.ask(&late, Fate::Accepted { epoch: 1, seq: 5, balance: Some(19) });
    assert!(check(&scene.evidence()).is_ok());
    let mut scene = Scene::sound();
    scene.records(2, 0)[0] = record(2, pay("A", "B", 1), false);
    scene.records(2, 0)[1] = record(3, pay("A", "B", 1), false);
    scene.records(2, 0)[2] = record(4, pay("A", "B", 1), false);
    scene.history.reads.clear();
    for (index, (number, balance)) in [(2, 169), (3, 68), (4, 167)].into_iter().enumerate() {
        scene.history.asked[2 + index] = Asked {
            request: request("A", number),
            action: pay("A", "B", 1),
            linked: false,
            fate: Fate::Accepted { epoch: 1, seq: number, balance: Some(balance) },
        };
    }
    found(scene, "A.1.3, in block 2, left 68 in A");
}

#[test]
fn reads_that_miss_what_was_told_or_speak_of_another_chain() {
    let mut scene = Scene::sound();
    scene.history.reads[0].balance = 100;
    found(scene, "never held that after entry 1");
    let mut scene = Scene::sound();
    scene.history.reads[0].committed = Some(170);
    found(scene, "the chain says that A holds Some(100)");
    let mut scene = Scene::sound();
    scene.history.reads[1].committed = Some(0);
    found(scene, "the chain says that A/alice holds None");
}
