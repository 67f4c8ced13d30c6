//! Ballots and majorities.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bank::ids::{LifeId, ServerId};

/// A proposal number, ordered by round, then server, then life (Lamport, *Paxos Made Simple*, 2.2:
/// different proposers choose from disjoint sets).
///
/// A proposer sends its prepare without writing anything first. So its server may forget that it used a
/// round before, and the life makes the ballot unique all the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ballot {
    /// The round; the higher wins.
    pub round: u64,
    /// The proposer.
    pub server: ServerId,
    /// The proposer's life.
    pub life: LifeId,
}

impl Ballot {
    /// The highest possible round. Rounds are counted one by one, so nobody ever reaches it. A message with a
    /// higher one would leave no round to anybody else.
    pub const MAX_ROUND: u64 = (1 << 53) - 1;

    /// How far a round may be beyond all rounds that a server has seen. No bank makes so many runs while one
    /// of its servers is away, and higher ones would use up all rounds.
    pub const MAX_LEAP: u64 = 1 << 32;

    /// True if a promise of it stands for all heights to come, and not only for the next one. Rounds begin anew after
    /// many, so a high one must not stand in their way.
    pub fn stands(&self) -> bool {
        self.round <= Ballot::MAX_LEAP / 2
    }

    /// True if a server can have made it.
    pub fn is_possible(&self) -> bool {
        self.round <= Ballot::MAX_ROUND
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round, self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_then_server_then_life() {
        let ballot = |round, server: &str, life| Ballot {
            round,
            server: server.parse().unwrap(),
            life: LifeId(life),
        };
        assert!(ballot(2, "A", 0) > ballot(1, "B", 9));
        assert!(ballot(1, "B", 0) > ballot(1, "A", 9));
        assert!(ballot(1, "A", 1) > ballot(1, "A", 0));
    }
}
