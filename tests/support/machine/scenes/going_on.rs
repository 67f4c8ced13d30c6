//! A bank that goes on where another one ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bank::blockchain::block::{FORMAT, Genesis, Origin, SealedBlock};
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::origin::{Opening, first_epoch};
use crate::bank::effects::Event;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, RequestId, ServerId, SessionId};
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::element::Element;
use crate::bank::paxos::message::{Hello, Message, Standing};
use crate::bank::reason::Code;
use crate::bank::request::{Instruction, Outcome, Request};
use crate::bank::server::Config;
use crate::machine::cluster::{Cluster, Name, pays, position};
use crate::machine::stage::*;

use super::members::{admit, order};

pub(super) const THREE: &[Name] = &["A", "B", "C"];
/// The epoch in which a bank begins that goes on from a first one.
pub(super) const NEXT: u64 = 1_000_001;

/// What a bank begins with that goes on from a chain, and from what these logs hold beyond it. It doesn't know which
/// sessions were named.
pub(super) fn opening(chain: &[SealedBlock], logs: BTreeMap<ServerId, Vec<Element>>) -> Opening {
    opening_with(chain, logs, None)
}

/// Does the same, and tells these sessions, if it knows all.
pub(super) fn opening_with(
    chain: &[SealedBlock],
    logs: BTreeMap<ServerId, Vec<Element>>,
    sessions: Option<BTreeMap<SessionId, u64>>,
) -> Opening {
    let mut balances = Balances::new(7, 4);
    let mut followed = Chain::found(&chain[0]).unwrap();
    balances.found(followed.opening_balances());
    for block in &chain[1..] {
        let consequences = followed.verify(&balances, block).unwrap();
        let changes = followed.append(block, consequences);
        balances.commit(changes, block.height());
    }
    let mut all: Vec<_> = balances.all_committed().collect();
    all.sort_unstable();
    let included = followed.derived().included.clone();
    let origin = Origin {
        bank: followed.genesis_hash(),
        height: followed.height(),
        head: followed.head(),
        epoch: first_epoch(included.values().map(|last| last.epoch)),
        included,
        accounts: all.len() as u64,
        total: units(all.iter().map(|(_, amount)| amount.units()).sum()),
        sessions: sessions.is_some(),
        blocks: Vec::new(),
    };
    let with_keys = all.into_iter().map(|(account, amount)| {
        let key = balances.committed_key(&account);
        (account, amount, key)
    });
    Opening::new(origin, with_keys, sessions.unwrap_or_default(), logs).unwrap()
}

/// What became of three requests of a former bank.
struct Former {
    opening: Arc<Opening>,
    /// A's: it is in the chain.
    settled: Instruction,
    /// A's: it is in A's log, which is carried over.
    logged: Instruction,
    /// B's: it was in B's log, which is lost.
    lost: Instruction,
}

fn named(cluster: &mut Cluster, of: Name, to: Name, amount: u64) -> Instruction {
    let session = cluster.session(of);
    pays(of, to, amount, Some(RequestId { session, number: 1 }))
}

fn former() -> Former {
    let mut cluster = Cluster::open(THREE);
    let settled = named(&mut cluster, "A", "B", 10);
    assert_eq!(position(&cluster.instruct("A", &settled).unwrap()), Some((1, 1)));
    assert!(cluster.settle("A"));
    let logged = named(&mut cluster, "A", "C", 5);
    assert_eq!(position(&cluster.instruct("A", &logged).unwrap()), Some((1, 2)));
    let lost = named(&mut cluster, "B", "C", 3);
    assert_eq!(position(&cluster.instruct("B", &lost).unwrap()), Some((1, 1)));
    let disk = &cluster.nodes["A"].disk;
    let logs = [("A".parse().unwrap(), disk.stored.log.clone())].into();
    let opening = Arc::new(opening(&disk.chain, logs));
    Former { opening, settled, logged, lost }
}

fn founded(former: &Former) -> Cluster {
    let cluster = Cluster::going_on(former.opening.clone());
    cluster.opened(THREE)
}

pub fn a_bank_goes_on_with_the_balances_and_entries_of_another() {
    let mut cluster = founded(&former());
    let balances = ["A", "B", "C"].map(|name| cluster.balance(name));
    assert_eq!(balances[..2], [85, 110], "A has paid 10 and 5; what B's log held is lost");
    assert!(balances[2] == 105, "C got 5: {balances:?}");
    assert_eq!(cluster.pay("A", "B", 1), Some((NEXT, 1)), "in an epoch of its own, from 1");
    assert!(cluster.settle("B"));
    let height = cluster.height("A");
    for tail in [None, Some(1), Some(2), Some(3)] {
        for name in THREE {
            cluster.nodes.get_mut(name).unwrap().disk.tail = tail;
            cluster.restart(name, false);
        }
        cluster.run(2_000);
        assert_eq!(["A", "B", "C"].map(|name| cluster.balance(name)), [84, 111, 105], "{tail:?}");
    }
    assert_eq!(cluster.height("A"), height);
    // It needs no longer be told where it goes on from.
    cluster.opening = None;
    THREE.iter().for_each(|name| cluster.restart(name, false));
    cluster.run(2_000);
    assert_eq!(cluster.pay("B", "A", 1), Some((NEXT, 1)));
    // A store that is lost rejoins as ever, in the next epoch.
    super::rejoining::lose(&mut cluster);
    cluster.run(4_000);
    assert!(cluster.nodes["C2"].done.is_some(), "{}", cluster.stopped("C2"));
    assert_eq!(cluster.pay("C2", "A", 1), Some((NEXT + 1, 1)));
    assert_eq!(cluster.balance("C2"), 104);
}

/// Whether the new bank knows what became of a request, and says so.
pub(super) fn is_told(
    cluster: &mut Cluster,
    name: Name,
    asked: &Instruction,
) -> Result<(u64, u64), Code> {
    match cluster.instruct(name, asked) {
        Some(Outcome::Accepted { epoch, seq, repeated: true, .. }) => Ok((epoch, seq)),
        Some(Outcome::Expired { reason }) => Err(reason.code),
        other => panic!("{asked:?}: {other:?}"),
    }
}

pub fn a_request_of_the_former_bank_never_pays_again() {
    let former = former();
    let mut cluster = founded(&former);
    for life in 0..3 {
        let all = ["A", "B", "C"].map(|name| cluster.balance(name));
        let told = is_told(&mut cluster, "A", &former.settled);
        assert_eq!(told, Err(Code::TooLate), "in life {life}: it is in the former chain");
        // It was carried over, so what became of it is known, or was forgotten.
        let told = is_told(&mut cluster, "A", &former.logged);
        assert!(matches!(told, Ok((1, 2)) | Err(Code::TooLate)), "in life {life}: {told:?}");
        assert!(life > 0 || told.is_ok());
        let told = is_told(&mut cluster, "B", &former.lost);
        assert_eq!(
            told,
            Err(Code::TooLate),
            "in life {life}: nobody knows whether it is in the chain"
        );
        let next = |request: &Instruction| {
            let request_id = request.request.clone().unwrap();
            let request_id = RequestId { number: 2, ..request_id };
            Instruction { request: Some(request_id), ..request.clone() }
        };
        let told = is_told(&mut cluster, "A", &next(&former.logged));
        assert_eq!(told, Err(Code::TooLate), "in life {life}: the session is over");
        assert_eq!(["A", "B", "C"].map(|name| cluster.balance(name)), all);
        cluster.restart("A", false);
        cluster.restart("B", false);
        cluster.run(2_000);
    }
}

/// The chains of those that founded, none of which may be another.
fn founders(cluster: &Cluster) -> Vec<Name> {
    THREE.iter().copied().filter(|name| !cluster.nodes[name].disk.chain.is_empty()).collect()
}

pub fn servers_that_go_on_from_different_ends_found_nothing() {
    let (one, mut other) = (former(), Cluster::open(THREE));
    // Another end of another chain; or none.
    other.pay("A", "B", 1);
    other.settle("A");
    let others = opening(&other.nodes["A"].disk.chain, BTreeMap::new());
    for told in [Some(Arc::new(others)), None] {
        let mut cluster = Cluster::going_on(one.opening.clone());
        cluster.start_of(THREE, &["A", "B"]);
        cluster.opening = told;
        cluster.add("C");
        cluster.start("C", false);
        cluster.run(4_000);
        assert_eq!(founders(&cluster), [] as [Name; 0]);
        cluster.opening = Some(one.opening.clone());
        cluster.restart("C", false);
        cluster.run(2_000);
        assert_eq!(founders(&cluster), THREE);
    }
}

/// A's configuration, told to go on.
fn told(opening: &Arc<Opening>) -> Config {
    Config { opening: Some(opening.clone()), ..config() }
}

/// Block 0 of the bank that goes on, with the instances of the stage.
pub(super) fn block_0(opening: &Opening) -> SealedBlock {
    let servers = THREE.iter().map(|name| (id(name), instance(name))).collect();
    SealedBlock::genesis(Genesis {
        format: FORMAT,
        opening_balance: units(0),
        servers,
        keys: BTreeMap::new(),
        origin: Some(Arc::new(opening.origin.clone())),
        issuing: false,
    })
}

/// A block 0 that goes on from elsewhere is not taken, even if its server says that all have confirmed it.
pub fn a_block_0_that_goes_on_from_elsewhere_is_not_taken() {
    let (opening, logs) = (former().opening, BTreeMap::new());
    let elsewhere = super::going_on::opening(&[genesis()], logs);
    for (config, block, words) in [
        (told(&opening), block_0(&elsewhere), "from another end"),
        (told(&opening), genesis(), "it goes on from no other bank"),
        (config(), block_0(&opening), "start it with --found-from, too"),
    ] {
        let mut stage = Stage::baby_as(config);
        let said = fetched(&mut stage, &block, std::slice::from_ref(&block));
        assert!(!said.appends() && said.notes(words), "{words}: {:?}", said.notes);
    }
}

/// A, which was told its bank, fetches blocks from B, whose bank is open.
fn fetched(stage: &mut Stage, block_0: &SealedBlock, blocks: &[SealedBlock]) -> Said {
    let standing =
        Standing { genesis: Some(block_0.hash()), active: true, height: 9, ..standing(0) };
    let hello = Hello { standing, ..hello("B") };
    greetings(&hello).into_iter().for_each(|event| stage.server.handle(event));
    stage.turn();
    stage.hear(OF_B, Message::ReconcileAck { height: 9 });
    stage.hear(OF_B, Message::BlocksResponse { blocks: blocks.to_vec() })
}

/// A, told its bank, on a store that was used before and holds no block 0.
fn told_its_bank(block_0: &SealedBlock) -> Stage {
    let mut stage = Stage::baby();
    let bank = Some(block_0.hash().to_string().parse().unwrap());
    stage.server = stage.disk.load(Config { bank, ..config() }, 2);
    stage
}

pub fn no_server_is_open_before_it_holds_all_opening_blocks() {
    let opening = former().opening;
    let block = block_0(&opening);
    let (mut rest, mut last) = (Vec::new(), block.clone());
    while let Some(next) = opening.block_after(last.height(), last.hash()) {
        rest.push(next.clone());
        last = next;
    }
    assert_eq!(rest.len(), 2, "the accounts, and A's log");
    let mut stage = told_its_bank(&block);
    let said = fetched(&mut stage, &block, &[block.clone(), rest[0].clone()]);
    assert!(said.notes("opening block 1 appended: accounts: 3, hash "), "{:?}", said.notes);
    assert_eq!(stage.disk.chain.len(), 2);
    stage.hear(OF_B, heartbeat_of(&block));
    assert!(!stage.status().active, "B says that all have confirmed block 0, and A lacks a block");
    let standing = Standing { genesis: Some(block.hash()), ..standing(0) };
    greetings(&Hello { standing, ..hello("C") }).into_iter().for_each(|e| stage.server.handle(e));
    stage.turn();
    let pays = Request::One(pays("A", "B", 1, None));
    let said = stage.handle(Event::Request(ConnectionId(9), None, pays.clone()));
    assert!(!said.logs(), "it serves with a part of the balances");
    assert!(format!("{:?}", said.replies()).contains("1 of 2 are there"), "{:?}", said.replies());
    let said = stage.hear(OF_B, prepare("B", 1, &rest[0]));
    assert!(said.told().iter().all(|(_, m)| !matches!(m, Message::Promise { .. })), "it votes");
    // Another block in the place of an opening block.
    let said = stage
        .hear(OF_B, Message::BlocksResponse { blocks: vec![block_after(&rest[0], &[("B", 1)])] });
    assert!(!said.appends());
    let mut stage = told_its_bank(&block);
    let all: Vec<SealedBlock> = [&block].into_iter().chain(&rest).cloned().collect();
    fetched(&mut stage, &block, &all);
    stage.hear(OF_B, heartbeat_of(&block));
    assert!(stage.status().active);
}

/// Bug: a server that was admitted to such a bank began in epoch 1, which is the former bank's: each session of its own
/// counted as one of the former bank, and all that was asked in it as expired.
pub fn who_is_admitted_to_it_begins_in_its_first_epoch() {
    let mut cluster = founded(&former());
    // What it is to go on from concerns those who found it.
    cluster.opening = None;
    cluster.add("D");
    cluster.start_joining("D", "A");
    cluster.run(1_000);
    order(&mut cluster, "A", admit("D")).expect("it is admitted");
    cluster.run(2_000);
    let last = cluster.nodes["A"].disk.stored.derived.included[&id("D")];
    assert_eq!(last.epoch, NEXT, "beyond all sessions of the former bank");
    assert_eq!(cluster.pay("A", "D", 7), Some((NEXT, 2)), "its first entry admits D");
    assert!(cluster.settle("A"));
    cluster.run(2_000);
    let asked = named(&mut cluster, "D", "A", 2);
    let paid = position(&cluster.instruct("D", &asked).unwrap());
    assert!(paid.is_some_and(|(epoch, _)| epoch == NEXT), "{paid:?}");
}

fn heartbeat_of(block_0: &SealedBlock) -> Message {
    Message::Heartbeat(Standing {
        genesis: Some(block_0.hash()),
        active: true,
        height: 2,
        ..standing(0)
    })
}

/// A million accounts are cut into blocks of a bounded length, and owners' keys go with them.
pub fn opening_blocks_are_bounded_and_hold_each_account_once() {
    let accounts = 40_000u64;
    let all = (0..accounts).map(|number| {
        let key = number.is_multiple_of(10).then_some(Fingerprint([number as u8; 32]));
        (account(&format!("A/{number:06}")), units(number), key)
    });
    let total = accounts * (accounts - 1) / 2;
    let chain = Chain::found(&genesis()).unwrap();
    let origin = Origin {
        bank: chain.genesis_hash(),
        height: 0,
        head: chain.head(),
        included: chain.derived().included.clone(),
        epoch: NEXT,
        accounts,
        total: units(total),
        sessions: true,
        blocks: Vec::new(),
    };
    let opening = Opening::new(origin, all, BTreeMap::new(), BTreeMap::new()).unwrap();
    let block = block_0(&opening);
    let mut chain = Chain::found(&block).unwrap();
    let mut balances = Balances::new(7, 256);
    balances.found(chain.opening_balances());
    let mut blocks = 0;
    while let Some(block) = opening.block_after(chain.height(), chain.head()) {
        assert!(!chain.is_complete() && block.text().len() < 700 << 10, "{}", block.text().len());
        let consequences = chain.verify(&balances, &block).unwrap();
        let changes = chain.append(&block, consequences);
        balances.commit(changes, block.height());
        blocks += 1;
    }
    assert!(chain.is_complete() && blocks > 2, "{blocks} blocks");
    assert_eq!(balances.all_committed().count() as u64, accounts + 3);
    assert_eq!(balances.committed(&account("A/000020")), Some(units(20)));
    assert_eq!(balances.committed_key(&account("A/000020")), Some(Fingerprint([20; 32])));
    assert_eq!(chain.founded_with(), u128::from(total));
}
