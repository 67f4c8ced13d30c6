//! A server that was told its bank: it founds none, and accepts no other (DESIGN.md, "Founding and
//! identity").

use super::super::Server;
use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::ids::ServerId;
use crate::bank::note::{Note, Warning};
use crate::bank::paxos::message::Hello;

impl Server {
    /// True if this server founds a bank with the others once it knows their stores.
    pub(in crate::bank::server) fn may_found(&self) -> bool {
        let told = self.config.bank.is_some() && !planted!(FoundsThoughTold);
        !told && !self.config.rejoin && !self.config.join
    }

    /// True if a block 0 is this server's bank's, as far as it knows its bank.
    pub(in crate::bank::server) fn is_of_our_bank(&self, genesis: &BlockHash) -> bool {
        match &self.chain {
            Some(chain) => chain.genesis_hash() == *genesis,
            None => self.config.serves(genesis),
        }
    }

    /// Checks, while this server holds no block 0, that a server that greets is of the bank it was told.
    pub(in crate::bank::server) fn check_told(&self, hello: &Hello) -> Result<(), String> {
        match (&self.config.bank, hello.standing.genesis) {
            (Some(bank), Some(theirs)) if self.chain.is_none() && !bank.names(&theirs) => {
                Err(format!(
                    "{} belongs to the bank {theirs}, and this server serves only {bank} (--bank)",
                    hello.id
                ))
            }
            _ => Ok(()),
        }
    }

    /// Says which bank this server is of from now on. A person should see it, since servers whose stores were
    /// all lost found a bank as well.
    pub(in crate::bank::server) fn tell_founded(&mut self, block: &SealedBlock) {
        let hash = block.hash();
        match self.config.bank.is_some() || self.config.rejoin || self.config.join {
            true => self.note(Note::Founded(hash)),
            false => self.warn(Warning::NewBank(hash)),
        }
    }

    /// Returns why a server that was told its bank doesn't serve while it holds no block 0.
    pub(in crate::bank::server) fn waits_for_its_bank(&self) -> Option<String> {
        let bank = self.config.bank.as_ref().filter(|_| self.chain.is_none())?;
        Some(format!(
            "{} serves only bank {bank} (--bank), and its store holds no block 0: it founds nothing, and \
             waits for a server that holds that bank. If none does, all stores were lost: put back what \
             they held last; or, for a new bank, start all servers without --bank, on empty stores",
            self.config.id
        ))
    }

    /// Returns the servers that may have the block 0 for which this server, told its bank, waits.
    pub(in crate::bank::server) fn without_block_0(&self) -> Vec<ServerId> {
        let without = self.peers.iter().filter(|(_, peer)| peer.height.is_none());
        without.map(|(id, _)| id.clone()).collect()
    }
}
