//! What a server finds in its store when it starts.

use std::fmt;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::derived::{Derived, SessionsInChain};
use crate::bank::ids::{AccountId, InstanceId, LifeId, SessionId, TurnNumber};
use crate::bank::ledger::element::Element;
use crate::bank::paxos::ballot::Ballot;

/// How many of a server's latest lives its store keeps. DESIGN.md ("Founding and identity") says what the
/// older ones are for.
pub const LIVES_KEPT: usize = 1_000;

/// Forgets all lives but the latest [`LIVES_KEPT`].
pub fn forget_oldest(lives: &mut Vec<(LifeId, TurnNumber)>) {
    let oldest = lives.len().saturating_sub(LIVES_KEPT);
    lives.drain(..oldest);
}

/// The content of a server's store, except the chain and the pages of balances, which are read in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The store's instance id.
    pub instance: InstanceId,
    /// The latest lives, oldest first, each with the turn in which it began. The last one is the present.
    pub lives: Vec<(LifeId, TurnNumber)>,
    /// The last turn.
    pub turn: TurnNumber,
    /// True if every server has confirmed block 0.
    pub active: bool,
    /// The number of blocks in the chain.
    pub blocks: u64,
    /// The number of pages of balances.
    pub pages: u64,
    /// The height up to which, at least, all pages count the blocks.
    pub checkpoint: u64,
    /// What follows from the chain; empty before the founding.
    pub derived: Derived,
    /// The sessions of this server's entries in the chain.
    pub sessions: SessionsInChain,
    /// The local log's elements, oldest first.
    pub log: Vec<Element>,
    /// The ballot promised for the next height.
    pub promised: Option<Ballot>,
    /// The block accepted for the next height, with its ballot.
    pub accepted: Option<(Ballot, SealedBlock)>,
}

impl Stored {
    /// Returns the content of an empty store that has an instance, before its first life.
    pub fn empty(instance: InstanceId) -> Stored {
        Stored {
            instance,
            lives: Vec::new(),
            turn: TurnNumber(0),
            active: false,
            blocks: 0,
            pages: 0,
            checkpoint: 0,
            derived: Derived::default(),
            sessions: SessionsInChain::default(),
            log: Vec::new(),
            promised: None,
            accepted: None,
        }
    }
}

/// A place in a store, for messages. Each kind of store has its own name for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The chain as a whole.
    Chain,
    /// The block at this height.
    Block(u64),
    /// The balances as a whole.
    Balances,
    /// A page of balances.
    Page(u32),
    /// An account's balance, where balances are not in pages.
    Balance(AccountId),
    /// The height up to which all pages count the blocks.
    Checkpoint,
    /// The servers' last entries in the chain.
    Included,
    /// Each server's instance.
    Instances,
    /// The instances that can never count again.
    Deposed,
    /// Each server's key.
    Keys,
    /// The keys that are servers' no more.
    FormerKeys,
    /// What orders have changed about the members.
    Membership,
    /// The times of the servers' last elements in the chain.
    Times,
    /// What homes have issued.
    Issued,
    /// All sessions in the chain.
    Sessions,
    /// The highest number of this session in the chain.
    Session(SessionId),
    /// The position before which sessions have expired.
    Horizon,
    /// The local log as a whole.
    Log,
    /// The element of the local log with this index.
    Element(usize),
    /// The accepted block.
    Accepted,
    /// The promised ballot.
    Promised,
    /// The lives.
    Lives,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Chain => f.write_str("the chain"),
            Place::Block(height) => write!(f, "the chain at height {height}"),
            Place::Balances => f.write_str("the balances"),
            Place::Page(number) => write!(f, "page {number} of the balances"),
            Place::Checkpoint => f.write_str("the checkpoint of the balances"),
            Place::Balance(account) => write!(f, "the balance of {account}"),
            Place::Included => f.write_str("the entries in the chain"),
            Place::Instances => f.write_str("the servers' instances"),
            Place::Deposed => f.write_str("the deposed instances"),
            Place::Keys => f.write_str("the servers' keys"),
            Place::FormerKeys => f.write_str("the keys that were servers'"),
            Place::Membership => f.write_str("the changes of the members"),
            Place::Times => f.write_str("the times of the entries in the chain"),
            Place::Issued => f.write_str("the money that was issued"),
            Place::Sessions => f.write_str("the sessions in the chain"),
            Place::Session(session) => write!(f, "session {session} in the chain"),
            Place::Horizon => f.write_str("the horizon of the sessions"),
            Place::Log => f.write_str("the local log"),
            Place::Element(index) => write!(f, "element {index} of the local log"),
            Place::Accepted => f.write_str("the accepted block"),
            Place::Promised => f.write_str("the promised ballot"),
            Place::Lives => f.write_str("the lives"),
        }
    }
}
