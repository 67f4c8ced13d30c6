//! Where a server's chain and log are read from.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::finding::{Spot, Trouble};
use crate::audit::replay::Found;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::{AccountId, InstanceId, ServerId, SessionId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::pages::Page;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::stored::Place;

/// What is there beside the chain, all at one moment.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The number of blocks at that moment.
    pub blocks: u64,
    /// The local log's elements.
    pub log: Vec<Element>,
    /// The store's instance, where that is known.
    pub instance: Option<InstanceId>,
    /// What a store keeps for itself, where it is a store that is read.
    pub kept: Option<Kept>,
}

/// What only a store says.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Every server has confirmed block 0.
    pub active: bool,
    /// The pages of balances have at least the blocks up to this height.
    pub checkpoint: u64,
    /// For each server, its last entry that is in the chain.
    pub included: BTreeMap<ServerId, Position>,
    /// The instances that count for the next height.
    pub instances: BTreeMap<ServerId, InstanceId>,
    /// Those that can't count any more.
    pub deposed: BTreeSet<InstanceId>,
    /// The highest number of each session of this server's that is in the chain.
    pub sessions: BTreeMap<SessionId, u64>,
    /// Sessions opened before this may be left out of those.
    pub horizon: Option<Position>,
    /// The ballot promised for the next height.
    pub promised: Option<Ballot>,
    /// The block accepted for the next height.
    pub accepted: Option<SealedBlock>,
}

/// A piece of what is stored of the accounts and follows from the chain.
#[derive(Clone, Debug, Default)]
pub struct Derived {
    /// How many blocks there were at that moment.
    pub blocks: u64,
    /// Balances by the chain.
    pub balances: Vec<(AccountId, Amount)>,
    /// Accounts that are listed without one: opened in the log, and not in the chain yet.
    pub names: Vec<AccountId>,
    /// The next pages of balances, where those are in pages.
    pub pages: Vec<Page>,
}

/// One server's chain and log, wherever they are. Its owner may be writing meanwhile.
pub trait Source {
    /// What it is, for people.
    fn name(&self) -> String;

    /// Whose chain and log they are, if that is known.
    fn server(&self) -> Option<ServerId>;

    /// How people find a place in it.
    fn spot(&self, place: &Place) -> Spot;

    /// What is there beside the chain. None if it was never used.
    ///
    /// # Errors
    /// If it can't be read or understood.
    fn standing(&mut self) -> Result<Option<Standing>, Trouble>;

    /// How many blocks there are, where [`Source::standing`] could not be understood; 0 if the blocks
    /// can't be understood either.
    ///
    /// # Errors
    /// If that can't be read.
    fn length(&mut self) -> Result<u64, Trouble>;

    /// A bounded number of blocks, from height `from` to height `to` at the most.
    ///
    /// # Errors
    /// If they can't be read or understood.
    fn blocks(&mut self, from: u64, to: u64) -> Result<Vec<Found>, Trouble>;

    /// The next piece of what follows from the chain; none after the last one.
    ///
    /// # Errors
    /// If it can't be read or understood.
    fn derived(&mut self) -> Result<Option<Derived>, Trouble>;
}
