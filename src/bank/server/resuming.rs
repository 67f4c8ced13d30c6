//! A start from what is stored at the chain's head: so it takes no longer with a long chain.

use super::recovery::{Recovery, RecoveryError, recall};
use super::replay::{Check, Claims, Replay, check_horizon, corrupt};
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::AccountId;
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::digest::Digest;
use crate::bank::ledger::sessions::Sessions;
use crate::bank::stored::Place;

/// What was taken from the store without looking at all of the chain.
#[derive(Debug, Default)]
pub(super) struct Trusted {
    balances: Digest,
    /// What all balances add up to.
    total: u128,
}

impl Recovery {
    /// After block 0: goes on at the head, by the last blocks of the chain and what else is stored.
    /// Then the balances have to be given ([`Recovery::check_balances`]), and no further block. What
    /// is taken on trust is to be checked later ([`Recovery::check`]).
    ///
    /// # Errors
    /// If the blocks don't fit together, or not with what else is stored.
    ///
    /// # Panics
    /// If block 0 was not taken, or another one as well, or there is no last block.
    pub fn resume(&mut self, tail: &[SealedBlock]) -> Result<(), RecoveryError> {
        let stored = &self.stored;
        let chain = self.replay.chain.as_ref().expect("block 0 was taken");
        assert!(chain.height() == 0 && !tail.is_empty(), "block 0, then the last blocks");
        let resumed = chain.at_head(tail, stored).or_else(|(place, what)| corrupt(place, what))?;
        let id = &self.config.id;
        check_horizon(stored.horizon, resumed.included(id))?;
        let limits = &self.config.limits;
        self.sessions = Sessions::restore(limits, &stored.sessions, stored.horizon, false);
        for block in tail {
            let own = block.block().log(id);
            self.replay.see_sessions(own)?;
            recall(&mut self.sessions, own, true);
        }
        self.replay.chain = Some(resumed);
        self.replay.balances = Balances::new(stored.instance.0);
        self.trusted = Some(Trusted::default());
        Ok(())
    }

    /// Takes balances on trust, as far as they can be right.
    pub(super) fn trust_balances(
        &mut self,
        stored: &[(AccountId, Amount)],
    ) -> Result<(), RecoveryError> {
        let Replay { chain: Some(chain), balances, .. } = &mut self.replay else { return Ok(()) };
        let Some(trusted) = &mut self.trusted else { return Ok(()) };
        for (account, amount) in stored {
            match balances.committed(account) {
                Some(known) if known == *amount => continue,
                Some(known) => {
                    let what = format!("{amount} is there, and {known} was a moment before");
                    return corrupt(Place::Balance(account.clone()), what);
                }
                None if !chain.all_included().keys().any(|id| account.is_of(id)) => {
                    let what = format!("server {} is not of this bank", account.home());
                    return corrupt(Place::Balance(account.clone()), what);
                }
                None => balances.found([(account.clone(), *amount)]),
            }
            trusted.balances.add(account.as_str(), *amount);
            trusted.total += u128::from(amount.units());
        }
        Ok(())
    }

    /// Whether the balances that were taken on trust can be all: whatever happens, they add up to what
    /// there was at the founding.
    pub(super) fn check_trusted(&self, trusted: &Trusted) -> Result<(), RecoveryError> {
        let Some(chain) = &self.replay.chain else { return Ok(()) };
        let (said, there) = (self.stored.accounts, self.replay.balances.accounts() as u64);
        if said != there {
            let what = format!("{said} accounts are said to be there, and {there} were read");
            return corrupt(Place::Balances, what);
        }
        let opening: Vec<(AccountId, Amount)> = chain.opening_balances().collect();
        let missing = opening.iter().find(|(id, _)| self.replay.balances.committed(id).is_none());
        if let Some((account, _)) = missing {
            return corrupt(Place::Balance(account.clone()), "missing");
        }
        let founded: u128 = opening.iter().map(|(_, amount)| u128::from(amount.units())).sum();
        if trusted.total != founded {
            let total = trusted.total;
            let what = format!("they add up to {total}, and the bank was founded with {founded}");
            return corrupt(Place::Balances, what);
        }
        Ok(())
    }

    /// The check that is still to be made, if the server doesn't start from the whole chain; when all
    /// balances were given.
    pub fn check(&self) -> Option<Check> {
        let trusted = self.trusted.as_ref()?;
        let (stored, chain) = (&self.stored, self.replay.chain.as_ref()?);
        let balances = (self.replay.balances.accounts(), trusted.balances);
        let replay = Replay::new(self.config.id.clone(), Claims::of(stored), stored.instance.0);
        Some(Check::new(replay, stored.blocks, chain.head(), balances))
    }
}
