//! The real state machine under a model checker: every order of everything, within bounds.
//!
//! No second model of the protocol is written: the states hold the very [`Server`]s that run under
//! the threads. `steps` says which steps there are, `audit` what must hold in every state, `marks`
//! what must be seen in some, `banks` what is explored. `rejoin` does the same for a server whose store is
//! lost, with several stores of it, and `members` for banks whose members change.
//!
//! `cargo test --test model` explores some small banks to their ends. Big ones, of millions of
//! states, in some minutes:
//!
//! `MODEL=deep cargo test --release --test model -- --nocapture`
//!
//! [`Server`]: paxos_banking::bank::server::Server

mod abacus;
mod audit;
mod banks;
mod bounds;
mod delivery;
#[allow(dead_code, reason = "no simulation is played here")]
#[path = "../support/machine/mod.rs"]
mod machine;
mod marks;
mod members;
mod node;
mod rejoin;
mod state;
mod steps;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

use bounds::{Exploration, OPENING};
use machine::config_of;
use paxos_banking::bank;
use paxos_banking::bank::ids::ServerId;
use paxos_banking::bank::server::Config;
use paxos_banking::bank::server::Habit;
use stateright::{Checker, Expectation, Model, Property};

const NAMES: [&str; 3] = ["A", "B", "C"];

fn config(name: &str, servers: &[&str], habit: Habit) -> Config {
    let id = |name: &str| -> ServerId { name.parse().expect("a name") };
    let servers: Vec<ServerId> = servers.iter().map(|name| id(name)).collect();
    Config { habit, ..config_of(&id(name), &servers, OPENING) }
}

/// What was seen of the properties that must be seen somewhere.
type Seen = BTreeSet<&'static str>;

/// Reports on an exploration that has ended, with the number of its states; fails, with the path to
/// it, on what may never be.
fn report<B: Explored>(name: &str, began: Instant, checker: &impl Checker<B>) -> (Seen, usize)
where
    B::State: Debug + Hash + PartialEq + Clone,
    B::Action: Debug + Clone + PartialEq,
{
    let (unique, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {unique} unique states, depth {depth}, {:.1?}", began.elapsed());
    let found = checker.discoveries();
    for property in checker.model().properties() {
        let Some(path) = found.get(property.name) else { continue };
        if property.expectation == Expectation::Always {
            let steps = path.clone().into_actions();
            let steps: Vec<String> = steps.iter().map(|step| format!("  {step:?}\n")).collect();
            panic!("{name}: not so: {}\n{}", property.name, steps.concat());
        }
    }
    (found.into_keys().collect(), unique)
}

fn expect_all<B: Model>(marks: Vec<Property<B>>, seen: &Seen) {
    let names = marks.iter().map(|mark| mark.name);
    let unseen: Vec<&str> = names.filter(|name| !seen.contains(name)).collect();
    assert!(unseen.is_empty(), "never seen: {unseen:#?}");
}

/// In which order states are explored.
#[derive(Clone, Copy)]
enum First {
    /// So that the path to a mistake is a shortest one.
    Breadth,
    /// So that what is still to be explored takes no memory to speak of.
    Depth,
}

/// What can be explored by several threads.
trait Explored: Model + Send + Sync + 'static {}
impl<B: Model + Send + Sync + 'static> Explored for B {}

/// Explores each bank to its end.
fn explore<B: Explored>(explorations: Vec<Exploration<B>>, first: First) -> Seen
where
    B::State: Debug + Hash + PartialEq + Clone + Send + Sync,
    B::Action: Debug + Clone + PartialEq + Send + Sync,
{
    let threads = std::thread::available_parallelism().map_or(1, |number| number.get());
    let mut seen = Seen::new();
    let mut changed = Vec::new();
    for Exploration { name, states, bank } in explorations {
        let began = Instant::now();
        let builder = bank.checker().threads(threads);
        let (found, unique) = match first {
            First::Breadth => report(name, began, &builder.spawn_bfs().join()),
            First::Depth => report(name, began, &builder.spawn_dfs().join()),
        };
        seen.extend(found);
        if unique != states {
            changed.push(name);
        }
    }
    assert!(changed.is_empty(), "the machine or a bound was changed, so must be: {changed:?}");
    seen
}

fn is_deep() -> bool {
    match std::env::var("MODEL").as_deref() {
        Ok("deep") => true,
        Ok(other) => panic!("MODEL is deep, or not set; not {other}"),
        Err(_) => false,
    }
}

#[test]
fn what_may_never_be_is_in_no_state_and_every_rare_path_is_in_some() {
    expect_all(marks::properties(), &explore(banks::quick(), First::Breadth));
    if is_deep() {
        explore(banks::deep(), First::Depth);
    }
}

#[test]
fn nor_is_it_when_a_server_rejoins() {
    expect_all(rejoin::marks::of_few(), &explore(rejoin::banks::quick(), First::Breadth));
    if is_deep() {
        let seen = explore(rejoin::banks::deep(), First::Depth);
        expect_all(rejoin::marks::of_many(), &seen);
    }
}

#[test]
fn nor_is_it_when_members_come_and_go() {
    expect_all(members::marks::properties(), &explore(members::banks::quick(), First::Breadth));
    if is_deep() {
        explore(members::banks::deep(), First::Depth);
    }
}
