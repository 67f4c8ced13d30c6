//! Statements: which blocks touch an account, and pages of what they say of it.
//!
//! For each block, the index holds the hashes of the accounts that the block touches, in order: four bytes
//! for each account in a block. It costs little to keep, even while a million accounts pay each other. A
//! question pays: one search in each block. Two accounts that share a hash also share their blocks;
//! what concerns the other account is skipped when a block is read. The index follows from the chain, so each
//! start makes it anew in the background. A statement asked for earlier waits until it has caught up.

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, SealedBlock};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::{Action, Entry};
use crate::bank::request::{AccountState, Cursor, ErrorCode, Reply, StatementLine};
use crate::store::{BlockSource, StoreError};

/// About how much of the chain is indexed at a time, in bytes.
const PIECE: usize = 256 << 10;

/// The bytes of blocks read for a page after which the page ends, even if it has room for more lines.
const PIECE_FOR_PAGE: usize = 1 << 20;
/// The entries of the local log read for a page after which it ends, about. (To look whether an element
/// names the account takes a hundredth of the time.)
const READ_FOR_PAGE: usize = 50_000;
/// The blocks looked at after which a page ends.
const BLOCKS_LOOKED_AT: u64 = 200_000;

/// A find in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touching {
    /// A block that touches the account.
    Block(u64),
    /// The block at which to go on: this was enough for now.
    GoOnAt(u64),
}

/// The index, and the server whose log goes on top of it.
pub(crate) struct Statements {
    server: ServerId,
    touched: Touched,
}

/// The hashes of the accounts that each block touches, in ascending order. Each block has an allocation of
/// its own: a single one would now and then be copied, to twice as much fresh memory.
struct Touched {
    blocks: Vec<Box<[u32]>>,
    /// Salts the hashes, so that nobody outside can tell which accounts share one.
    salt: u64,
}

impl Touched {
    fn new() -> Touched {
        Touched { blocks: Vec::new(), salt: fastrand::u64(..) }
    }

    /// Returns the height of the next block.
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

    /// Returns the heights of the blocks up to `height` that touch an account, the highest first. After
    /// [`BLOCKS_LOOKED_AT`] blocks it ends with the block at which to go on.
    fn heights(
        &self,
        account: &AccountId,
        height: u64,
    ) -> impl Iterator<Item = Touching> + use<'_> {
        let hash = self.hash(account);
        let blocks = height.saturating_add(1).min(self.next());
        let touches = move |block: u64| self.blocks[block as usize].binary_search(&hash).is_ok();
        let end = blocks.saturating_sub(BLOCKS_LOOKED_AT);
        let touching = (end..blocks).rev().filter(move |block| touches(*block));
        touching.map(Touching::Block).chain((end > 0).then(|| Touching::GoOnAt(end - 1)))
    }
}

/// A page in the making, the newest line first.
struct Page<'a> {
    account: &'a AccountId,
    limit: usize,
    lines: Vec<StatementLine>,
}

impl Statements {
    /// Creates an empty index.
    pub(crate) fn new(server: ServerId) -> Statements {
        Statements { server, touched: Touched::new() }
    }

    /// Indexes the next blocks. True if there were any.
    pub(crate) fn index_piece(&mut self, chain: &mut dyn BlockSource) -> Result<bool, StoreError> {
        let blocks = chain.blocks(self.next(), u64::MAX, PIECE)?;
        blocks.iter().for_each(|block| self.index(block));
        Ok(!blocks.is_empty())
    }

    /// Indexes those of these blocks, read for another purpose, that come next in the index.
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

    /// Returns the height of the next block to be indexed.
    pub(crate) fn next(&self) -> u64 {
        self.touched.next()
    }

    /// Returns a page of an account's statement, for [`Request::History`](crate::bank::request::Request).
    pub(crate) fn page(
        &mut self,
        store: &mut dyn BlockSource,
        account: &AccountId,
        before: Option<Cursor>,
        limit: usize,
        state: &AccountState,
    ) -> Result<Reply, StoreError> {
        let mut page = Page { account, limit, lines: Vec::new() };
        let is_in_log = |before: &Cursor| before.height == Cursor::IN_LOG;
        let mut cursor = match before.filter(|before| !is_in_log(before)) {
            Some(cursor) => cursor,
            None => {
                match page.add_log(&self.server, before.map(|before| before.place), state) {
                    Some(None) => {}
                    Some(next) => return Ok(page.reply(next)),
                    None => return Ok(bad_cursor()),
                }
                let balance = state.committed.unwrap_or_default();
                let head = state.blocks.saturating_sub(1);
                Cursor { height: head, place: Amount::MAX.units(), balance }
            }
        };
        let mut read = 0;
        for touching in self.touched.heights(account, cursor.height) {
            let (Touching::Block(height) | Touching::GoOnAt(height)) = touching;
            if height != cursor.height {
                cursor = Cursor { height, place: Amount::MAX.units(), ..cursor };
            }
            if read >= PIECE_FOR_PAGE || matches!(touching, Touching::GoOnAt(_)) {
                return Ok(page.reply(Some(cursor)));
            }
            let Some(block) = store.blocks(height, height, 1)?.pop() else { break };
            read += block.text().len();
            match page.add_block(block.block(), &mut cursor) {
                Some(true) => {}
                Some(false) => return Ok(page.reply(Some(cursor))),
                None => return Ok(bad_cursor()),
            }
        }
        Ok(page.reply(None))
    }
}

fn bad_cursor() -> Reply {
    let message = "\"before\" is not the \"next\" of a page of this account's statement".to_owned();
    Reply::Error { error: ErrorCode::BadRequest, message }
}

impl Page<'_> {
    /// Returns the page, and where the next page goes on.
    fn reply(self, next: Option<Cursor>) -> Reply {
        Reply::History { account: self.account.clone(), lines: self.lines, next }
    }

    /// Adds lines from the local log, from before seq `end` if it is given. Returns where the next page goes
    /// on, if that is in the log too. None if the page before can't have ended there.
    fn add_log(
        &mut self,
        server: &ServerId,
        end: Option<u64>,
        state: &AccountState,
    ) -> Option<Option<Cursor>> {
        let (end, name) = (end.unwrap_or(u64::MAX), format!("\"{}\"", self.account));
        let height = Cursor::IN_LOG;
        let mut cursor = Cursor { height, place: end, balance: state.balance };
        let mut read = 0;
        for element in state.log.iter().rev() {
            if !element.text().contains(&name) {
                continue;
            }
            if read >= READ_FOR_PAGE {
                return Some(Some(Cursor { place: element.last().seq + 1, ..cursor }));
            }
            read += element.entries_held();
            // The event loop holds the element too, and is not to keep in memory what is parsed here.
            let element = element.apart();
            let touches =
                |entry: &Entry| entry.seq < end && entry.record.action.touches(self.account);
            let touching: Vec<Entry> = element.entries(server).filter(touches).collect();
            for entry in touching.into_iter().rev() {
                if self.lines.len() >= self.limit {
                    return Some(Some(cursor));
                }
                let balance = cursor.balance;
                let before = before(self.account, balance, &entry.record.action)?;
                cursor = Cursor { height, place: entry.seq, balance: before };
                self.lines.push(StatementLine { height: None, balance, entry });
            }
        }
        let first = state.log.first().map(|element| element.first().seq);
        Some(first.filter(|_| state.older).map(|place| Cursor { place, ..cursor }))
    }

    /// Adds lines from a block's entries before the cursor, and moves the cursor. False if the page was full
    /// before the block's beginning, none if the cursor can't be right.
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

/// Returns what an account held before an action, if that is possible.
fn before(account: &AccountId, balance: Amount, action: &Action) -> Option<Amount> {
    match action {
        Action::Open { .. } => Some(Amount::ZERO),
        Action::Transfer { from, amount, .. } if from == account => balance.plus(*amount),
        Action::Transfer { amount, .. } => balance.minus(*amount),
        Action::Rekey { .. } | Action::Pin { .. } | Action::Rejoin { .. } => Some(balance),
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
        let heights = |number, height| {
            let heights =
                touched.heights(&account(number), height).map(|touching| match touching {
                    Touching::Block(height) => height,
                    Touching::GoOnAt(_) => panic!("there are few"),
                });
            heights.collect::<Vec<_>>()
        };
        assert_eq!(heights(100, u64::MAX), [300, 200, 100]);
        assert_eq!(heights(100, 299), [200, 100]);
        assert_eq!(heights(100, 200), [200, 100]);
        assert_eq!(heights(7, 30), [28, 21, 14, 7]);
        assert_eq!(heights(1, 300), (1..=300).rev().collect::<Vec<_>>());
        assert!(heights(301, u64::MAX).is_empty());
    }
}
