//! The chain: its head, and what follows from all blocks up to the head. The blocks themselves are in the
//! store.

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, BlockHash, Genesis, SealedBlock};
use crate::bank::blockchain::block_error::BlockError;
use crate::bank::blockchain::derived::{Deposed, Derived, LogEnd};
use crate::bank::blockchain::quorum::Quorum;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, InstanceId, ServerId};
use crate::bank::ledger::balances::{Balances, View};
use crate::bank::ledger::changed::Changes;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Position, Record};
use crate::bank::ledger::rule::LedgerError;
use crate::bank::ledger::trial::Trial;
use crate::bank::wall_time::WallTime;

/// The chain up to its head.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    pub(super) height: u64,
    pub(super) head: BlockHash,
    pub(super) genesis: Genesis,
    pub(super) genesis_hash: BlockHash,
    pub(super) derived: Derived,
}

/// The changes that a verified block makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequences {
    /// What follows from the chain with this block.
    derived: Derived,
    /// The instances and the server that it deposes.
    deposed: Deposed,
    changes: Changes,
}

impl Consequences {
    /// Makes the consequences of an opening block.
    pub(super) fn of_opening(derived: Derived, changes: Changes) -> Consequences {
        Consequences { derived, deposed: Deposed::default(), changes }
    }

    /// True if the block deposes an instance.
    pub fn deposes(&self, instance: InstanceId) -> bool {
        self.deposed.instances.contains(&instance)
    }

    /// True if the chain names this store and this key for a server, with the block.
    pub fn names(&self, server: &ServerId, instance: InstanceId, key: Fingerprint) -> bool {
        let Derived { instances, keys, .. } = &self.derived;
        instances.get(server) == Some(&instance) && keys.get(server) == Some(&key)
    }

    /// Returns the server that the block dismisses, if it dismisses one.
    pub fn dismisses(&self) -> Option<&ServerId> {
        self.deposed.dismissed.as_ref()
    }
}

impl Chain {
    /// Returns the bank's servers that take part in agreeing on the next height.
    pub fn members(&self) -> impl Iterator<Item = &ServerId> {
        self.derived.instances.keys()
    }

    /// Makes the chain that consists of a genesis block.
    ///
    /// # Errors
    /// If the block is no genesis block.
    pub fn found(block: &SealedBlock) -> Result<Chain, BlockError> {
        let Block { height, previous, genesis, opening, logs, .. } = block.block();
        if *height != 0 {
            return Err(BlockError::Height { expected: 0, found: *height });
        }
        let Some(genesis) = genesis.clone() else {
            return Err(BlockError::Genesis("block 0 holds no genesis"));
        };
        if *previous != BlockHash::NONE || !logs.is_empty() || opening.is_some() {
            return Err(BlockError::Genesis("block 0 must be the first and hold no entries"));
        }
        genesis.check().map_err(BlockError::Genesis)?;
        // It has to equal the canonical block, so that nobody can found one bank in two spellings.
        if SealedBlock::genesis(genesis.clone()).hash() != block.hash() {
            return Err(BlockError::Genesis("block 0 is not written as a genesis block is"));
        }
        Ok(Chain {
            height: 0,
            head: block.hash(),
            genesis_hash: block.hash(),
            derived: Derived::at_founding(&genesis),
            genesis,
        })
    }

    /// Returns whose votes decide on the next height.
    pub fn quorum(&self) -> Quorum<'_> {
        Quorum::among(self.derived.instances.len(), &self.derived.membership.branches)
    }

    /// Returns the accounts that block 0 opens, and their balances.
    pub fn opening_balances(&self) -> impl Iterator<Item = (AccountId, Amount)> {
        let Genesis { servers, opening_balance, .. } = &self.genesis;
        servers.keys().map(|id| (AccountId::of(id), *opening_balance))
    }

    /// Returns the height of the last block.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Returns the hash of the last block.
    pub fn head(&self) -> BlockHash {
        self.head
    }

    /// Returns the bank's founding terms.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Returns the hash of block 0.
    pub fn genesis_hash(&self) -> BlockHash {
        self.genesis_hash
    }

    /// Returns the instance of a server whose votes count for the next height.
    pub fn instance(&self, server: &ServerId) -> Option<InstanceId> {
        self.derived.instances.get(server).copied()
    }

    /// Returns the key by which a server is known for the next height; none if no key was told.
    pub fn key(&self, server: &ServerId) -> Option<Fingerprint> {
        self.derived.keys.get(server).copied()
    }

    /// True if the chain names a key for each server. Then everybody has to prove a key, for ever.
    pub fn is_keyed(&self) -> bool {
        self.derived.is_keyed()
    }

    /// True if an instance was a server's and is so no more, or was to become a server's and can't, because
    /// another one came before it.
    pub fn is_deposed(&self, instance: InstanceId) -> bool {
        self.derived.deposed.contains(&instance)
    }

    /// Returns a server's last entry in the chain.
    pub fn included(&self, server: &ServerId) -> Position {
        self.derived.included.get(server).copied().unwrap_or(Position::START)
    }

    /// Returns what follows from the chain, beside the balances.
    pub fn derived(&self) -> &Derived {
        &self.derived
    }

    /// Checks that a block can be the next one, and returns what would follow from it.
    ///
    /// # Errors
    /// The first thing that is wrong with the block.
    pub fn verify(
        &self,
        balances: &Balances,
        block: &SealedBlock,
    ) -> Result<Consequences, BlockError> {
        self.verify_at(None, balances, block)
    }

    /// Does the same at server `home`, whose local balances already count its own log.
    ///
    /// # Errors
    /// The first thing that is wrong with the block.
    pub fn verify_at(
        &self,
        home: Option<&ServerId>,
        balances: &Balances,
        block: &SealedBlock,
    ) -> Result<Consequences, BlockError> {
        let Block { height, previous, logs, .. } = block.block();
        if *height != self.height + 1 {
            return Err(BlockError::Height { expected: self.height + 1, found: *height });
        }
        if *previous != self.head {
            return Err(BlockError::Link { height: *height });
        }
        if self.is_opening(*height) {
            return self.verify_opening(balances, block);
        }
        self.verify_outline(block.block(), |server| self.derived.is_member(server))?;
        let mut derived = self.derived.clone();
        let mut trial = Trial::new(balances, View::Committed);
        trial.expect(block.block().len());
        for (server, log) in logs {
            trial.is_own(home == Some(server));
            let end = self.follow(&mut trial, server, log)?;
            derived.ends(server, end);
        }
        let deposed =
            derived.follow(block.block(), self.newcomers_epoch(), |server| trial.holds_any(server));
        Ok(Consequences { derived, deposed, changes: trial.into_changes() })
    }

    /// Checks what a block must be like wherever in this chain it stands, except as the first.
    pub(super) fn verify_outline(
        &self,
        block: &Block,
        is_member: impl Fn(&ServerId) -> bool,
    ) -> Result<(), BlockError> {
        let Block { height, proposer, genesis, opening, logs, .. } = block;
        if self.is_opening(*height) {
            return self.verify_named(block);
        }
        if opening.is_some() {
            return Err(BlockError::Genesis("only opening blocks may open accounts with money"));
        }
        if genesis.is_some() {
            return Err(BlockError::Genesis("only block 0 may hold a genesis"));
        }
        match proposer {
            Some(proposer) if is_member(proposer) || planted!(AnybodyProposes) => {}
            Some(stranger) => return Err(BlockError::Stranger(stranger.clone())),
            None => return Err(BlockError::Genesis("only block 0 may be without a proposer")),
        }
        if logs.is_empty() || logs.values().any(Vec::is_empty) {
            return Err(BlockError::Empty);
        }
        Ok(())
    }

    /// Checks that `log` could be the beginning of a server's log: it is in sequence, of the server's own
    /// accounts, and covered.
    ///
    /// # Errors
    /// The first thing that is wrong with the log.
    pub fn verify_log(
        &self,
        balances: &Balances,
        server: &ServerId,
        log: &[Element],
    ) -> Result<(), BlockError> {
        self.follow(&mut Trial::new(balances, View::Committed), server, log).map(drop)
    }

    /// Checks that elements go on where the chain's entries of a server end, and that none is earlier than the one
    /// before; returns where they end, and the latest time until then.
    ///
    /// # Errors
    /// The first thing that is wrong with the elements.
    pub fn verify_sequence(
        &self,
        server: &ServerId,
        log: &[Element],
    ) -> Result<(Position, Option<WallTime>), BlockError> {
        // Opening blocks may hold entries of homes that are yet to be admitted.
        let is_member =
            self.derived.is_member(server) || !self.is_complete() || planted!(DismissedLogCounts);
        let included = self.derived.included.get(server).filter(|_| is_member);
        let mut last = *included.ok_or_else(|| BlockError::Stranger(server.clone()))?;
        let mut time = self.derived.times.get(server).copied();
        for element in log {
            let own = element.time();
            if own.is_some() && own < time && !planted!(TimesUnchecked) {
                let (server, position) = (server.clone(), element.first());
                return Err(BlockError::Time { server, position });
            }
            time = own.or(time);
            if element.first() != last.next() {
                return Err(BlockError::Sequence {
                    server: server.clone(),
                    expected: last.next(),
                    found: element.first(),
                });
            }
            last = element.last();
        }
        Ok((last, time))
    }

    /// Applies the beginning of a server's log after the head; returns its end.
    pub(super) fn follow(
        &self,
        trial: &mut Trial<'_>,
        server: &ServerId,
        log: &[Element],
    ) -> Result<LogEnd, BlockError> {
        let (last, time) = self.verify_sequence(server, log)?;
        let mut issued = self.issued_by(server);
        for element in log {
            let wrong = |place: usize, error| BlockError::Entry {
                server: server.clone(),
                position: element.first().plus(place),
                error,
            };
            let records = element.records();
            let elsewhere = |record: &Record| {
                record.action.subject().filter(|subject| !subject.is_of(server)).cloned()
            };
            let foreign = records.iter().position(|record| elsewhere(record).is_some());
            let own = &records[..foreign.unwrap_or(records.len())];
            trial.apply_all(own).map_err(|(place, error)| wrong(place, error))?;
            if let Some(subject) = records.get(own.len()).and_then(elsewhere) {
                return Err(wrong(own.len(), LedgerError::NotHome(subject)));
            }
            issued =
                self.issued_after(issued, element).map_err(|(place, error)| wrong(place, error))?;
        }
        Ok(LogEnd { last, time, issued })
    }

    /// Appends a block, given what [`Chain::verify`] found; returns the changes in the committed
    /// balances.
    ///
    /// # Panics
    /// If the block is not the next one.
    pub fn append(&mut self, block: &SealedBlock, consequences: Consequences) -> Changes {
        assert_eq!(block.height(), self.height + 1, "one block after the other");
        assert_eq!(block.block().previous, self.head, "each linked to the one before");
        self.height = block.height();
        self.head = block.hash();
        self.derived = consequences.derived;
        consequences.changes
    }
}
