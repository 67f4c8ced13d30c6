//! The opening blocks of a chain that goes on where another one ended.

use std::sync::Arc;

use crate::bank::blockchain::block::{Accounts, Block, BlockHash, Origin, SealedBlock};
use crate::bank::blockchain::block_error::BlockError;
use crate::bank::blockchain::chain::{Chain, Consequences};
use crate::bank::ids::{AccountId, SessionId};
use crate::bank::ledger::balances::{Balances, View};
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::rule::LedgerError;
use crate::bank::ledger::trial::Trial;

/// The first format in which a newcomer begins in the bank's own first epoch. Before it, it began in epoch 1.
const NEWCOMERS_SINCE: u32 = 6;

impl Chain {
    /// Returns the end of the chain that this one goes on from, if it goes on from one.
    pub fn origin(&self) -> Option<&Origin> {
        self.genesis.origin.as_deref()
    }

    /// True if all opening blocks are there. Before that, no account's balance means anything.
    pub fn is_complete(&self) -> bool {
        self.origin().is_none_or(|origin| !origin.opens(self.height + 1))
    }

    /// Says how many opening blocks are there.
    pub fn opening_in_words(&self) -> String {
        let all = self.origin().map_or(0, |origin| origin.blocks.len());
        format!("its opening blocks: {} of {all} are there", self.height.min(all as u64))
    }

    /// True if the block of this height is an opening block.
    pub fn is_opening(&self, height: u64) -> bool {
        self.origin().is_some_and(|origin| origin.opens(height))
    }

    /// Returns the epoch in which this bank began.
    pub fn first_epoch(&self) -> u64 {
        self.origin().map_or(Position::START.epoch, |origin| origin.epoch)
    }

    /// True if a name that no session has here was never used, whatever bank this one goes on from.
    pub fn knows_all_names(&self) -> bool {
        self.origin().is_none_or(|origin| origin.sessions)
    }

    /// Returns the epoch in which a server begins that is admitted and was never a member. A server of that name may have
    /// been admitted to the former bank later than this one knows; so no session of it may be taken for one of this
    /// bank's. (Banks that were founded in an older format go on as they began: what follows from their chains stays.)
    pub(super) fn newcomers_epoch(&self) -> u64 {
        match self.genesis.format {
            ..NEWCOMERS_SINCE => 1,
            _ if planted!(NewcomersFormerEpoch) => 1,
            _ => self.first_epoch(),
        }
    }

    /// Takes the word of a server for the opening block of a height: the entries are told, but not in which elements they
    /// were, so the block's hash can't be compared. Opening blocks without entries stay what block 0 names.
    pub fn believe_opening(&mut self, told: &Block) {
        let place = told.height.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        let origin = self.genesis.origin.as_mut().filter(|_| !told.logs.is_empty());
        let named =
            origin.zip(place).and_then(|(origin, place)| Arc::make_mut(origin).named(place));
        if let Some(named) = named {
            let alone = Block { previous: BlockHash::NONE, ..told.clone() };
            *named = SealedBlock::seal(alone).hash();
        }
    }

    /// True if an epoch is of a bank that this one goes on from. What became of its requests is not known here.
    pub fn is_of_former_bank(&self, epoch: u64) -> bool {
        self.origin().is_some_and(|origin| epoch < origin.epoch)
    }

    /// Returns the sum of all balances with which the bank began.
    pub fn founded_with(&self) -> u128 {
        let opening = self.opening_balances().map(|(_, amount)| u128::from(amount.units()));
        opening.sum::<u128>() + self.origin().map_or(0, |origin| u128::from(origin.total.units()))
    }

    /// Checks that a block is the opening block that block 0 names for its height.
    pub(super) fn verify_named(&self, block: &Block) -> Result<(), BlockError> {
        match self.origin().is_some_and(|origin| origin.names(block)) {
            true => Ok(()),
            false => Err(BlockError::Genesis("it is not the opening block that block 0 names")),
        }
    }

    /// Checks that an opening block can take effect, and returns what would follow from it.
    pub(super) fn verify_opening(
        &self,
        balances: &Balances,
        block: &SealedBlock,
    ) -> Result<Consequences, BlockError> {
        self.verify_named(block.block())?;
        let mut derived = self.derived.clone();
        let mut trial = Trial::new(balances, View::Committed);
        if let Some(accounts) = &block.block().opening {
            self.open(&mut trial, accounts)?;
            self.check_carried(accounts)?;
        }
        // A rejoin or a key of these entries is the former bank's business.
        for (server, log) in &block.block().logs {
            let end = self.follow(&mut trial, server, log)?;
            derived.ends(server, end);
        }
        if !self.is_opening(block.height() + 1)
            && let Some(origin) = self.origin()
        {
            if total_with(balances, block.block()) != self.money() {
                return Err(BlockError::Genesis(
                    "the opening blocks don't add up to what block 0 says",
                ));
            }
            let first = Position { epoch: origin.epoch, seq: 0 };
            derived.included.values_mut().for_each(|last| *last = first);
        }
        Ok(Consequences::of_opening(derived, trial.into_changes()))
    }

    /// Gives accounts the balances with which they begin.
    fn open(&self, trial: &mut Trial<'_>, accounts: &Accounts) -> Result<(), BlockError> {
        let Accounts { balances, keys, sessions: _ } = accounts;
        if !balances.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(BlockError::Genesis("its accounts are not in the order of their names"));
        }
        let is_here = |account: &AccountId| balances.binary_search_by(|(one, _)| one.cmp(account));
        if keys.keys().any(|account| is_here(account).is_err()) {
            return Err(BlockError::Genesis("it names a key of an account that it doesn't open"));
        }
        for (account, amount) in balances {
            if !self.derived.included.keys().any(|server| account.is_of(server)) {
                let what = "it opens an account of which no server of either bank is the home";
                return Err(BlockError::Genesis(what));
            }
            trial.begin(account, *amount, keys.get(account).copied()).map_err(
                |error| match error {
                    LedgerError::Exists(_) => BlockError::Genesis("it opens an account twice"),
                    _ => BlockError::Genesis("it opens an account that can't be opened"),
                },
            )?;
        }
        Ok(())
    }

    /// Checks the sessions that go on from the former bank.
    fn check_carried(&self, accounts: &Accounts) -> Result<(), BlockError> {
        let is_one = |(session, highest): (&SessionId, &u64)| {
            let is_here = self.derived.included.contains_key(&session.server);
            session.is_named() && session.epoch == self.first_epoch() && is_here && *highest > 0
        };
        match accounts.sessions.iter().all(is_one) {
            true => Ok(()),
            false => Err(BlockError::Genesis("it tells a session that no client can have named")),
        }
    }
}

/// Returns the sum of all balances before the entries of an opening block, but with the accounts that it opens.
fn total_with(balances: &Balances, block: &Block) -> u128 {
    let here = block.opening.iter().flat_map(|accounts| &accounts.balances);
    let before = balances.all_committed().map(|(_, amount)| u128::from(amount.units()));
    before.sum::<u128>() + here.map(|(_, amount)| u128::from(amount.units())).sum::<u128>()
}
