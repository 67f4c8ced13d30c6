//! What is explored of a server that rejoins.

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ledger::entry::Action;

use super::state::Budget;
use super::{Bank, LOST};
use crate::Exploration;

const THREE: &[&str] = &["A", "B", "C"];
const FIVE: &[&str] = &["A", "B", "C", "D", "E"];

fn pays(from: &str, to: &str, amount: u64) -> Action {
    let amount = Amount::new(amount).expect("an amount");
    let account = |name: &str| name.parse().expect("an account");
    Action::Transfer { from: account(from), to: account(to), amount }
}

/// One newer store, which asks to rejoin twice, and hears once how far the others are.
fn one(servers: &'static [&'static str], asks: Vec<(usize, Action)>) -> Bank {
    let budget = Budget { newer_beats: 1, beats: 1, ..Budget::default() };
    Bank { servers, newer: 1, asks, budget, chatter_at_once: true, rounds: 2 }
}

pub fn quick() -> Vec<Exploration<Bank>> {
    vec![Exploration {
        name: "the old store is cut off",
        states: 0,
        bank: one(THREE, vec![(LOST, pays("C", "A", 3))]),
    }]
}

pub fn deep() -> Vec<Exploration<Bank>> {
    let _ = FIVE;
    vec![]
}
