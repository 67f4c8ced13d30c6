//! Checks that a store holds the bank that its server was told to serve.

use super::Recovery;
use super::error::RecoveryError;
use crate::bank::server::config::Config;
use crate::bank::server::membership::cannot_speak;

impl Recovery {
    /// Checks that the stored bank, if there is one, is the bank that this server serves. A store that was used
    /// and holds no block 0 may be from a founding that was cut short: a server that has the block may yet bring
    /// it. A store that was never used can't be named by any block 0.
    pub(super) fn check_bank(&self) -> Result<(), RecoveryError> {
        let Config { id, bank: Some(bank), rejoin, join, .. } = &self.config else { return Ok(()) };
        let refused = match &self.replay.chain {
            Some(chain) if !bank.names(&chain.genesis_hash()) => {
                let stored = chain.genesis_hash();
                format!(
                    "the store of {id} holds another bank than {id} was told to serve: its block 0 is \
                     {stored}, and not {bank} (--bank). Start {id} on the store of that bank, or, if the \
                     one that is here is meant, with --bank {stored}. Nothing was written."
                )
            }
            None if self.stored.lives.len() == 1 && !rejoin && !join => format!(
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

    /// Checks that this server can prove what the chain expects of it.
    pub(super) fn check_key(&self) -> Result<(), RecoveryError> {
        let Some(chain) = &self.replay.chain else { return Ok(()) };
        let is_named = chain.instance(&self.config.id) == Some(self.stored.instance);
        match cannot_speak(&self.config, chain, is_named) {
            Some(why) => Err(RecoveryError::Mismatch(why)),
            None => Ok(()),
        }
    }
}
