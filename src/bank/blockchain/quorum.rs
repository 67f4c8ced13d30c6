//! Whose votes count at one height, and how many of them decide.

use std::collections::BTreeSet;

use crate::bank::ids::ServerId;

/// Nobody: all members vote.
static NOBODY: BTreeSet<ServerId> = BTreeSet::new();

/// The majority at one height. It is of the members with a vote, by the chain below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum<'a> {
    /// The members without a vote.
    branches: &'a BTreeSet<ServerId>,
    /// How many votes decide.
    pub needed: usize,
}

impl<'a> Quorum<'a> {
    /// Makes the majority of `members` members, all of which vote but the `branches`.
    pub fn among(members: usize, branches: &'a BTreeSet<ServerId>) -> Quorum<'a> {
        let voters =
            if planted!(BranchesWidenMajority) { members } else { members - branches.len() };
        let needed = majority(voters);
        Quorum { branches, needed: if planted!(HalfIsEnough) { needed - 1 } else { needed } }
    }

    /// Makes the majority of `members` members, all of which vote.
    pub fn of_all(members: usize) -> Quorum<'static> {
        Quorum::among(members, &NOBODY)
    }

    /// True if a member's vote counts.
    pub fn counts(&self, member: &ServerId) -> bool {
        !self.branches.contains(member) || planted!(BranchVotes)
    }

    /// True if these members' votes decide.
    pub fn is_reached_by<'b>(&self, members: impl Iterator<Item = &'b ServerId>) -> bool {
        members.filter(|member| self.counts(member)).count() >= self.needed
    }
}

/// Returns how many of `servers` are a majority: two majorities always share a server.
pub const fn majority(servers: usize) -> usize {
    servers / 2 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_majorities_always_meet() {
        for servers in 1..=9 {
            assert!(2 * majority(servers) > servers);
            assert!(majority(servers) <= servers);
        }
    }

    #[test]
    fn who_has_no_vote_neither_counts_nor_makes_the_majority_larger() {
        let id = |name: &str| -> ServerId { name.parse().unwrap() };
        let (all, branches) = (["A", "B", "C", "D", "E"].map(id), [id("D"), id("E")].into());
        let quorum = Quorum::among(5, &branches);
        assert_eq!(quorum.needed, 2);
        assert!(quorum.is_reached_by(all[..2].iter()) && quorum.is_reached_by(all.iter()));
        assert!(!quorum.is_reached_by(all[2..].iter()), "C alone votes");
        assert_eq!(Quorum::of_all(5).needed, 3);
    }
}
