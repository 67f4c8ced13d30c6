//! The scenes of servers that asked to be dismissed, and are away or unheard of when the block is chosen.

use crate::bank::blockchain::block::{Block, SealedBlock};
use crate::bank::effects::{Bound, Event, Timer, Write};
use crate::bank::ids::ConnectionId;
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::paxos::message::Message;
use crate::bank::request::{Order, Request};
use crate::machine::cluster::{Cluster, Name, id};
use crate::machine::disk::Disk;
use crate::machine::scenes::members::{THREE, admit, at, demote, dismiss, is_sound, order, with_d};
use crate::machine::stage::{
    OF_B, OF_C, OPENING, Stage, accept, block_after, commit, element_of, genesis, hello, prepare,
    standing,
};

/// D has logged that it goes, and another member's run is to put this into the chain.
fn with_d_that_asks_to_go() -> Cluster {
    let mut cluster = with_d(THREE);
    assert!(cluster.settle("A"));
    cluster.run(1_000);
    asks_to_go(&mut cluster, THREE);
    cluster
}

/// D logs that it goes, and nobody hears it.
fn asks_to_go(cluster: &mut Cluster, others: &[Name]) {
    let request = Request::Members(dismiss("D"));
    cluster.tell_and_part("D", others, Event::Request(ConnectionId(77_777), None, request));
}

/// D comes back, by this member, as it was before it was dismissed, and stops by the others' word.
fn comes_back(cluster: &mut Cluster, before: Disk, by: Name) {
    cluster.kill("D");
    cluster.nodes.get_mut("D").unwrap().disk = before;
    cluster.start_joining("D", by);
    cluster.run(5_000);
    assert!(cluster.stopped("D").contains("by the chain of"), "{}", cluster.stopped("D"));
}

/// With the block that dismisses it, a server is no peer of the others any more. It hears of the block all the same.
pub fn who_is_dismissed_by_another_s_run_hears_of_it() {
    let mut cluster = with_d_that_asks_to_go();
    // D reaches no majority for a run of its own.
    cluster.join("D", "A");
    cluster.run(200);
    assert!(cluster.settle("A"), "A's run takes it");
    cluster.run(3_000);
    assert_eq!(cluster.height("D"), cluster.height("A"), "D holds the block");
    THREE.iter().for_each(|name| cluster.join("D", name));
    cluster.run(3_000);
    assert!(cluster.stopped("D").contains("nothing is left of it"), "{}", cluster.stopped("D"));
    is_sound(&mut cluster, THREE, 300);
}

/// A server that crashes after it has logged that it goes has that settled by itself when it is back.
pub fn who_asked_to_go_goes_after_a_crash() {
    let mut cluster = with_d_that_asks_to_go();
    cluster.kill("D");
    THREE.iter().for_each(|name| cluster.join("D", name));
    cluster.start_joining("D", "A");
    cluster.run(5_000);
    assert!(cluster.stopped("D").contains("nothing is left of it"), "{}", cluster.stopped("D"));
    is_sound(&mut cluster, THREE, 300);
}

/// A server may promise its log with its dismissal, and be away when the block is chosen. Nobody needs it any more.
pub fn who_missed_its_dismissal_is_told() {
    let mut cluster = with_d_that_asks_to_go();
    let before = cluster.nodes["D"].disk.clone();
    THREE.iter().for_each(|name| cluster.join("D", name));
    assert!(cluster.settle("A"), "A's run takes it");
    cluster.run(3_000);
    comes_back(&mut cluster, before, "A");
    assert!(cluster.height("D") < cluster.height("A"), "it never had the block");
    is_sound(&mut cluster, THREE, 300);
}

/// All whom a server knows may be gone when it comes back. A member that its chain doesn't know finds it.
pub fn who_knows_nobody_any_more_is_found() {
    let mut cluster = Cluster::open(THREE);
    order(&mut cluster, "A", demote("C")).expect("it votes");
    cluster.run(1_000);
    cluster.kill("C");
    cluster.add("D");
    cluster.start_joining("D", "A");
    cluster.run(1_000);
    order(&mut cluster, "A", admit("D")).expect("it is admitted");
    cluster.run(2_000);
    for gone in ["A", "B"] {
        assert!(cluster.pay(gone, "D", 100).is_some() && cluster.settle(gone));
        cluster.run(1_000);
        order(&mut cluster, gone, dismiss(gone)).expect("it holds nothing");
        cluster.run(3_000);
        assert!(cluster.stopped(gone).contains("dismissed"), "{}", cluster.stopped(gone));
    }
    cluster.start("C", false);
    cluster.run(4_000);
    assert_eq!(cluster.height("C"), cluster.height("D"), "it has what D has");
    is_sound(&mut cluster, &["C", "D"], 300);
}

/// A has accepted B's block, which dismisses it.
fn has_accepted_its_dismissal() -> (Stage, SealedBlock) {
    let mut stage = Stage::open();
    stage.pay(OPENING, 1);
    stage.request(Request::Members(dismiss("A")));
    stage.hear(OF_B, prepare("B", 7, &genesis()));
    let own = stage.disk.stored.log.to_vec();
    let one = SealedBlock::seal(Block {
        logs: [(id("A"), own)].into(),
        ..Block::clone(block_after(&genesis(), &[]).block())
    });
    stage.hear(OF_B, accept("B", 7, &one));
    (stage, one)
}

/// Bug (seed 329015): a prepare leaves before its proposer's last block is durable. A dismissed server took it for a word
/// that this block is held, and went; the proposer had died, and never came to the block.
pub fn a_proposal_does_not_say_that_the_block_before_is_durable() {
    let (mut stage, one) = has_accepted_its_dismissal();
    let said = stage.hear(OF_B, prepare("B", 8, &one));
    assert!(said.appends() && said.notes("dismissed by block 1"), "{said:?}");
    stage.hear(OF_C, prepare("C", 9, &one));
    let said = stage.time_out(Timer::Heartbeat);
    assert!(said.stop.is_none(), "they may need the block: {said:?}");
    for of in [OF_B, OF_C] {
        stage.hear(of, Message::Heartbeat(standing(1)));
    }
    assert!(stage.time_out(Timer::Heartbeat).stop.is_some(), "both hold it");
}

/// Whoever proposes for the next height has the block that dismisses this server, and so tells of it.
pub fn who_learns_of_its_dismissal_by_a_proposal_votes_no_more() {
    for (accepts, what) in [(true, "an accept"), (false, "a prepare")] {
        let (mut stage, one) = has_accepted_its_dismissal();
        let said = match accepts {
            true => stage.hear(OF_B, accept("B", 7, &block_after(&one, &[("B", 1)]))),
            false => stage.hear(OF_B, prepare("B", 8, &one)),
        };
        assert!(said.appends() && said.notes("dismissed by block 1"), "{what}: {said:?}");
        let votes = |write: &Write| matches!(write, Write::Promise(_) | Write::Accept { .. });
        assert!(!said.writes.iter().any(votes), "{what}: it votes, and is no member");
        let told = said.told();
        let vote =
            told.iter().find(|(_, message)| matches!(message.name(), "promise" | "accepted"));
        assert_eq!(vote, None, "{what}");
    }
}

/// A server that comes back dials the member that it is told, even if that one was dismissed by all that it knows.
pub fn who_names_one_that_came_back_is_answered() {
    let mut cluster = with_d(THREE);
    assert!(cluster.pay("B", "A", 100).is_some() && cluster.settle("B"));
    cluster.run(1_000);
    order(&mut cluster, "B", dismiss("B")).expect("it holds nothing");
    cluster.run(3_000);
    assert!(cluster.stopped("B").contains("dismissed"), "{}", cluster.stopped("B"));
    // D has logged that it goes, and knows nothing of what follows.
    asks_to_go(&mut cluster, &["A", "C"]);
    let before = cluster.nodes["D"].disk.clone();
    ["A", "C"].iter().for_each(|name| cluster.join("D", name));
    cluster.run(3_000);
    cluster.add("B");
    cluster.start_joining("B", "A");
    cluster.run(1_000);
    let again = Order::Admit { server: id("B"), at: at(7_300), key: None, branch: false };
    order(&mut cluster, "A", again).expect("it is admitted again");
    cluster.run(2_000);
    comes_back(&mut cluster, before, "B");
    is_sound(&mut cluster, THREE, 300);
}

/// A store that rejoins asks whom it meets first. One that has asked to be dismissed logs nothing for it.
pub fn who_is_to_leave_brings_nobody_in_by_its_own_word() {
    let mut cluster = Cluster::open(&["A", "B", "C", "D"]);
    assert!(cluster.pay("A", "D", 100).is_some() && cluster.settle("D"));
    cluster.run(1_000);
    let others = ["B", "C", "D"];
    let request = Request::Members(dismiss("A"));
    cluster.tell_and_part("A", &others, Event::Request(ConnectionId(77_777), None, request));
    cluster.kill("B");
    cluster.add("B2");
    cluster.start("B2", true);
    let before = cluster.nodes["A"].disk.stored.log.len();
    cluster.run(3_000);
    assert_eq!(cluster.nodes["A"].disk.stored.log.len(), before, "nothing follows its last word");
    ["C", "D"].iter().for_each(|name| cluster.join("A", name));
    cluster.run(9_000);
    assert!(cluster.stopped("A").contains("no member"), "{}", cluster.stopped("A"));
    assert!(cluster.is_named("C", "B2"), "another one brings it in");
}

/// A, which B's block dismisses. B alone votes then, and holds the block; C doesn't.
fn a_is_dismissed() -> Stage {
    let mut stage = Stage::open();
    stage.pay(OPENING, 1);
    stage.request(Request::Members(dismiss("A")));
    stage.hear(OF_B, prepare("B", 7, &genesis()));
    let own = stage.disk.stored.log.to_vec();
    let demotes = Action::Member(Box::new(MemberChange::Demote { server: id("C") }));
    let logs = [(id("A"), own), (id("B"), vec![element_of(1, [demotes])])].into();
    let block = Block { logs, ..Block::clone(block_after(&genesis(), &[]).block()) };
    let block = SealedBlock::seal(block);
    stage.hear(OF_B, accept("B", 7, &block));
    let said = stage.hear(OF_B, commit(&block));
    assert!(said.notes("dismissed by block 1") && said.stop.is_none(), "{said:?}");
    stage.hear(OF_B, Message::Heartbeat(standing(1)));
    stage
}

/// Whoever needs the block may have started anew, by a member that is gone (the simulator's seed 243984).
pub fn who_is_dismissed_says_where_it_is_found() {
    let mut stage = a_is_dismissed();
    let said = stage.handle(Event::Greeted(ConnectionId(77), hello("C")));
    let answer = said.bound.iter().find_map(|bound| match bound {
        Bound::Answer(_, Message::Hello(hello)) => Some(hello.addresses.clone()),
        _ => None,
    });
    let named: Vec<_> = answer.expect("it is welcome").into_keys().collect();
    assert_eq!(named, ["A", "B", "C"].map(id));
}

/// A branch may know nobody else who holds the block that dismisses this server, if that names newcomers.
pub fn who_is_dismissed_stays_for_those_whom_it_hears() {
    let mut stage = a_is_dismissed();
    for _ in 0..5 {
        stage.hear(OF_C, Message::Heartbeat(standing(0)));
        assert!(stage.time_out(Timer::Heartbeat).stop.is_none(), "C lacks the block");
    }
    let mut silent = Stage { disk: stage.disk.clone(), server: stage.server.clone() };
    stage.hear(OF_C, Message::Heartbeat(standing(1)));
    assert!(stage.time_out(Timer::Heartbeat).stop.is_some(), "all hold it");
    // Nobody waits for a peer that is gone.
    let mut stops = (0..3).map(|_| silent.time_out(Timer::Heartbeat).stop.is_some());
    assert!(stops.any(|stops| stops), "C is silent");
}
