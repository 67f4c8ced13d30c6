//! Followers: clients that are told each entry as it comes.
//!
//! A follower is told by its connection's own writer, which writes when the client reads and reads the store when the
//! follower is behind. So nothing waits in a queue for it, and a follower that is stopped costs what it was told last. The
//! event loop says once what is new, whoever follows: a thread puts it on the [`shelf`], and wakes the writers.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, at, bounded, never, select};

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::effects::{Batch, Write};
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::request::{self, ErrorCode, Reply};
use crate::node::following::shelf::Shelf;
use crate::node::life::Life;
use crate::store::BlockSource;

mod follower;
mod shelf;

pub(crate) use follower::Follower;

/// The most followers of a server.
pub(crate) const MAX_FOLLOWERS: usize = 64;
/// The most news that may wait for the spreader. A block beyond is read from the store.
const NEWS: usize = 1024;
/// The most news that may wait for the shelf, which a follower holds that others keep waiting.
const WAITING: usize = 16 * NEWS;
/// The least time between two spreadings of news. To wake each follower for each of hundreds of blocks a second would
/// take more of the processor than the blocks do.
const PACE: Duration = Duration::from_millis(50);

/// What followers share.
struct Shared {
    shelf: Shelf,
    /// The view of the store from which those read who are behind, one after the other.
    source: Mutex<Box<dyn BlockSource>>,
    /// The number of followers, and of those that want the log.
    seats: AtomicUsize,
    log_seats: AtomicUsize,
    /// The number of blocks that are durable, also if the news of one found no room.
    latest: AtomicU64,
    /// How often news of the log found no room, or were forgotten with it.
    losses: AtomicU64,
    /// True if news of the log found no room since the shelf was last opened.
    missed: AtomicBool,
    news: Sender<News>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("shelf", &self.shelf).finish_non_exhaustive()
    }
}

enum News {
    /// A block is durable.
    Appended(SealedBlock),
    /// An element of the local log is durable.
    Logged(Element),
    /// Somebody follows, and is woken so, since the chain had so many blocks. The log, if it is wanted.
    Begun(Sender<()>, u64, Option<Vec<Element>>),
    /// Somebody follows no more.
    Left,
}

/// The followers, as the event loop knows them. Nothing here blocks.
#[derive(Clone, Debug)]
pub(crate) struct Following(Arc<Shared>);

/// The thread that spreads the news.
pub(crate) struct Spreader {
    shared: Arc<Shared>,
    news: Receiver<News>,
    /// What is not on the shelf yet.
    waiting: Vec<News>,
    wakers: Vec<Sender<()>>,
}

impl Following {
    /// Starts without followers. They read the chain from `source`.
    pub(crate) fn new(home: ServerId, source: Box<dyn BlockSource>) -> (Following, Spreader) {
        let (news, received) = bounded(NEWS);
        let shared = Arc::new(Shared {
            shelf: Shelf::new(home),
            source: Mutex::new(source),
            seats: AtomicUsize::new(0),
            log_seats: AtomicUsize::new(0),
            latest: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            missed: AtomicBool::new(false),
            news,
        });
        let spreader = Spreader {
            shared: Arc::clone(&shared),
            news: received,
            waiting: Vec::new(),
            wakers: Vec::new(),
        };
        (Following(shared), spreader)
    }

    /// Says what is durable now, if anybody follows.
    pub(crate) fn durable(&self, batch: &Batch) {
        let Following(shared) = self;
        if shared.seats.load(Ordering::SeqCst) == 0 {
            return;
        }
        let wants_log = shared.log_seats.load(Ordering::SeqCst) > 0;
        for write in &batch.writes {
            let news = match write {
                Write::Append { block, .. } => {
                    shared.latest.store(block.height() + 1, Ordering::SeqCst);
                    News::Appended(block.clone())
                }
                Write::Log(element) if wants_log => News::Logged(element.clone()),
                _ => continue,
            };
            if shared.news.try_send(news).is_err() {
                shared.missed.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Admits a follower.
    ///
    /// # Errors
    /// The answer to a client that can't follow now.
    pub(crate) fn admit(&self, following: request::Following) -> Result<Box<Follower>, Reply> {
        let request::Following { follow, blocks, bank, log } = following;
        let refused = |message: String| Reply::Error { error: ErrorCode::Unavailable, message };
        let Some(seat) = Seat::take(&self.0, follow.log) else {
            return Err(refused(format!(
                "{MAX_FOLLOWERS} clients follow this server already, and no more may; try again later, or \
                 follow another server"
            )));
        };
        let (wake, woken) = bounded(1);
        let log = follow.log.then_some(log);
        if self.0.news.try_send(News::Begun(wake, blocks, log)).is_err() {
            return Err(refused("there is too much news at this moment; try again".into()));
        }
        Ok(Box::new(Follower::new(seat, woken, follow, blocks, bank)))
    }
}

impl Shared {
    fn source(&self) -> MutexGuard<'_, Box<dyn BlockSource>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A follower's place among the followers, which dropping this gives back.
#[derive(Debug)]
struct Seat {
    shared: Arc<Shared>,
    with_log: bool,
}

impl Seat {
    fn take(shared: &Arc<Shared>, with_log: bool) -> Option<Seat> {
        let add = |seats| (seats < MAX_FOLLOWERS).then_some(seats + 1);
        shared.seats.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).ok()?;
        if with_log {
            shared.log_seats.fetch_add(1, Ordering::SeqCst);
        }
        Some(Seat { shared: Arc::clone(shared), with_log })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.with_log {
            self.shared.log_seats.fetch_sub(1, Ordering::SeqCst);
        }
        self.shared.seats.fetch_sub(1, Ordering::SeqCst);
        // If there is no room, other news make the spreader look.
        let _ = self.shared.news.try_send(News::Left);
    }
}

impl Spreader {
    /// Spreads the news until the node ends.
    pub(crate) fn run(&mut self, life: &Life) {
        let mut next = Instant::now();
        loop {
            let again = match self.waiting.is_empty() {
                true => never(),
                false => at(next),
            };
            select! {
                recv(self.news) -> news => match news {
                    Ok(news) => self.waiting.push(news),
                    Err(_) => return,
                },
                recv(again) -> _ => {}
                recv(life.over()) -> _ => return,
            }
            // The first news is spread at once, and what comes soon after it together.
            while !life.is_over()
                && let Ok(news) = self.news.recv_deadline(next)
            {
                self.waiting.push(news);
            }
            self.spread();
            next = Instant::now() + PACE;
        }
    }

    /// Puts what is new on the shelf, unless a follower holds it, and wakes the followers.
    fn spread(&mut self) {
        let Spreader { shared, news, waiting, wakers } = self;
        waiting.extend(news.try_iter());
        let state = match waiting.len() {
            ..WAITING => shared.shelf.state_if_free(),
            _ => Some(shared.shelf.state()),
        };
        let Some(mut state) = state else { return };
        for news in waiting.drain(..) {
            match news {
                News::Appended(block) => state.append(block, shared.shelf.home()),
                News::Logged(element) => state.log(element),
                News::Begun(waker, blocks, log) => {
                    state.raise(blocks);
                    if let Some(log) = log {
                        state.take_log(log);
                    }
                    wakers.push(waker);
                }
                News::Left => {}
            }
        }
        // What no news tells.
        state.raise(shared.latest.load(Ordering::SeqCst));
        let nobody = |seats: &AtomicUsize| seats.load(Ordering::SeqCst) == 0;
        let is_lost = shared.missed.swap(false, Ordering::SeqCst);
        if is_lost {
            shared.losses.fetch_add(1, Ordering::SeqCst);
        }
        state.forget(nobody(&shared.seats), is_lost || nobody(&shared.log_seats));
        drop(state);
        wakers.retain(|waker| !waker.try_send(()).is_err_and(|error| error.is_disconnected()));
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
