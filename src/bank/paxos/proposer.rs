//! The proposer (*Paxos Made Simple*, 2.2): it takes in promises, acceptances and refusals, and says what
//! follows from each.
//!
//! It sends nothing and sets no timer. Facts about the other servers come with each question: who may vote,
//! who is expected to answer, whose votes decide.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::quorum::Quorum;
use crate::bank::ids::{AccountId, LifeId, ServerId, WaitId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::knowledge::Knowledge;
use crate::bank::paxos::message::{Message, Vote, Whole};
use crate::bank::paxos::rest::Rest;
use crate::bank::paxos::run::{
    Beyond, Gathering, Origin, Phase, Plan, Promised, Run, Value, value,
};
use crate::bank::paxos::tenure::Tenure;
use crate::bank::status::Runs;
use crate::bank::timer::Timer;

/// What follows from an answer to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, for this reason.
    Ignored(Ignored),
    /// Nothing yet: more answers have to come.
    Wait,
    /// A majority promised, and others are expected to. They get a moment.
    Gather {
        /// The timer that ends the moment.
        until: Timer,
        /// The timer that was set before.
        instead_of: Option<Timer>,
    },
    /// A majority promised. Phase 2 begins with this value.
    Propose(Value),
    /// A majority accepted. The run is over.
    Chosen(Box<Chosen>),
    /// A server has promised a higher ballot, so this ballot can't win there.
    Beaten(Ballot),
}

/// Why an answer to a run changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// It is for another height or ballot, or there is no run.
    OtherRun,
    /// Nothing was proposed yet.
    NoBlockYet,
    /// It comes again or too late, or from a server that may not vote.
    NoVote,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ignored::OtherRun => "for another run",
            Ignored::NoBlockYet => "before there was a block",
            Ignored::NoVote => "that doesn't count",
        })
    }
}

/// A block that a majority accepted in a run of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The run.
    pub plan: Plan,
    /// The block.
    pub block: SealedBlock,
    /// The block's origin.
    pub origin: Origin,
    /// The servers that accepted it, each with what it told of its log beyond the block.
    pub accepted: BTreeMap<ServerId, Beyond>,
}

/// The proposer of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Proposer {
    /// The run under way.
    pub run: Option<Run>,
    /// The logs as promised to it for this height.
    pub knowledge: Knowledge,
    /// The ballot of the last run of this life, unless it was beaten since, and who has promised it.
    pub tenure: Option<Tenure>,
    /// The highest round seen in any ballot.
    pub highest_round: u64,
    /// The outcomes of the runs of this life.
    pub runs: Runs,
    /// True if a block of promised logs was impossible, and there was no good block since. The next block is
    /// then verified before anybody is asked to accept it.
    pub wary: bool,
}

impl Proposer {
    /// Makes the proposer of a server that has seen the ballot promised in the life before, if any. Its tenure ended with
    /// that life.
    pub fn new(me: &ServerId, promised: Option<&Ballot>) -> Proposer {
        let highest_round = promised.map_or(0, |ballot| ballot.round);
        let goes_on = |ballot: &&Ballot| ballot.server == *me && planted!(TenureOutlivesLife);
        let tenure = promised.filter(goes_on).map(|ballot| Tenure::new(ballot.clone(), 0));
        Proposer { highest_round, tenure, ..Proposer::default() }
    }

    /// Notes a ballot, so that this server's next one is higher.
    pub fn saw(&mut self, ballot: &Ballot) {
        self.highest_round = self.highest_round.max(ballot.round);
        if self.tenure.as_ref().is_some_and(|tenure| tenure.ballot() < ballot) {
            self.tenure = None;
        }
    }

    /// Begins a run: in the ballot of the last one if it may go on, or else in a ballot higher than any seen.
    pub fn begin(
        &mut self,
        height: u64,
        (server, life): (ServerId, LifeId),
        eligible: BTreeSet<WaitId>,
        asks: BTreeSet<AccountId>,
    ) -> Ballot {
        let life = if planted!(BallotUsedTwice) { LifeId(0) } else { life };
        let ballot = match self.tenure.as_mut().filter(|tenure| tenure.may_go_on(height)) {
            Some(tenure) => {
                tenure.go_on(height);
                tenure.ballot().clone()
            }
            None => {
                let ballot = Ballot { round: self.highest_round + 1, server, life };
                self.tenure = Some(Tenure::new(ballot.clone(), height));
                ballot
            }
        };
        self.run = Some(Run::new(height, ballot.clone(), eligible, asks));
        ballot
    }

    /// Returns the run of exactly this height and ballot.
    fn run_of(&self, height: u64, ballot: &Ballot) -> Option<&Run> {
        self.run.as_ref().filter(|run| run.is(height, ballot))
    }

    /// Returns the run's request to a server, unless the server has answered.
    pub fn request(&self, server: &ServerId, chain: &Chain) -> Option<Message> {
        let run = self.run.as_ref().filter(|run| !run.has_heard(server))?;
        Some(run.request(chain.head(), self.knowledge.known(chain)))
    }

    /// Checks that a promise is for the run, and the first from its server.
    ///
    /// # Errors
    /// Why the promise changes nothing.
    pub fn awaits_promise(
        &self,
        from: &ServerId,
        may_vote: bool,
        height: u64,
        ballot: &Ballot,
    ) -> Result<(), Ignored> {
        let run = self.run_of(height, ballot).ok_or(Ignored::OtherRun)?;
        let prepares = matches!(run.phase, Phase::GoingOn { .. } | Phase::Preparing { .. });
        let counts = may_vote && !run.has_heard(from) && prepares;
        counts.then_some(()).ok_or(Ignored::NoVote)
    }

    /// Takes in a promise that is awaited. `own` is true for this server's own.
    ///
    /// # Errors
    /// What is wrong with the promised log. The promise then does not count.
    pub fn on_promise(
        &mut self,
        chain: &Chain,
        from: &ServerId,
        (own, waiting): (bool, bool),
        vote: Vote,
    ) -> Result<(), String> {
        if let Some(run) = self.run.as_mut().filter(|_| waiting && !own) {
            run.plan.rivals.insert(from.clone());
        }
        let promised = match vote {
            Vote::Accepted { ballot, block } => Promised::Accepted(ballot, block),
            Vote::Log { elements, cut, whole } => {
                let rest = cut.then_some(whole);
                self.read_log(chain, from, own, &elements, rest)?
            }
        };
        if let Some(Run { phase: Phase::Preparing { promises, .. }, .. }) = &mut self.run {
            promises.insert(from.clone(), promised);
        }
        Ok(())
    }

    /// Learns a promised log; `whole` is its sum if it was cut.
    fn read_log(
        &mut self,
        chain: &Chain,
        from: &ServerId,
        own: bool,
        elements: &[Element],
        whole: Option<Option<Whole>>,
    ) -> Result<Promised, String> {
        let learnt = self.knowledge.learn(chain, from, elements);
        learnt.map_err(|error| error.to_string())?;
        let known = self.knowledge.end(chain, from);
        match whole {
            None => Ok(Promised::Log { end: Some(known), rest: Rest::Nothing }),
            Some(whole) => self.read_rest(from, own, known, whole),
        }
    }

    /// Computes what is left of a log that was cut, whose entries up to `known` were promised.
    fn read_rest(
        &self,
        from: &ServerId,
        own: bool,
        known: Position,
        whole: Option<Whole>,
    ) -> Result<Promised, String> {
        let end = match &whole {
            Some(_) if planted!(SettledBeforeRest) => Some(known),
            whole => whole.as_ref().map(|whole| whole.last),
        };
        if end.is_some_and(|end| end < known) {
            return Err("its log ends before the part of it that was promised".into());
        }
        let rest = match (&self.run, whole) {
            // The local balances count all of it.
            _ if own && planted!(OwnRestUnknown) => Rest::Unknown,
            _ if own => Rest::Nothing,
            (Some(run), Some(whole)) => {
                Rest::of(from, &run.plan.asks, whole, self.knowledge.log(from))?
            }
            _ if planted!(RestUnknownIsNothing) => Rest::Nothing,
            _ => Rest::Unknown,
        };
        Ok(Promised::Log { end, rest })
    }

    /// Says what follows from the promises so far. `expected` are the servers that should promise soon;
    /// `covers` tells whether these servers' logs bring everything that waits what it needs.
    pub fn weigh(
        &mut self,
        quorum: Quorum<'_>,
        expected: &BTreeSet<ServerId>,
        covers: impl FnOnce(&Knowledge, &BTreeSet<ServerId>) -> bool,
    ) -> Step {
        let Some(Run { phase: Phase::Preparing { promises, gathering }, .. }) = &mut self.run
        else {
            return Step::Wait;
        };
        if !quorum.is_reached_by(promises.keys()) {
            return Step::Wait;
        }
        let value = value(promises);
        let promised = promises.keys().cloned().collect();
        if matches!(value, Value::Adopt(_)) || expected.is_subset(&promised) {
            return Step::Propose(value);
        }
        let covered = covers(&self.knowledge, &promised);
        let wanted = if covered { Gathering::VeryShort } else { Gathering::Short };
        match wanted.timer() {
            Some(until) if wanted > *gathering => {
                let instead_of = std::mem::replace(gathering, wanted).timer();
                Step::Gather { until, instead_of }
            }
            _ => Step::Wait,
        }
    }

    /// Says what follows when the others have had their moment.
    pub fn gather_is_over(&self, quorum: Quorum<'_>) -> Step {
        match &self.run {
            Some(Run { phase: Phase::Preparing { promises, gathering }, .. })
                if quorum.is_reached_by(promises.keys()) && *gathering > Gathering::NotYet =>
            {
                Step::Propose(value(promises))
            }
            _ => Step::Wait,
        }
    }

    /// Returns the timer for which the run gathers promises.
    pub fn gathers_until(&self) -> Option<Timer> {
        match &self.run {
            Some(Run { phase: Phase::Preparing { gathering, .. }, .. }) => gathering.timer(),
            Some(Run { phase: Phase::GoingOn { asked: 0 }, .. }) => Some(Timer::Comeback),
            _ => None,
        }
    }

    /// Takes a server's promise back, because its log is impossible.
    pub fn distrust(&mut self, server: &ServerId) {
        self.knowledge.forget(server);
        if let Some(Run { phase: Phase::Preparing { promises, gathering }, .. }) = &mut self.run {
            promises.remove(server);
            *gathering = Gathering::NotYet;
        }
    }

    /// Begins phase 2: the block is fixed.
    pub fn fix(&mut self, block: SealedBlock, origin: Origin) {
        if let Some(run) = &mut self.run {
            run.phase = Phase::Accepting { block, origin, accepted: BTreeMap::new() };
        }
    }

    /// True if this height and ballot are the run's, and its block was built from logs.
    pub fn has_built(&self, height: u64, ballot: &Ballot) -> bool {
        let phase = self.run_of(height, ballot).map(|run| &run.phase);
        let built = |origin: &Origin| *origin != Origin::Adopted;
        matches!(phase, Some(Phase::Accepting { origin, .. }) if built(origin))
    }

    /// Takes in that a server accepted. Each counts once, for exactly the run's height, ballot and block.
    pub fn on_accepted(
        &mut self,
        from: &ServerId,
        may_vote: bool,
        (height, ballot): (u64, &Ballot),
        (hash, waiting, beyond): (BlockHash, bool, Beyond),
        quorum: Quorum<'_>,
    ) -> Step {
        let Some(run) = self.run.as_mut().filter(|run| run.is(height, ballot)) else {
            return Step::Ignored(Ignored::OtherRun);
        };
        let Phase::Accepting { block, accepted, .. } = &mut run.phase else {
            return Step::Ignored(Ignored::NoBlockYet);
        };
        let votes = may_vote && quorum.counts(from);
        let counts = votes && (block.hash() == hash || planted!(AnotherBallotCounts));
        let again = counts && accepted.insert(from.clone(), beyond).is_some();
        if !counts || (again && !planted!(AcceptedCountsTwice)) {
            return Step::Ignored(Ignored::NoVote);
        }
        if waiting && run.plan.ballot.server != *from {
            run.plan.rivals.insert(from.clone());
        }
        // Exactly once: the run is over then.
        match accepted.len() + usize::from(again) == quorum.needed {
            true => self.conclude(),
            false => Step::Wait,
        }
    }

    fn conclude(&mut self) -> Step {
        match self.run.take() {
            Some(Run { plan, phase: Phase::Accepting { block, origin, accepted } }) => {
                Step::Chosen(Box::new(Chosen { plan, block, origin, accepted }))
            }
            _ => Step::Wait,
        }
    }

    /// Takes in that a server has promised a higher ballot than the run's.
    pub fn on_nack(&mut self, height: u64, ballot: &Ballot, promised: Ballot) -> Step {
        self.saw(&promised);
        match self.run_of(height, ballot) {
            Some(_) => Step::Beaten(promised),
            None => Step::Ignored(Ignored::OtherRun),
        }
    }

    /// Begins with low rounds again after many, because a height is decided. Rounds are of one height, and
    /// only by custom go on at the next height. Otherwise the rounds that a bank used up in years would be
    /// a leap to a server that starts.
    pub fn begin_rounds_anew(&mut self) {
        if self.highest_round > Ballot::MAX_LEAP / 2 {
            self.highest_round = 0;
        }
    }

    /// True if a peer names a round so far beyond all rounds seen that it can't be believed.
    pub fn is_leap(&self, round: u64) -> bool {
        round > self.highest_round.saturating_add(Ballot::MAX_LEAP)
    }
}

#[cfg(test)]
#[path = "proposer_tests.rs"]
mod tests;
