//! What is explored. Each bank has three servers, and all bounds on what happens to it are here.

use crate::state::{Budget, Wish};
use crate::steps::Bank;

/// A bank, and how many states it can be in.
pub struct Exploration {
    pub name: &'static str,
    /// Unique states. A change to the state machine that changes this is not one of words only.
    pub states: usize,
    pub bank: Bank,
}

/// An exploration, as it stands in a list.
fn exploration(name: &'static str, states: usize, bank: Bank) -> Exploration {
    Exploration { name, states, bank }
}

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

fn pays(home: usize, to: usize, amount: u64) -> Wish {
    Wish { home, to, amount }
}

/// Nothing goes wrong, and messages overtake each other.
fn fair(wishes: Vec<Wish>) -> Bank {
    let budget = Budget { crashes: 0, duplicates: 0, impatience: 0, shared_turns: 0, retries: 0 };
    Bank { wishes, served: 0, budget, in_order: false, rounds: 1 }
}

/// B pays A, out of which A can pay C more than it had at the start: by a run, if B's entry is in
/// time, or else it is refused.
fn one_needs_a_run() -> Vec<Wish> {
    vec![pays(B, A, 5), pays(A, C, 12)]
}

/// One transfer that needs a run, then another of the same account, which needs the next.
fn one_needs_two_runs() -> Vec<Wish> {
    vec![pays(B, A, 5), pays(A, C, 12), pays(A, B, 9)]
}

/// Two servers need runs, and compete.
fn two_need_runs() -> Vec<Wish> {
    vec![pays(B, A, 5), pays(A, C, 12), pays(C, B, 12)]
}

/// The first of them served before, a second round allowed, and messages in order.
fn later(wishes: Vec<Wish>) -> Bank {
    Bank { served: 1, rounds: 2, in_order: true, ..fair(wishes) }
}

pub fn quick() -> Vec<Exploration> {
    let late_entry = vec![pays(B, A, 5), pays(B, C, 1), pays(A, C, 12)];
    vec![
        exploration(
            "an entry comes late for a run",
            75_939,
            Bank { rounds: 2, ..fair(late_entry) },
        ),
        exploration(
            "a crash and a retry",
            529_013,
            with(fair(one_needs_a_run()), |b| (b.crashes, b.retries) = (1, 1)),
        ),
        exploration("a message twice", 31_022, with(fair(one_needs_a_run()), |b| b.duplicates = 1)),
        exploration(
            "a retry, and a turn of two events",
            34_974,
            with(fair(one_needs_a_run()), |b| (b.retries, b.shared_turns) = (1, 1)),
        ),
        exploration(
            "a round finished by another",
            23_400,
            with(later(one_needs_a_run()), |b| b.impatience = 1),
        ),
        exploration("a run after a run", 3_152, later(one_needs_two_runs())),
    ]
}

pub fn deep() -> Vec<Exploration> {
    vec![
        exploration(
            "impatience, and everything overtakes",
            3_377_130,
            with(Bank { rounds: 2, ..fair(one_needs_a_run()) }, |b| b.impatience = 1),
        ),
        exploration("two compete", 1_539_733, later(two_need_runs())),
        exploration(
            "a crash, impatience and a retry, and everything overtakes",
            6_752_906,
            with(fair(one_needs_a_run()), |b| (b.crashes, b.impatience, b.retries) = (1, 1, 1)),
        ),
    ]
}

/// The bank, with more that may go wrong.
fn with(mut bank: Bank, change: impl FnOnce(&mut Budget)) -> Bank {
    change(&mut bank.budget);
    bank
}
