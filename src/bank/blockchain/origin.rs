//! A bank that goes on where another one ended (DESIGN.md, "Founding and identity").
//!
//! Its block 0 says which chain it goes on from, and names its *opening blocks*: the blocks after block 0,
//! which hold the balances at the head of the former chain, how far the sessions had come that clients named, and then
//! the entries that were in its servers' logs and are in no block of it. They are named by their hashes, so that each is bounded, and none needs a run.

use std::collections::BTreeMap;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Accounts, Block, BlockHash, Origin, SealedBlock};
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, ServerId, SessionId};
use crate::bank::ledger::element::Element;

/// About how many bytes of text an opening block has.
const BLOCK_BYTES: usize = 512 << 10;
/// The most opening blocks. Block 0 has a line of 67 bytes for each, and is no longer than other blocks.
const MOST_BLOCKS: usize = 100_000;
/// How far the epochs of a bank lie beyond those of the bank that it goes on from. No server loses its store so
/// often, so no session of the former bank is ever taken for one of this bank.
const EPOCHS_APART: u64 = 1_000_000;

/// All that a bank begins with that goes on where another one ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opening {
    /// What block 0 says of it.
    pub origin: Origin,
    /// The opening blocks, each with [`BlockHash::NONE`] for the block before.
    blocks: Vec<SealedBlock>,
}

impl Origin {
    /// Returns a hash that tells different origins apart.
    pub fn hash(&self) -> BlockHash {
        BlockHash::of(&serde_json::to_string(self).expect("it has only texts for keys"))
    }

    /// Checks it by itself, in a bank of these servers.
    pub(super) fn check<'a>(
        &self,
        mut servers: impl Iterator<Item = &'a ServerId>,
    ) -> Result<(), &'static str> {
        if self.included.values().any(|last| last.epoch >= self.epoch) || servers.next().is_none() {
            return Err("block 0 begins in an epoch of the bank that it goes on from");
        }
        match self.blocks.is_empty() || self.blocks.len() > MOST_BLOCKS {
            true => Err("block 0 names no opening blocks, or too many"),
            false => Ok(()),
        }
    }

    /// True if an opening block has this height.
    pub fn opens(&self, height: u64) -> bool {
        (1..=self.blocks.len() as u64).contains(&height)
    }

    /// Returns the hash of the opening block at this place.
    pub(super) fn named(&mut self, place: usize) -> Option<&mut BlockHash> {
        self.blocks.get_mut(place)
    }

    /// True if this is the opening block of its height.
    pub(super) fn names(&self, block: &Block) -> bool {
        let place = block.height.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        let named = place.and_then(|place| self.blocks.get(place));
        let alone = Block { previous: BlockHash::NONE, ..block.clone() };
        named.is_some_and(|named| *named == SealedBlock::seal(alone).hash())
    }
}

impl Opening {
    /// Makes the opening of a bank from the end of another: `accounts` are the balances at its head in the order
    /// of their names, with their owners' keys; `logs` are the elements that follow there, of each server.
    ///
    /// # Errors
    /// If there are more accounts than a block 0 can name.
    pub fn new(
        origin: Origin,
        accounts: impl Iterator<Item = (AccountId, Amount, Option<Fingerprint>)>,
        sessions: BTreeMap<SessionId, u64>,
        logs: BTreeMap<ServerId, Vec<Element>>,
    ) -> Result<Opening, String> {
        Opening::cut(origin, accounts, sessions, logs, BLOCK_BYTES)
    }

    /// Does the same, with opening blocks of about so many bytes.
    ///
    /// # Errors
    /// If there are more accounts than a block 0 can name.
    pub fn cut(
        mut origin: Origin,
        accounts: impl Iterator<Item = (AccountId, Amount, Option<Fingerprint>)>,
        sessions: BTreeMap<SessionId, u64>,
        logs: BTreeMap<ServerId, Vec<Element>>,
        most: usize,
    ) -> Result<Opening, String> {
        let mut pieces = Pieces::of(most);
        accounts.for_each(|(account, amount, key)| pieces.account(account, amount, key));
        sessions.into_iter().for_each(|(session, highest)| pieces.session(session, highest));
        let mut blocks = pieces.into_blocks();
        for (server, log) in logs {
            let (mut some, mut bytes) = (Vec::new(), 0);
            for element in log {
                bytes += element.text().len();
                some.push(element);
                if bytes >= most {
                    let logs = [(server.clone(), std::mem::take(&mut some))].into();
                    push(&mut blocks, None, logs);
                    bytes = 0;
                }
            }
            if !some.is_empty() {
                push(&mut blocks, None, [(server, some)].into());
            }
        }
        if blocks.len() > MOST_BLOCKS {
            return Err(format!("{} opening blocks are more than block 0 can name", blocks.len()));
        }
        origin.blocks = blocks.iter().map(SealedBlock::hash).collect();
        Ok(Opening { origin, blocks })
    }

    /// Returns the opening block after the block of this height and hash; none after the last one.
    pub fn block_after(&self, height: u64, previous: BlockHash) -> Option<SealedBlock> {
        let block = self.blocks.get(usize::try_from(height).ok()?)?.block();
        Some(SealedBlock::seal(Block { previous, ..block.clone() }))
    }
}

/// Returns the epoch in which a bank begins that goes on from one whose servers are in these epochs.
pub fn first_epoch(epochs: impl Iterator<Item = u64>) -> u64 {
    let last = epochs.max().unwrap_or_default();
    (last / EPOCHS_APART + 1) * EPOCHS_APART + 1
}

/// Accounts and sessions, cut into opening blocks.
struct Pieces {
    /// About how many bytes of text a block may have.
    most: usize,
    blocks: Vec<SealedBlock>,
    /// What goes into the next block, and about how many bytes of text that is.
    piece: Accounts,
    bytes: usize,
}

impl Pieces {
    fn of(most: usize) -> Pieces {
        Pieces { most, blocks: Vec::new(), piece: Accounts::default(), bytes: 0 }
    }

    fn account(&mut self, account: AccountId, amount: Amount, key: Option<Fingerprint>) {
        let bytes = account.as_str().len() + 16 + if key.is_some() { 2 * 60 } else { 0 };
        if let Some(key) = key {
            self.piece.keys.insert(account.clone(), key);
        }
        self.piece.balances.push((account, amount));
        self.has_grown(bytes);
    }

    fn session(&mut self, session: SessionId, highest: u64) {
        let bytes = session.to_string().len() + 20;
        self.piece.sessions.insert(session, highest);
        self.has_grown(bytes);
    }

    fn has_grown(&mut self, by: usize) {
        self.bytes += by;
        if self.bytes >= self.most {
            push(&mut self.blocks, Some(std::mem::take(&mut self.piece)), BTreeMap::new());
            self.bytes = 0;
        }
    }

    fn into_blocks(mut self) -> Vec<SealedBlock> {
        if self.bytes > 0 {
            push(&mut self.blocks, Some(self.piece), BTreeMap::new());
        }
        self.blocks
    }
}

fn push(
    blocks: &mut Vec<SealedBlock>,
    opening: Option<Accounts>,
    logs: BTreeMap<ServerId, Vec<Element>>,
) {
    let (height, previous) = (blocks.len() as u64 + 1, BlockHash::NONE);
    let (proposer, genesis) = (None, None);
    blocks.push(SealedBlock::seal(Block { height, previous, proposer, genesis, opening, logs }));
}
