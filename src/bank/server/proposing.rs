//! The proposer's part: prepare, gather promises, propose, commit (DESIGN.md, "A Paxos run").

use std::collections::BTreeSet;

use super::Server;
use super::refusing::Verdict;
use super::waiting::Need;
use crate::bank::blockchain::block::{Block, BlockHash, SealedBlock};
use crate::bank::blockchain::chain::BlockError;
use crate::bank::effects::{Bound, Timer};
use crate::bank::ids::{InstanceId, LifeId, ServerId};
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Message, content};
use crate::bank::paxos::proposer::{Gathering, Origin, Phase, Run, Value, value};
use crate::bank::paxos::rest::{Consulted, Rest};

impl Server {
    /// Starts a run for the next height, for all that waits.
    pub(super) fn start_run(&mut self) {
        let ballot = Ballot {
            round: self.highest_round + 1,
            server: self.config.id.clone(),
            life: if planted!(BallotUsedTwice) { LifeId(0) } else { self.life },
        };
        let looks_up = self.waiting.count(Need::Payee) > 0 && !self.lookups_rest;
        if looks_up && !planted!(LookUpsWithoutRest) {
            self.lookups_rest = true;
            self.set(Timer::LookUp);
        }
        let height = self.chain().height() + 1;
        let why = self.why_it_runs();
        self.step(format!("block {height}, ballot {ballot}, for {why}: prepare"));
        self.run = Some(Run::new(height, ballot, self.waiting.ids(), self.asks()));
        self.count(|runs| runs.started += 1);
        self.ask_all();
    }

    /// For people: what a run is for.
    fn why_it_runs(&self) -> String {
        match self.waiting.transfers() {
            _ if self.finishing => "a block that nobody commits".into(),
            0 => "settling".into(),
            1 => "1 transfer that waits".into(),
            many => format!("{many} transfers that wait"),
        }
    }

    /// Sends what the run's phase asks to all that haven't answered: free to the others, and to this
    /// server's own acceptor, which counts, when durable, like everyone's.
    fn ask_all(&mut self) {
        let me = self.config.id.clone();
        for server in self.config.configuration.servers.clone() {
            if server != me {
                self.repeat_to(&server);
            }
        }
        self.set(Timer::Repeat);
        match self.request_of_run(&me) {
            // A block takes long to verify: the others are to have it first.
            Some(accept @ Message::Accept { .. }) => self.effects.bind(Bound::Own(accept)),
            Some(prepare) => self.receive(me, prepare),
            None => {}
        }
    }

    /// What the run asks of a server, unless it has answered.
    fn request_of_run(&self, server: &ServerId) -> Option<Message> {
        let run = self.run.as_ref().filter(|run| !run.has_heard(server))?;
        Some(run.request(self.chain().head(), self.knowledge.known(self.chain())))
    }

    /// Repeats what the run asks to a peer that has not answered.
    pub(super) fn repeat_to(&mut self, peer: &ServerId) {
        if let Some(request) = self.request_of_run(peer) {
            self.send_free(peer, request);
        }
    }

    /// The repeat timer.
    pub(super) fn repeat(&mut self) {
        if self.run.is_some() {
            self.ask_all();
        }
    }

    /// Phase 2: the accepted block of the highest accepted ballot, or a block of the promised logs,
    /// fixed once; or nothing, if those are all empty.
    pub(super) fn propose(&mut self) {
        self.stop_gathering();
        let Some(Run { phase: Phase::Preparing { promises, .. }, height, ballot, .. }) = &self.run
        else {
            return;
        };
        let (height, ballot) = (*height, ballot.clone());
        let (block, origin) = match value(promises) {
            Value::Adopt(block) => (block, Origin::Adopted),
            Value::Build(consulted) => {
                let logs = self.knowledge.gather(&consulted.servers());
                if logs.is_empty() {
                    return self.conclude_without_block(consulted);
                }
                let previous = self.chain().head();
                let proposer = Some(self.config.id.clone());
                let block = Block { height, previous, proposer, genesis: None, logs };
                let block = SealedBlock::seal(block);
                if self.wary
                    && let Err(problem) = self.foresee(&block)
                {
                    return self.drop_bad_promises(consulted.servers(), &problem);
                }
                (block, Origin::Built(consulted))
            }
        };
        let whose = if origin == Origin::Adopted { "the block accepted before" } else { "a block" };
        let what = content(&block);
        self.step(format!("block {height}, ballot {ballot}: accept {whose}, of {what}"));
        if let Some(run) = &mut self.run {
            run.phase = Phase::Accepting { block, origin, accepted: BTreeSet::new() };
        }
        self.ask_all();
    }

    /// The block that this server proposed in this ballot can't be, as it found when it was to accept it
    /// itself. If it was built of promises, then the next one is verified before anybody is asked.
    pub(super) fn distrust_promises(&mut self, height: u64, ballot: &Ballot) {
        let run = self.run.as_ref().filter(|run| run.is(height, ballot)).map(|run| &run.phase);
        if let Some(Phase::Accepting { origin: Origin::Built(_), .. }) = run {
            self.count(|runs| runs.lost += 1);
            self.wary = true;
            self.drop_run();
            self.back_off();
        }
    }

    /// A block of these servers' logs can't be. Goes on with the promises of those whose log can.
    fn drop_bad_promises(&mut self, servers: BTreeSet<ServerId>, problem: &BlockError) {
        let mut culprits = Vec::new();
        for server in servers {
            let log = self.knowledge.log(&server);
            if let Err(problem) = self.chain().verify_log(&self.balances, &server, log) {
                culprits.push((server, problem));
            }
        }
        if culprits.is_empty() {
            // Each log spends by itself no more than its accounts hold, so together they can't either.
            self.warn(format!("no block can be made of logs that are good each: {problem}"));
            self.drop_run();
            return self.back_off();
        }
        for (server, problem) in culprits {
            self.warn(format!("a promise of {server} is wrong: {problem}"));
            self.knowledge.forget(&server);
            if let Some(Run { phase: Phase::Preparing { promises, gathering }, .. }) = &mut self.run
            {
                promises.remove(&server);
                *gathering = Gathering::NotYet;
            }
        }
        self.weigh_promises();
    }

    fn conclude_without_block(&mut self, consulted: Consulted) {
        let Some(run) = self.run.take() else { return };
        self.cancel(Timer::Repeat);
        let Run { height, ballot, .. } = &run;
        self.step(format!("block {height}, ballot {ballot}: all logs are empty, so no block"));
        self.finishing = false;
        self.conclude(run, Some(consulted));
    }

    /// A run of this server's got through: what waits is looked at with what the run allows, if it is known
    /// of whose logs it is.
    fn conclude(&mut self, run: Run, consulted: Option<Consulted>) {
        self.count(|runs| runs.won += 1);
        self.attempt = 0;
        self.let_others_go = !run.rivals.is_empty();
        self.look_again = true;
        let Some(mut consulted) = consulted else { return };
        if let Some(words) = consulted.rest.in_words() {
            self.step(format!("block {}, ballot {}: {words}", run.height, run.ballot));
        }
        if planted!(RefusedThoughCut) {
            consulted.rest = Rest::Nothing;
        }
        let Run { eligible, asks, .. } = run;
        self.verdict = Some(Verdict { eligible, asks, consulted });
    }

    /// A server accepted. A majority of them, counted once each, only for exactly the run's height
    /// and ballot, chooses.
    pub(super) fn accepted(
        &mut self,
        from: ServerId,
        (height, ballot): (u64, Ballot),
        hash: BlockHash,
        instance: InstanceId,
    ) {
        let may_vote = self.may_vote(&from, instance);
        let majority = self.majority();
        let Some(run) = self.run.as_mut().filter(|run| run.is(height, &ballot)) else {
            return self.debug(|| format!("an accepted of {from} for another run"));
        };
        let Phase::Accepting { block, accepted, .. } = &mut run.phase else {
            return self.debug(|| format!("an accepted of {from} before there was a block"));
        };
        let counts = may_vote && (block.hash() == hash || planted!(AnotherBallotCounts));
        let again = counts && !accepted.insert(from.clone());
        if again && planted!(AcceptedCountsTwice) && accepted.len() + 1 == majority {
            return self.decide();
        }
        if !counts || again {
            return self.debug(|| format!("an accepted of {from} that doesn't count"));
        }
        // Exactly once: the run is over with it.
        if accepted.len() == majority {
            self.decide();
        }
    }

    fn decide(&mut self) {
        let Some(run) = self.run.take() else { return };
        let Phase::Accepting { block, origin, accepted } = run.phase.clone() else { return };
        let (height, hash) = (block.height(), block.hash());
        let names: Vec<&str> = accepted.iter().map(ServerId::as_str).collect();
        let (ballot, names) = (&run.ballot, names.join(", "));
        self.step(format!("block {height}, ballot {ballot}: chosen, accepted by {names}: commit"));
        if let Err(problem) = self.append_chosen(&block) {
            // Verified when it was built or adopted: the head can't have moved under a living run.
            return self.warn(format!("the chosen block {height} was not appended: {problem:?}"));
        }
        for server in &accepted {
            if let Some(peer) = self.peers.get_mut(server) {
                peer.holds(height, Some(height));
            }
        }
        self.send_all_bound(&Message::Commit { height, hash });
        match origin {
            Origin::Built(consulted) => self.conclude(run, Some(consulted)),
            // What was adopted is not what this server asked for: it has to run again.
            Origin::Adopted => self.conclude(run, None),
        }
    }

    /// A ballot was too low. Counts only for exactly the current run.
    pub(super) fn nack(
        &mut self,
        from: ServerId,
        (height, ballot): (u64, Ballot),
        promised: Ballot,
        waiting: bool,
    ) {
        self.saw_round(&promised);
        if !self.run.as_ref().is_some_and(|run| run.is(height, &ballot)) {
            return self.debug(|| format!("a nack of {from} for another run"));
        }
        self.step(format!(
            "block {height}, ballot {ballot}: nack of {from}, which promised {promised}: {} goes first{}",
            promised.server,
            if waiting { format!("; {from} waits too") } else { String::new() }
        ));
        self.count(|runs| runs.lost += 1);
        self.drop_run();
        if waiting && !self.waiting.has_transfers() {
            // Settling, and finishing a round, yield to those who wait for money.
            self.attempt = self.attempt.saturating_add(2);
        }
        self.back_off();
    }

    /// Waits, longer with each attempt, before the next run.
    pub(super) fn back_off(&mut self) {
        self.attempt = self.attempt.saturating_add(1);
        self.backing_off = true;
        self.set(Timer::BackOff { attempt: self.attempt });
    }

    /// A peer is gone. If that was the one that usually won, then there is nobody to wait for, and whoever
    /// seldom wins has come to wait long.
    pub(super) fn stop_backing_off(&mut self) {
        if std::mem::take(&mut self.backing_off) {
            self.cancel(Timer::BackOff { attempt: self.attempt });
        }
        self.attempt = 0;
    }

    fn drop_run(&mut self) {
        self.stop_gathering();
        self.run = None;
        self.cancel(Timer::Repeat);
        if self.acceptor.accepted().is_some() {
            self.set(Timer::FinishRound);
        }
    }

    /// Drops a run that nothing needs any more, unless its block is on its way.
    pub(super) fn abandon_run(&mut self) {
        if let Some(Run { phase: Phase::Preparing { .. }, .. }) = self.run {
            self.drop_run();
            self.ran_in_vain();
        }
    }
}
