//! One Paxos run, for one height, in one ballot; and the value that a majority's promises leave it.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::ids::{AccountId, ServerId, WaitId};
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::Message;
use crate::bank::paxos::rest::{Consulted, Rest};
use crate::bank::timer::Timer;

/// A Paxos run. It dies when its height is appended, when its ballot is beaten, or with its life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// What it is for.
    pub plan: Plan,
    /// How far it is.
    pub phase: Phase,
}

/// What a run is for, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The height to be agreed on.
    pub height: u64,
    /// Its ballot.
    pub ballot: Ballot,
    /// What had come in when it prepared, and whose account has not been debited since: only of
    /// these may it bring a refusal.
    pub eligible: BTreeSet<WaitId>,
    /// The accounts of which it asks what whole logs would bring.
    pub asks: BTreeSet<AccountId>,
    /// Other servers that say they have waiting transfers of their own.
    pub rivals: BTreeSet<ServerId>,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Phase 1: collecting promises.
    Preparing {
        /// One for each server that answered.
        promises: BTreeMap<ServerId, Promised>,
        /// Whether the proposer waits for more of them.
        gathering: Gathering,
    },
    /// Phase 2: collecting accepteds.
    Accepting {
        /// The block, fixed.
        block: SealedBlock,
        /// Where it comes from.
        origin: Origin,
        /// The servers that accepted it.
        accepted: BTreeSet<ServerId>,
    },
}

/// How a proposer waits for the other connected servers' promises once it has a majority.
///
/// It could go on at once where those promised cover all that waits; but a server that is about to
/// answer saves its log a run of its own, so it gets a moment. (Going on at once made a lone overdraft no
/// faster, and with one client at each server a third fewer were served.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gathering {
    /// It has no majority yet.
    NotYet,
    /// A short, bounded time.
    Short,
    /// A very short time, since what was promised covers all that waits.
    VeryShort,
}

impl Gathering {
    /// The timer that ends it.
    pub fn timer(self) -> Option<Timer> {
        match self {
            Gathering::NotYet => None,
            Gathering::Short => Some(Timer::Gather { covered: false }),
            Gathering::VeryShort => Some(Timer::Gather { covered: true }),
        }
    }
}

/// What a server promised, but for its log, which goes to [`Knowledge`](super::knowledge::Knowledge).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Promised {
    /// It has accepted a block before.
    Accepted(Ballot, SealedBlock),
    /// It has sent its log.
    Log {
        /// The last entry of all of it, if it said so.
        end: Option<Position>,
        /// What is left of it beyond what it has promised.
        rest: Rest,
    },
}

/// Where a proposed block comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Built from these servers' logs.
    Built(Consulted),
    /// Accepted by somebody before, in an earlier ballot.
    Adopted,
}

/// What a proposer with enough promises has to propose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The block accepted in the highest ballot, unchanged.
    Adopt(SealedBlock),
    /// A block of the logs of these servers.
    Build(Consulted),
}

impl Run {
    /// A run that has just prepared.
    pub fn new(
        height: u64,
        ballot: Ballot,
        eligible: BTreeSet<WaitId>,
        asks: BTreeSet<AccountId>,
    ) -> Run {
        let phase = Phase::Preparing { promises: BTreeMap::new(), gathering: Gathering::NotYet };
        let plan = Plan { height, ballot, eligible, asks, rivals: BTreeSet::new() };
        Run { plan, phase }
    }

    /// Whether a message is for exactly this run.
    pub fn is(&self, height: u64, ballot: &Ballot) -> bool {
        let Plan { height: of, ballot: own, .. } = &self.plan;
        *of == height && (own == ballot || planted!(AnotherBallotCounts))
    }

    /// Whether a server has already answered in this phase.
    pub fn has_heard(&self, server: &ServerId) -> bool {
        match &self.phase {
            Phase::Preparing { promises, .. } => promises.contains_key(server),
            Phase::Accepting { accepted, .. } => accepted.contains(server),
        }
    }

    /// What this phase asks of the others.
    pub fn request(&self, previous: BlockHash, known: BTreeMap<ServerId, u64>) -> Message {
        let (height, ballot) = (self.plan.height, self.plan.ballot.clone());
        match &self.phase {
            Phase::Preparing { .. } => {
                let asks = self.plan.asks.clone();
                Message::Prepare { height, ballot, previous, known, asks }
            }
            Phase::Accepting { block, .. } => {
                Message::Accept { height, ballot, block: block.clone() }
            }
        }
    }

    /// The phase in a word.
    pub fn describe(&self) -> &'static str {
        match self.phase {
            Phase::Preparing { .. } => "preparing",
            Phase::Accepting { .. } => "accepting",
        }
    }
}

/// The value that a majority's promises leave: the accepted one of the highest *accepted* ballot
/// (not the highest promised one), or else a free choice.
pub fn value(promises: &BTreeMap<ServerId, Promised>) -> Value {
    let accepted = promises.values().filter_map(|promised| match promised {
        Promised::Accepted(ballot, block) if !planted!(AcceptedIgnored) => Some((ballot, block)),
        _ => None,
    });
    match accepted.max_by_key(|(ballot, _)| *ballot) {
        Some((_, block)) => Value::Adopt(block.clone()),
        None => Value::Build(consulted(promises)),
    }
}

/// Who promised its log, and what is left of those logs.
fn consulted(promises: &BTreeMap<ServerId, Promised>) -> Consulted {
    let mut consulted = Consulted { ends: BTreeMap::new(), rest: Rest::Nothing };
    for (server, promised) in promises {
        let (end, rest) = match promised {
            Promised::Log { end, rest } => (*end, rest.clone()),
            // As if it had promised an empty log: that is the mistake by which it comes to this.
            Promised::Accepted(..) => (None, Rest::Nothing),
        };
        consulted.ends.insert(server.clone(), end);
        consulted.rest = consulted.rest.and(rest);
    }
    consulted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::blockchain::block::Block;
    use crate::bank::ids::LifeId;

    fn ballot(round: u64) -> Ballot {
        Ballot { round, server: "A".parse().unwrap(), life: LifeId(1) }
    }

    fn block(height: u64) -> SealedBlock {
        let previous = BlockHash::NONE;
        let (proposer, genesis, logs) = (None, None, BTreeMap::new());
        SealedBlock::seal(Block { height, previous, proposer, genesis, logs })
    }

    #[test]
    fn the_highest_accepted_ballot_decides() {
        let promises = |of: [Promised; 3]| {
            ["A", "B", "C"].into_iter().map(|id| id.parse().unwrap()).zip(of).collect()
        };
        let accepted = |round, height| Promised::Accepted(ballot(round), block(height));
        let log = |rest| Promised::Log { end: None, rest };
        let found = value(&promises([accepted(2, 8), accepted(5, 9), log(Rest::Nothing)]));
        assert_eq!(found, Value::Adopt(block(9)));
        let found = value(&promises([log(Rest::Nothing), log(Rest::Unknown), log(Rest::Nothing)]));
        assert!(matches!(found, Value::Build(Consulted { rest: Rest::Unknown, .. })));
    }
}
