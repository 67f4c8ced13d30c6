//! The scenes of members that come and go in a bank with keys. Each panics if something is wrong.

use super::members::{at, dismiss};
use crate::bank::asker::{Asker, Role};
use crate::bank::effects::Event;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ConnectionId;
use crate::bank::member_order::Order;
use crate::bank::request::{Reply, Request};
use crate::machine::cluster::{Cluster, Name, id};

const THREE: &[Name] = &["A", "B", "C"];

/// The key of a store.
fn key(name: Name) -> Option<Fingerprint> {
    Some(Fingerprint::of(name.as_bytes()))
}

/// An operator orders something at a member; returns who the members are then, or why it is refused.
fn order(cluster: &mut Cluster, name: Name, order: Order) -> Result<String, String> {
    match cluster.ask_as_operator(name, Request::Members(order)) {
        Some(Reply::Members { members, .. }) => {
            Ok(members.iter().map(|member| member.server.as_str()).collect())
        }
        Some(Reply::Error { message, .. }) => Err(message),
        other => panic!("no answer about members: {other:?}"),
    }
}

fn admit_d(cluster: &mut Cluster, key: Option<Fingerprint>) -> Result<String, String> {
    order(cluster, "A", Order::Admit { server: id("D"), at: at(7_000), key, branch: false })
}

fn members(cluster: &mut Cluster) -> String {
    order(cluster, "A", Order::Show).expect("an operator may see them")
}

/// D, with a key, asks to join a bank with keys.
fn d_asks() -> Cluster {
    let mut cluster = Cluster::open_with_keys(THREE);
    cluster.add("D");
    cluster.give_key("D");
    cluster.start_joining("D", "A");
    cluster.run(1_000);
    cluster
}

fn with_d() -> Cluster {
    let mut cluster = d_asks();
    assert_eq!(admit_d(&mut cluster, key("D")).as_deref(), Ok("ABCD"));
    cluster.run(2_000);
    cluster
}

pub fn who_is_admitted_is_known_by_its_key() {
    let mut cluster = with_d();
    assert!(cluster.is_keyed("A") && cluster.is_keyed("D"));
    assert!(cluster.pay_as_operator("A", "D", 30).is_some() && cluster.settle_as_operator("A"));
    cluster.run(1_000);
    assert_eq!(cluster.pay_as_operator("D", "B", 10).map(|(epoch, _)| epoch), Some(1));
    cluster.kill("C");
    cluster.run(2_000);
    assert!(cluster.settle_as_operator("D"), "A, B and D are a majority");
}

pub fn with_another_key_than_was_ordered_nobody_is_admitted() {
    let mut cluster = d_asks();
    let waits = admit_d(&mut cluster, key("E")).unwrap_err();
    assert!(waits.contains("D has not come yet"), "{waits}");
    cluster.run(3_000);
    assert_eq!(members(&mut cluster), "ABC");
    assert_eq!(cluster.nodes["D"].disk.chain.len(), 0, "it was told nothing");
    // The key that was ordered comes.
    cluster.kill("D");
    cluster.give_key_of("D", "E");
    cluster.start_joining("D", "A");
    cluster.run(3_000);
    assert_eq!(members(&mut cluster), "ABCD");
}

pub fn a_bank_with_keys_admits_nobody_without_one() {
    let mut cluster = d_asks();
    let error = admit_d(&mut cluster, None).unwrap_err();
    assert!(
        error.contains("this bank has keys: name the key by which D is to be known"),
        "{error}"
    );
    let mut cluster = Cluster::open_with_keys(THREE);
    cluster.add("D");
    cluster.start_joining("D", "A");
    admit_d(&mut cluster, key("D")).unwrap_err();
    assert_eq!(members(&mut cluster), "ABC", "D proves no key");
    let mut cluster = Cluster::open(THREE);
    let error = super::members::order(
        &mut cluster,
        "A",
        Order::Admit { server: id("D"), at: at(7_000), key: key("D"), branch: false },
    );
    assert!(error.unwrap_err().contains("this bank has no keys"));
}

pub fn no_server_s_key_admits_another_nor_does_a_former_one() {
    let mut cluster = with_d();
    let taken = Order::Admit { server: id("E"), at: at(7_100), key: key("B"), branch: false };
    let error = order(&mut cluster, "A", taken).unwrap_err();
    assert!(error.contains("is or was a server's: make another"), "{error}");
    assert_eq!(order(&mut cluster, "D", dismiss("D")).as_deref(), Ok("ABC"));
    cluster.run(3_000);
    assert!(cluster.stopped("D").contains("dismissed"), "{}", cluster.stopped("D"));
    cluster.add("D");
    cluster.start_joining("D", "A");
    cluster.run(1_000);
    let error = admit_d(&mut cluster, key("D")).unwrap_err();
    assert!(error.contains("is or was a server's: make another"), "{error}");
    // With an empty store and another key it comes.
    cluster.kill("D");
    cluster.give_key_of("D", "D2");
    cluster.start_joining("D", "A");
    cluster.run(1_000);
    assert_eq!(admit_d(&mut cluster, key("D2")).as_deref(), Ok("ABCD"));
}

/// Neither as itself, nor as a newer store of it, nor as another member.
pub fn a_dismissed_member_s_key_speaks_for_nobody() {
    let mut cluster = with_d();
    let before = cluster.nodes["D"].disk.clone();
    assert_eq!(order(&mut cluster, "D", dismiss("D")).as_deref(), Ok("ABC"));
    cluster.run(3_000);
    let height = cluster.height("A");
    // As the store that it was, from before it was dismissed.
    cluster.nodes.get_mut("D").unwrap().disk = before;
    cluster.start_joining("D", "A");
    cluster.run(5_000);
    assert_eq!(cluster.height("D"), height - 1, "no member gives it a block");
    cluster.kill("D");
    // In C's place.
    cluster.kill("C");
    cluster.add("C2");
    cluster.give_key_of("C2", "D");
    cluster.start("C2", true);
    cluster.run(3_000);
    assert_eq!(cluster.nodes["C2"].disk.chain.len(), 0, "it is told nothing");
    cluster.kill("C2");
    cluster.start("C", false);
    cluster.run(3_000);
    assert_eq!((members(&mut cluster), cluster.height("A")), ("ABC".to_owned(), height));
    assert!(cluster.settle_as_operator("C"), "and nothing came of it");
}

/// Whoever has asked to be dismissed logs nothing more, no other server's rejoin either: it would be gone with its log.
pub fn who_is_to_leave_brings_nobody_in() {
    let mut cluster = Cluster::open_with_keys(&["A", "B", "C", "D"]);
    assert!(cluster.pay_as_operator("D", "A", 100).is_some() && cluster.settle_as_operator("A"));
    cluster.run(1_000);
    let operator = Asker { key: Fingerprint::of(b"a person"), role: Some(Role::Operator) };
    let connection = ConnectionId(77_777);
    cluster.tell("D", Event::Proved(connection, operator));
    let request = Request::Members(dismiss("D"));
    cluster.tell_and_part("D", THREE, Event::Request(connection, None, request));
    cluster.kill("B");
    cluster.add("B2");
    cluster.give_key("B2");
    cluster.start("B2", true);
    cluster.run(1_000);
    let logged = |cluster: &Cluster| cluster.nodes["D"].disk.stored.log.len();
    let before = logged(&cluster);
    assert!(!cluster.confirm("D", "B2"), "it says so");
    cluster.run(1_000);
    assert_eq!(logged(&cluster), before, "and does so");
    ["A", "C"].iter().for_each(|name| cluster.join("D", name));
    cluster.run(5_000);
    assert!(cluster.stopped("D").contains("no member"), "{}", cluster.stopped("D"));
    assert!(cluster.confirm("A", "B2"), "another one takes the order");
}
