//! Appending a block: the only way in which the chain grows.

use super::super::Server;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::block_error::BlockError;
use crate::bank::effects::{Timer, Write};
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::local_log::LocalLog;
use crate::bank::ledger::pages::Page;
use crate::bank::note::{Note, Warning};
use crate::bank::paxos::message::content;

/// Why a block was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The block is not the next one, or breaks a rule.
    Block(BlockError),
    /// If the block was chosen, this server must not use its store any more, for this reason.
    Against(String),
}

impl Server {
    /// Appends a block that was chosen, in one turn: the chain grows, the included entries leave the log,
    /// the acceptor's slot is emptied, a run for this height ends.
    pub(in crate::bank::server) fn append(
        &mut self,
        block: &SealedBlock,
    ) -> Result<(), AppendError> {
        self.foresee(block).map_err(AppendError::Block)?;
        let consequences = self.voter.foreseen.take().expect("it was foreseen just now");
        let from_accepted = self.voter.acceptor.accepted().is_some_and(|(_, held)| held == block);
        // An earlier store of this server may have been dismissed by a block that this one only learns.
        let deposes = consequences.deposes(self.store.instance);
        let leaves = deposes && consequences.dismisses() == Some(&self.config.id);
        if deposes && !leaves && !planted!(DeposedGoesOn) {
            return Err(AppendError::Against(self.deposed_by(block)));
        }
        // The chain's entries of an earlier epoch were never in the log of a server that rejoins.
        let rejoins = self.rejoins();
        // So were those of the bank that this one goes on from.
        let elsewhere = rejoins || self.chain().is_opening(block.height());
        let own = match block.block().log(&self.config.id) {
            _ if planted!(FetchedBlockNotTrimmed) && !from_accepted => &[],
            _ if elsewhere => &[],
            own => own,
        };
        let Ok(trim) = self.ledger.log.trim(own) else {
            return Err(AppendError::Against(self.log_contradicted(block)));
        };
        let chain = self.chain.as_mut().expect("checked above");
        let changes_before = chain.derived().membership.changes;
        let before = chain.included(&self.config.id);
        let changes = chain.append(block, consequences);
        let derived = Box::new(chain.derived().clone());
        if elsewhere {
            let base = chain.included(&self.config.id);
            let log = LocalLog::new(base, Vec::new()).expect("nothing is missing in nothing");
            let time = chain.derived().times.get(&self.config.id).copied();
            self.ledger.log = log.no_earlier_than(time.max(self.ledger.log.now()));
            // Whatever this server ever accepted and counts is here, with another store, too.
            if !planted!(LostNamesUnread) {
                self.ledger.sessions.recall(block.block().log(&self.config.id), false);
            }
        }
        self.proposer.knowledge.trim(chain);
        self.peers.settle_newcomers(chain);
        let promise_stands = self.voter.next_height();
        self.proposer.begin_rounds_anew();
        self.ledger.balances.commit(changes, block.height());
        let (pages, checkpoint) = self.pages_for(block);
        let sessions = self.ledger.sessions.came_with(block.block(), &self.config.id);
        self.write(Write::Append {
            block: block.clone(),
            from_accepted,
            trim,
            pages,
            checkpoint,
            derived,
            sessions,
            promise_stands,
        });
        self.stop_gathering();
        // A run's own block is appended when the run is over.
        let beaten = self.proposer.run.take().map(|run| run.plan.ballot);
        if beaten.is_some() {
            self.count(|runs| runs.lost += 1);
        }
        self.pace.finishing = false;
        let proposer = block.block().proposer.as_ref();
        self.pace.on_block(proposer, self.comes_after(proposer));
        self.proposer.wary = false;
        self.waiting.look_again = true;
        if rejoins {
            let last = block.block().log(&self.config.id).last().map(Element::last);
            self.look_whether_rejoined(last.unwrap_or(before));
        }
        self.look_whether_dismissed(leaves);
        if self.chain().derived().membership.changes != changes_before {
            self.follow_members();
        }
        self.look_who_was_foretold();
        self.answer_orders(leaves);
        self.hang_up_on_old_keys();
        self.tell_settled();
        self.settled_some();
        self.cancel(Timer::FinishRound);
        self.cancel(Timer::Repeat);
        let (height, by) = (block.height(), block.block().proposer.clone());
        self.note(Note::Appended { height, by, content: content(block), beaten });
        Ok(())
    }

    /// True if it is this server's turn after a block: among all who are there, it comes next after the proposer.
    fn comes_after(&self, proposer: Option<&ServerId>) -> bool {
        let me = &self.config.id;
        let Some(last) = proposer.filter(|last| *last != me) else { return false };
        let is_there = |id: &&ServerId| *id == me || self.peers.is_linked(id);
        let later = self.members().filter(|id| *id > last).find(is_there);
        later.or_else(|| self.members().find(is_there)) == Some(me) || planted!(TurnOfAll)
    }

    /// Appends a block that Paxos chose, as this server knows by its own part in the choice.
    pub(in crate::bank::server) fn append_chosen(
        &mut self,
        block: &SealedBlock,
    ) -> Result<(), AppendError> {
        let appended = self.append(block);
        if let Err(AppendError::Against(reason)) = &appended {
            self.stop(reason.clone());
        }
        appended
    }

    /// Checks that a block can be the next one, and remembers what would follow from it here.
    pub(in crate::bank::server) fn foresee(
        &mut self,
        block: &SealedBlock,
    ) -> Result<(), BlockError> {
        if !self.voter.foreseen.is_of(block) {
            // The chain's entries of an earlier epoch were never in the log of a server that rejoins.
            let home = (!self.rejoins()).then_some(&self.config.id);
            let consequences = self.chain().verify_at(home, &self.ledger.balances, block)?;
            self.voter.foreseen.keep(block, consequences);
        }
        Ok(())
    }

    /// Returns the pages of balances to be written with a block, and the checkpoint that the store then has.
    pub(in crate::bank::server) fn pages_for(&mut self, block: &SealedBlock) -> (Vec<Page>, u64) {
        let height = block.height();
        let most = match height {
            0 => usize::MAX,
            _ => self.config.limits.pages_with(block.text().len(), self.ledger.balances.pages()),
        };
        let pages = self.ledger.balances.late_pages(most, height);
        (pages, self.ledger.balances.checkpoint(height))
    }

    fn log_contradicted(&self, block: &SealedBlock) -> String {
        format!(
            "block {} holds entries of this server that its log doesn't begin with: the store of {} was \
             rolled back, or is corrupt. Start it on the store it had last.",
            block.height(),
            self.config.id
        )
    }

    /// Reports that a peer's chain contradicts this server's, which must never happen. The peer is not asked
    /// for blocks again.
    pub(in crate::bank::server) fn fork(&mut self, peer: &ServerId, height: u64) {
        let head = self.chain.as_ref().map(|chain| chain.head().short()).unwrap_or_default();
        if let Some(known) = self.peers.get_mut(peer)
            && !known.forked
        {
            known.forked = true;
            let (peer, height) = (peer.clone(), height.saturating_sub(1));
            self.warn(Warning::Fork { peer, height, head });
        }
    }
}
