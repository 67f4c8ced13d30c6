//! Mistakes about members that the banks of `tests/model/members` find: every order of everything is taken, a state
//! with fewer steps before it first, until something is not so.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::{Expectation, Model, Property};

use crate::members::banks::*;
use crate::members::{Bank, forget};
use crate::mistakes::Mistake;

/// A bank as it begins.
pub type Begin = fn() -> Bank;

/// In which bank each is found.
pub const MODELLED: &[(Mistake, Begin)] = &[
    (Mistake::BranchVotes, a_vote_is_given),
    (Mistake::BranchesWidenMajority, a_branch_joins),
    (Mistake::DismissedWithMoney, who_leaves_is_paid),
    (Mistake::LogsThoughLeaving, who_leaves_is_paid),
    (Mistake::TwoDismissed, two_are_dismissed),
    (Mistake::LastVoterGoes, two_take_each_other_s_vote),
    (Mistake::LeavesAtOnce, two_become_one),
    (Mistake::LeavesOnceAccepted, two_become_one),
    (Mistake::DismissalUntold, who_missed_its_dismissal_is_told),
];

/// Explores a bank until something is not so that must always be. Returns after how many states, and what.
pub fn explore(bank: &Bank) -> Option<(usize, &'static str)> {
    forget();
    let always = |property: &Property<Bank>| property.expectation == Expectation::Always;
    let rules: Vec<Property<Bank>> = bank.properties().into_iter().filter(always).collect();
    let mut waiting = VecDeque::from(bank.init_states());
    let mut known = HashSet::new();
    while let Some(state) = waiting.pop_front() {
        if let Some(broken) = rules.iter().find(|rule| !(rule.condition)(bank, &state)) {
            return Some((known.len(), broken.name));
        }
        let mut steps = Vec::new();
        bank.actions(&state, &mut steps);
        for next in steps.into_iter().filter_map(|step| bank.next_state(&state, step)) {
            let mut hasher = DefaultHasher::new();
            next.hash(&mut hasher);
            if bank.within_boundary(&next) && known.insert(hasher.finish()) {
                waiting.push_back(next);
            }
        }
    }
    None
}
