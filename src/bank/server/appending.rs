//! Appending a block: the one way in which the chain grows.

use super::Server;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::chain::BlockError;
use crate::bank::effects::{Timer, Write};
use crate::bank::ids::ServerId;
use crate::bank::ledger::local_log::TrimError;

/// Why a block was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// It is not the next one, or breaks a rule.
    Block(BlockError),
    /// This server has to stop.
    Stopped,
}

impl Server {
    /// Appends a block that was chosen, in one turn: the chain grows, the included entries leave the
    /// log, the acceptor's slot is cleared, a run for this height dies.
    pub(super) fn append(&mut self, block: &SealedBlock) -> Result<(), AppendError> {
        let consequences = self.chain().verify(block).map_err(AppendError::Block)?;
        let from_accepted = self.acceptor.accepted().is_some_and(|(_, held)| held == block);
        let mut own = self.own_entries(block);
        if planted!(FetchedBlockNotTrimmed) && !from_accepted {
            own.clear();
        }
        let trim = match self.log.trim(&own) {
            Ok(elements) => elements,
            Err(problem) => {
                self.stop(self.log_contradicted(block, problem));
                return Err(AppendError::Stopped);
            }
        };
        for entry in block.block().entries.iter().filter(|entry| entry.server != self.config.id) {
            // Covered by the committed balances, which the local ones can only exceed here: for
            // another's account they lack nothing but that account's own entries.
            self.local.apply(entry).expect("a verified entry takes effect on the local balances");
        }
        let chain = self.chain.as_mut().expect("checked above");
        let balances = chain.append(block, consequences);
        self.knowledge.trim(chain);
        self.acceptor.clear();
        self.write(Write::Append { block: block.clone(), from_accepted, trim, balances });
        self.stop_gathering();
        self.run = None;
        self.finishing = false;
        self.look_again = true;
        self.cancel(Timer::FinishRound);
        self.cancel(Timer::Repeat);
        self.info(format!(
            "block {} appended: {} entries, hash {}",
            block.height(),
            block.block().entries.len(),
            block.hash().short()
        ));
        Ok(())
    }

    fn log_contradicted(&self, block: &SealedBlock, problem: TrimError) -> String {
        let what = match problem {
            TrimError::Different => "holds entries of this server that its log doesn't have",
            TrimError::WithinElement => "ends within an element of this server's log",
        };
        format!(
            "block {} {what}: the store of {} was rolled back, or is corrupt. Start it on the store \
             it had last.",
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
