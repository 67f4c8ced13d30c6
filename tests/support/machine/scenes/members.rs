//! The scenes of members that come and go. Each panics if something is wrong.

use crate::bank::address::Address;
use crate::bank::effects::Event;
use crate::bank::ids::{AccountId, ConnectionId, ServerId};
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::reason::Code;
use crate::bank::request::{Instruction, MemberStatus, Order, Outcome, Reply, Request};
use crate::machine::cluster::{Cluster, Name, id, pays, position};

pub const THREE: &[Name] = &["A", "B", "C"];

pub fn at(port: u16) -> Address {
    format!("host:{port}").parse().unwrap()
}

pub fn admit(server: Name) -> Order {
    Order::Admit { server: id(server), at: at(7_000), key: None, branch: false }
}

pub fn dismiss(server: Name) -> Order {
    Order::Change(MemberChange::Dismiss { server: id(server) })
}

fn promote(server: Name) -> Order {
    Order::Change(MemberChange::Promote { server: id(server) })
}

pub fn demote(server: Name) -> Order {
    Order::Change(MemberChange::Demote { server: id(server) })
}

/// Gives an order; returns the members after it, or why it is refused.
pub fn order(cluster: &mut Cluster, name: Name, order: Order) -> Result<Vec<MemberStatus>, String> {
    match cluster.ask(name, Request::Members(order)) {
        Some(Reply::Members { members, .. }) => Ok(members),
        Some(Reply::Error { message, .. }) => Err(message),
        other => panic!("no answer about members: {other:?}"),
    }
}

pub fn names(members: &[MemberStatus]) -> String {
    members.iter().map(|member| member.server.as_str()).collect()
}

fn voters(members: &[MemberStatus]) -> String {
    let voters = members.iter().filter(|member| member.votes);
    voters.map(|member| member.server.as_str()).collect()
}

pub fn members(cluster: &mut Cluster, name: Name) -> Vec<MemberStatus> {
    order(cluster, name, Order::Show).unwrap()
}

/// D is a member of a bank that was founded by these servers.
pub fn with_d(founders: &[Name]) -> Cluster {
    let mut cluster = Cluster::open(founders);
    cluster.add("D");
    cluster.start_joining("D", founders[0]);
    cluster.run(1_000);
    let after = order(&mut cluster, founders[0], admit("D")).expect("it is admitted");
    assert_eq!(names(&after), founders.concat() + "D");
    cluster.run(2_000);
    cluster
}

/// Everybody who runs holds the same chain, and the money is what it was.
pub fn is_sound(cluster: &mut Cluster, names: &[Name], total: u64) {
    cluster.run(3_000);
    let settled = cluster.settle(names[0]);
    assert!(settled, "it can settle");
    cluster.run(2_000);
    let heads: Vec<_> =
        names.iter().map(|name| cluster.nodes[name].disk.chain.last().cloned()).collect();
    assert!(heads.windows(2).all(|two| two[0] == two[1]), "one chain: {heads:?}");
    let sum: u64 = names.iter().map(|name| cluster.balance(name)).sum();
    assert_eq!(sum, total, "the total is what it was");
}

pub fn a_server_joins_and_takes_part() {
    let mut cluster = with_d(THREE);
    assert_eq!(cluster.balance("D"), 0, "it opens with nothing");
    assert!(cluster.pay("A", "D", 30).is_some());
    assert!(cluster.settle("A"));
    cluster.run(1_000);
    assert_eq!(cluster.balance("D"), 30);
    assert_eq!(cluster.pay("D", "B", 10).map(|(epoch, _)| epoch), Some(1));
    // Of four three are a majority: D's vote counts.
    cluster.kill("C");
    cluster.run(2_000);
    assert!(cluster.settle("D"), "A, B and D are a majority");
    cluster.kill("B");
    cluster.run(2_000);
    assert!(!cluster.settle("D"), "A and D are none");
    cluster.start("B", false);
    cluster.start("C", false);
    is_sound(&mut cluster, &["A", "B", "C", "D"], 300);
    // Its store alone tells it who the members are.
    cluster.kill("D");
    cluster.start_joining("D", "A");
    is_sound(&mut cluster, &["A", "B", "C", "D"], 300);
}

pub fn nobody_joins_unordered() {
    let mut cluster = Cluster::open(THREE);
    cluster.add("D");
    cluster.start_joining("D", "A");
    cluster.run(3_000);
    assert_eq!(names(&members(&mut cluster, "A")), "ABC");
    assert_eq!(cluster.nodes["D"].disk.chain.len(), 0, "it was told nothing");
    let Some(Reply::Members { asks, .. }) = cluster.ask("A", Request::Members(Order::Show)) else {
        panic!("the members are told");
    };
    assert_eq!(asks.len(), 1, "an operator sees that it asks");
}

/// The order may come before the server, and at any member.
pub fn an_order_waits_for_its_server() {
    let mut cluster = Cluster::open(THREE);
    let early = order(&mut cluster, "B", admit("D")).unwrap_err();
    assert!(early.contains("D has not come yet"), "{early}");
    cluster.add("D");
    cluster.start_joining("D", "A");
    cluster.run(3_000);
    assert_eq!(names(&members(&mut cluster, "C")), "ABCD", "B has dialled it");
    is_sound(&mut cluster, &["A", "B", "C", "D"], 300);
}

pub fn one_becomes_two_and_two_become_one() {
    let mut cluster = with_d(&["A"]);
    assert!(cluster.pay("A", "D", 40).is_some());
    is_sound(&mut cluster, &["A", "D"], 100);
    cluster.kill("D");
    cluster.run(2_000);
    assert!(!cluster.settle("A"), "of two, one is no majority");
    cluster.start_joining("D", "A");
    cluster.run(3_000);
    assert!(cluster.pay("D", "A", 40).is_some());
    assert!(cluster.settle("D"));
    order(&mut cluster, "D", dismiss("D")).expect("it holds nothing");
    cluster.run(3_000);
    assert!(
        cluster.stopped("D").contains("no member of this bank any more"),
        "{}",
        cluster.stopped("D")
    );
    is_sound(&mut cluster, &["A"], 100);
    let last = order(&mut cluster, "A", dismiss("A")).unwrap_err();
    assert!(last.contains("last member with a vote"), "{last}");
}

pub fn who_holds_money_is_not_dismissed() {
    let mut cluster = with_d(THREE);
    assert!(cluster.pay("A", "D", 30).is_some() && cluster.settle("A"));
    cluster.run(1_000);
    let left = order(&mut cluster, "D", dismiss("D")).unwrap_err();
    assert!(left.contains("D still holds money: D 30"), "{left}");
    let elsewhere = order(&mut cluster, "A", dismiss("D")).unwrap_err();
    assert!(elsewhere.contains("only D itself"), "{elsewhere}");
    assert!(cluster.pay("D", "B", 30).is_some() && cluster.settle("D"));
    // While D leaves, A pays it: the money is in the very block that would dismiss D.
    assert!(cluster.pay("A", "D", 5).is_some());
    let request = Request::Members(dismiss("D"));
    let event = Event::Request(ConnectionId(9_999_999), None, request);
    cluster.tell_and_part("D", THREE, event);
    let open = Instruction::plain(Action::open("D/late".parse().unwrap()));
    let Some(Reply::Error { message, .. }) = cluster.ask("D", Request::One(open)) else {
        panic!("who leaves logs nothing");
    };
    assert!(message.contains("is to be dismissed"), "nothing is decided yet: {message}");
    for name in ["A", "B", "C"] {
        cluster.join("D", name);
    }
    cluster.run(5_000);
    assert_eq!(names(&members(&mut cluster, "A")), "ABCD", "the dismissal is void");
    is_sound(&mut cluster, &["A", "B", "C", "D"], 300);
    assert_eq!(cluster.pay("D", "B", 5).map(|(epoch, _)| epoch), Some(1), "it goes on");
}

pub fn who_is_dismissed_is_gone_and_comes_back_in_the_next_epoch() {
    let mut cluster = with_d(THREE);
    assert!(cluster.pay("A", "D", 30).is_some() && cluster.settle("A"));
    cluster.run(1_000);
    assert!(cluster.pay("D", "B", 30).is_some() && cluster.settle("D"));
    order(&mut cluster, "D", dismiss("D")).expect("it holds nothing");
    cluster.run(3_000);
    assert!(cluster.stopped("D").contains("dismissed"), "{}", cluster.stopped("D"));
    let paid = cluster.instruct("A", &pays("A", "D", 1, None));
    let is_refused = |outcome: &Option<Outcome>| match outcome {
        Some(Outcome::Invalid { reason }) => reason.code == Code::NoSuchServer,
        _ => false,
    };
    assert!(is_refused(&paid), "nobody pays it: {paid:?}");
    is_sound(&mut cluster, &["A", "B", "C"], 300);
    // The old store comes again: it is over.
    cluster.start_joining("D", "A");
    cluster.run(3_000);
    assert!(
        cluster.stopped("D").contains("no member of this bank any more"),
        "{}",
        cluster.stopped("D")
    );
    // With an empty store it may be admitted again.
    cluster.add("D");
    cluster.start_joining("D", "B");
    cluster.run(1_000);
    order(&mut cluster, "B", admit("D")).expect("it is admitted again");
    cluster.run(3_000);
    assert!(cluster.pay("A", "D", 7).is_some() && cluster.settle("A"));
    cluster.run(1_000);
    let paid = cluster.instruct("D", &pays("D", "C", 7, None));
    let epoch = paid.as_ref().and_then(position).map(|(epoch, _)| epoch);
    assert_eq!(epoch, Some(2), "in the next epoch: {paid:?}, {}", cluster.stopped("D"));
    is_sound(&mut cluster, &["A", "B", "C", "D"], 300);
}

/// A block may be chosen by the dismissed server and one other, who hears nothing of its being chosen.
pub fn a_dismissed_server_stays_until_the_others_hold_the_block() {
    let mut cluster = with_d(&["A"]);
    assert!(cluster.settle("A"));
    cluster.run(1_000);
    // A accepts the block, and hears nothing of its being chosen.
    let request = Request::Members(dismiss("D"));
    let height = cluster.height("D");
    cluster.tell("D", Event::Request(ConnectionId(77_777), None, request));
    cluster.run(20_000);
    assert!(cluster.height("D") > height, "the block is chosen");
    assert!(cluster.stopped("D").contains("no member"), "{}", cluster.stopped("D"));
    assert_eq!(cluster.height("A"), cluster.height("D"), "and A holds it");
    is_sound(&mut cluster, &["A"], 100);
}

pub fn a_branch_logs_and_has_no_vote() {
    let mut cluster = Cluster::open(THREE);
    for branch in ["D", "E"] {
        cluster.add(branch);
        cluster.start_joining(branch, "A");
        cluster.run(1_000);
        let at = if branch == "D" { at(7_100) } else { at(7_200) };
        let admit = Order::Admit { server: id(branch), at, key: None, branch: true };
        let after = order(&mut cluster, "A", admit).expect("it is admitted");
        assert_eq!(voters(&after), "ABC");
        cluster.run(2_000);
    }
    assert!(cluster.pay("A", "D", 30).is_some() && cluster.settle("B"));
    cluster.run(1_000);
    assert!(cluster.pay("D", "E", 10).is_some(), "it serves from its own log");
    assert!(cluster.settle("A"), "and is asked for it by every run");
    cluster.run(1_000);
    assert_eq!(cluster.balance("E"), 10);
    // A branch that lacks money proposes as anybody does.
    assert!(cluster.pay("B", "D", 100).is_some());
    let paid = cluster.instruct("D", &pays("D", "C", 110, None));
    assert!(paid.as_ref().and_then(position).is_some(), "it finds the money: {paid:?}");
    // Two voters of three decide, whatever the branches do…
    for gone in ["C", "D", "E"] {
        cluster.kill(gone);
    }
    cluster.run(2_000);
    assert!(cluster.settle("A"), "A and B are a majority");
    // …and branches do not make up for voters.
    cluster.kill("B");
    cluster.start_joining("D", "A");
    cluster.start_joining("E", "A");
    cluster.run(3_000);
    assert!(!cluster.settle("A"), "one voter and two branches are none");
    cluster.start("B", false);
    cluster.start("C", false);
    is_sound(&mut cluster, &["A", "B", "C", "D", "E"], 300);
}

pub fn a_vote_is_given_and_taken() {
    let mut cluster = with_d(THREE);
    let again = order(&mut cluster, "A", promote("D")).unwrap_err();
    assert!(again.contains("D has a vote already"), "{again}");
    assert_eq!(voters(&order(&mut cluster, "B", demote("D")).unwrap()), "ABC");
    assert_eq!(voters(&order(&mut cluster, "D", demote("C")).unwrap()), "AB");
    cluster.kill("C");
    cluster.run(2_000);
    assert!(cluster.settle("A"), "A and B are all who vote");
    cluster.start("C", false);
    cluster.run(2_000);
    assert_eq!(voters(&order(&mut cluster, "C", promote("D")).unwrap()), "ABD");
    for (server, left) in [("A", "BD"), ("B", "D")] {
        assert_eq!(voters(&order(&mut cluster, "C", demote(server)).unwrap()), left);
    }
    let last = order(&mut cluster, "C", demote("D")).unwrap_err();
    assert!(last.contains("last member with a vote"), "{last}");
    is_sound(&mut cluster, &["A", "B", "C", "D"], 300);
}

/// What is ordered at two members at a time holds in the order of the chain.
/// What was decided by two of which one lost its store can't be undone by anybody.
pub fn no_vote_depends_on_a_store_that_is_lost() {
    let mut cluster = with_d(&["A"]);
    order(&mut cluster, "A", demote("D")).expect("A votes alone again");
    cluster.kill("D");
    cluster.run(2_000);
    let why = order(&mut cluster, "A", promote("D")).unwrap_err();
    assert!(why.contains("D is not connected here"), "{why}");
    cluster.add("D2");
    cluster.start("D2", true);
    cluster.run(4_000);
    let after = order(&mut cluster, "A", promote("D")).expect("the chain names its store");
    assert_eq!(voters(&after), "AD");
    cluster.kill("D2");
    cluster.run(2_000);
    let why = order(&mut cluster, "A", demote("A")).unwrap_err();
    assert!(why.contains("not connected here are D"), "{why}");
}

pub fn two_changes_in_one_block() {
    let mut cluster = with_d(THREE);
    for name in ["A", "B", "C"] {
        assert!(cluster.settle(name));
    }
    let request = |order| {
        let connection = ConnectionId(88_888);
        Event::Request(connection, None, Request::Members(order))
    };
    cluster.part("A", "B");
    cluster.tell("A", request(demote("C")));
    cluster.tell("B", request(demote("D")));
    cluster.join("A", "B");
    cluster.run(5_000);
    assert_eq!(voters(&members(&mut cluster, "C")), "AB", "both hold");
    is_sound(&mut cluster, &["A", "B", "C", "D"], 300);
}

pub fn a_move_is_followed() {
    let mut cluster = with_d(THREE);
    let new = at(9_999);
    let moved = Order::Change(MemberChange::Move { server: id("B"), at: new.clone() });
    let after = order(&mut cluster, "A", moved.clone()).expect("it moves");
    let of_b = after.iter().find(|member| member.server == id("B")).unwrap();
    assert_eq!(of_b.address.as_deref(), Some(new.as_str()));
    cluster.run(1_000);
    let dials = cluster.nodes["C"].server.as_ref().unwrap().dials();
    assert!(dials.contains(&(id("B"), new.as_str().to_owned())), "{dials:?}");
    let taken = Order::Change(MemberChange::Move { server: id("C"), at: new });
    let error = order(&mut cluster, "A", taken).unwrap_err();
    assert!(error.contains("is the address of B"), "{error}");
}

/// Whoever was away while members came and went learns it from the chain, and is told if it was dismissed.
pub fn who_was_away_follows() {
    let mut cluster = with_d(THREE);
    cluster.kill("C");
    cluster.add("E");
    cluster.start_joining("E", "D");
    cluster.run(1_000);
    order(
        &mut cluster,
        "D",
        Order::Admit { server: id("E"), at: at(7_200), key: None, branch: false },
    )
    .expect("it is admitted");
    cluster.run(2_000);
    assert!(cluster.pay("A", "E", 100).is_some() && cluster.settle("A"));
    cluster.run(1_000);
    order(&mut cluster, "A", dismiss("A")).expect("it holds nothing");
    cluster.run(3_000);
    assert!(cluster.stopped("A").contains("dismissed"), "{}", cluster.stopped("A"));
    cluster.start("C", false);
    cluster.run(4_000);
    assert_eq!(names(&members(&mut cluster, "C")), "BCDE");
    is_sound(&mut cluster, &["B", "C", "D", "E"], 300);
}

pub fn a_member_that_joined_rejoins() {
    let mut cluster = with_d(THREE);
    assert!(cluster.pay("A", "D", 30).is_some() && cluster.settle("A"));
    cluster.run(1_000);
    cluster.kill("D");
    cluster.run(2_000);
    cluster.add("D2");
    cluster.start("D2", true);
    cluster.run(4_000);
    assert_eq!(cluster.pay("D2", "A", 30).map(|(epoch, _)| epoch), Some(2));
    assert!(cluster.settle("A"));
}

/// What a client asks for is no change of the members.
pub fn an_account_of_a_stranger_is_no_member_s() {
    let mut cluster = Cluster::open(THREE);
    let to: AccountId = "Z".parse().unwrap();
    let asked = Instruction { ..pays("A", "Z", 1, None) };
    assert_eq!(asked.action.payee(), Some(&to));
    assert!(matches!(cluster.instruct("A", &asked), Some(Outcome::Invalid { .. })));
    let stranger: ServerId = id("Z");
    let error = order(&mut cluster, "A", promote("Z")).unwrap_err();
    assert!(error.contains(&format!("{stranger} is no member")), "{error}");
}
