//! The chain at its head, made from its last blocks and what is stored with them: what a server resumes
//! from.

use std::collections::BTreeMap;

use crate::bank::blockchain::block::{Block, SealedBlock};
use crate::bank::blockchain::block_error::BlockError;
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::derived::{Derived, Membership};
use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::Position;
use crate::bank::stored::{Place, Stored};

/// True if a server that was at `last` may have rejoined since, and logged nothing.
fn is_new_epoch(last: Position, now: Position) -> bool {
    now.epoch > last.epoch && now.seq == 0
}

/// True if this may be the first entry of a server that rejoined after `last`.
fn begins_epoch(last: Position, first: Position) -> bool {
    first.epoch > last.epoch && first.seq == 1
}

impl Chain {
    /// Makes the chain at its head from its last blocks and what is stored with them; `self` is its
    /// beginning.
    ///
    /// # Errors
    /// What doesn't fit together, and where.
    pub fn at_head(&self, tail: &[SealedBlock], stored: &Stored) -> Result<Chain, (Place, String)> {
        let derived = &stored.derived;
        let first = stored.blocks.saturating_sub(tail.len() as u64);
        let mut ends: BTreeMap<&ServerId, Position> = BTreeMap::new();
        let mut before: Option<&SealedBlock> = None;
        for (height, block) in (first..).zip(tail) {
            let wrong = |error: BlockError| (Place::Block(height), error.to_string());
            if block.height() != height {
                let found = block.height();
                return Err(wrong(BlockError::Height { expected: height, found }));
            }
            if before.is_some_and(|before| block.block().previous != before.hash()) {
                return Err(wrong(BlockError::Link { height }));
            }
            let is_known = |server: &ServerId| derived.included.contains_key(server);
            self.verify_outline(block.block(), is_known).map_err(wrong)?;
            follow_loosely(&mut ends, block.block(), is_known).map_err(wrong)?;
            before = Some(block);
        }
        let follows = |(server, last): (&&ServerId, &Position)| {
            let included = derived.included.get(*server);
            included.is_some_and(|included| *included == *last || is_new_epoch(*last, *included))
        };
        let is_founder = |id: &ServerId| self.derived.included.contains_key(id);
        let founders = derived.included.keys().filter(|id| is_founder(id)).count();
        if founders < self.derived.included.len() || !ends.iter().all(follows) {
            return Err((Place::Included, "they are not what the last blocks end with".into()));
        }
        check_members(derived)?;
        Ok(Chain {
            height: stored.blocks.saturating_sub(1),
            head: before.map_or(self.head, SealedBlock::hash),
            derived: derived.clone(),
            genesis: self.genesis.clone(),
            genesis_hash: self.genesis_hash,
        })
    }
}

/// Checks that a block's elements follow each other, as far as that can be known.
fn follow_loosely<'a>(
    ends: &mut BTreeMap<&'a ServerId, Position>,
    block: &'a Block,
    is_known: impl Fn(&ServerId) -> bool,
) -> Result<(), BlockError> {
    for (server, log) in &block.logs {
        if !is_known(server) {
            return Err(BlockError::Stranger(server.clone()));
        }
        for element in log {
            let found = element.first();
            match ends.insert(server, element.last()) {
                Some(last) if found != last.next() && !begins_epoch(last, found) => {
                    let (server, expected) = (server.clone(), last.next());
                    return Err(BlockError::Sequence { server, expected, found });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Checks that the stored members are servers that the chain has had, at least one with a vote.
fn check_members(derived: &Derived) -> Result<(), (Place, String)> {
    let Derived { included, instances, membership, .. } = derived;
    let Membership { branches, addresses, .. } = membership;
    if instances.is_empty() || !instances.keys().all(|id| included.contains_key(id)) {
        return Err((Place::Instances, "they are not those of the bank's servers".into()));
    }
    if branches.len() >= instances.len() || !branches.iter().all(|id| instances.contains_key(id)) {
        return Err((
            Place::Membership,
            "those without a vote are not members, or nobody has a vote".into(),
        ));
    }
    if !addresses.keys().all(|id| instances.contains_key(id)) {
        return Err((
            Place::Membership,
            "it tells where servers are found that are no members".into(),
        ));
    }
    Ok(())
}
