//! The acceptor's part: prepare, accept, commit (DESIGN.md, "A Paxos run").

use std::collections::{BTreeMap, BTreeSet};

use super::super::Server;
use super::foreseen::Foreseen;
use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::effects::{Timer, Write};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::element::Element;
use crate::bank::note::{Note, Warning};
use crate::bank::paxos::acceptor::{Acceptor, Answer};
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Message, Vote, Whole};

/// The parts of this server's votes: its acceptor, and what it has examined for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Voter {
    pub acceptor: Acceptor,
    pub foreseen: Foreseen,
    /// The block that was proposed last to this server while it has no vote. It need not be durable: nobody counts
    /// on it.
    pub shown: Option<SealedBlock>,
    /// The highest ballot in which a proposer has asked for the next height. (What is promised may be from below.)
    pub asked: Option<Ballot>,
    /// The newest prepare that came before its time.
    held: Option<HeldPrepare>,
}

impl Voter {
    /// Makes a voter with what was promised and accepted in the life before.
    pub fn new(acceptor: Acceptor) -> Voter {
        Voter { acceptor, foreseen: Foreseen::default(), shown: None, asked: None, held: None }
    }

    /// Forgets what is of the height that a block was appended for. Returns true if the promise stands.
    pub fn next_height(&mut self) -> bool {
        (self.shown, self.asked) = (None, None);
        self.acceptor.next_height()
    }

    /// Holds a prepare that came before its time, unless a newer one is held.
    fn hold(&mut self, prepare: HeldPrepare) {
        let newest = |held: &HeldPrepare| (held.height, held.ballot.clone());
        if self.held.as_ref().map(newest) < Some(newest(&prepare)) {
            self.held = Some(prepare);
        }
    }

    /// Takes out the prepare held for this height, and drops older ones.
    fn release(&mut self, height: u64) -> Option<HeldPrepare> {
        let held = self.held.take()?;
        if held.height > height {
            self.held = Some(held);
            return None;
        }
        (held.height == height).then_some(held)
    }
}

/// A prepare, as it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct HeldPrepare {
    /// The proposer.
    pub from: ServerId,
    /// The height.
    pub height: u64,
    /// The run's ballot.
    pub ballot: Ballot,
    /// The hash of the previous block.
    pub previous: BlockHash,
    /// The known part of the logs, by the proposer.
    pub known: BTreeMap<ServerId, u64>,
    /// The accounts for which it has to know what whole logs bring.
    pub asks: BTreeSet<AccountId>,
}

impl Server {
    /// Takes in a proposer's request for a promise. Only a server answers whose chain ends exactly one height
    /// below, with that very block.
    pub(in crate::bank::server) fn on_prepare(&mut self, prepare: HeldPrepare) {
        self.proposer.saw(&prepare.ballot);
        let next = self.chain().height() + 1;
        if prepare.height < next {
            return self.bring_up_to_date(&prepare.from);
        }
        // The proposer holds the previous block, by this hash; so this block was chosen.
        if prepare.height == next + 1 && self.append_accepted(prepare.previous) {
            if self.still_takes_part() {
                self.on_prepare(prepare);
            }
            return;
        }
        if prepare.height > next && !planted!(PromiseWithoutBlocks) {
            self.voter.hold(prepare);
            return self.start_reconciling();
        }
        if prepare.previous != self.chain().head() && !planted!(PromiseWithoutBlocks) {
            return self.fork(&prepare.from, next);
        }
        self.promise_or_nack(prepare);
    }

    fn promise_or_nack(&mut self, prepare: HeldPrepare) {
        let HeldPrepare { from, height, ballot, known, asks, .. } = prepare;
        let waiting = self.waiting.has_transfers();
        if !self.votes() {
            // Who has no vote binds nobody: it only tells its log, which is durable.
            return self.promise(&from, (height, ballot), &known, &asks);
        }
        match self.voter.acceptor.prepare(&ballot) {
            Answer::PromisedHigher(promised) => {
                let nack = Message::Nack { height, ballot, promised, waiting };
                return self.send(&from, nack);
            }
            Answer::Conflict => return,
            Answer::Yes if planted!(PromiseNotDurable) => {}
            Answer::Yes => self.write(Write::Promise(ballot.clone())),
            Answer::Again => {}
        }
        self.voter.asked = Some(ballot.clone());
        self.promise(&from, (height, ballot), &known, &asks);
    }

    fn promise(
        &mut self,
        to: &ServerId,
        (height, ballot): (u64, Ballot),
        known: &BTreeMap<ServerId, u64>,
        asks: &BTreeSet<AccountId>,
    ) {
        let known = known.get(&self.config.id).copied().unwrap_or(0);
        let (instance, waiting) = (self.store.instance, self.waiting.has_transfers());
        let vote = self.vote(known, asks);
        self.send(to, Message::Promise { height, ballot, instance, waiting, vote });
    }

    fn vote(&mut self, known: u64, asks: &BTreeSet<AccountId>) -> Vote {
        if let Some((ballot, block)) = self.voter.acceptor.accepted() {
            let promised =
                self.voter.acceptor.promised().filter(|_| planted!(HighestPromisedDecides));
            let ballot = promised.unwrap_or(ballot).clone();
            return Vote::Accepted { ballot, block: block.clone() };
        }
        // What is promised here may become a block's end, which must fall between elements.
        if !planted!(OpenElementPromised) {
            self.seal_log();
        }
        let (elements, cut) = self.ledger.log.promise(known, self.share());
        let cut = cut && !planted!(CutNotSaid);
        let whole = cut.then(|| self.whole_log(asks));
        Vote::Log { elements, cut, whole }
    }

    /// Computes the sum of the whole log. The log is sealed, so that the sum is durable when it is said.
    fn whole_log(&self, asks: &BTreeSet<AccountId>) -> Whole {
        let brought =
            |account: &AccountId| Some((account.clone(), self.ledger.balances.brought(account)?));
        Whole { last: self.ledger.log.last(), brings: asks.iter().filter_map(brought).collect() }
    }

    /// Answers the newest prepare that came before its time, now that this server has caught up.
    pub(in crate::bank::server) fn answer_held_prepare(&mut self) {
        let next = self.chain().height() + 1;
        if let Some(held) = self.voter.release(next) {
            self.on_prepare(held);
        }
    }

    /// Takes in a proposer's request to accept its block. It is taken for exactly the next height.
    pub(in crate::bank::server) fn on_accept(
        &mut self,
        from: ServerId,
        height: u64,
        ballot: Ballot,
        block: SealedBlock,
    ) {
        self.proposer.saw(&ballot);
        let next = self.chain().height() + 1;
        if height < next && !planted!(LateAcceptTaken) {
            return self.bring_up_to_date(&from);
        }
        // The proposer holds the previous block, by this hash; so this block was chosen.
        if height == next + 1 && self.append_accepted(block.block().previous) {
            if self.still_takes_part() {
                self.on_accept(from, height, ballot, block);
            }
            return;
        }
        if height > next && !planted!(EarlyAcceptTaken) {
            return self.start_reconciling();
        }
        if height == next
            && let Err(problem) = self.look_at_proposed(&block)
        {
            self.warn(Warning::BadProposal(from.clone(), problem));
            if from == self.config.id {
                self.distrust_promises(height, &ballot);
            }
            return;
        }
        if !self.votes() {
            self.voter.shown = Some(block);
            return;
        }
        match self.voter.acceptor.accept(&ballot, &block) {
            Answer::PromisedHigher(promised) => {
                let waiting = self.waiting.has_transfers();
                let nack = Message::Nack { height, ballot, promised, waiting };
                return self.send(&from, nack);
            }
            Answer::Conflict => {
                return self.warn(Warning::TwoBlocks(from, ballot));
            }
            Answer::Yes if planted!(AcceptNotDurable) => {}
            Answer::Yes => {
                self.write(Write::Accept { ballot: ballot.clone(), block: block.clone() });
                self.set(Timer::FinishRound);
            }
            Answer::Again => {}
        }
        self.voter.asked = Some(ballot.clone());
        let (hash, instance) = (block.hash(), self.store.instance);
        let (waiting, beyond) = (self.waiting.has_transfers(), self.beyond(&block));
        self.send(&from, Message::Accepted { height, ballot, hash, instance, waiting, beyond });
    }

    /// Returns what the log holds beyond a block that was accepted, as far as it is in elements. None if it is long.
    fn beyond(&self, block: &SealedBlock) -> Option<Vec<Element>> {
        let included = block.block().log(&self.config.id).len();
        self.ledger.log.after(included, self.config.limits.beyond)
    }

    /// Checks that a block links to the head, verifies, and takes from this server's log exactly a beginning.
    fn look_at_proposed(&mut self, block: &SealedBlock) -> Result<(), String> {
        self.foresee(block).map_err(|error| error.to_string())?;
        match self.ledger.log.begins_with(block.block().log(&self.config.id)) {
            true => Ok(()),
            false => Err("its entries of this server are not those of its log".into()),
        }
    }

    /// Takes in that a block was chosen. It is appended if its hash is the accepted block's.
    pub(in crate::bank::server) fn on_commit(
        &mut self,
        from: ServerId,
        height: u64,
        hash: BlockHash,
    ) {
        let next = self.chain().height() + 1;
        let (height, hash) = match self.voter.acceptor.accepted() {
            Some((_, block)) if planted!(CommitOfAnyHeight) && height > next => {
                (next, block.hash())
            }
            _ => (height, hash),
        };
        if height < next || (height == next && self.append_accepted(hash)) {
            return;
        }
        self.fetch_from(from, height);
    }

    /// True unless the block that was appended just now has dismissed this server.
    fn still_takes_part(&self) -> bool {
        self.takes_part() || planted!(DismissedVotes)
    }

    /// Appends the accepted block if its hash is this one.
    fn append_accepted(&mut self, hash: BlockHash) -> bool {
        match self.voter.acceptor.accepted() {
            Some((_, block)) if block.hash() == hash || planted!(CommitOfAnyBlock) => {
                let block = block.clone();
                self.append_chosen(&block).is_ok()
            }
            _ => self.append_shown(hash),
        }
    }

    /// Appends the block that was shown to this server while it has no vote, if its hash is this one.
    fn append_shown(&mut self, hash: BlockHash) -> bool {
        match self.voter.shown.take() {
            Some(block) if block.hash() == hash => self.append_chosen(&block).is_ok(),
            shown => {
                self.voter.shown = shown;
                false
            }
        }
    }

    /// Tells a proposer that lacks blocks which is the last. It appends this block if it accepted it, or asks.
    fn bring_up_to_date(&mut self, proposer: &ServerId) {
        let (height, hash) = (self.chain().height(), self.chain().head());
        if *proposer != self.config.id {
            self.send(proposer, Message::Commit { height, hash });
        }
    }

    /// True if a block is accepted here that a connected peer proposed: it is about to be chosen, and a run of this server
    /// could only propose it again.
    pub(in crate::bank::server) fn waits_for_commit(&self) -> bool {
        let finishes = self.pace.finishing && !planted!(CommitAwaitedForEver);
        let accepted = self.voter.acceptor.accepted().filter(|_| !finishes);
        accepted.is_some_and(|(ballot, _)| self.peers.is_linked(&ballot.server))
    }

    /// Finishes the round of a block that was accepted here a while ago.
    pub(in crate::bank::server) fn on_finish_round(&mut self) {
        if self.voter.acceptor.accepted().is_none() {
            return;
        }
        if self.proposer.run.is_none() {
            self.note(Note::FinishesRound);
            self.pace.finishing = true;
        } else {
            self.set(Timer::FinishRound);
        }
    }
}
