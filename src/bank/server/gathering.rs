//! The proposer's part, phase 1: promises, and how long to wait for more of them (DESIGN.md, "A Paxos
//! run").

use std::collections::BTreeSet;

use super::Server;
use crate::bank::effects::Timer;
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Vote, Whole};
use crate::bank::paxos::proposer::{Gathering, Phase, Promised, Run, Value, value};
use crate::bank::paxos::rest::Rest;

impl Server {
    /// A promise. Counts once per server, only for exactly the run's height and ballot.
    pub(super) fn promise(
        &mut self,
        from: ServerId,
        (height, ballot): (u64, Ballot),
        instance: InstanceId,
        waiting: bool,
        vote: Vote,
    ) {
        let may_vote = self.may_vote(&from, instance);
        let Some(run) = self.run.as_mut().filter(|run| run.is(height, &ballot)) else {
            return self.debug(|| format!("a promise of {from} for another run"));
        };
        if !may_vote || run.has_heard(&from) || !matches!(run.phase, Phase::Preparing { .. }) {
            return self.debug(|| format!("a promise of {from} that doesn't count"));
        }
        if waiting && from != self.config.id {
            run.rivals.insert(from.clone());
        }
        let what = vote.in_words();
        let promised = match self.read_vote(&from, vote) {
            Ok(promised) => promised,
            Err(problem) => return self.warn(format!("a promise of {from} is wrong: {problem}")),
        };
        self.step(format!("block {height}, ballot {ballot}: {from} promised, with {what}"));
        if let Some(Run { phase: Phase::Preparing { promises, .. }, .. }) = &mut self.run {
            promises.insert(from, promised);
        }
        self.weigh_promises();
    }

    /// Votes count only from the instance that the chain names for this height.
    pub(super) fn may_vote(&self, server: &ServerId, instance: InstanceId) -> bool {
        match self.chain().instance(server) {
            _ if planted!(CountedAtOnce) => true,
            _ if planted!(DeposedGoesOn) => true,
            named => named == Some(instance),
        }
    }

    fn read_vote(&mut self, from: &ServerId, vote: Vote) -> Result<Promised, String> {
        match vote {
            Vote::Accepted { ballot, block } => {
                self.foresee(&block).map_err(|error| error.to_string())?;
                Ok(Promised::Accepted(ballot, block))
            }
            Vote::Log { elements, cut, whole } => {
                let chain = self.chain.as_ref().expect("an active server has a chain");
                let learnt = self.knowledge.learn(chain, from, &elements);
                learnt.map_err(|error| error.to_string())?;
                let known = self.knowledge.end(chain, from);
                if cut { self.read_rest(from, known, whole) } else { Ok(whole_log(known)) }
            }
        }
    }

    /// What is left of a log that was cut, of which the entries up to `known` were promised.
    fn read_rest(
        &self,
        from: &ServerId,
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
            // The local balances have all of it.
            _ if *from == self.config.id && planted!(OwnRestUnknown) => Rest::Unknown,
            _ if *from == self.config.id => Rest::Nothing,
            (Some(run), Some(whole)) => Rest::of(from, &run.asks, whole, self.knowledge.log(from))?,
            _ if planted!(RestUnknownIsNothing) => Rest::Nothing,
            _ => Rest::Unknown,
        };
        Ok(Promised::Log { end, rest })
    }

    /// Proposes, or waits a short time for the other connected servers.
    pub(super) fn weigh_promises(&mut self) {
        let majority = self.majority();
        let Some(Run { phase: Phase::Preparing { promises, gathering }, .. }) = &self.run else {
            return;
        };
        if promises.len() < majority {
            return;
        }
        let adopts = matches!(value(promises), Value::Adopt(_));
        let gathering = *gathering;
        let promised: BTreeSet<ServerId> = promises.keys().cloned().collect();
        if adopts || self.unheard(&promised).is_empty() {
            return self.propose();
        }
        let covered = self.promises_cover_all(&promised);
        let wanted = if covered { Gathering::VeryShort } else { Gathering::Short };
        if wanted > gathering {
            self.stop_gathering();
            if let Some(Run { phase: Phase::Preparing { gathering, .. }, .. }) = &mut self.run {
                *gathering = wanted;
            }
            self.set(Timer::Gather { covered });
        }
    }

    /// The servers that a run should hear and that are not among these: all that are connected and
    /// not behind, and this one, whose own promise has yet to be durable.
    pub(super) fn unheard(&self, heard: &BTreeSet<ServerId>) -> BTreeSet<ServerId> {
        let expected = |server: &&ServerId| {
            let votes = self.chain().instance(server);
            let peer = self.peers.get(*server);
            peer.is_none_or(|peer| peer.is_abreast() && peer.instance == votes)
        };
        let all = &self.config.configuration.servers;
        all.iter().filter(expected).filter(|server| !heard.contains(*server)).cloned().collect()
    }

    /// The gather timer: enough waited for the others.
    pub(super) fn gather_is_over(&mut self) {
        if let Some(Run { phase: Phase::Preparing { promises, gathering }, .. }) = &self.run
            && promises.len() >= self.majority()
            && *gathering > Gathering::NotYet
        {
            self.propose();
        }
    }

    /// Cancels the gather timer that the run has set, if it has.
    pub(super) fn stop_gathering(&mut self) {
        if let Some(Run { phase: Phase::Preparing { gathering, .. }, .. }) = &self.run
            && *gathering > Gathering::NotYet
        {
            self.cancel(Timer::Gather { covered: *gathering == Gathering::VeryShort });
        }
    }
}

/// A promise of all that a log holds, up to this entry.
fn whole_log(end: Position) -> Promised {
    Promised::Log { end: Some(end), rest: Rest::Nothing }
}
