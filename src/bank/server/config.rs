//! A server's configuration: its id, and the bank that it is part of.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bank::blockchain::bank_name::BankName;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::blockchain::origin::Opening;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ServerId;
use crate::bank::limits::Limits;
use crate::bank::paxos::message::Configuration;

/// A server's configuration: its id, and the bank that it is part of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// The server's id.
    pub id: ServerId,
    /// The bank's servers and opening balance.
    pub configuration: Configuration,
    /// The address of each server, to be told to clients that came to the wrong server.
    pub addresses: BTreeMap<ServerId, String>,
    /// True if, by the operator's word, this server's store was lost for good, and it rejoins with another.
    pub rejoin: bool,
    /// True if it has no store of this bank yet and waits to be admitted.
    pub join: bool,
    /// The only bank that it serves, if it was told. Then it founds none.
    pub bank: Option<BankName>,
    /// What the bank begins with, if it is to be founded where another one ended.
    pub opening: Option<Arc<Opening>>,
    /// The key that it proves to others; none if it has no key.
    pub key: Option<Fingerprint>,
    /// True if the bank is to be founded with keys, or to get keys.
    pub keys: bool,
    /// The keys that others have to prove until the chain names their keys.
    pub expect: BTreeMap<ServerId, Fingerprint>,
    /// When it settles by itself.
    pub habit: Habit,
    /// How much it holds at a time.
    pub limits: Limits,
}

impl Config {
    /// True if this server may serve the bank with this block 0.
    pub(super) fn serves(&self, genesis: &BlockHash) -> bool {
        self.bank.as_ref().is_none_or(|bank| bank.names(genesis))
    }
}

/// When a server settles by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Habit {
    /// True to settle when an entry has been in the local log for the time of
    /// [`Timer::Settle`](crate::bank::effects::Timer::Settle).
    pub by_age: bool,
    /// The length of the local log, in entries, at which it settles.
    pub by_length: Option<usize>,
    /// True to settle at once: each transfer and opening is answered as if it asked to wait for its block.
    pub always: bool,
}
