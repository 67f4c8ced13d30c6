//! The chain from block 0 on, checked in full, and compared with what a store says follows from it.

use std::collections::BTreeMap;

use super::error::{RecoveryError, corrupt};
use crate::bank::blockchain::block::{Block, BlockHash, SealedBlock};
use crate::bank::blockchain::block_error::BlockError;
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::derived::{Derived, SessionsInChain};
use crate::bank::ids::{RequestId, ServerId, SessionId};
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::digest::Digest;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::sessions::is_before;
use crate::bank::limits::PAGE;
use crate::bank::stored::{Place, Stored};

/// What a store says follows from its chain, beside the balances.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    derived: Derived,
    sessions: SessionsInChain,
}

impl Claims {
    pub(super) fn of(stored: &Stored) -> Claims {
        Claims { derived: stored.derived.clone(), sessions: stored.sessions.clone() }
    }
}

/// Checks that the horizon doesn't lie beyond our last entry in the chain: a session with entries there was
/// opened before them.
pub(super) fn check_horizon(
    horizon: Option<Position>,
    included: Position,
) -> Result<(), RecoveryError> {
    match horizon > Some(included) {
        true => corrupt(Place::Horizon, "it lies beyond the entries in the chain"),
        false => Ok(()),
    }
}

/// A chain, verified block by block.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    id: ServerId,
    claims: Claims,
    /// The chain so far; none before block 0.
    pub(super) chain: Option<Chain>,
    pub(super) balances: Balances,
    /// The highest number found so far of each session that is said to be in the chain.
    highest: BTreeMap<SessionId, u64>,
}

impl Replay {
    /// Starts before block 0. `salt` as for [`Balances::new`].
    pub(super) fn new(id: ServerId, claims: Claims, salt: u64) -> Replay {
        Replay {
            id,
            claims,
            chain: None,
            balances: Balances::new(salt, PAGE),
            highest: BTreeMap::new(),
        }
    }

    /// Returns how many blocks were taken.
    pub(super) fn blocks(&self) -> u64 {
        self.chain.as_ref().map_or(0, |chain| chain.height() + 1)
    }

    /// Takes the next block.
    pub(super) fn append(&mut self, block: &SealedBlock) -> Result<(), RecoveryError> {
        // The place where the block stands, which need not be where it says that it belongs.
        let place = Place::Block(self.blocks());
        let wrong = |error: BlockError| {
            let what = error.to_string();
            RecoveryError::Corrupt { place: place.clone(), what }
        };
        match &mut self.chain {
            None => {
                let chain = Chain::found(block).map_err(wrong)?;
                self.balances.found(chain.opening_balances());
                self.chain = Some(chain);
            }
            Some(chain) => {
                let consequences = chain.verify(&self.balances, block).map_err(wrong)?;
                let changes = chain.append(block, consequences);
                self.balances.commit(changes, block.height());
            }
        }
        self.see_sessions(block.block())
    }

    /// Checks that the store knows the sessions that a block of the chain tells.
    pub(super) fn see_sessions(&mut self, block: &Block) -> Result<(), RecoveryError> {
        let SessionsInChain { highest: sessions, horizon } = &self.claims.sessions;
        let records = block.log(&self.id).iter().flat_map(Element::records);
        let requests = records.filter_map(|record| record.request.as_ref());
        let asked = requests.map(|RequestId { session, number }| (session, *number));
        for (session, number) in asked.chain(block.carried(&self.id)) {
            match sessions.get(session) {
                Some(said) if number <= *said => match self.highest.get_mut(session) {
                    Some(highest) => *highest = (*highest).max(number),
                    None => drop(self.highest.insert(session.clone(), number)),
                },
                Some(said) => {
                    let what = format!("{said} is there, and the chain holds {number}");
                    return corrupt(Place::Session(session.clone()), what);
                }
                None if is_before(session, *horizon) => {}
                None => {
                    let what = format!("missing, and the chain holds {number}");
                    return corrupt(Place::Session(session.clone()), what);
                }
            }
        }
        Ok(())
    }

    /// Compares what is said to follow from the chain with what does, when all blocks were taken.
    pub(super) fn compare(&self) -> Result<(), RecoveryError> {
        const DIFFERS: &str = "they are not what follows from the chain";
        let Claims { derived, sessions: SessionsInChain { highest: sessions, horizon } } =
            &self.claims;
        if let Some(chain) = &self.chain {
            let right = chain.derived();
            if derived.included != right.included {
                return corrupt(Place::Included, DIFFERS);
            }
            if derived.instances != right.instances {
                return corrupt(Place::Instances, DIFFERS);
            }
            if derived.deposed != right.deposed {
                return corrupt(Place::Deposed, DIFFERS);
            }
            if derived.keys != right.keys {
                return corrupt(Place::Keys, DIFFERS);
            }
            if derived.former != right.former {
                return corrupt(Place::FormerKeys, DIFFERS);
            }
            if derived.membership != right.membership {
                return corrupt(Place::Membership, "it is not what follows from the chain");
            }
            check_horizon(*horizon, chain.included(&self.id))?;
        }
        let is_so = |(session, said): &(&SessionId, &u64)| self.highest.get(session) == Some(said);
        match sessions.iter().find(|claim| !is_so(claim)) {
            None => Ok(()),
            Some((session, said)) => {
                let what = match self.highest.get(session) {
                    Some(right) => format!("{said} is there, and {right} follows from the chain"),
                    None => "the chain knows no such session".into(),
                };
                corrupt(Place::Session(session.clone()), what)
            }
        }
    }
}

/// The check of the chain that a server makes up for after it started from what was stored at the head. It
/// verifies all blocks that there were, and compares what the server took on trust with what follows from
/// them.
#[derive(Clone, Debug)]
pub struct Check {
    replay: Replay,
    blocks: u64,
    head: BlockHash,
    balances: (usize, Digest),
}

impl Check {
    /// Makes the check of a chain of `blocks` blocks that ends with `head`. There, `balances` is the digest that
    /// the server started from.
    pub(super) fn new(
        replay: Replay,
        blocks: u64,
        head: BlockHash,
        balances: (usize, Digest),
    ) -> Check {
        Check { replay, blocks, head, balances }
    }

    /// Returns the height of the next block to be checked.
    pub fn next(&self) -> u64 {
        self.replay.blocks()
    }

    /// Returns how many blocks have to be checked.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Takes the next block. True if it was the last one, and all is sound.
    ///
    /// # Errors
    /// What is wrong with the block, or does not follow from the chain.
    pub fn take(&mut self, block: &SealedBlock) -> Result<bool, RecoveryError> {
        self.replay.append(block)?;
        if self.next() < self.blocks {
            return Ok(false);
        }
        if block.hash() != self.head {
            let what = "it is not the block that was there when the server started";
            return corrupt(Place::Block(block.height()), what);
        }
        self.replay.compare()?;
        match self.replay.balances.digest() == self.balances {
            true => Ok(true),
            false => {
                let height = block.height();
                let what = format!(
                    "those that the server started from, at height {height}, are not what follows \
                     from the chain"
                );
                corrupt(Place::Balances, what)
            }
        }
    }
}
