//! A server that was told which bank it serves founds none, and takes no other.

use paxos_banking::bank::blockchain::bank_name::BankName;
use paxos_banking::bank::blockchain::block::{BlockHash, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::effects::{Bound, Event};
use paxos_banking::bank::ids::{ConnectionId, InstanceId};
use paxos_banking::bank::paxos::message::{Hello, Message, Standing};
use paxos_banking::bank::request::{Reply, Request};
use paxos_banking::bank::server::Config;

use crate::machine::disk::Disk;
use crate::stage::*;

fn told(bank: &BlockHash) -> Config {
    let digits: BankName = bank.to_string()[..16].parse().unwrap();
    Config { bank: Some(digits), ..config() }
}

/// Server A, told its bank, on a store that was used before and holds no block 0.
fn cut_short(config: Config) -> Stage {
    let mut disk = Disk::empty(1);
    disk.load(self::config(), 1);
    let server = disk.load(config, 2);
    Stage { disk, server }
}

#[test]
fn a_store_that_was_never_used_is_not_begun() {
    let refused = Disk::empty(1).try_load(told(&genesis().hash()), 1).unwrap_err().to_string();
    assert!(refused.contains("the store of A is empty"), "{refused}");
    assert!(refused.contains("Nothing was written"), "{refused}");
    let rejoins = Config { rejoin: true, ..told(&genesis().hash()) };
    Disk::empty(1).try_load(rejoins, 1).unwrap();
    let joins = Config { join: true, ..told(&genesis().hash()) };
    Disk::empty(1).try_load(joins, 1).unwrap();
}

#[test]
fn a_store_of_another_bank_is_refused_by_name() {
    let other = BlockHash::of("other");
    let mut disk = Stage::alone().disk;
    disk.try_load(told(&genesis().hash()), 5).unwrap();
    for rejoin in [false, true] {
        let refused = disk.try_load(Config { rejoin, ..told(&other) }, 6).unwrap_err().to_string();
        let (ours, other) = (genesis().hash().to_string(), other.to_string());
        for words in ["holds another bank", &ours, &other[..16]] {
            assert!(refused.contains(words), "{words} is not in {refused}");
        }
    }
}

#[test]
fn it_founds_nothing_with_babies_and_says_so() {
    let mut stage = cut_short(told(&genesis().hash()));
    assert!(stage.turn().notes("it founds nothing"));
    assert!(!stage.handle(Event::Greeted(OF_B, baby("B"))).appends());
    assert!(!stage.handle(Event::Greeted(OF_C, baby("C"))).appends());
    assert_eq!((stage.status().waiting_for, stage.status().bank), (vec![id("B"), id("C")], None));
    let replies = stage.request(Request::Balance(None)).replies();
    let [Reply::Error { message, .. }] = &replies[..] else { panic!("{replies:?}") };
    assert!(message.contains("serves only bank"), "{message}");

    let mut untold = cut_short(config());
    untold.handle(Event::Greeted(OF_B, baby("B")));
    let founds = untold.handle(Event::Greeted(OF_C, baby("C")));
    assert!(founds.appends() && founds.notes("founded a NEW bank"));
    assert!(founds.notes(&format!("--bank {}", genesis().hash())));
}

#[test]
fn a_founding_that_was_cut_short_goes_on_with_the_block_0_that_it_was_told() {
    let bring = |config| {
        let mut stage = cut_short(config);
        stage.turn();
        stage.meet("B");
        stage.hear(OF_B, Message::ReconcileAck { height: 0 });
        stage.hear(OF_B, Message::BlocksResponse { blocks: vec![genesis()] })
    };
    let taken = bring(told(&genesis().hash()));
    assert!(taken.appends() && !taken.notes("NEW"));
    let rejoins = |bank: &BlockHash| Config { rejoin: true, ..told(bank) };
    assert!(bring(rejoins(&genesis().hash())).appends());
    // B's hello is refused, so what B sends doesn't count.
    let other = BlockHash::of("other");
    for config in [told(&other), rejoins(&other)] {
        assert!(!bring(config).appends());
    }
}

/// As block 0 would have to be, but of another bank.
#[test]
fn who_holds_another_bank_is_refused_and_what_it_brings_is_not_taken() {
    let servers = [("A", 1), ("B", 2), ("C", 33)].map(|(name, n)| (id(name), InstanceId(n)));
    let opening_balance = units(OPENING);
    let other = SealedBlock::genesis(Genesis {
        format: FORMAT,
        opening_balance,
        servers: servers.into(),
        keys: Default::default(),
        origin: None,
        issuing: false,
    });
    let standing = Standing { genesis: Some(other.hash()), ..standing(0) };
    let mut stage = cut_short(told(&genesis().hash()));
    stage.turn();
    let stranger = Hello { standing: standing.clone(), ..hello("B") };
    let said = stage.handle(Event::Greeted(ConnectionId(4), stranger));
    let [Bound::Answer(_, Message::Reject { reason, .. })] = &said.bound[..] else {
        panic!("{said:?}")
    };
    assert!(reason.contains("serves only"), "{reason}");

    // It founds the other bank after it has greeted.
    stage.handle(Event::Greeted(OF_B, baby("B")));
    let said = stage.hear(OF_B, Message::Heartbeat(standing));
    assert!(said.notes("another bank") && said.free.is_empty(), "it isn't asked");
    assert!(!stage.hear(OF_B, Message::BlocksResponse { blocks: vec![other] }).appends());
}
