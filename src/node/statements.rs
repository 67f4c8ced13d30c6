//! Statements: which blocks touch an account, and pages of what they say of it.
//!
//! The index holds for each block the hashes of the accounts that it touches, in order: four bytes for an
//! account in a block. To keep it costs little, even while a million accounts pay each other; whoever asks
//! pays: one search in each block. Two accounts that share a hash share their blocks, too: what is not
//! theirs is passed over when a block is read. The index follows from the chain, so it is made anew after
//! each start, in the background; a statement that is asked for earlier waits until it has caught up.

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

/// The index, and the server whose log goes on top of it.
pub(crate) struct Statements {
    server: ServerId,
    touched: Touched,
}

/// For each block the hashes of the accounts that it touches, in ascending order. In a piece for each,
/// since all of them in one would have to be copied now and then, to twice as much fresh memory.
struct Touched {
    blocks: Vec<Box<[u32]>>,
    /// Nobody outside can tell which accounts share a hash.
    salt: u64,
}

impl Touched {
    fn new() -> Touched {
        Touched { blocks: Vec::new(), salt: fastrand::u64(..) }
    }

    /// The height of the next block.
    fn next(&self) -> u64 {
        self.blocks.len() as u64
    }

    fn hash(&self, account: &AccountId) -> u32 {
        (account.scatter(self.salt) >> 32) as u32
    }

    /// Adds the next block, which touches these accounts, some of them more than once.
    fn add<'a>(&mut self, accounts: impl Iterator<Item = &'a AccountId>) {
        let mut hashes: Vec<u32> = accounts.map(|account| self.hash(account)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        self.blocks.push(hashes.into_boxed_slice());
    }

    /// The heights of the blocks up to `height` that touch an account, the highest first.
    fn heights(&self, account: &AccountId, height: u64) -> impl Iterator<Item = u64> + '_ {
        let hash = self.hash(account);
        let blocks = height.saturating_add(1).min(self.next());
        let touches = move |block: &u64| self.blocks[*block as usize].binary_search(&hash).is_ok();
        (0..blocks).rev().filter(touches)
    }
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
        Statements { server, touched: Touched::new() }
    }

    /// Indexes the next blocks; says whether there were any.
    pub(crate) fn index_piece(&mut self, chain: &mut dyn BlockSource) -> Result<bool, StoreError> {
        let blocks = chain.blocks(self.next(), u64::MAX, PIECE)?;
        blocks.iter().for_each(|block| self.index(block));
        Ok(!blocks.is_empty())
    }

    /// Indexes those of these blocks, read for another purpose, of which it is the turn.
    pub(crate) fn follow(&mut self, blocks: &[SealedBlock]) {
        for block in blocks {
            if block.height() == self.next() {
                self.index(block);
            }
        }
    }

    fn index(&mut self, block: &SealedBlock) {
        let records = block.block().records();
        self.touched.add(records.flat_map(|(_, record)| {
            record.action.subject().into_iter().chain(record.action.payee())
        }));
    }

    /// The height of the next block to be indexed.
    pub(crate) fn next(&self) -> u64 {
        self.touched.next()
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
        while self.next() < state.blocks && self.index_piece(store)? {}
        let committed = state.committed.unwrap_or_default();
        let mut page = Page { account, limit, lines: Vec::new() };
        let left_out = page.add_log(&self.server, committed, &state.log);
        let head = state.blocks.saturating_sub(1);
        let end = Cursor { height: head, place: Amount::MAX.units(), balance: committed };
        let mut cursor = before.unwrap_or(end);
        let mut next = None;
        for height in self.touched.heights(account, cursor.height) {
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
    fn a_block_is_found_by_each_account_that_it_touches() {
        let mut touched = Touched::new();
        let account = |number: u64| format!("A/{number}").parse::<AccountId>().unwrap();
        // Block 0 touches nobody, block h > 0 account h three times, and all whose number divides h.
        for height in 0..=300 {
            let divisors = (1..=height).filter(|number| height % number == 0);
            let accounts: Vec<_> = divisors.chain([height; 2]).map(account).collect();
            touched.add(accounts.iter().filter(|_| height > 0));
        }
        let heights =
            |number, height| touched.heights(&account(number), height).collect::<Vec<_>>();
        assert_eq!(heights(100, u64::MAX), [300, 200, 100]);
        assert_eq!(heights(100, 299), [200, 100]);
        assert_eq!(heights(100, 200), [200, 100]);
        assert_eq!(heights(7, 30), [28, 21, 14, 7]);
        assert_eq!(heights(1, 300), (1..=300).rev().collect::<Vec<_>>());
        assert!(heights(301, u64::MAX).is_empty());
    }
}
