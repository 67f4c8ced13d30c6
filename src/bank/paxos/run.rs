//! One Paxos run, for one height, in one ballot; and the value that a majority's promises leave to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::ids::{AccountId, ServerId, WaitId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::Message;
use crate::bank::paxos::rest::{Consulted, Rest};
use crate::bank::timer::Timer;

/// A Paxos run. It ends when its height is appended, when its ballot is beaten, or with its life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The run's purpose.
    pub plan: Plan,
    /// The run's phase.
    pub phase: Phase,
}

/// The purpose of a run, and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The height to be agreed on.
    pub height: u64,
    /// The run's ballot.
    pub ballot: Ballot,
    /// What had come in when the run prepared, and whose account has not been debited since. The run may
    /// refuse only these.
    pub eligible: BTreeSet<WaitId>,
    /// The accounts for which it asks what whole logs bring.
    pub asks: BTreeSet<AccountId>,
    /// The other servers that say they have waiting transfers of their own.
    pub rivals: BTreeSet<ServerId>,
}

/// The phase of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// In place of phase 1: the promises of a majority stand, and the proposer only waits for its own log to be durable.
    GoingOn {
        /// How often it has asked for it: never while clients that were just answered have a moment to come again.
        asked: u32,
    },
    /// Phase 1: the proposer collects promises.
    Preparing {
        /// The promise of each server that answered.
        promises: BTreeMap<ServerId, Promised>,
        /// The state of the wait for more promises.
        gathering: Gathering,
    },
    /// Phase 2: the proposer collects acceptances.
    Accepting {
        /// The block, which is fixed.
        block: SealedBlock,
        /// The block's origin.
        origin: Origin,
        /// The servers that accepted it, each with what it told of its log beyond the block.
        accepted: BTreeMap<ServerId, Beyond>,
    },
}

/// The elements of a server's log beyond a block that it accepted. None if there are too many to be told.
pub type Beyond = Option<Vec<Element>>;

/// How a proposer with a majority waits for the other connected servers' promises.
///
/// It could go on at once if the promises cover everything that waits. But a server that is about to answer
/// saves its log a run of its own, so it gets a moment. (Going on at once made a lone overdraft no faster,
/// and served a third fewer with one client at each server.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gathering {
    /// It has no majority yet.
    NotYet,
    /// It waits for a short, bounded time.
    Short,
    /// It waits for a very short time, since the promises cover everything that waits.
    VeryShort,
}

impl Gathering {
    /// Returns the timer that ends the wait.
    pub fn timer(self) -> Option<Timer> {
        match self {
            Gathering::NotYet => None,
            Gathering::Short => Some(Timer::Gather { covered: false }),
            Gathering::VeryShort => Some(Timer::Gather { covered: true }),
        }
    }
}

/// A server's promise, without its log, which goes to [`Knowledge`](super::knowledge::Knowledge).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Promised {
    /// The server has accepted a block before.
    Accepted(Ballot, SealedBlock),
    /// The server has sent its log.
    Log {
        /// The last entry of the whole log, if the server said so.
        end: Option<Position>,
        /// What is left of the log after its promised beginning.
        rest: Rest,
    },
}

/// The origin of a proposed block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// It was built from these servers' logs.
    Built(Consulted),
    /// It was built from the logs as they were known, and no other server was asked.
    Known,
    /// A server accepted it before, in an earlier ballot.
    Adopted,
}

/// How a proposer came by the block that it proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// It was built from promised logs.
    Gathered,
    /// It was built from the logs as they were known, and no other server was asked.
    Known,
    /// Some server accepted it before.
    Adopted,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::Gathered => "a block",
            How::Known => "a block of what is known",
            How::Adopted => "the block accepted before",
        })
    }
}

/// The value that a proposer with enough promises has to propose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The block accepted in the highest ballot, unchanged.
    Adopt(SealedBlock),
    /// A block of these servers' logs.
    Build(Consulted),
}

impl Run {
    /// Makes a run that has just prepared.
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

    /// True if a message is for exactly this run.
    pub fn is(&self, height: u64, ballot: &Ballot) -> bool {
        let Plan { height: of, ballot: own, .. } = &self.plan;
        *of == height && (own == ballot || planted!(AnotherBallotCounts))
    }

    /// True if nothing more is asked of a server in this phase.
    pub fn has_heard(&self, server: &ServerId) -> bool {
        match &self.phase {
            Phase::GoingOn { .. } => *server != self.plan.ballot.server,
            Phase::Preparing { promises, .. } => promises.contains_key(server),
            Phase::Accepting { accepted, .. } => accepted.contains_key(server),
        }
    }

    /// Returns this phase's request to the other servers.
    pub fn request(&self, previous: BlockHash, known: BTreeMap<ServerId, u64>) -> Message {
        let (height, ballot) = (self.plan.height, self.plan.ballot.clone());
        match &self.phase {
            Phase::GoingOn { .. } | Phase::Preparing { .. } => {
                let asks = self.plan.asks.clone();
                Message::Prepare { height, ballot, previous, known, asks }
            }
            Phase::Accepting { block, .. } => {
                Message::Accept { height, ballot, block: block.clone() }
            }
        }
    }

    /// Names the phase in a word.
    pub fn describe(&self) -> &'static str {
        match self.phase {
            Phase::GoingOn { .. } | Phase::Preparing { .. } => "preparing",
            Phase::Accepting { .. } => "accepting",
        }
    }
}

/// Returns the value that a majority's promises leave: the accepted one of the highest *accepted* ballot
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

/// Returns the servers that promised their logs, and what is left of the logs.
fn consulted(promises: &BTreeMap<ServerId, Promised>) -> Consulted {
    let mut consulted = Consulted { ends: BTreeMap::new(), rest: Rest::Nothing };
    for (server, promised) in promises {
        let (end, rest) = match promised {
            Promised::Log { end, rest } => (*end, rest.clone()),
            // As if it had promised an empty log: such is the mistake by which this is reached.
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
    use crate::bank::amount::Amount;
    use crate::bank::blockchain::block::Block;
    use crate::bank::ids::LifeId;

    fn ballot(round: u64) -> Ballot {
        Ballot { round, server: "A".parse().unwrap(), life: LifeId(1) }
    }

    fn block(height: u64) -> SealedBlock {
        let previous = BlockHash::NONE;
        let (proposer, genesis, opening, logs) = (None, None, None, BTreeMap::new());
        SealedBlock::seal(Block { height, previous, proposer, genesis, opening, logs })
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

    #[test]
    fn a_built_block_knows_where_each_log_ended() {
        let end = |seq| Position { epoch: 1, seq };
        let brings = |units| {
            let amount = Amount::new(units).unwrap();
            Rest::Brings([("A".parse().unwrap(), amount)].into())
        };
        let promises =
            [("A", Some(3), Rest::Nothing), ("B", None, brings(2)), ("C", Some(5), brings(4))]
                .map(|(server, seq, rest)| (server.parse().unwrap(), (seq.map(end), rest)));
        let ends = promises.clone().map(|(server, (end, _))| (server, end)).into();
        let promised = promises.map(|(server, (end, rest))| (server, Promised::Log { end, rest }));
        let built = Consulted { ends, rest: brings(6) };
        assert_eq!(value(&promised.into()), Value::Build(built));
    }

    #[test]
    fn a_run_is_of_one_height_and_one_ballot_and_hears_each_server_once_in_each_phase() {
        let mut run = Run::new(3, ballot(2), BTreeSet::new(), BTreeSet::new());
        assert!(run.is(3, &ballot(2)) && !run.is(4, &ballot(2)) && !run.is(3, &ballot(1)));
        let b: ServerId = "B".parse().unwrap();
        let Phase::Preparing { promises, .. } = &mut run.phase else { panic!("it prepares") };
        promises.insert(b.clone(), Promised::Log { end: None, rest: Rest::Nothing });
        assert!(run.has_heard(&b));
        run.phase = Phase::Accepting {
            block: block(3),
            origin: Origin::Adopted,
            accepted: BTreeMap::new(),
        };
        assert!(!run.has_heard(&b), "of the block it has said nothing");
    }
}
