//! A source: where a server's chain and log are read.

use crate::audit::finding::{Spot, Trouble};
use crate::audit::replay::BlockFound;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::derived::{Derived, SessionsInChain};
use crate::bank::ids::{AccountId, InstanceId, ServerId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::pages::Page;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::stored::Place;

/// The content beside the chain, all at one moment.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The number of blocks at that moment.
    pub blocks: u64,
    /// The local log's elements.
    pub log: Vec<Element>,
    /// The store's instance, if known.
    pub instance: Option<InstanceId>,
    /// What only a store keeps, if the source is a store.
    pub kept: Option<Kept>,
}

/// What a store keeps for itself.
#[derive(Clone, Debug)]
pub struct Kept {
    /// True if every server has confirmed block 0.
    pub active: bool,
    /// The height up to which, at least, the pages of balances count the blocks.
    pub checkpoint: u64,
    /// The store's record of what follows from the chain.
    pub derived: Derived,
    /// The store's record of the sessions that this server's entries in the chain name.
    pub sessions: SessionsInChain,
    /// The ballot promised for the next height.
    pub promised: Option<Ballot>,
    /// The block accepted for the next height.
    pub accepted: Option<SealedBlock>,
    /// What to do about the format, if it is an older one.
    pub outdated: Option<String>,
}

/// A piece of the accounts, as the source tells them.
#[derive(Clone, Debug, Default)]
pub struct AccountsPiece {
    /// The length of the chain at that moment.
    pub blocks: u64,
    /// Balances by the chain.
    pub balances: Vec<(AccountId, Amount)>,
    /// Accounts listed without a balance: opened in the log, and not in the chain yet.
    pub names: Vec<AccountId>,
    /// The next pages of balances, if the source has pages.
    pub pages: Vec<Page>,
}

/// One server's chain and log, wherever they are. Their owner may be writing meanwhile.
pub trait Source {
    /// Returns the source's name, for people.
    fn name(&self) -> String;

    /// Returns the server it belongs to, if known.
    fn server(&self) -> Option<ServerId>;

    /// Names a place in it as people find it.
    fn spot(&self, place: &Place) -> Spot;

    /// Reads the content beside the chain. None if the source was never used.
    ///
    /// # Errors
    /// If it can't be read or understood.
    fn standing(&mut self) -> Result<Option<Standing>, Trouble>;

    /// Returns the length of the chain if [`Source::standing`] could not be understood; 0 if the blocks
    /// can't be understood either.
    ///
    /// # Errors
    /// If the length can't be read.
    fn length(&mut self) -> Result<u64, Trouble>;

    /// Reads a bounded number of blocks, from height `from` to at most height `to`.
    ///
    /// # Errors
    /// If the blocks can't be read or understood.
    fn blocks(&mut self, from: u64, to: u64) -> Result<Vec<BlockFound>, Trouble>;

    /// Reads the next piece of what follows from the chain; none after the last one.
    ///
    /// # Errors
    /// If the piece can't be read or understood.
    fn accounts_piece(&mut self) -> Result<Option<AccountsPiece>, Trouble>;
}
