//! Statements: which blocks touch an account, and pages of what they say of it.
//!
//! The index holds for each account the last block that touches it, and for each such block the one
//! before: eight bytes for an account in a block. Accounts are known by hashes alone. Two that share one
//! share their blocks, too: what is not theirs is passed over when a block is read. The index follows
//! from the chain, so it is made anew after each start, in the background; a statement that is asked for
//! earlier waits until it has caught up.

use std::collections::VecDeque;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, SealedBlock};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Entry};
use crate::bank::request::{AccountState, Cursor, ErrorCode, Reply, StatementLine};
use crate::store::{BlockSource, StoreError};

/// About how much of the chain is indexed at a time.
const PIECE: usize = 256 << 10;

/// No posting.
const NONE: u32 = u32::MAX;

/// An account in a block.
#[derive(Clone, Copy, Debug)]
struct Posting {
    height: u32,
    /// The same account's posting before this one.
    previous: u32,
}

/// Each account's last posting: open addressing with linear probing, at most three quarters full, its
/// length a power of two.
struct Newest {
    slots: Vec<Slot>,
    used: usize,
    /// Nobody outside can tell which accounts share a hash.
    salt: u64,
}

/// An account's hash, and its last posting, with the height of that: so that for a block which touches
/// an account a second time nothing else has to be fetched.
#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    posting: u32,
    height: u32,
}

impl Slot {
    const FREE: Slot = Slot { hash: 0, posting: NONE, height: 0 };
}

impl Newest {
    fn new() -> Newest {
        Newest { slots: Vec::new(), used: 0, salt: fastrand::u64(..) }
    }

    fn hash(&self, account: &AccountId) -> u32 {
        (account.scatter(self.salt) >> 32) as u32
    }

    /// Where an account of this hash is, or would be.
    fn place(&self, hash: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        while self.slots[place].posting != NONE && self.slots[place].hash != hash {
            place = (place + 1) & mask;
        }
        place
    }

    fn of(&self, account: &AccountId) -> u32 {
        if self.slots.is_empty() {
            return NONE;
        }
        self.slots[self.place(self.hash(account))].posting
    }

    /// Sets the last posting of the accounts of this hash, and returns the one before; none if that is
    /// of this height.
    fn replace(&mut self, hash: u32, posting: u32, height: u32) -> Option<u32> {
        if 4 * (self.used + 1) > 3 * self.slots.len() {
            let length = (2 * self.slots.len()).max(16);
            let slots = std::mem::replace(&mut self.slots, vec![Slot::FREE; length]);
            for slot in slots.into_iter().filter(|slot| slot.posting != NONE) {
                let place = self.place(slot.hash);
                self.slots[place] = slot;
            }
        }
        let place = self.place(hash);
        let before = self.slots[place];
        if before.posting != NONE && before.height == height {
            return None;
        }
        self.slots[place] = Slot { hash, posting, height };
        self.used += usize::from(before.posting == NONE);
        Some(before.posting)
    }
}

/// The index, and the server whose log goes on top of it.
pub(crate) struct Statements {
    server: ServerId,
    newest: Newest,
    postings: Vec<Posting>,
    /// The next block to be indexed.
    next: u64,
}

/// A page in the making, the newest line first.
struct Page<'a> {
    account: &'a AccountId,
    limit: usize,
    lines: Vec<StatementLine>,
}

impl Statements {
    /// An index of nothing yet.
    pub(crate) fn new(server: ServerId) -> Statements {
        let newest = Newest::new();
        Statements { server, newest, postings: Vec::new(), next: 0 }
    }

    /// Indexes the next blocks; says whether there were any.
    pub(crate) fn index_piece(&mut self, chain: &mut dyn BlockSource) -> Result<bool, StoreError> {
        let blocks = chain.blocks(self.next, u64::MAX, PIECE)?;
        blocks.iter().for_each(|block| self.index(block));
        Ok(!blocks.is_empty())
    }

    /// Indexes those of these blocks, read for another purpose, of which it is the turn.
    pub(crate) fn follow(&mut self, blocks: &[SealedBlock]) {
        for block in blocks {
            if block.height() == self.next {
                self.index(block);
            }
        }
    }

    fn index(&mut self, block: &SealedBlock) {
        let height = u32::try_from(block.height()).expect("fewer blocks than 2^32");
        let records = block.block().records();
        let touched = records.flat_map(|(_, record)| {
            record.action.subject().into_iter().chain(record.action.payee())
        });
        // All at once: a processor then fetches the places of several at a time.
        let hashes: Vec<u32> = touched.map(|account| self.newest.hash(account)).collect();
        for hash in hashes {
            let posting = u32::try_from(self.postings.len()).expect("fewer postings than 2^32");
            if let Some(previous) = self.newest.replace(hash, posting, height) {
                self.postings.push(Posting { height, previous });
            }
        }
        self.next = block.height() + 1;
    }

    /// The height of the next block to be indexed.
    #[cfg(test)]
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The heights of the blocks up to `height` that touch an account, the highest first.
    fn heights(&self, account: &AccountId, height: u64) -> impl Iterator<Item = u64> + '_ {
        let mut posting = self.newest.of(account);
        let all = std::iter::from_fn(move || {
            let Posting { height, previous } = *self.postings.get(posting as usize)?;
            posting = previous;
            Some(u64::from(height))
        });
        all.skip_while(move |found| *found > height)
    }

    /// A page of an account's statement, as [`Request::History`](crate::bank::request::Request)
    /// asks for it.
    pub(crate) fn page(
        &mut self,
        store: &mut dyn BlockSource,
        account: &AccountId,
        before: Option<Cursor>,
        limit: usize,
        state: &AccountState,
    ) -> Result<Reply, StoreError> {
        while self.next < state.blocks && self.index_piece(store)? {}
        let committed = state.committed.unwrap_or_default();
        let mut page = Page { account, limit, lines: Vec::new() };
        let left_out = page.add_log(&self.server, committed, &state.log);
        let head = state.blocks.saturating_sub(1);
        let end = Cursor { height: head, place: Amount::MAX.units(), balance: committed };
        let mut cursor = before.unwrap_or(end);
        let mut next = None;
        for height in self.heights(account, cursor.height) {
            if height != cursor.height {
                cursor = Cursor { height, place: Amount::MAX.units(), ..cursor };
            }
            let Some(block) = store.blocks(height, height, 1)?.pop() else { break };
            match page.add_block(block.block(), &mut cursor) {
                Some(true) => {}
                Some(false) => {
                    next = Some(cursor);
                    break;
                }
                None => return Ok(bad_cursor()),
            }
        }
        Ok(Reply::History { account: account.clone(), lines: page.lines, left_out, next })
    }
}

fn bad_cursor() -> Reply {
    let message = "\"before\" is not the \"next\" of a page of this account's statement".to_owned();
    Reply::Error { error: ErrorCode::BadRequest, message }
}

impl Page<'_> {
    /// Adds the newest lines of the local log; returns how many older ones there are.
    fn add_log(&mut self, server: &ServerId, committed: Amount, log: &[Element]) -> u64 {
        let mut lines = VecDeque::new();
        let mut left_out = 0;
        let mut balance = committed;
        for element in log {
            // The event loop has it too, and does without what is read of it here.
            let element = element.apart();
            let touches = |entry: &Entry| entry.record.action.touches(self.account);
            for entry in element.entries(server).filter(touches) {
                balance = after(self.account, balance, &entry.record.action).unwrap_or(balance);
                lines.push_front(StatementLine { height: None, balance, entry });
                if lines.len() > self.limit {
                    lines.pop_back();
                    left_out += 1;
                }
            }
        }
        self.lines.extend(lines);
        left_out
    }

    /// Adds lines from a block's entries before the cursor, and moves it there; false if the page was
    /// full before the block's end, None if the cursor can't be right.
    fn add_block(&mut self, block: &Block, cursor: &mut Cursor) -> Option<bool> {
        let places = (0..cursor.place).zip(block.entries());
        let touching: Vec<(u64, Entry)> =
            places.filter(|(_, entry)| entry.record.action.touches(self.account)).collect();
        for (place, entry) in touching.into_iter().rev() {
            if self.lines.len() >= self.limit {
                return Some(false);
            }
            let balance = cursor.balance;
            let before = before(self.account, balance, &entry.record.action)?;
            *cursor = Cursor { height: block.height, place, balance: before };
            self.lines.push(StatementLine { height: Some(block.height), balance, entry });
        }
        Some(true)
    }
}

/// What an account holds after something, if that is possible.
fn after(account: &AccountId, balance: Amount, action: &Action) -> Option<Amount> {
    match action {
        Action::Open { .. } => Some(Amount::ZERO),
        Action::Transfer { from, amount, .. } if from == account => balance.minus(*amount),
        Action::Transfer { amount, .. } => balance.plus(*amount),
        Action::Rejoin { .. } => Some(balance),
    }
}

/// What an account held before something, if that is possible.
fn before(account: &AccountId, balance: Amount, action: &Action) -> Option<Amount> {
    match action {
        Action::Open { .. } => Some(Amount::ZERO),
        Action::Transfer { from, amount, .. } if from == account => balance.plus(*amount),
        Action::Transfer { amount, .. } => balance.minus(*amount),
        Action::Rejoin { .. } => Some(balance),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_has_its_last_posting() {
        let mut newest = Newest::new();
        let account = |number: u32| format!("A/{number}").parse::<AccountId>().unwrap();
        for posting in 0..3_000 {
            let hash = newest.hash(&account(posting % 1_000));
            let before = if posting < 1_000 { NONE } else { posting - 1_000 };
            assert_eq!(newest.replace(hash, posting, posting), Some(before));
            assert_eq!(newest.replace(hash, posting + 1, posting), None, "of the same height");
        }
        assert!((0..1_000).all(|number| newest.of(&account(number)) == number + 2_000));
        assert_eq!(newest.of(&account(1_000)), NONE);
    }
}
