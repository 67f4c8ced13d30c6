//! What is known of the bank now, from all servers together.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::Entry;
use crate::bank::request::Status;
use crate::wire::reply::HashedBlock;

/// The most blocks that are kept to be shown.
const BLOCKS: usize = 60;
/// The most entries of a block that are told to every browser. Whoever wants all of them asks for the block.
const ENTRIES: usize = 40;

/// What all threads share.
#[derive(Debug, Default)]
pub(super) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the changes.
    version: u64,
    servers: BTreeMap<ServerId, Seen>,
    blocks: BTreeMap<u64, ShortBlock>,
    /// The present text for browsers, and the version that it is of.
    text: Option<(u64, Arc<str>)>,
    /// The story of the traces, if there is one, and the version with which it came.
    story: Option<(u64, Arc<str>)>,
}

/// What is known of a server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Seen {
    /// Where it is asked.
    pub(super) address: String,
    /// Its status, as it was last told.
    pub(super) status: Option<Box<Status>>,
    /// The newest entries of its log.
    pub(super) log: Vec<Entry>,
    /// Why it gives no answer, if it gives none.
    pub(super) failure: Option<String>,
}

#[derive(Debug, Serialize)]
struct ShortBlock {
    #[serde(flatten)]
    block: HashedBlock,
    /// The number of all its entries.
    count: usize,
}

#[derive(Serialize)]
struct Text<'a> {
    servers: &'a BTreeMap<ServerId, Seen>,
    blocks: Vec<&'a ShortBlock>,
}

/// What a browser was last told: the versions of the board and of the story.
pub(super) type Told = (u64, u64);

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.version += 1;
        self.changed.notify_all();
    }

    /// Takes note of what a server said, or why it said nothing. Then its last status stays to be seen.
    pub(super) fn heard(
        &self,
        server: &ServerId,
        address: &str,
        said: Result<(Status, Vec<Entry>), String>,
    ) {
        self.change(|state| {
            let seen = state.servers.entry(server.clone()).or_insert_with(|| Seen {
                address: address.to_owned(),
                status: None,
                log: Vec::new(),
                failure: None,
            });
            address.clone_into(&mut seen.address);
            match said {
                Ok((status, log)) => {
                    (seen.status, seen.log, seen.failure) = (Some(Box::new(status)), log, None);
                }
                Err(why) => seen.failure = Some(why),
            }
        });
    }

    /// Forgets a server that is no member any more.
    pub(super) fn forget(&self, server: &ServerId) {
        self.change(|state| drop(state.servers.remove(server)));
    }

    /// Adds blocks of the chain, and forgets the oldest ones.
    pub(super) fn add(&self, blocks: Vec<HashedBlock>) {
        self.change(|state| {
            for mut block in blocks {
                let count = block.entries.len();
                block.entries.truncate(ENTRIES);
                block.opening = None;
                state.blocks.insert(block.height, ShortBlock { block, count });
            }
            while state.blocks.len() > BLOCKS {
                state.blocks.pop_first();
            }
        });
    }

    /// Returns the next height that is missing, if the chain has this height; with a long chain, the first height
    /// that is worth showing.
    pub(super) fn next_height(&self, height: u64) -> Option<u64> {
        let next = self.state().blocks.last_key_value().map_or(0, |(last, _)| last + 1);
        let first = (height + 1).saturating_sub(BLOCKS as u64);
        (next <= height).then_some(next.max(first))
    }

    /// Returns a server that answers, and where it is.
    pub(super) fn anybody(&self) -> Option<(ServerId, String)> {
        let state = self.state();
        let mut up = state.servers.iter().filter(|(_, seen)| seen.failure.is_none());
        up.next().map(|(id, seen)| (id.clone(), seen.address.clone()))
    }

    /// Puts another story in the place of the last one.
    pub(super) fn tell(&self, story: String) {
        self.change(|state| {
            state.story = Some((state.version + 1, story.into()));
        });
    }

    /// Forgets the story: another one begins.
    pub(super) fn end_story(&self) {
        self.change(|state| state.story = None);
    }

    /// Waits for something new, at most so long. Returns the texts that have changed, of the board and of the story.
    pub(super) fn news(
        &self,
        told: &mut Told,
        most: Duration,
    ) -> (Option<Arc<str>>, Option<Arc<str>>) {
        let until = Instant::now() + most;
        let mut state = self.state();
        while state.version == told.0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return (None, None);
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        told.0 = state.version;
        let story = state.story.clone().filter(|(version, _)| *version != told.1);
        let story = story.map(|(version, text)| {
            told.1 = version;
            text
        });
        (Some(state.text()), story)
    }
}

impl State {
    /// Returns the text for browsers. It is written once for all of them.
    fn text(&mut self) -> Arc<str> {
        match &self.text {
            Some((version, text)) if *version == self.version => Arc::clone(text),
            _ => {
                let blocks = self.blocks.values().collect();
                let text = Text { servers: &self.servers, blocks };
                let text: Arc<str> = serde_json::to_string(&text).unwrap_or_default().into();
                self.text = Some((self.version, Arc::clone(&text)));
                text
            }
        }
    }
}
