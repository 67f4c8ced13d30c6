//! Who a server is, and what it is part of.

use std::collections::BTreeMap;

use crate::bank::blockchain::bank_name::BankName;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::ServerId;
use crate::bank::limits::Limits;
use crate::bank::paxos::message::Configuration;

/// Who a server is, and what it is part of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Its id.
    pub id: ServerId,
    /// The bank's servers and opening balance.
    pub configuration: Configuration,
    /// Where each server listens, to be told to clients that came to the wrong one.
    pub addresses: BTreeMap<ServerId, String>,
    /// The store of this server was lost for good, says the operator: it is to rejoin with another.
    pub rejoin: bool,
    /// The only bank that it serves, if it was told: then it founds none.
    pub bank: Option<BankName>,
    /// When it settles by itself.
    pub habit: Habit,
    /// How much it holds at a time.
    pub limits: Limits,
}

impl Config {
    /// True if this server may serve the bank of that block 0.
    pub(super) fn serves(&self, genesis: &BlockHash) -> bool {
        self.bank.as_ref().is_none_or(|bank| bank.names(genesis))
    }
}

/// When a server settles by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Habit {
    /// When an entry has been in the local log for so long as the shell makes
    /// [`Timer::Settle`](crate::bank::effects::Timer::Settle) last.
    pub by_age: bool,
    /// When the local log holds so many entries.
    pub by_length: Option<usize>,
    /// At once: every transfer and opening is answered as if it asked to be told when it is in a block.
    pub always: bool,
}
