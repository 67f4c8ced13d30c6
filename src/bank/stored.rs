//! What a server finds in its store when it starts.

use std::collections::BTreeMap;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::{AccountId, InstanceId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::ballot::Ballot;

/// What a store holds of a server, but for the chain, which is read in pieces.
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
    /// The balances at the chain's head, in any order.
    pub balances: Vec<(AccountId, Amount)>,
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
            balances: Vec::new(),
            included: BTreeMap::new(),
            log: Vec::new(),
            promised: None,
            accepted: None,
        }
    }
}
