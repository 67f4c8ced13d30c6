//! Pages of what the chain, and the local log on top of it, say of an account.

use std::collections::VecDeque;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, SealedBlock};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::{Action, Record};
use crate::bank::request::{AccountState, Cursor, ErrorCode, Reply, StatementLine};
use crate::bank::status::IndexStatus;
use crate::node::touched::{Blind, Touched};
use crate::store::{BlockSource, StoreError};

/// The bytes of blocks read for a page, or looks that cost as much, after which the page ends, even if it has room
/// for more lines.
const COST_OF_PAGE: usize = 1 << 20;
/// The entries of the local log read for a page after which it ends, about. (To look whether an element
/// names the account takes a hundredth of the time.)
const READ_FOR_PAGE: usize = 50_000;

/// Makes pages of statements, of the chain with the server's log on top of it.
pub(crate) struct Statements {
    server: ServerId,
    touched: Touched,
    /// The blocks that were read last, as many as a page may read: mostly the next page goes on in them.
    last_read: VecDeque<SealedBlock>,
}

/// A page in the making, the newest line first.
struct Page<'a> {
    account: &'a AccountId,
    limit: usize,
    lines: Vec<StatementLine>,
}

impl Statements {
    /// Creates an empty index that takes about so many bytes at most.
    pub(crate) fn new(server: ServerId, index_memory: usize) -> Statements {
        Statements { server, touched: Touched::new(index_memory), last_read: VecDeque::new() }
    }

    /// Returns how the index stands.
    pub(crate) fn standing(&self) -> IndexStatus {
        self.touched.standing()
    }

    /// Indexes the next blocks. True if there were any.
    pub(crate) fn index_piece(&mut self, chain: &mut dyn BlockSource) -> Result<bool, StoreError> {
        self.touched.index_piece(chain)
    }

    /// Indexes those of these blocks, read for another purpose, that come next in the index.
    pub(crate) fn follow(&mut self, blocks: &[SealedBlock]) {
        self.touched.follow(blocks);
    }

    /// Lets the index of blocks that went to segments go to files.
    pub(crate) fn follow_segments(&mut self, chain: &dyn BlockSource) {
        self.touched.follow_segments(chain);
    }

    /// True if the index has all of so many blocks.
    pub(crate) fn covers(&self, blocks: u64) -> bool {
        self.touched.covers(blocks)
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
        let mut cost = 0;
        let mut end = cursor.height.saturating_add(1).min(self.touched.blocks());
        while end > 0 {
            let found = match self.touched.find(store, account, end) {
                Ok(found) => found,
                Err(blind) => return page.end_at(blind, below(cursor, end)),
            };
            for height in found.heights {
                cursor = below(cursor, height + 1);
                if cost >= COST_OF_PAGE {
                    return Ok(page.reply(Some(cursor)));
                }
                let block = match self.read(store, height) {
                    Ok(block) => block,
                    Err(error) => {
                        return page.end_at(self.touched.blind(height, error), cursor);
                    }
                };
                let Some(block) = block else { return Ok(page.reply(None)) };
                cost += block.text().len();
                match page.add_block(block.block(), &mut cursor) {
                    Some(true) => {}
                    Some(false) => return Ok(page.reply(Some(cursor))),
                    None => return Ok(bad_cursor()),
                }
            }
            (end, cost) = (found.down_to, cost + found.cost);
            if cost >= COST_OF_PAGE && end > 0 {
                return Ok(page.reply(Some(below(cursor, end))));
            }
        }
        Ok(page.reply(None))
    }

    /// Reads a block.
    fn read(
        &mut self,
        store: &mut dyn BlockSource,
        height: u64,
    ) -> Result<Option<SealedBlock>, StoreError> {
        let known = self.last_read.iter().find(|block| block.height() == height);
        if known.is_some() {
            return Ok(known.cloned());
        }
        let block = store.blocks(height, height, 1)?.pop();
        self.last_read.extend(block.clone());
        while self.last_read.iter().map(|block| block.text().len()).sum::<usize>() > COST_OF_PAGE {
            self.last_read.pop_front();
        }
        Ok(block)
    }
}

/// Moves a cursor to the end of the block below the height `end`, unless it is there or below already.
fn below(cursor: Cursor, end: u64) -> Cursor {
    match end > cursor.height {
        true => cursor,
        false => Cursor { height: end - 1, place: Amount::MAX.units(), ..cursor },
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

    /// Returns the page that ends where blocks can't be read: the next page goes on there. An error if it is empty.
    fn end_at(self, blind: Blind, cursor: Cursor) -> Result<Reply, StoreError> {
        match blind {
            Blind::Missing(..) if !self.lines.is_empty() => Ok(self.reply(Some(cursor))),
            Blind::Missing(heights, StoreError::Past { file, what }) => {
                let (first, last) = (heights.start, heights.end - 1);
                let what = format!(
                    "{what}; blocks {first} to {last} are missing, and what the statement says of later ones is whole"
                );
                Err(StoreError::Past { file, what })
            }
            Blind::Missing(_, error) | Blind::Failed(error) => Err(error),
        }
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
            let touches = |record: &Record| record.action.touches(self.account);
            let touching = element.newest_where(server, touches).map(|(_, entry)| entry);
            for entry in touching.filter(|entry| entry.seq < end) {
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
        let (account, end) = (self.account, cursor.place);
        let touching = block.newest_where(|record| record.action.touches(account));
        for (place, entry) in touching.filter(|(place, _)| *place < end) {
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
        Action::Transfer { amount, .. } | Action::Mint { amount, .. } => balance.minus(*amount),
        Action::Burn { amount, .. } => balance.plus(*amount),
        Action::Rekey { .. } | Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => {
            Some(balance)
        }
    }
}

#[cfg(test)]
#[path = "statements_tests.rs"]
mod tests;
