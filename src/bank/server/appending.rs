//! Appending a block: the one way in which the chain grows.

use std::hash::{Hash, Hasher};

use super::Server;
use super::recovery::recall;
use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::blockchain::chain::{BlockError, Consequences};
use crate::bank::effects::{Timer, Write};
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::local_log::LocalLog;
use crate::bank::ledger::pages::Page;
use crate::bank::paxos::message::content;
use crate::bank::paxos::proposer::Run;

/// Why a block was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// It is not the next one, or breaks a rule.
    Block(BlockError),
    /// If it was chosen, this server's store is not to be used any more, for this reason.
    Against(String),
}

/// What would follow from the block that was verified last, so that it needn't be worked out twice: a
/// block is verified when it is proposed or accepted and, as a rule, appended a moment later.
///
/// Not a part of the state, from which it follows.
#[derive(Clone, Debug, Default)]
pub(super) struct Foreseen(Option<(BlockHash, Consequences)>);

impl Foreseen {
    /// Whether it is that of this block, which names the head that it comes after by hash, and so the
    /// balances.
    fn is_of(&self, block: &SealedBlock) -> bool {
        self.0.as_ref().is_some_and(|(hash, _)| *hash == block.hash())
    }
}

impl PartialEq for Foreseen {
    fn eq(&self, _: &Foreseen) -> bool {
        true
    }
}

impl Eq for Foreseen {}

impl Hash for Foreseen {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Server {
    /// Appends a block that was chosen, in one turn: the chain grows, the included entries leave the
    /// log, the acceptor's slot is cleared, a run for this height dies.
    pub(super) fn append(&mut self, block: &SealedBlock) -> Result<(), AppendError> {
        self.foresee(block).map_err(AppendError::Block)?;
        let (_, consequences) = self.foreseen.0.take().expect("it was foreseen just now");
        let from_accepted = self.acceptor.accepted().is_some_and(|(_, held)| held == block);
        if consequences.deposes(self.instance) && !planted!(DeposedGoesOn) {
            return Err(AppendError::Against(self.deposed_by(block)));
        }
        // What the chain holds of an earlier epoch was never in the log of a server that rejoins.
        let rejoins = self.rejoins();
        let own = match block.block().log(&self.config.id) {
            _ if planted!(FetchedBlockNotTrimmed) && !from_accepted => &[],
            _ if rejoins => &[],
            own => own,
        };
        let Ok(trim) = self.log.trim(own) else {
            return Err(AppendError::Against(self.log_contradicted(block)));
        };
        let chain = self.chain.as_mut().expect("checked above");
        let before = chain.included(&self.config.id);
        let changes = chain.append(block, consequences);
        let included = chain.all_included().clone();
        let (instances, deposed) = (chain.all_instances().clone(), chain.all_deposed().clone());
        if rejoins {
            let base = chain.included(&self.config.id);
            self.log = LocalLog::new(base, Vec::new()).expect("nothing is missing in nothing");
            recall(&mut self.sessions, block.block().log(&self.config.id), false);
        }
        self.knowledge.trim(chain);
        self.acceptor.clear();
        self.begin_rounds_anew();
        self.balances.commit(changes, block.height());
        let (pages, checkpoint) = self.pages_for(block);
        let sessions = self.sessions.came_into_chain(block.block().log(&self.config.id));
        self.write(Write::Append {
            block: block.clone(),
            from_accepted,
            trim,
            pages,
            checkpoint,
            included,
            instances,
            deposed,
            sessions,
        });
        self.stop_gathering();
        // A run's own block is appended when the run is over.
        let beaten = match self.run.take() {
            Some(Run { ballot, .. }) => {
                self.count(|runs| runs.lost += 1);
                format!("; the run with ballot {ballot} ends")
            }
            None => String::new(),
        };
        self.finishing = false;
        self.wary = false;
        self.look_again = true;
        if rejoins {
            let last = block.block().log(&self.config.id).last().map(Element::last);
            self.look_whether_rejoined(last.unwrap_or(before));
        }
        self.tell_settled();
        self.settled_some();
        self.cancel(Timer::FinishRound);
        self.cancel(Timer::Repeat);
        let by = block.block().proposer.as_ref().map_or("nobody", ServerId::as_str);
        let height = block.height();
        self.step(format!("block {height} of {by} appended: {}{beaten}", content(block)));
        Ok(())
    }

    /// Appends a block that Paxos chose, as this server knows by its own part in that.
    pub(super) fn append_chosen(&mut self, block: &SealedBlock) -> Result<(), AppendError> {
        let appended = self.append(block);
        if let Err(AppendError::Against(reason)) = &appended {
            self.stop(reason.clone());
        }
        appended
    }

    /// Whether a block can be the next one. What would follow from it here is remembered.
    pub(super) fn foresee(&mut self, block: &SealedBlock) -> Result<(), BlockError> {
        if !self.foreseen.is_of(block) {
            // What the chain holds of an earlier epoch was never in the log of a server that rejoins.
            let home = (!self.rejoins()).then_some(&self.config.id);
            let consequences = self.chain().verify_at(home, &self.balances, block)?;
            self.foreseen = Foreseen(Some((block.hash(), consequences)));
        }
        Ok(())
    }

    /// The pages of balances that are written with a block, and what the store has then.
    pub(super) fn pages_for(&mut self, block: &SealedBlock) -> (Vec<Page>, u64) {
        let height = block.height();
        let most = match height {
            0 => usize::MAX,
            _ => self.config.limits.pages_with(block.text().len(), self.balances.pages()),
        };
        let pages = self.balances.late_pages(most, height);
        (pages, self.balances.checkpoint(height))
    }

    fn log_contradicted(&self, block: &SealedBlock) -> String {
        format!(
            "block {} holds entries of this server that its log doesn't begin with: the store of {} was \
             rolled back, or is corrupt. Start it on the store it had last.",
            block.height(),
            self.config.id
        )
    }

    /// A peer's chain contradicts this one's. That must never happen: it is reported and that peer
    /// is not asked for blocks again.
    pub(super) fn fork(&mut self, peer: &ServerId, height: u64) {
        let head = self.chain.as_ref().map(|chain| chain.head().short()).unwrap_or_default();
        if let Some(known) = self.peers.get_mut(peer)
            && !known.forked
        {
            known.forked = true;
            self.warn(format!(
                "FORK: the chain of {peer} does not link to block {} ({head}) of this server",
                height.saturating_sub(1)
            ));
        }
    }
}
