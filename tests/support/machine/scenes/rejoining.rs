//! The scenes. Each panics if something is wrong.

use crate::bank::ids::RequestId;
use crate::bank::ledger::entry::Action;
use crate::bank::reason::Code;
use crate::bank::request::{Instruction, Outcome};
use crate::machine::cluster::{Cluster, Name, pays, position};

const THREE: &[Name] = &["A", "B", "C"];
const FIVE: &[Name] = &["A", "B", "C", "D", "E"];

/// C has lost its store for good, and C2 is to take its place.
pub fn lose(cluster: &mut Cluster) {
    cluster.kill("C");
    cluster.run(2_000);
    cluster.add("C2");
    cluster.start("C2", true);
}

/// C has paid 10, which is in the chain, and 5, which is not; then its store was lost.
pub fn with_history() -> Cluster {
    let mut cluster = Cluster::open(THREE);
    assert_eq!(cluster.pay("C", "A", 10), Some((1, 1)));
    assert!(cluster.settle("A"), "all is well");
    assert_eq!(cluster.pay("C", "B", 5), Some((1, 2)));
    cluster
}

pub fn a_server_rejoins_and_counts_anew() {
    let mut cluster = with_history();
    // The others hear of it by C's next heartbeat.
    cluster.run(1_000);
    lose(&mut cluster);
    cluster.run(3_000);
    assert!(cluster.is_named("A", "C2"), "a peer has logged and settled it");
    let done = cluster.nodes["C2"].done.clone().expect("its operator is told");
    let lost =
        "Of epoch 1 the chain holds those up to C.1.1; later ones are lost: at least up to C.1.2";
    assert!(done.contains(lost), "{done}");
    assert_eq!(cluster.balance("C2"), 90, "what was not in the chain is lost");
    assert_eq!(cluster.pay("C2", "B", 7), Some((2, 1)), "in the next epoch, from 1");
    assert!(cluster.settle("B"));
    assert_eq!(cluster.balance("B"), 107);
    cluster.restart("C2", false);
    cluster.run(2_000);
    assert_eq!(cluster.pay("C2", "B", 1), Some((2, 2)), "it needs no --rejoin any more");
}

/// The others have not all seen as much of the lost store.
pub fn what_is_lost_is_said_as_far_as_anybody_has_seen_it() {
    let mut cluster = with_history();
    cluster.run(1_000);
    cluster.part("B", "C");
    assert_eq!(cluster.pay("C", "A", 1), Some((1, 3)));
    cluster.run(1_000);
    lose(&mut cluster);
    cluster.run(3_000);
    let done = cluster.nodes["C2"].done.clone().expect("its operator is told");
    assert!(done.contains("at least up to C.1.3, which A has seen"), "{done}");
}

fn named(cluster: &mut Cluster, of: Name, amount: u64, number: u64) -> Instruction {
    let session = cluster.session(of);
    pays(of, "B", amount, Some(RequestId { session, number }))
}

/// What is in the chain has its first outcome, even for one that had not served when it learnt the
/// chain; what is not has not happened and will not.
pub fn retries_of_the_older_epoch_get_what_became_of_them() {
    let mut cluster = Cluster::open(THREE);
    let kept = named(&mut cluster, "C", 10, 1);
    assert_eq!(position(&cluster.instruct("C", &kept).unwrap()), Some((1, 1)));
    assert!(cluster.settle("A"));
    let lost = named(&mut cluster, "C", 5, 1);
    assert_eq!(position(&cluster.instruct("C", &lost).unwrap()), Some((1, 2)));
    cluster.kill("B");
    lose(&mut cluster);
    let early = [cluster.instruct("C2", &kept), cluster.instruct("C2", &lost)];
    assert_eq!(early, [None, None], "nothing is decided before the chain names it");
    cluster.start("B", false);
    cluster.run(6_000);
    assert!(cluster.is_named("A", "C2"));
    for life in 0..2 {
        let settled = Instruction { settled: true, ..kept.clone() };
        let told = cluster.instruct("C2", &settled);
        let told_so =
            matches!(told, Some(Outcome::Accepted { epoch: 1, seq: 1, settled: Some(true), .. }));
        assert!(told_so, "in life {life}: {told:?}");
        let told = cluster.instruct("C2", &lost);
        let told_so =
            matches!(&told, Some(Outcome::Unavailable { reason }) if reason.code == Code::Lost);
        assert!(told_so, "in life {life}: {told:?}");
        cluster.restart("C2", true);
        cluster.run(1_000);
    }
    assert_eq!(cluster.balance("C2"), 90);
    let anew = named(&mut cluster, "C2", 3, 1);
    assert_eq!(position(&cluster.instruct("C2", &anew).unwrap()), Some((2, 1)));
}

/// It votes, serves and logs nothing before the chain names it, however often it starts.
pub fn nothing_is_said_before_the_chain_names_the_store() {
    let mut cluster = with_history();
    cluster.run(1_000);
    cluster.kill("B");
    lose(&mut cluster);
    cluster.run(3_000);
    assert_eq!(cluster.pay("C2", "A", 1), None, "it doesn't serve");
    let logs = &cluster.nodes["C2"].disk.stored;
    assert!(logs.log.is_empty() && logs.promised.is_none() && logs.accepted.is_none());
    let refused = cluster.try_restart("C2", false);
    assert!(refused.unwrap_err().contains("it has not rejoined yet"));
    cluster.start("C2", true);
    cluster.run(1_000);
    cluster.start("B", false);
    cluster.run(4_000);
    assert_eq!(cluster.pay("C2", "A", 1), Some((2, 1)));
    let done = cluster.nodes["C2"].done.as_deref().unwrap_or_default();
    assert!(done.contains("at least up to C.1.2, which A"), "A remembers: {done}");
}

/// Without C's old store there are two of three; with one of them away there is no majority, whatever
/// the new one says.
pub fn the_new_store_does_not_help_to_choose_the_block_that_names_it() {
    let mut cluster = with_history();
    assert_eq!(cluster.pay("A", "B", 1), Some((1, 1)), "there is something to settle");
    // C2 learns the chain of both, and then B is away.
    cluster.part("A", "B");
    let height = cluster.height("A");
    lose(&mut cluster);
    cluster.kill("B");
    assert!(!cluster.settle("A"), "A alone is no majority of three");
    cluster.run(20_000);
    assert_eq!(cluster.height("A"), height, "nor later");
    cluster.join("A", "B");
    cluster.start("B", false);
    cluster.run(5_000);
    assert!(cluster.is_named("B", "C2"));
}

pub fn of_five_one_may_be_away() {
    let mut cluster = Cluster::open(FIVE);
    cluster.pay("C", "A", 10);
    cluster.kill("E");
    lose(&mut cluster);
    cluster.run(4_000);
    assert!(cluster.is_named("A", "C2"));
    cluster.kill("D");
    assert_eq!(cluster.pay("C2", "A", 1), Some((2, 1)));
    assert!(cluster.settle("B"), "C2 makes a majority with A and B");
}

/// A peer that has not heard of it yet takes the word of the new store, and blocks from it.
pub fn one_that_lags_is_brought_up_to_date_by_the_new_store() {
    let mut cluster = Cluster::open(FIVE);
    cluster.kill("E");
    lose(&mut cluster);
    cluster.run(4_000);
    assert!(cluster.is_named("A", "C2"));
    for name in ["A", "D"] {
        cluster.kill(name);
    }
    let height = cluster.height("C2");
    cluster.part("B", "E");
    cluster.start("E", false);
    cluster.run(4_000);
    assert_eq!(cluster.height("E"), height, "E has fetched what it lacked");
    cluster.pay("C2", "A", 1);
    assert!(cluster.settle("C2"), "with B and E it is a majority");
}

/// The old store is alive and cut off: what it accepts is lost, and nothing else.
pub fn an_old_store_that_lives_on_loses_only_what_it_accepted() {
    let mut cluster = with_history();
    cluster.add("C2");
    cluster.part_from_all("C");
    assert_eq!(cluster.pay("C", "B", 20), Some((1, 3)), "it can't know");
    cluster.run(2_000);
    cluster.start("C2", true);
    cluster.run(4_000);
    assert!(cluster.is_named("A", "C2"));
    assert_eq!(cluster.balance("C2"), 90);
    assert_eq!(cluster.pay("C2", "A", 30), Some((2, 1)));
    assert!(cluster.settle("A"));
    assert_eq!(cluster.pay("C", "B", 1), Some((1, 4)), "still cut off");
    cluster.join("A", "C");
    cluster.run(2_000);
    assert_eq!(cluster.pay("C", "B", 1), None, "it has met one that knows better");
    cluster.join("B", "C");
    cluster.run(2_000);
    assert_ne!(cluster.stopped("C"), "it goes on", "two know better");
    assert!(cluster.settle("B"));
    let balances = ["A", "B", "C2"].map(|name| cluster.balance(name));
    assert_eq!(balances, [140, 100, 60]);
}

/// It is there when the block is chosen by which it is replaced, and takes no part in the next.
pub fn an_old_store_stops_at_the_block_that_replaces_it() {
    an_old_store_stops(0);
    an_old_store_stops(2);
}

fn an_old_store_stops(payments: u64) {
    let mut cluster = Cluster::open(FIVE);
    for _ in 0..payments {
        assert!(cluster.pay("C", "B", 1).is_some() && cluster.settle("C"));
    }
    // B alone still reaches the old one, and A the new one.
    for name in ["A", "D", "E"] {
        cluster.part("C", name);
    }
    cluster.add("C2");
    cluster.part("C2", "B");
    cluster.part("C2", "C");
    cluster.run(2_000);
    cluster.start("C2", true);
    cluster.run(6_000);
    assert!(cluster.is_named("B", "C2"));
    assert_eq!(cluster.pay("C", "B", 1), None, "B tells it so, and it hears nobody else");
    cluster.join("C", "D");
    cluster.run(2_000);
    assert_ne!(cluster.stopped("C"), "it goes on");
    cluster.kill("C2");
    for name in ["D", "E"] {
        cluster.kill(name);
    }
    let height = cluster.height("A");
    let _ = cluster.try_start("C", false);
    cluster.pay("A", "B", 5);
    cluster.settle("A");
    assert_eq!(cluster.height("A"), height, "A and B alone are no majority of five");
}

/// Neither can log it for the other.
pub fn of_five_two_may_rejoin_at_a_time() {
    let mut cluster = Cluster::open(FIVE);
    cluster.kill("A");
    cluster.kill("B");
    cluster.run(2_000);
    cluster.add("A2");
    cluster.add("B2");
    cluster.start("A2", true);
    cluster.start("B2", true);
    cluster.run(5_000);
    assert!(cluster.is_named("C", "A2") && cluster.is_named("C", "B2"));
}

/// Two peers have logged it: the second entry is void and does no harm.
pub fn a_second_entry_of_the_same_store_is_void() {
    let mut cluster = Cluster::open(FIVE);
    cluster.kill("C");
    cluster.run(2_000);
    cluster.part("A", "B");
    cluster.part("A", "D");
    cluster.part("A", "E");
    cluster.add("C2");
    cluster.start("C2", true);
    cluster.run(2_000);
    assert!(!cluster.nodes["A"].disk.stored.log.is_empty(), "A has logged it, of no use");
    cluster.part("A", "C2");
    cluster.run(4_000);
    assert!(cluster.is_named("B", "C2"));
    assert_eq!(cluster.pay("C2", "B", 5), Some((2, 1)));
    for name in ["B", "C2", "D", "E"] {
        cluster.join("A", name);
    }
    cluster.run(2_000);
    assert!(cluster.settle("A"), "with A's entry");
    assert!(cluster.nodes["A"].disk.stored.log.is_empty());
    assert_eq!(cluster.pay("C2", "B", 5), Some((2, 2)), "it is the same as before");
}

/// Two stores wait for the place of one: the first that comes into the chain takes it, the other stops
/// and never replaces it.
pub fn a_store_that_comes_too_late_stops() {
    let mut cluster = Cluster::open(FIVE);
    cluster.kill("C");
    cluster.run(2_000);
    // A, which logs it for C3, reaches nobody else; then the others hear of C2 alone.
    cluster.add("C2");
    cluster.add("C3");
    for name in ["B", "D", "E"] {
        cluster.part("A", name);
    }
    cluster.part("C2", "A");
    cluster.start("C3", true);
    cluster.run(1_000);
    for name in ["B", "D", "E"] {
        cluster.part("C3", name);
    }
    cluster.start("C2", true);
    cluster.run(4_000);
    assert!(cluster.is_named("B", "C2"));
    assert!(!cluster.nodes["A"].disk.stored.log.is_empty(), "A has logged the other");
    assert_eq!(cluster.pay("C2", "B", 5), Some((2, 1)));
    for name in ["B", "D", "E"] {
        cluster.join("A", name);
    }
    cluster.join("C2", "A");
    cluster.run(3_000);
    assert!(cluster.settle("B"));
    cluster.part("C3", "A");
    cluster.join("C3", "A");
    cluster.join("C3", "B");
    cluster.run(1_000);
    assert!(cluster.stopped("C3").contains("not to be used any more"), "{}", cluster.stopped("C3"));
    assert_eq!(cluster.stopped("C2"), "it goes on");
    assert_eq!(cluster.pay("C2", "B", 5), Some((2, 2)), "it was in nobody's way");
    let _ = cluster.try_start("C3", true);
    cluster.run(4_000);
    assert_eq!(cluster.pay("C2", "B", 5), Some((2, 3)), "nor is it after a restart");
}

/// The store in C's place is lost too.
pub fn a_third_store_comes_in_place_of_the_second() {
    let mut cluster = with_history();
    lose(&mut cluster);
    cluster.run(3_000);
    assert_eq!(cluster.pay("C2", "B", 7), Some((2, 1)));
    assert!(cluster.settle("A"));
    assert_eq!(cluster.pay("C2", "B", 8), Some((2, 2)));
    cluster.kill("C2");
    cluster.run(2_000);
    cluster.add("C3");
    cluster.start("C3", true);
    cluster.run(4_000);
    assert_eq!(cluster.balance("C3"), 83);
    assert_eq!(cluster.pay("C3", "B", 1), Some((3, 1)));
    cluster.kill("C3");
    for old in ["C", "C2"] {
        cluster.start(old, false);
        cluster.run(1_000);
        assert_ne!(cluster.stopped(old), "it goes on");
    }
    cluster.start("C3", false);
    cluster.run(1_000);
    assert_eq!(cluster.pay("C3", "B", 1), Some((3, 2)));
}

/// While the store that the chain names is connected there is nothing to replace.
pub fn a_healthy_server_is_not_replaced() {
    let mut cluster = with_history();
    cluster.add("C2");
    cluster.start("C2", true);
    cluster.run(5_000);
    assert!(!cluster.is_named("A", "C2") && cluster.nodes["A"].disk.stored.log.is_empty());
    assert_eq!(cluster.pay("C", "A", 1), Some((1, 3)));
}

/// The peer that logged it crashed before it had settled it, and all is quiet.
pub fn an_entry_logged_before_a_crash_is_settled_after_it() {
    let mut cluster = with_history();
    cluster.part("A", "B");
    lose(&mut cluster);
    cluster.run(2_000);
    assert!(!cluster.nodes["A"].disk.stored.log.is_empty(), "A has logged it");
    cluster.restart("A", false);
    cluster.join("A", "B");
    cluster.run(5_000);
    assert!(cluster.is_named("B", "C2"));
}

/// Nobody but the new store's own peer logs it, and no client can ask for it.
pub fn a_client_can_not_ask_for_it() {
    let mut cluster = with_history();
    let (old, new) =
        (cluster.nodes["C"].disk.stored.instance, cluster.nodes["A"].disk.stored.instance);
    let action = Action::Rejoin { server: crate::machine::cluster::id("C"), old, new, key: None };
    let told = cluster.instruct("A", &Instruction::plain(action));
    assert!(matches!(told, Some(Outcome::Invalid { .. })), "{told:?}");
}
