//! What a store may hold, and what is said of one that holds something else.

use paxos_banking::bank::effects::{Event, Timer, TimerCommand};
use paxos_banking::bank::ids::{AccountId, InstanceId, LifeId, TurnNumber};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::Position;
use paxos_banking::bank::ledger::pages::Page;
use paxos_banking::bank::ledger::secret::Secret;
use paxos_banking::bank::paxos::ballot::Ballot;
use paxos_banking::bank::paxos::message::{Hello, Message, Sighting};
use paxos_banking::bank::request::{Outcome, Start};
use paxos_banking::bank::server::recovery::RecoveryError;
use paxos_banking::bank::server::{Config, Server};
use paxos_banking::bank::stored::{LIVES_KEPT, forget_oldest};

use crate::machine::disk::Disk;
use crate::stage::*;

/// A disk with a block, an entry in the log, and a block accepted for the next height.
fn disk() -> Disk {
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 3)]);
    stage.hear(OF_B, accept("B", 1, &one));
    stage.hear(OF_B, commit(&one));
    stage.pay(7, 1);
    let two = block_after(&one, &[("C", 9)]);
    stage.hear(OF_B, accept("B", 2, &two));
    stage.disk
}

fn recover_as(config: Config, mut disk: Disk) -> Result<Server, RecoveryError> {
    disk.stored.blocks = disk.chain.len() as u64;
    disk.stored.pages = disk.pages.len() as u64;
    disk.recover(config)?.finish(Secret([1, 1]))
}

/// Why a changed disk is refused.
fn refused(change: impl FnOnce(&mut Disk)) -> String {
    let mut disk = disk();
    change(&mut disk);
    recover_as(config(), disk).map(drop).unwrap_err().to_string()
}

fn says(why: String, words: &str) {
    assert!(why.contains(words), "{why}");
}

#[test]
fn a_sound_store_brings_back_what_was() {
    let mut config = config();
    config.configuration.servers.reverse();
    let server = recover_as(config, disk()).unwrap();
    let mut stage = Stage { disk: disk(), server };
    let timers = stage.turn().timers;
    let expected = [Timer::Heartbeat, Timer::FinishRound].map(TimerCommand::Set);
    assert_eq!(timers, expected, "somebody has to finish the round of the accepted block");
    let status = stage.status();
    assert_eq!((status.start, status.height, status.log_length), (Start::Zombie, Some(1), 1));
    assert_eq!(status.promised, Some(ballot(2, "B")));
    let outcomes = stage.pay(7, 1).outcomes();
    assert!(matches!(outcomes[..], [Outcome::Accepted { repeated: true, .. }]), "{outcomes:?}");
}

#[test]
fn an_empty_store_is_a_baby_s() {
    let mut stage = Stage::baby();
    assert_eq!(stage.turn().timers, [TimerCommand::Set(Timer::Heartbeat)]);
    assert_eq!(stage.status().start, Start::Baby);
}

#[test]
fn a_store_of_another_bank_is_refused() {
    let mut other = config();
    other.configuration.opening_balance = units(1);
    let error = recover_as(other, disk()).map(drop).unwrap_err();
    assert!(matches!(error, RecoveryError::Mismatch(_)));
    says(error.to_string(), "was founded with servers A, B, C with opening balance 10000");
    let mut other = config();
    other.configuration.issuing = true;
    let error = recover_as(other, disk()).map(drop).unwrap_err();
    says(
        error.to_string(),
        "configured for servers A, B, C with opening balance 10000 and --issuing",
    );
    says(refused(|disk| disk.stored.instance = InstanceId(4)), "the chain knows A as instance");
}

#[test]
fn who_rejoins_may_be_told_of_the_members_that_there_are_now() {
    // It has read no further than block 0, and of no change of the members.
    let mut config = Config { rejoin: true, ..config() };
    config.configuration.servers = ["A", "D"].map(id).to_vec();
    let mut disk = Disk::founded(4, &genesis());
    disk.stored.active = false;
    let refused = disk.try_load(config, 1).map(drop).err().map(|error| error.to_string());
    assert_eq!(refused, None);
}

#[test]
fn a_store_whose_chain_is_not_whole_is_refused() {
    says(refused(|disk| drop(disk.chain.remove(0))), "the chain at height 0: it is block 1");
    says(refused(|disk| disk.chain.push(genesis())), "the chain at height 2: it is block 0");
    let mut disk = disk();
    disk.stored.blocks = 3;
    disk.stored.pages = 1;
    let why =
        disk.recover(config()).unwrap().finish(Secret([1, 1])).map(drop).unwrap_err().to_string();
    says(why, "the store is corrupt: the chain: 3 blocks should be there, 2 were read");
}

#[test]
fn a_store_without_block_0_holds_nothing_else() {
    let accepted = |disk: &mut Disk| disk.stored.accepted.take();
    for part in 0..3 {
        let why = refused(|disk| {
            disk.chain.clear();
            disk.stored.log.clear();
            disk.pages.clear();
            disk.stored.checkpoint = 0;
            disk.stored.derived.included.clear();
            let (promised, accepted) = (disk.stored.promised.take(), accepted(disk));
            match part {
                0 => assert!(disk.stored.active),
                1 => (disk.stored.active, disk.stored.promised) = (false, promised),
                _ => (disk.stored.active, disk.stored.accepted) = (false, accepted),
            }
        });
        says(why, "the server was open or has voted, but there is no block 0");
    }
    says(refused(|disk| disk.stored.lives.clear()), "the lives: there is none");
}

#[test]
fn a_store_whose_balances_do_not_follow_is_refused() {
    fn b() -> AccountId {
        "B".parse().unwrap()
    }
    let page = |disk: &mut Disk, change: fn(&mut Page)| change(disk.pages.get_mut(&0).unwrap());
    let why = refused(|disk| page(disk, |page| page.balances.retain(|(name, _)| *name != b())));
    says(why, "the balances: B is missing, which comes to 9997 by the chain");
    let why = refused(|disk| page(disk, |page| page.balances[1].1 = units(OPENING)));
    says(why, "page 0 of the balances: B comes to 10000 by it, and to 9997 by the chain");
    let why = refused(|disk| page(disk, |page| page.balances.push((b(), units(1)))));
    says(why, "page 0 of the balances: B was there before");
    let why = refused(|disk| page(disk, |page| page.height = 2));
    says(why, "page 0 of the balances: it is of height 2, which the chain has not");
    let why = refused(|disk| disk.stored.checkpoint = 2);
    says(why, "the checkpoint of the balances: 2 lies beyond the chain of 2 blocks");
    // One that says less than there is makes a start longer, and harms nobody.
    let mut early = disk();
    early.stored.checkpoint = 0;
    recover_as(config(), early).unwrap();
}

#[test]
fn a_store_that_counts_other_entries_in_the_chain_is_refused() {
    let words = "the entries in the chain: they are not what follows from the chain";
    let further = |disk: &mut Disk| {
        disk.stored.derived.included.insert(id("B"), Position { epoch: 1, seq: 2 });
    };
    says(refused(further), words);
    says(
        refused(|disk| disk.stored.derived.included.retain(|server, _| *server != id("C"))),
        words,
    );
}

#[test]
fn a_store_whose_log_does_not_follow_is_refused() {
    let with_log = |log: Element| refused(|disk| disk.stored.log = vec![log]);
    says(with_log(element_of(2, [pays("A", "B", 7)])), "entry 1 (epoch 1) is missing");
    says(
        with_log(element_of(1, [pays("C", "B", 7)])),
        "element 0 of the local log: entry 1: C is not of A",
    );
    says(
        with_log(element_of(1, [opens("B/x")])),
        "element 0 of the local log: entry 1: B/x is not of A",
    );
    let second = element_of(1, [pays("A", "B", 7), pays("A", "B", TOO_MUCH)]);
    says(with_log(second), "element 0 of the local log: entry 2: A holds only 9996");
    says(
        refused(|disk| disk.stored.active = false),
        "the local log: it is there, though the bank was never open",
    );
}

#[test]
fn a_store_whose_votes_can_not_be_is_refused() {
    let promised = |round| Some(Ballot { round, ..ballot(1, "B") });
    says(
        refused(|disk| disk.stored.promised = promised(1)),
        "the promised ballot: it is lower than that in which a block is accepted",
    );
    says(
        refused(|disk| disk.stored.promised = None),
        "the promised ballot: it is lower than that in which a block is accepted",
    );
    let too_high = promised(Ballot::MAX_ROUND + 1);
    says(refused(|disk| disk.stored.promised = too_high), "there is no ballot");
    let unlinked = |disk: &mut Disk| {
        let block = block_after(&genesis(), &[("B", 1)]);
        disk.stored.accepted = Some((ballot(2, "B"), block));
    };
    says(refused(unlinked), "the accepted block: it is block 1 where block 2 should be");
}

#[test]
fn lives_and_turns_are_told_in_a_greeting() {
    let mut stage = Stage::open();
    for life in 2..80 {
        stage.server = stage.disk.load(config(), life);
    }
    let said = stage.handle(Event::LinkUp(id("B")));
    let told = said.told();
    let [(_, Message::Hello(hello))] = &told[..] else { panic!("{told:?}") };
    assert_eq!(hello.lives.len(), 64, "the latest");
    assert_eq!(hello.lives.last().map(|(life, _)| *life), Some(hello.life));
    assert_eq!(hello.standing.turn, stage.disk.stored.turn);
    assert_eq!(hello.knows_you_as, Some(instance("B")));
    assert!(hello.standing.turn > TurnNumber(70));
}

/// Of more lives than a store keeps: what was seen before all that are listed is no rollback, what was seen
/// since then, in a life that isn't listed, is one.
#[test]
fn lives_that_are_forgotten_are_believed_and_none_that_would_be_listed() {
    let mut stage = Stage::open();
    for life in 2..=LIVES_KEPT as u64 + 50 {
        stage.server = stage.disk.load(config(), life);
        forget_oldest(&mut stage.disk.stored.lives);
    }
    let oldest = stage.disk.stored.lives[0].1.0;
    assert!(oldest > 1 && stage.disk.stored.lives.len() == LIVES_KEPT);
    for (life, turn, stops) in [
        (LifeId(1), 1, false),
        (LifeId(77_777), oldest - 1, false),
        (LifeId(77_777), oldest, true),
        (stage.disk.stored.lives[500].0, oldest + 500, false),
        (stage.disk.stored.lives[500].0, oldest + 501, true),
    ] {
        let mut disk = stage.disk.clone();
        let server = disk.load(config(), 99_999);
        let mut stage = Stage { disk, server };
        let (turn, position) = (TurnNumber(turn), Position::START);
        let seen = Sighting { instance: instance("A"), life, turn, position };
        let said =
            stage.handle(Event::Greeted(OF_B, Hello { saw_you_at: Some(seen), ..hello("B") }));
        // Nobody has welcomed it: one word is enough to make it wait.
        assert_eq!((said.stop, stage.server.is_in_doubt()), (None, stops), "{life:?} at {turn}");
    }
}
