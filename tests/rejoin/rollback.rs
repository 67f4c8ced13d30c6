//! Scenes of a store that went back in time.

use crate::machine::cluster::{Cluster, Name, pays};
use crate::machine::scenes::rejoining::{lose, with_history};

/// Asks `name` to pay thrice, then puts its store back to where it was before that.
fn roll_back(cluster: &mut Cluster, name: Name, pays: u64) {
    let copy = cluster.nodes[name].disk.clone();
    for _ in 0..pays {
        assert!(cluster.pay(name, "B", 1).is_some());
    }
    cluster.run(2_000);
    cluster.kill(name);
    cluster.nodes.get_mut(name).unwrap().disk = copy;
}

pub fn a_store_that_went_back_in_time_is_noticed_by_a_peer() {
    let mut cluster = with_history();
    roll_back(&mut cluster, "C", 3);
    cluster.start("C", false);
    cluster.run(1_000);
    assert!(cluster.stopped("C").contains("rolled back"), "{}", cluster.stopped("C"));
}

/// However long it lives on unnoticed, and whatever it writes meanwhile.
pub fn it_is_noticed_late_too() {
    let mut cluster = with_history();
    roll_back(&mut cluster, "C", 1);
    cluster.part_from_all("C");
    cluster.start("C", false);
    for _ in 0..5 {
        cluster.pay("C", "B", 2);
    }
    cluster.restart("C", false);
    cluster.join("A", "C");
    cluster.run(2_000);
    assert_eq!(cluster.pay("C", "B", 2), None, "one has noticed it, and nobody has welcomed C");
    cluster.join("B", "C");
    cluster.run(2_000);
    assert!(cluster.stopped("C").contains("rolled back"), "{}", cluster.stopped("C"));
}

/// The last thing that was seen of it is the first that is missing.
pub fn one_turn_is_noticed() {
    let mut cluster = with_history();
    let last = cluster.nodes["C"].disk.clone();
    let request = crate::bank::request::Request::One(pays("C", "B", 1, None));
    cluster.tell_in_one_turn("C", request);
    cluster.kill("C");
    assert_eq!(cluster.nodes["C"].disk.stored.turn.0, last.stored.turn.0 + 1, "one turn");
    cluster.nodes.get_mut("C").unwrap().disk = last;
    cluster.start("C", false);
    cluster.run(1_000);
    assert!(cluster.stopped("C").contains("rolled back"), "{}", cluster.stopped("C"));
}

/// After that it is as one whose store was lost.
pub fn one_that_was_rolled_back_rejoins() {
    let mut cluster = with_history();
    roll_back(&mut cluster, "C", 3);
    cluster.start("C", false);
    cluster.run(1_000);
    lose(&mut cluster);
    cluster.run(4_000);
    assert_eq!(cluster.pay("C2", "B", 7), Some((2, 1)));
    assert_eq!(cluster.balance("C2"), 83);
}
