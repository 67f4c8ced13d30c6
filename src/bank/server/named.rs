//! A server that was told which bank it serves: it founds none, and takes no other (DESIGN.md, "Founding
//! and identity").

use super::recovery::{Recovery, RecoveryError};
use super::{Config, Server};
use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::ids::ServerId;
use crate::bank::paxos::message::Hello;

impl Config {
    /// Whether this server may serve the bank of that block 0.
    pub(super) fn serves(&self, genesis: &BlockHash) -> bool {
        self.bank.as_ref().is_none_or(|bank| bank.names(genesis))
    }
}

impl Server {
    /// Whether this server founds a bank with the others once it knows their stores.
    pub(super) fn may_found(&self) -> bool {
        let told = self.config.bank.is_some() && !planted!(FoundsThoughTold);
        !told && !self.config.rejoin
    }

    /// Whether a block 0 is that of this server's bank, as far as it knows its bank.
    pub(super) fn is_of_our_bank(&self, genesis: &BlockHash) -> bool {
        match &self.chain {
            Some(chain) => chain.genesis_hash() == *genesis,
            None => self.config.serves(genesis),
        }
    }

    /// Whether a server that greets is of the bank that this one, which holds no block 0 yet, was told.
    pub(super) fn check_told(&self, hello: &Hello) -> Result<(), String> {
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

    /// Says which bank this server is of from now on. To found one is what also happens to servers whose
    /// stores were all lost: so a person is to see it.
    pub(super) fn tell_founded(&mut self, block: &SealedBlock) {
        let hash = block.hash();
        match self.config.bank.is_some() || self.config.rejoin {
            true => self.info(format!("block 0, genesis: {hash}")),
            false => self.warn(format!(
                "founded a NEW bank: its block 0 is {hash}. If there was one before, its stores are \
                 not these. Start each server with --bank {hash} from now on: then it founds no other"
            )),
        }
    }

    /// Why a server that was told its bank doesn't serve, while it holds no block 0.
    pub(super) fn waits_for_its_bank(&self) -> Option<String> {
        let bank = self.config.bank.as_ref().filter(|_| self.chain.is_none())?;
        Some(format!(
            "{} serves only bank {bank} (--bank), and its store holds no block 0: it founds nothing, and \
             waits for a server that holds that bank. If none does, all stores were lost: put back what \
             they held last; or, for a new bank, start all servers without --bank, on empty stores",
            self.config.id
        ))
    }

    /// Who could have the block 0 for which a server waits that was told its bank.
    pub(super) fn without_block_0(&self) -> Vec<ServerId> {
        let without = self.peers.iter().filter(|(_, peer)| peer.height.is_none());
        without.map(|(id, _)| id.clone()).collect()
    }
}

impl Recovery {
    /// Whether the bank that is stored, if one is, is the one that this server serves. A store that was
    /// used before and holds no block 0 may be of a founding that was cut short: who has that block may
    /// yet bring it. One that was never used can't be named by any.
    pub(super) fn check_bank(&self) -> Result<(), RecoveryError> {
        let Config { id, bank: Some(bank), rejoin, .. } = &self.config else { return Ok(()) };
        let refused = match &self.replay.chain {
            Some(chain) if !bank.names(&chain.genesis_hash()) => {
                let stored = chain.genesis_hash();
                format!(
                    "the store of {id} holds another bank than {id} was told to serve: its block 0 is \
                     {stored}, and not {bank} (--bank). Start {id} on the store of that bank, or, if the \
                     one that is here is meant, with --bank {stored}. Nothing was written."
                )
            }
            None if self.stored.lives.len() == 1 && !rejoin => format!(
                "the store of {id} is empty, and {id} was told to serve only bank {bank} (--bank): it \
                 founds no other. If the store was there before, it was lost, or this is another one \
                 (another Redis, folder or database, or a Redis too old to read its files): put back \
                 what it had last. If it is lost for good and the others hold that bank, let {id} rejoin \
                 (--rejoin). For a new bank start all servers without --bank, on empty stores. Nothing \
                 was written."
            ),
            _ => return Ok(()),
        };
        Err(RecoveryError::Mismatch(refused))
    }
}
