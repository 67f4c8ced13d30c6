//! What all followers share: the newest blocks with their lines, and the local log as it is now.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

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

/// The shelf. Whoever uses it holds its lock for a moment only; the event loop never does.
#[derive(Debug)]
pub(super) struct Shelf {
    home: ServerId,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of blocks that are durable here.
    blocks: u64,
    /// The newest of them, without a gap.
    recent: VecDeque<Arc<Sheet>>,
    /// The length of their texts, in bytes.
    bytes: usize,
    /// The elements of the local log, oldest first; none while nobody wants them.
    log: Option<VecDeque<Element>>,
    /// How often the log could not be kept up with.
    losses: u64,
}

impl Shelf {
    pub(super) fn new(home: ServerId) -> Shelf {
        Shelf { home, state: Mutex::default() }
    }

    /// Returns the server whose log it is.
    pub(super) fn home(&self) -> &ServerId {
        &self.home
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how many blocks are durable, if there are more than was known.
    pub(super) fn raise(&self, blocks: u64) {
        let mut state = self.state();
        state.blocks = state.blocks.max(blocks);
    }

    /// Takes a block that is durable now, and its entries off the log.
    pub(super) fn append(&self, block: SealedBlock) {
        let height = block.height();
        let included = block.block().log(&self.home).last().map(Element::last);
        let mut state = self.state();
        if state.recent.back().is_some_and(|last| last.block.height() + 1 != height) {
            state.forget_blocks();
        }
        state.blocks = state.blocks.max(height + 1);
        state.bytes += block.text().len();
        state.recent.push_back(Sheet::of(block));
        while state.bytes > KEPT && state.recent.len() > 1 {
            let oldest = state.recent.pop_front();
            state.bytes -= oldest.map_or(0, |sheet| sheet.block.text().len());
        }
        if let (Some(included), Some(log)) = (included, &mut state.log) {
            while log.front().is_some_and(|element| element.last() <= included) {
                log.pop_front();
            }
        }
    }

    /// Takes the whole log.
    pub(super) fn take_log(&self, log: Vec<Element>) {
        self.state().log = Some(log.into());
    }

    /// Takes an element that is durable in the log now. What was known of its entries, before it was complete, goes.
    pub(super) fn log(&self, element: Element) {
        if let Some(log) = &mut self.state().log {
            while log.back().is_some_and(|last| last.first() >= element.first()) {
                log.pop_back();
            }
            log.push_back(element);
        }
    }

    /// Forgets the log because something of it was missed.
    pub(super) fn lose_log(&self) {
        let mut state = self.state();
        state.log = None;
        state.losses += 1;
    }

    /// Forgets what nobody wants any more.
    pub(super) fn forget(&self, blocks: bool, log: bool) {
        let mut state = self.state();
        if blocks {
            state.forget_blocks();
        }
        if log {
            state.log = None;
        }
    }

    /// Returns how often the log could not be kept up with.
    pub(super) fn losses(&self) -> u64 {
        self.state().losses
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
    fn forget_blocks(&mut self) {
        self.recent.clear();
        self.bytes = 0;
    }
}
