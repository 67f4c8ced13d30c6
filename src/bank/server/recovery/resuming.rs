//! A start from what is stored at the chain's head, which takes no longer with a long chain.

use super::Recovery;
use super::error::{RecoveryError, corrupt};
use super::replay::{Check, Claims, Replay, check_horizon};
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::AccountId;
use crate::bank::ledger::sessions::Sessions;
use crate::bank::stored::Place;

impl Recovery {
    /// Goes on at the head after block 0 and the pages, by the last blocks of the chain and what else is
    /// stored. No further block may be given. The blocks between the checkpoint and the last blocks have to
    /// be given before ([`Recovery::catch_up`]). What is taken on trust has to be checked later
    /// ([`Recovery::check`]).
    ///
    /// # Errors
    /// If the blocks don't fit together, or don't fit what else is stored.
    ///
    /// # Panics
    /// If block 0 was not taken, or another block was taken as well, or there is no last block, or one was left
    /// out.
    pub fn resume(&mut self, tail: &[SealedBlock]) -> Result<(), RecoveryError> {
        let stored = &self.stored;
        let chain = self.replay.chain.as_ref().expect("block 0 was taken");
        assert!(chain.height() == 0 && !tail.is_empty(), "block 0, then the last blocks");
        let resumed = chain.at_head(tail, stored).or_else(|(place, what)| corrupt(place, what))?;
        let id = &self.config.id;
        check_horizon(stored.sessions.horizon, resumed.included(id))?;
        let limits = &self.config.limits;
        self.sessions = Sessions::restore(limits, &stored.sessions, false);
        for block in tail {
            self.replay.see_sessions(block.block())?;
            self.sessions.recall(block.block().log(id), true);
        }
        self.replay.chain = Some(resumed);
        self.resumed = true;
        tail.iter().try_for_each(|block| self.catch_up(block))
    }

    /// Checks that the balances taken on trust are complete: whatever happens, they add up to what the bank was
    /// founded with and has issued since.
    pub(super) fn check_trusted(&self) -> Result<(), RecoveryError> {
        let Some(chain) = &self.replay.chain else { return Ok(()) };
        let balances = self.restoration.balances();
        // Accounts outlive the membership of their home.
        let known = &chain.derived().included;
        let is_strange = |account: &AccountId| !known.keys().any(|server| account.is_of(server));
        let mut total = 0;
        for (account, amount) in balances.all_committed() {
            if is_strange(&account) {
                let what = format!("{account}: server {} is not of this bank", account.home());
                return corrupt(self.page_of(&account), what);
            }
            total += u128::from(amount.units());
        }
        let opening: Vec<(AccountId, Amount)> = chain.opening_balances().collect();
        let missing = opening.iter().find(|(id, _)| balances.committed(id).is_none());
        if let Some((account, _)) = missing {
            return corrupt(Place::Balances, format!("{account} is missing"));
        }
        let money = chain.money();
        if chain.is_complete() && total != money {
            let what = format!("they add up to {total}, and by the chain there are {money}");
            return corrupt(Place::Balances, what);
        }
        Ok(())
    }

    /// Returns the check that is still to be made, if the server doesn't start from the whole chain. Call it
    /// when everything else was given.
    pub fn check(&self) -> Option<Check> {
        let (stored, chain) = (&self.stored, self.replay.chain.as_ref().filter(|_| self.resumed)?);
        let balances = self.restoration.balances().digest();
        let replay = Replay::new(self.config.id.clone(), Claims::of(stored), stored.instance.0);
        Some(Check::new(replay, stored.blocks, chain.head(), balances))
    }
}
