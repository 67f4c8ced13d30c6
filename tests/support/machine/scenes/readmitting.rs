//! The scenes of servers that were admitted and dismissed, and come again.

use crate::bank::request::{Order, Reply, Request};
use crate::machine::cluster::{Cluster, id};
use crate::machine::scenes::members::{THREE, admit, at, dismiss, members, names, order};

/// No order brings back a store that was admitted and dismissed before it heard of either; so nobody is to be told
/// that one is needed.
pub fn who_never_heard_of_its_admission_and_dismissal_asks_nobody() {
    let mut cluster = Cluster::open(THREE);
    cluster.add("D");
    cluster.start_joining("D", "A");
    let before = cluster.nodes["D"].disk.clone();
    cluster.run(1_000);
    order(&mut cluster, "A", admit("D")).expect("it is admitted");
    cluster.run(2_000);
    order(&mut cluster, "D", dismiss("D")).expect("it holds nothing");
    cluster.run(3_000);
    cluster.kill("D");
    cluster.nodes.get_mut("D").unwrap().disk = before;
    cluster.start_joining("D", "A");
    cluster.run(3_000);
    assert_eq!(cluster.nodes["D"].disk.chain.len(), 0, "it was told nothing");
    let Some(Reply::Members { asks, .. }) = cluster.ask("A", Request::Members(Order::Show)) else {
        panic!("the members are told");
    };
    assert_eq!(asks, [], "no order helps it");
}

/// What a store said that is over is not what the one says that comes in its place, even if the order comes first, at
/// a server that was told to join by that one (the simulator's seed 218025).
pub fn an_order_waits_for_the_store_in_the_place_of_a_dismissed_one() {
    let mut cluster = Cluster::open(THREE);
    cluster.add("D");
    cluster.start_joining("D", "C");
    cluster.run(1_000);
    let admit_d = Order::Admit { server: id("D"), at: at(7_001), key: None, branch: false };
    order(&mut cluster, "C", admit_d).expect("it is admitted");
    cluster.run(2_000);
    assert!(cluster.pay("C", "A", 100).is_some() && cluster.settle("C"));
    cluster.run(1_000);
    for _ in 0..2 {
        order(&mut cluster, "C", dismiss("C")).expect("it holds nothing");
        cluster.run(3_000);
        cluster.add("C");
        let early = order(&mut cluster, "D", admit("C")).unwrap_err();
        assert!(early.contains("C has not come yet"), "{early}");
        cluster.start_joining("C", "D");
        cluster.run(3_000);
        assert_eq!(names(&members(&mut cluster, "A")), "ABCD", "it came");
    }
}
