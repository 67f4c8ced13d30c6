//! What a server finds in its store when it starts.

use std::collections::BTreeMap;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::{InstanceId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::ballot::Ballot;

/// What a store holds of a server, but for the chain and the balances, which are read in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The store's instance id.
    pub instance: InstanceId,
    /// All lives, oldest first, with the turn in which each began; the last one is the present one.
    pub lives: Vec<(LifeId, TurnNumber)>,
    /// The last turn.
    pub turn: TurnNumber,
    /// Every server has confirmed block 0.
    pub active: bool,
    /// The number of blocks in the chain.
    pub blocks: u64,
    /// The number of accounts of which there is a balance at the chain's head. The balances are read in
    /// pieces, too.
    pub accounts: u64,
    /// For each server, its last entry that is in the chain; empty before the founding.
    pub included: BTreeMap<ServerId, Position>,
    /// The local log's elements, oldest first.
    pub log: Vec<Element>,
    /// The ballot promised for the next height.
    pub promised: Option<Ballot>,
    /// The block accepted for the next height, with its ballot.
    pub accepted: Option<(Ballot, SealedBlock)>,
}

impl Stored {
    /// What an empty store holds once it has an instance, before its first life.
    pub fn empty(instance: InstanceId) -> Stored {
        Stored {
            instance,
            lives: Vec::new(),
            turn: TurnNumber(0),
            active: false,
            blocks: 0,
            accounts: 0,
            included: BTreeMap::new(),
            log: Vec::new(),
            promised: None,
            accepted: None,
        }
    }
}
