//! The chain: its head and what follows from all blocks up to it. The blocks themselves are in the
//! store.

use std::collections::BTreeMap;
use std::fmt;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, BlockHash, FORMAT, Genesis, SealedBlock};
use crate::bank::ids::{AccountId, InstanceId, ServerId};
use crate::bank::ledger::balances::{Balances, LedgerError};
use crate::bank::ledger::entry::{Entry, Position};

/// The chain up to its head.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    height: u64,
    head: BlockHash,
    genesis: Genesis,
    genesis_hash: BlockHash,
    included: BTreeMap<ServerId, Position>,
    committed: Balances,
}

/// Why a block can't be the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// It is of another height.
    Height {
        /// The height it should have.
        expected: u64,
        /// The height it has.
        found: u64,
    },
    /// It does not name the head as the block before.
    Link {
        /// Its height.
        height: u64,
    },
    /// It is not a genesis block where one is needed, or is one where none may be.
    Genesis(&'static str),
    /// Its entries are not grouped by server in the order of their ids.
    Order,
    /// An entry is not the one that its server's sequence goes on with.
    Sequence {
        /// The server.
        server: ServerId,
        /// The position expected.
        expected: Position,
        /// The position found.
        found: Position,
    },
    /// A server that is not of this bank.
    Stranger(ServerId),
    /// An entry can't take effect.
    Entry {
        /// The entry's server.
        server: ServerId,
        /// Its position.
        position: Position,
        /// Why.
        error: LedgerError,
    },
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockError::Height { expected, found } => {
                write!(f, "it is block {found} where block {expected} should be")
            }
            BlockError::Link { height } => {
                write!(f, "block {height} does not link to the block before by its hash")
            }
            BlockError::Genesis(what) => f.write_str(what),
            BlockError::Order => f.write_str("its entries are not grouped by server, in order"),
            BlockError::Sequence { server, expected, found } => write!(
                f,
                "entry {} (epoch {}) of {server} stands where {} (epoch {}) should",
                found.seq, found.epoch, expected.seq, expected.epoch
            ),
            BlockError::Stranger(server) => write!(f, "server {server} is not of this bank"),
            BlockError::Entry { server, position, error } => {
                write!(f, "entry {} of {server}: {error}", position.seq)
            }
        }
    }
}

impl std::error::Error for BlockError {}

/// What a verified block changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequences {
    included: BTreeMap<ServerId, Position>,
    committed: Balances,
}

impl Chain {
    /// The chain that consists of a genesis block.
    ///
    /// # Errors
    /// If the block is none.
    pub fn found(block: &SealedBlock) -> Result<Chain, BlockError> {
        let Block { height, previous, genesis, entries, .. } = block.block();
        if *height != 0 {
            return Err(BlockError::Height { expected: 0, found: *height });
        }
        let Some(genesis) = genesis.clone() else {
            return Err(BlockError::Genesis("block 0 holds no genesis"));
        };
        if *previous != BlockHash::NONE || !entries.is_empty() {
            return Err(BlockError::Genesis("block 0 must be the first and hold no entries"));
        }
        if genesis.format != FORMAT {
            return Err(BlockError::Genesis("block 0 is of another format"));
        }
        let total = genesis.opening_balance.units().checked_mul(genesis.servers.len() as u64);
        if total.and_then(Amount::new).is_none() {
            return Err(BlockError::Genesis("block 0 opens with more money than can be counted"));
        }
        // By way of a sealed block of its own, so that nobody can found one bank in two spellings.
        if SealedBlock::genesis(genesis.clone()).hash() != block.hash() {
            return Err(BlockError::Genesis("block 0 is not written as a genesis block is"));
        }
        let accounts =
            genesis.servers.keys().map(|id| (AccountId::of(id), genesis.opening_balance));
        let included = genesis.servers.keys().map(|id| (id.clone(), Position::START)).collect();
        Ok(Chain {
            height: 0,
            head: block.hash(),
            genesis_hash: block.hash(),
            included,
            committed: Balances::open(accounts),
            genesis,
        })
    }

    /// The height of the last block.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// The hash of the last block.
    pub fn head(&self) -> BlockHash {
        self.head
    }

    /// What the bank is founded on.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The hash of block 0.
    pub fn genesis_hash(&self) -> BlockHash {
        self.genesis_hash
    }

    /// The instance whose votes count for the next height.
    pub fn instance(&self, server: &ServerId) -> Option<InstanceId> {
        self.genesis.servers.get(server).copied()
    }

    /// The last entry of a server's that is in the chain.
    pub fn included(&self, server: &ServerId) -> Position {
        self.included.get(server).copied().unwrap_or(Position::START)
    }

    /// The balances by the chain alone.
    pub fn committed(&self) -> &Balances {
        &self.committed
    }

    /// Whether a block can be the next one, and what would follow from it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(&self, block: &SealedBlock) -> Result<Consequences, BlockError> {
        let Block { height, previous, proposer, genesis, entries } = block.block();
        if *height != self.height + 1 {
            return Err(BlockError::Height { expected: self.height + 1, found: *height });
        }
        if *previous != self.head {
            return Err(BlockError::Link { height: *height });
        }
        if genesis.is_some() {
            return Err(BlockError::Genesis("only block 0 may hold a genesis"));
        }
        match proposer {
            Some(proposer) if self.included.contains_key(proposer) => {}
            Some(stranger) => return Err(BlockError::Stranger(stranger.clone())),
            None => return Err(BlockError::Genesis("only block 0 may be without a proposer")),
        }
        if entries.is_empty() || !entries.is_sorted_by_key(|entry| &entry.server) {
            return Err(BlockError::Order);
        }
        self.follow(entries)
    }

    /// Whether `log` could be what a server's log holds after seq `known`, by the look of it: in
    /// sequence, of that server's own account, and covered.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify_log(&self, server: &ServerId, log: &[Entry]) -> Result<(), BlockError> {
        match log.iter().find(|entry| entry.server != *server) {
            Some(entry) => Err(BlockError::Stranger(entry.server.clone())),
            None => self.follow(log).map(|_| ()),
        }
    }

    /// What follows if these entries come after the head.
    fn follow(&self, entries: &[Entry]) -> Result<Consequences, BlockError> {
        let mut included = self.included.clone();
        let mut committed = self.committed.clone();
        for entry in entries {
            let position = entry.position();
            let stranger = || BlockError::Stranger(entry.server.clone());
            let last = included.get_mut(&entry.server).ok_or_else(stranger)?;
            if position != last.next() {
                let server = entry.server.clone();
                return Err(BlockError::Sequence {
                    server,
                    expected: last.next(),
                    found: position,
                });
            }
            *last = position;
            let wrong = |error| BlockError::Entry { server: entry.server.clone(), position, error };
            if entry.from.home() != entry.server.as_str() {
                return Err(wrong(LedgerError::NotHome(entry.from.clone())));
            }
            committed.apply(entry).map_err(wrong)?;
        }
        Ok(Consequences { included, committed })
    }

    /// Appends a block, given what [`Chain::verify`] said of it; returns the balances that changed.
    ///
    /// # Panics
    /// If the block is not the next one.
    pub fn append(
        &mut self,
        block: &SealedBlock,
        consequences: Consequences,
    ) -> Vec<(AccountId, Amount)> {
        assert_eq!(block.height(), self.height + 1, "one block after the other");
        assert_eq!(block.block().previous, self.head, "each linked to the one before");
        let Consequences { included, committed } = consequences;
        let changed = (committed.iter())
            .filter(|(account, balance)| self.committed.of(account) != Some(*balance))
            .map(|(account, balance)| (account.clone(), balance))
            .collect();
        self.height = block.height();
        self.head = block.hash();
        self.included = included;
        self.committed = committed;
        changed
    }
}
