//! Clients' questions that are answered outside the event loop, and what the state machine knew when they were asked.

use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::follow::Follow;
use crate::bank::ids::AccountId;
use crate::bank::ledger::element::Element;

/// A place in an account's statement, from which the next page goes on. Only the server that made it can
/// use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The height of the block that holds the last entry shown.
    pub height: u64,
    /// The last entry's place among all entries of the block, from 0.
    pub place: u64,
    /// The account's balance before the last entry.
    pub balance: Amount,
}

impl Cursor {
    /// A height that stands for the local log: `place` is then the seq of the last entry shown.
    pub const IN_LOG: u64 = Amount::MAX.units();
}

/// A client's question that is answered from the store, outside the event loop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Query {
    /// Asks for blocks.
    Chain {
        /// The first height.
        from: u64,
        /// The last height.
        to: u64,
    },
    /// Asks for an account's statement.
    History {
        /// The account.
        account: AccountId,
        /// Where the page before ended.
        before: Option<Cursor>,
        /// The most entries wanted.
        limit: usize,
        /// What the server knew of the account when it was asked.
        state: AccountState,
    },
}

/// What a server knows of an account, all of it at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountState {
    /// The number of blocks in the chain.
    pub blocks: u64,
    /// The account's balance by these blocks; none if it is not in the chain yet.
    pub committed: Option<Amount>,
    /// The piece of the local log to be looked through, with entries of any accounts, oldest first. Empty if
    /// none has to be.
    pub log: Vec<Element>,
    /// True if the local log goes on before this piece.
    pub older: bool,
    /// The account's balance after this piece.
    pub balance: Amount,
}

/// What a client follows, and what the server knew when it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Following {
    /// What is wanted.
    pub follow: Follow,
    /// The number of blocks in the chain.
    pub blocks: u64,
    /// The bank, by the hash of its block 0.
    pub bank: BlockHash,
    /// The local log, oldest first. Empty if it isn't wanted.
    pub log: Vec<Element>,
}
