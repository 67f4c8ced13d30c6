//! What this server's proposer asks of the others, and what follows from their answers (DESIGN.md, "A
//! Paxos run").

use std::collections::BTreeSet;

use super::super::Server;
use super::super::membership::quorum_of;
use super::super::own::Leaving;
use super::super::transfers::{Need, Verdict};
use crate::bank::blockchain::block::{Block, BlockHash, SealedBlock};
use crate::bank::blockchain::block_error::BlockError;
use crate::bank::effects::Timer;
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::note::{self, Note, Nothing, Warning};
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Message, Vote, content};
use crate::bank::paxos::proposer::{Chosen, Step};
use crate::bank::paxos::rest::{Consulted, Rest};
use crate::bank::paxos::run::{Beyond, How, Origin, Phase, Plan, Run, Value};

impl Server {
    /// Starts a run for the next height, for everything that waits.
    pub(in crate::bank::server) fn start_run(&mut self) {
        if self.waiting.count(Need::Payee) > 0 {
            let timer = self.pace.on_look_up();
            self.set_all(timer);
        }
        let height = self.chain().height() + 1;
        let as_whom = (self.config.id.clone(), self.store.life);
        self.count(|runs| runs.started += 1);
        if self.goes_on(height, as_whom.clone()) {
            return;
        }
        let why = self.why_it_runs();
        let (eligible, asks) = (self.waiting.ids(), self.asks());
        let ballot = self.proposer.begin(height, as_whom, eligible, asks);
        self.note(Note::Run(height, ballot, note::Step::Prepares(why)));
        self.ask_all();
    }

    /// Says for people what a run is for.
    fn why_it_runs(&self) -> String {
        match self.waiting.transfers() {
            _ if self.pace.finishing => "a block that nobody commits".into(),
            0 => "settling".into(),
            1 => "1 transfer that waits".into(),
            many => format!("{many} transfers that wait"),
        }
    }

    /// Sends the phase's request to all that haven't answered: to the others, and to this server's own
    /// acceptor, which counts, when durable, like everyone's.
    fn ask_all(&mut self) {
        for server in self.peer_ids() {
            self.repeat_to(&server);
        }
        self.set(Timer::Repeat);
        let me = self.config.id.clone();
        self.repeat_to(&me);
    }

    /// Sends the run's request to a server, unless it has answered. Who has no vote is not asked to accept.
    pub(in crate::bank::server) fn repeat_to(&mut self, server: &ServerId) {
        let Some(chain) = &self.chain else { return };
        match self.proposer.request(server, chain) {
            Some(Message::Accept { .. }) if !chain.quorum().counts(server) => {}
            Some(request) => self.send(server, request),
            None => {}
        }
    }

    /// Shows a chosen block to the servers that had no vote on it. They are many, and nobody waits for them.
    fn show(&mut self, ballot: &Ballot, block: &SealedBlock) {
        let (height, quorum) = (block.height(), self.quorum());
        let branches = self.peers.ids().filter(|id| self.is_member(id) && !quorum.counts(id));
        for branch in branches.cloned().collect::<Vec<_>>() {
            let (ballot, block) = (ballot.clone(), block.clone());
            self.send(&branch, Message::Accept { height, ballot, block });
        }
    }

    /// Asks the servers again that have not answered.
    pub(in crate::bank::server) fn on_repeat(&mut self) {
        if self.proposer.run.is_some() {
            self.ask_all();
        }
    }

    /// Takes in a promise.
    pub(in crate::bank::server) fn on_promise(
        &mut self,
        from: ServerId,
        (height, ballot): (u64, Ballot),
        instance: InstanceId,
        waiting: bool,
        vote: Vote,
    ) {
        let may_vote = self.may_vote(&from, instance);
        if let Err(why) = self.proposer.awaits_promise(&from, may_vote, height, &ballot) {
            return self.ignore(Nothing::Answer("a promise", from, why));
        }
        let what = vote.in_words();
        let told_all = !matches!(&vote, Vote::Log { cut: true, .. });
        let verified = match &vote {
            Vote::Accepted { block, .. } => self.foresee(block),
            Vote::Log { .. } => Ok(()),
        };
        let chain = self.chain.as_ref().expect("an active server has a chain");
        let own = from == self.config.id;
        let taken = verified
            .map_err(|error| error.to_string())
            .and_then(|()| self.proposer.on_promise(chain, &from, (own, waiting), vote));
        if let Err(problem) = taken {
            return self.warn(Warning::BadPromise(from, problem));
        }
        self.proposer.is_promised_by(chain, &from, told_all);
        if !self.proposer.goes_on() {
            self.note(Note::Run(height, ballot, note::Step::Promised(from, what)));
        }
        self.weigh_promises();
    }

    /// True if a server's votes count: only votes from the instance do that the chain names for this height.
    fn may_vote(&self, server: &ServerId, instance: InstanceId) -> bool {
        match self.chain().instance(server) {
            _ if planted!(CountedAtOnce) => true,
            _ if planted!(DeposedGoesOn) => true,
            named => named == Some(instance),
        }
    }

    /// Proposes, or waits a short time for the other connected servers.
    fn weigh_promises(&mut self) {
        if self.proposer.goes_on() {
            return self.go_on_with_what_is_known();
        }
        let expected = self.expected();
        let quorum = quorum_of(&self.chain, &self.config);
        let (waiting, ledger, me) = (&self.waiting, &self.ledger, &self.config.id);
        let covers = |known: &_, servers: &_| waiting.is_covered_by(ledger, known, servers, me);
        let step = self.proposer.weigh(quorum, &expected, covers);
        self.follow(step);
    }

    /// Returns the servers that a run should hear: all that are connected and not behind, and this server,
    /// whose own promise has yet to be durable.
    pub(in crate::bank::server) fn expected(&self) -> BTreeSet<ServerId> {
        let is_expected = |server: &&ServerId| {
            let votes = self.chain().instance(server);
            let peer = self.peers.get(server);
            peer.is_none_or(|peer| peer.is_abreast() && peer.instance == votes)
        };
        self.members().filter(is_expected).cloned().collect()
    }

    /// Goes on after the others have had their moment.
    pub(in crate::bank::server) fn on_gather_over(&mut self) {
        let step = self.proposer.gather_is_over(self.quorum());
        self.follow(step);
    }

    /// Cancels the timer for which the run gathers promises, if it is set.
    pub(in crate::bank::server) fn stop_gathering(&mut self) {
        let timer = self.proposer.gathers_until();
        self.cancel_all(timer);
    }

    /// Takes in that a server accepted.
    pub(in crate::bank::server) fn on_accepted(
        &mut self,
        from: ServerId,
        (height, ballot): (u64, Ballot),
        hash: BlockHash,
        instance: InstanceId,
        (waiting, beyond): (bool, Beyond),
    ) {
        let may_vote = self.may_vote(&from, instance);
        let chain = self.chain.as_ref().expect("an active server has a chain");
        if may_vote && (height, hash) == (chain.height(), chain.head()) {
            // It comes too late to be counted, and not to be told.
            self.proposer.learn_beyond(chain, &from, beyond.clone());
        }
        let quorum = quorum_of(&self.chain, &self.config);
        let of = (height, &ballot);
        let said = (hash, waiting, beyond);
        match self.proposer.on_accepted(&from, may_vote, of, said, quorum) {
            Step::Ignored(why) => self.ignore(Nothing::Answer("an accepted", from, why)),
            step => self.follow(step),
        }
    }

    /// Takes in that a server has promised a higher ballot.
    pub(in crate::bank::server) fn on_nack(
        &mut self,
        from: ServerId,
        (height, ballot): (u64, Ballot),
        promised: Ballot,
        waiting: bool,
    ) {
        let step = self.proposer.on_nack(height, &ballot, promised);
        let promised = match step {
            Step::Beaten(promised) => promised,
            Step::Ignored(why) => return self.ignore(Nothing::Answer("a nack", from, why)),
            _ => return,
        };
        let nacked = note::Step::Nacked { by: from, promised, waiting };
        self.note(Note::Run(height, ballot, nacked));
        self.count(|runs| runs.lost += 1);
        self.drop_run();
        if waiting && !self.waiting.has_transfers() {
            // Settling, and finishing a round, yield to transfers that wait for money.
            self.pace.stand_back();
        }
        self.back_off();
    }

    /// Does what follows from an answer.
    fn follow(&mut self, step: Step) {
        match step {
            Step::Wait | Step::Ignored(_) | Step::Beaten(_) => {}
            Step::Gather { until, instead_of } => {
                self.cancel_all(instead_of);
                self.set(until);
            }
            Step::Propose(value) => self.propose(value),
            Step::Chosen(chosen) => self.decide(*chosen),
        }
    }

    /// Begins phase 2 with the accepted block of the highest accepted ballot, or else with a block of the
    /// promised logs, fixed once. Concludes the run if these logs are all empty.
    fn propose(&mut self, value: Value) {
        self.stop_gathering();
        let Some(height) = self.proposer.run.as_ref().map(|run| run.plan.height) else { return };
        let (block, origin) = match value {
            Value::Adopt(block) => (block, Origin::Adopted),
            Value::Build(consulted) => {
                let Some(block) = self.build(height, &consulted.servers()) else {
                    return self.conclude_without_block(consulted);
                };
                if self.proposer.wary
                    && let Err(problem) = self.foresee(&block)
                {
                    return self.drop_bad_promises(consulted.servers(), &problem);
                }
                (block, Origin::Built(consulted))
            }
        };
        self.fix(block, origin);
    }

    /// Fixes the block of the run, and asks all to accept it.
    pub(super) fn fix(&mut self, block: SealedBlock, origin: Origin) {
        let Some(Plan { height, ballot, .. }) = self.proposer.run.as_ref().map(|run| &run.plan)
        else {
            return;
        };
        let (height, ballot, content) = (*height, ballot.clone(), content(&block));
        let how = match origin {
            Origin::Built(_) => How::Gathered,
            Origin::Known => How::Known,
            Origin::Adopted => How::Adopted,
        };
        self.note(Note::Run(height, ballot, note::Step::Proposes { how, content }));
        self.proposer.fix(block, origin);
        self.ask_all();
    }

    /// Builds a block of these servers' logs, if they hold anything.
    pub(super) fn build(&self, height: u64, servers: &BTreeSet<ServerId>) -> Option<SealedBlock> {
        let mut logs = self.proposer.knowledge.gather(servers);
        if planted!(OwnLogUndurable) {
            logs.insert(self.config.id.clone(), self.ledger.log.elements().collect());
        }
        let previous = self.chain().head();
        let proposer = Some(self.config.id.clone());
        let block = Block { height, previous, proposer, genesis: None, opening: None, logs };
        (!block.logs.is_empty()).then(|| SealedBlock::seal(block))
    }

    /// Notes that the block proposed in this ballot is impossible, as this server found when it had to accept
    /// it. If it was built of promises, the next one is verified before anybody is asked.
    pub(super) fn distrust_promises(&mut self, height: u64, ballot: &Ballot) {
        if self.proposer.has_built(height, ballot) {
            self.count(|runs| runs.lost += 1);
            self.proposer.wary = true;
            self.drop_run();
            self.back_off();
        }
    }

    /// Goes on without the promises of impossible logs, since a block of these logs is impossible.
    fn drop_bad_promises(&mut self, servers: BTreeSet<ServerId>, problem: &BlockError) {
        let mut culprits = Vec::new();
        for server in servers {
            let log = self.proposer.knowledge.log(&server);
            if let Err(problem) = self.chain().verify_log(&self.ledger.balances, &server, log) {
                culprits.push((server, problem));
            }
        }
        if culprits.is_empty() {
            // Each log by itself spends no more than its accounts hold, so together they can't either.
            self.warn(Warning::BadTogether(problem.to_string()));
            self.drop_run();
            return self.back_off();
        }
        for (server, problem) in culprits {
            self.proposer.distrust(&server);
            self.warn(Warning::BadPromise(server, problem.to_string()));
        }
        self.weigh_promises();
    }

    fn conclude_without_block(&mut self, consulted: Consulted) {
        let Some(Run { plan, .. }) = self.proposer.run.take() else { return };
        self.cancel(Timer::Repeat);
        self.note(Note::Run(plan.height, plan.ballot.clone(), note::Step::AllEmpty));
        self.pace.finishing = false;
        self.conclude(plan, Some(consulted));
    }

    /// Concludes a run that got through. Waiting transfers are reconsidered with what the run allows, if it is
    /// known whose logs it is of.
    fn conclude(&mut self, plan: Plan, consulted: Option<Consulted>) {
        self.count(|runs| runs.won += 1);
        self.pace.on_won(!plan.rivals.is_empty());
        self.waiting.look_again = true;
        let Some(mut consulted) = consulted else { return };
        if consulted.rest != Rest::Nothing {
            let leaves = note::Step::Leaves(consulted.rest.clone());
            self.note(Note::Run(plan.height, plan.ballot.clone(), leaves));
        }
        if planted!(RefusedThoughCut) {
            consulted.rest = Rest::Nothing;
        }
        let Plan { eligible, asks, .. } = plan;
        self.waiting.verdict = Some(Verdict { eligible, asks, consulted });
    }

    /// Takes in that a majority accepted the run's block: it is chosen.
    fn decide(&mut self, Chosen { plan, block, origin, accepted }: Chosen) {
        let (height, hash) = (block.height(), block.hash());
        let by = note::Step::Chosen(accepted.keys().cloned().collect());
        self.note(Note::Run(height, plan.ballot.clone(), by));
        self.show(&plan.ballot, &block);
        if let Some(gone) = self.dismissed_by(&block).filter(|_| !planted!(LeftInTheDark)) {
            // With the block it is no peer any more.
            self.send(&gone, Message::Commit { height, hash });
        }
        let chain = self.chain.as_ref().expect("a run is of an active server");
        for server in accepted.keys() {
            // By the members and stores of the block's own height.
            self.proposer.is_promised_by(chain, server, true);
        }
        if let Err(problem) = self.append_chosen(&block) {
            // It was verified when it was built or adopted, and the head can't have moved under a living run.
            return self.warn(Warning::NotAppended(height, format!("{problem:?}")));
        }
        // Whoever is dismissed by the block waits to hear from the others that they hold it.
        let assumes = self.store.leaving != Leaving::Dismissed || planted!(LeavesOnceAccepted);
        for server in accepted.keys().filter(|_| assumes) {
            if let Some(peer) = self.peers.get_mut(server) {
                peer.holds(height, Some(height));
            }
        }
        self.send_all(&Message::Commit { height, hash });
        let chain = self.chain.as_ref().expect("it has just grown");
        for (server, beyond) in accepted {
            self.proposer.learn_beyond(chain, &server, beyond);
        }
        match origin {
            Origin::Built(consulted) => self.conclude(plan, Some(consulted)),
            // An adopted block is not what this server asked for, so it has to run again.
            // Nor is one for which nobody was asked: it refuses nothing.
            Origin::Adopted | Origin::Known => self.conclude(plan, None),
        }
    }

    /// Has the next run wait, longer with each attempt.
    pub(in crate::bank::server) fn back_off(&mut self) {
        let timer = self.pace.back_off();
        self.set(timer);
    }

    pub(super) fn drop_run(&mut self) {
        self.stop_gathering();
        self.proposer.run = None;
        self.cancel(Timer::Repeat);
        if self.voter.acceptor.accepted().is_some() {
            self.set(Timer::FinishRound);
        }
    }

    /// Drops a run that is no longer needed, unless its block is on its way.
    pub(in crate::bank::server) fn abandon_run(&mut self) {
        let proposes = |run: &Run| matches!(run.phase, Phase::Accepting { .. });
        if self.proposer.run.as_ref().is_some_and(|run| !proposes(run)) {
            self.drop_run();
            let timer = self.pace.on_vain_run(self.config.limits.vain_runs);
            self.set_all(timer);
        }
    }
}
