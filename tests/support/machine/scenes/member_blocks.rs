//! What a block makes of the members. Each scene panics if something is wrong.

use super::members::{at, dismiss, order, with_d};
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, BlockHash, FORMAT, Genesis, SealedBlock};
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::derived::{Deposed, Derived};
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::ledger::member_change::{Admission, MemberChange};
use crate::machine::cluster::{Cluster, Name, id};

const THREE: &[Name] = &["A", "B", "C"];

/// What follows from a block of these entries, each in its server's log, for a bank of A, B and C.
fn after(logs: &[(Name, Vec<Action>)], holds: bool) -> (Derived, Deposed) {
    let servers = THREE.iter().zip(1..).map(|(name, of)| (id(name), InstanceId(of))).collect();
    let opening_balance = Amount::new(100).unwrap();
    let genesis = Genesis {
        format: FORMAT,
        opening_balance,
        servers,
        keys: Default::default(),
        origin: None,
        issuing: false,
    };
    let mut derived = Derived::at_founding(&genesis);
    let element = |actions: &Vec<Action>| {
        let record = |action: &Action| Record {
            action: action.clone(),
            request: None,
            via: Via::Local,
            linked: false,
            reference: None,
        };
        vec![Element::seal(Position::START.next(), actions.iter().map(record).collect())]
    };
    let logs = logs.iter().map(|(name, actions)| (id(name), element(actions))).collect();
    let (previous, proposer) = (BlockHash::NONE, Some(id("A")));
    let block = Block { height: 1, previous, proposer, genesis: None, opening: None, logs };
    let deposed = derived.follow(&block, 1, |_| holds);
    (derived, deposed)
}

fn goes(server: Name) -> Action {
    Action::Member(Box::new(MemberChange::Dismiss { server: id(server) }))
}

fn comes(server: Name, instance: u64) -> Action {
    let (server, instance) = (id(server), InstanceId(instance));
    let admission = Admission { server, instance, at: at(7_000), key: None, branch: false };
    Action::Member(Box::new(MemberChange::Admit(admission)))
}

pub fn a_dismissal_is_the_last_word() {
    let pays = Action::Transfer {
        from: "C".parse().unwrap(),
        to: "A".parse().unwrap(),
        amount: Amount::new(1).unwrap(),
    };
    let (derived, _) = after(&[("C", vec![pays.clone(), goes("C")])], false);
    assert!(!derived.is_member(&id("C")), "it is the last of its entries");
    let (derived, deposed) = after(&[("C", vec![goes("C"), pays])], false);
    assert!(derived.is_member(&id("C")) && deposed == Deposed::default(), "its log goes on");
    let (derived, _) = after(&[("A", vec![goes("C")])], false);
    assert!(derived.is_member(&id("C")), "it is not A's to say");
    let (derived, _) = after(&[("C", vec![goes("C")])], true);
    assert!(derived.is_member(&id("C")), "it holds money");
}

pub fn one_block_dismisses_one() {
    let (derived, deposed) = after(&[("B", vec![goes("B")]), ("C", vec![goes("C")])], false);
    assert_eq!(deposed.dismissed, Some(id("B")));
    assert!(derived.is_member(&id("C")), "one at a time");
    assert_eq!(deposed.instances, [InstanceId(2)].into());
}

pub fn an_instance_is_admitted_once() {
    let (derived, _) = after(&[("A", vec![comes("D", 9)]), ("B", vec![comes("D", 8)])], false);
    assert_eq!(derived.instances[&id("D")], InstanceId(9), "the first one holds");
    let (derived, _) = after(&[("B", vec![goes("B")]), ("C", vec![comes("B", 2)])], false);
    assert!(!derived.is_member(&id("B")), "a dismissed store is over");
    let (derived, _) = after(&[("B", vec![goes("B")]), ("C", vec![comes("B", 22)])], false);
    assert_eq!(derived.included[&id("B")], Position { epoch: 2, seq: 0 }, "another counts anew");
}

/// What the chain of a bank of three and what follows from it make of a block.
fn verified(cluster: &Cluster, block: Block) -> Result<(), String> {
    let mut disk = cluster.nodes["A"].disk.clone();
    let config = crate::machine::config_of(&id("A"), &ids(THREE), 100);
    let _ = disk.try_load(config, 5_000).map_err(|error| error.to_string())?;
    let mut chain = Chain::found(&disk.chain[0]).map_err(|error| error.to_string())?;
    let mut balances = Balances::new(1, 2);
    balances.found(chain.opening_balances());
    for each in &disk.chain[1..] {
        let consequences = chain.verify(&balances, each).map_err(|error| error.to_string())?;
        let changes = chain.append(each, consequences);
        balances.commit(changes, each.height());
    }
    let block = Block { height: chain.height() + 1, previous: chain.head(), ..block };
    chain.verify(&balances, &SealedBlock::seal(block)).map(drop).map_err(|error| error.to_string())
}

fn ids(names: &[Name]) -> Vec<ServerId> {
    names.iter().map(|name| id(name)).collect()
}

fn open_entry(server: Name, epoch: u64, seq: u64) -> (ServerId, Vec<Element>) {
    let action = Action::open(format!("{server}/x").parse().unwrap());
    let record = Record::plain(action);
    (id(server), vec![Element::seal(Position { epoch, seq }, vec![record])])
}

fn block_of(proposer: Name, logs: [(ServerId, Vec<Element>); 1]) -> Block {
    let (height, previous) = (0, BlockHash::NONE);
    Block {
        height,
        previous,
        proposer: Some(id(proposer)),
        genesis: None,
        opening: None,
        logs: logs.into(),
    }
}

pub fn a_stranger_s_block_is_none() {
    let cluster = Cluster::open(THREE);
    assert_eq!(verified(&cluster, block_of("B", [open_entry("A", 1, 1)])), Ok(()));
    let error = verified(&cluster, block_of("D", [open_entry("A", 1, 1)])).unwrap_err();
    assert!(error.contains("server D is not of this bank"), "{error}");
}

pub fn the_log_of_a_dismissed_server_is_no_member_s() {
    let mut cluster = with_d(THREE);
    order(&mut cluster, "D", dismiss("D")).expect("it holds nothing");
    cluster.run(3_000);
    let last = cluster.nodes["A"].disk.stored.derived.included[&id("D")];
    let next = open_entry("D", last.epoch, last.seq + 1);
    let error = verified(&cluster, block_of("A", [next])).unwrap_err();
    assert!(error.contains("server D is not of this bank"), "{error}");
}
