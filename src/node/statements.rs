//! Statements: which blocks touch an account, and pages of what they say of it.
//!
//! The index holds for each account the last block that touches it, and for each such block the one
//! before: eight bytes for an account in a block. It follows from the chain, so it is made anew after
//! each start, in the background; a statement that is asked for earlier waits until it has caught up.

use std::collections::VecDeque;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, SealedBlock};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::directory::Directory;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Entry};
use crate::bank::request::{Cursor, ErrorCode, Reply, StatementLine};
use crate::store::{BlockSource, StoreError};

/// About how much of the chain is indexed at a time.
const PIECE: usize = 512 << 10;

/// No posting.
const NONE: u32 = u32::MAX;

/// An account in a block.
#[derive(Clone, Copy, Debug)]
struct Posting {
    height: u32,
    /// The same account's posting before this one.
    previous: u32,
}

/// The index, and the server whose log goes on top of it.
pub(crate) struct Statements {
    server: ServerId,
    directory: Directory,
    /// Each account's last posting.
    newest: Vec<u32>,
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
        Statements {
            server,
            directory: Directory::new(fastrand::u64(..)),
            newest: Vec::new(),
            postings: Vec::new(),
            next: 0,
        }
    }

    /// Indexes the next blocks; says whether there were any.
    pub(crate) fn index_piece(&mut self, chain: &mut dyn BlockSource) -> Result<bool, StoreError> {
        let blocks = chain.blocks(self.next, u64::MAX, PIECE)?;
        blocks.iter().for_each(|block| self.index(block));
        Ok(!blocks.is_empty())
    }

    fn index(&mut self, block: &SealedBlock) {
        for (_, record) in block.block().records() {
            self.post(record.action.subject(), block.height());
            if let Some(payee) = record.action.payee() {
                self.post(payee, block.height());
            }
        }
        self.next = block.height() + 1;
    }

    fn post(&mut self, account: &AccountId, height: u64) {
        let number = self.directory.add(account).index();
        if number == self.newest.len() {
            self.newest.push(NONE);
        }
        let previous = self.newest[number];
        let height = u32::try_from(height).expect("fewer blocks than 2^32");
        if self.postings.get(previous as usize).is_some_and(|last| last.height == height) {
            return;
        }
        self.newest[number] = u32::try_from(self.postings.len()).expect("fewer postings than 2^32");
        self.postings.push(Posting { height, previous });
    }

    /// The heights of the blocks up to `height` that touch an account, the highest first.
    fn heights(&self, account: &AccountId, height: u64) -> impl Iterator<Item = u64> + '_ {
        let number = self.directory.find(account);
        let mut posting = number.map_or(NONE, |number| self.newest[number.index()]);
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
    ) -> Result<Reply, StoreError> {
        let at_home = account.home() == self.server.as_str();
        let state = store.account(account, at_home && before.is_none())?;
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
        let entries = log.iter().flat_map(|element| element.entries(server));
        for entry in entries.filter(|entry| entry.record.action.touches(self.account)) {
            balance = after(self.account, balance, &entry.record.action).unwrap_or(balance);
            lines.push_front(StatementLine { height: None, balance, entry });
            if lines.len() > self.limit {
                lines.pop_back();
                left_out += 1;
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
    }
}

/// What an account held before something, if that is possible.
fn before(account: &AccountId, balance: Amount, action: &Action) -> Option<Amount> {
    match action {
        Action::Open { .. } => Some(Amount::ZERO),
        Action::Transfer { from, amount, .. } if from == account => balance.plus(*amount),
        Action::Transfer { amount, .. } => balance.minus(*amount),
    }
}
