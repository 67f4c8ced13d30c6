//! What all followers share: the newest blocks with their lines, and the local log as it is now.
//!
//! Who reads it gives way to all others, so whoever holds its lock may hold it for long on a busy machine. The event
//! loop never takes the lock, and the spreader of the news takes it only if it is free.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use crate::bank::blockchain::block::{Block, SealedBlock};
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::wire::follow::BlockLines;

/// About how many bytes of blocks' text are kept at hand. A follower that is behind them reads the store.
const KEPT: usize = 4 << 20;

/// A block, and its lines once somebody needs them.
#[derive(Debug)]
pub(super) struct Sheet {
    block: SealedBlock,
    lines: OnceLock<BlockLines>,
}

impl Sheet {
    pub(super) fn of(block: SealedBlock) -> Arc<Sheet> {
        Arc::new(Sheet { block, lines: OnceLock::new() })
    }

    /// Returns the block.
    pub(super) fn block(&self) -> &Block {
        self.block.block()
    }

    /// Returns the lines, which the first who asks writes.
    pub(super) fn lines(&self) -> &BlockLines {
        self.lines.get_or_init(|| BlockLines::of(self.block.block()))
    }
}

/// Where a block is.
#[derive(Debug)]
pub(super) enum Found {
    /// At hand.
    Here(Arc<Sheet>),
    /// In the store, as are all up to this number of blocks.
    Stored(u64),
    /// Nowhere yet.
    Nowhere,
}

/// The shelf.
#[derive(Debug)]
pub(super) struct Shelf {
    home: ServerId,
    state: Mutex<State>,
}

/// What is on the shelf.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of blocks that are durable here.
    blocks: u64,
    /// The newest of them, without a gap.
    recent: VecDeque<Arc<Sheet>>,
    /// The length of their texts, in bytes.
    bytes: usize,
    /// The elements of the local log, oldest first; none while nobody wants them.
    log: Option<VecDeque<Element>>,
}

impl Shelf {
    pub(super) fn new(home: ServerId) -> Shelf {
        Shelf { home, state: Mutex::default() }
    }

    /// Returns the server whose log it is.
    pub(super) fn home(&self) -> &ServerId {
        &self.home
    }

    /// Opens the shelf, which may take as long as others keep this thread waiting.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the shelf if nobody holds it now.
    pub(super) fn state_if_free(&self) -> Option<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(state)) => Some(state.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Finds a block.
    pub(super) fn find(&self, height: u64) -> Found {
        let state = self.state();
        if height >= state.blocks {
            return Found::Nowhere;
        }
        let first = state.recent.front().map(|sheet| sheet.block.height());
        let index = first.and_then(|first| height.checked_sub(first));
        match index.and_then(|index| state.recent.get(usize::try_from(index).ok()?)) {
            Some(sheet) => Found::Here(Arc::clone(sheet)),
            None => Found::Stored(state.blocks),
        }
    }

    /// Returns elements of the log that hold entries after a position, at most `most`. None if there are blocks that
    /// whoever has read `blocks` has to read first.
    pub(super) fn log_after(&self, blocks: u64, after: Position, most: usize) -> Vec<Element> {
        let state = self.state();
        let Some(log) = state.log.as_ref().filter(|_| state.blocks <= blocks) else {
            return Vec::new();
        };
        let begin = log.partition_point(|element| element.last() <= after);
        log.range(begin..).take(most).cloned().collect()
    }
}

impl State {
    /// Notes how many blocks are durable, if there are more than was known.
    pub(super) fn raise(&mut self, blocks: u64) {
        self.blocks = self.blocks.max(blocks);
    }

    /// Takes a block that is durable now, and the entries of `home` off the log.
    pub(super) fn append(&mut self, block: SealedBlock, home: &ServerId) {
        let height = block.height();
        let included = block.block().log(home).last().map(Element::last);
        if self.recent.back().is_some_and(|last| last.block.height() + 1 != height) {
            self.forget_blocks();
        }
        self.raise(height + 1);
        self.bytes += block.text().len();
        self.recent.push_back(Sheet::of(block));
        while self.bytes > KEPT && self.recent.len() > 1 {
            let oldest = self.recent.pop_front();
            self.bytes -= oldest.map_or(0, |sheet| sheet.block.text().len());
        }
        if let (Some(included), Some(log)) = (included, &mut self.log) {
            while log.front().is_some_and(|element| element.last() <= included) {
                log.pop_front();
            }
        }
    }

    /// Takes the whole log.
    pub(super) fn take_log(&mut self, log: Vec<Element>) {
        self.log = Some(log.into());
    }

    /// Takes an element that is durable in the log now. What was known of its entries, before it was complete, goes.
    pub(super) fn log(&mut self, element: Element) {
        if let Some(log) = &mut self.log {
            while log.back().is_some_and(|last| last.first() >= element.first()) {
                log.pop_back();
            }
            log.push_back(element);
        }
    }

    /// Forgets what nobody wants any more.
    pub(super) fn forget(&mut self, blocks: bool, log: bool) {
        if blocks {
            self.forget_blocks();
        }
        if log {
            self.log = None;
        }
    }

    fn forget_blocks(&mut self) {
        self.recent.clear();
        self.bytes = 0;
    }
}
