//! Reads the store for peers and clients, in pieces, beside the event loop; and checks the chain that a
//! start left unread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, never, select};

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::paxos::message::Message;
use crate::bank::request::{ErrorCode, Query, Reply};
use crate::bank::status::IndexStatus;
use crate::node::checking::{Checking, ToCheck};
use crate::node::life::{ExitReason, Life};
use crate::node::link::PeerSender;
use crate::node::reply_sender::{Outgoing, ReplySender};
use crate::node::statements::Statements;
use crate::node::tags::Tags;
use crate::store::{BlockSource, StoreError};
use crate::wire::encode_chain;

/// About how much of the chain goes to a peer at a time, in bytes.
const PIECE_FOR_PEER: usize = 4 << 20;
/// About how much of the chain goes to a client at a time, in bytes.
const PIECE_FOR_CLIENT: usize = 512 << 10;
/// The unread replies from which on a client gets no more from here.
const MAX_UNREAD: usize = 8;
/// The most jobs that may wait, peers' and clients' each.
const JOBS: usize = 64;
/// The most appended blocks that may wait to be indexed. A block that finds no room is read from the store,
/// and so are the blocks after it until the index has caught up.
pub(crate) const APPENDED: usize = 8;
/// About how much of the chain is checked at a time, in bytes.
const PIECE_TO_CHECK: usize = 256 << 10;
/// The share of a processor's time that background reading takes: one part in this many.
const READING_SHARE: u32 = 10;
/// How often the reader looks whether the chain has grown.
const LOOK: Duration = Duration::from_millis(500);

/// A question, and where the answer goes.
#[derive(Debug)]
pub(crate) enum Job {
    /// A client's question.
    ForClient {
        /// Where the reply goes.
        reply_sender: ReplySender,
        /// The number of the client's request.
        id: Option<u64>,
        /// The question.
        query: Query,
    },
    /// Blocks for a peer.
    ForPeer {
        /// The way to the link that was up when the job was given.
        sender: PeerSender,
        /// The first height.
        from: u64,
        /// The last height.
        up_to: u64,
    },
}

/// Where jobs are given. Peers' jobs have a queue of their own, and go first: clients must not keep a peer
/// from catching up.
#[derive(Debug)]
pub(crate) struct Jobs {
    for_peers: Sender<Job>,
    for_clients: Sender<Job>,
}

/// Where jobs are taken.
#[derive(Debug)]
pub(crate) struct ToDo {
    for_peers: Receiver<Job>,
    for_clients: Receiver<Job>,
}

impl Jobs {
    /// Makes the queues, without any job.
    pub(crate) fn new() -> (Jobs, ToDo) {
        let (to_peers, for_peers) = crossbeam_channel::bounded(JOBS);
        let (to_clients, for_clients) = crossbeam_channel::bounded(JOBS);
        (Jobs { for_peers: to_peers, for_clients: to_clients }, ToDo { for_peers, for_clients })
    }

    /// Gives a job, if there is room for it. Never blocks.
    pub(crate) fn order(&self, job: Job) {
        let queue = match job {
            Job::ForPeer { .. } => &self.for_peers,
            Job::ForClient { .. } => &self.for_clients,
        };
        if let Err(declined) = queue.try_send(job) {
            declined.into_inner().decline();
        }
    }
}

impl Job {
    /// Turns down a job for want of room. A peer times out and asks again; a client is told.
    fn decline(self) {
        match self {
            Job::ForClient { reply_sender, id, .. } => {
                decline(&reply_sender, id, "too much is being read")
            }
            Job::ForPeer { .. } => log::debug!("too many blocks are asked for: a peer has to wait"),
        }
    }
}

impl Job {
    /// Ends a job because the store doesn't answer.
    fn fail(self, error: &StoreError) {
        if let Job::ForClient { reply_sender, id, .. } = self {
            match error {
                StoreError::Past { .. } => decline(&reply_sender, id, &error.to_string()),
                _ => decline(&reply_sender, id, "the store gives no answer"),
            }
        }
    }
}

fn decline(reply_sender: &ReplySender, id: Option<u64>, why: &str) {
    let message = format!("this can't be read now ({why}); try again");
    let id = reply_sender.tags().take(id);
    reply_sender.send(Outgoing::Reply(id, Reply::Error { error: ErrorCode::Store, message }));
}

/// How the index behind statements stands, for `status`.
pub(crate) type IndexTold = Arc<Mutex<IndexStatus>>;

/// The thread that reads blocks: its view of the store, and what it has learnt from it.
pub(crate) struct BlockReader {
    store: Box<dyn BlockSource>,
    statements: Statements,
    appended: Receiver<SealedBlock>,
    life: Arc<Life>,
    to_check: Arc<ToCheck>,
    checking: Checking,
    /// A client's job that goes on after the peers' jobs.
    begun: Option<Job>,
    told: IndexTold,
}

impl BlockReader {
    /// Creates a reader of a server's store, and of the checks that its loads leave. `appended` brings blocks that
    /// are in the store, as many as there is room for.
    pub(crate) fn new(
        statements: Statements,
        store: Box<dyn BlockSource>,
        appended: Receiver<SealedBlock>,
        life: Arc<Life>,
        to_check: Arc<ToCheck>,
    ) -> BlockReader {
        let (checking, begun, told) = (Checking::default(), None, Arc::default());
        BlockReader { store, statements, appended, life, to_check, checking, begun, told }
    }

    /// Returns the place where it tells how the index stands.
    pub(crate) fn told(&self) -> IndexTold {
        Arc::clone(&self.told)
    }

    /// Does jobs until the event loop gives no more. Meanwhile it checks the chain, if a check was left,
    /// and keeps the index of statements.
    pub(crate) fn run(&mut self, to_do: &ToDo) {
        let mut rest_until = Instant::now() + LOOK;
        loop {
            match to_do.for_peers.try_recv() {
                Ok(job) => {
                    self.work(job);
                    continue;
                }
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {}
            }
            if let Some(job) = self.begun.take() {
                self.work(job);
                continue;
            }
            select! {
                recv(to_do.for_peers) -> job => match job {
                    Ok(job) => self.work(job),
                    Err(_) => return,
                },
                recv(to_do.for_clients) -> job => match job {
                    Ok(job) => self.work(job),
                    Err(_) => return,
                },
                // A block that is read and parsed already costs little: so it needn't wait, and must not, or
                // there would soon be no room for the next ones.
                recv(self.appended) -> block => match block {
                    Ok(block) => self.statements.follow(&[block]),
                    Err(_) => self.appended = never(),
                },
                default(rest_until.saturating_duration_since(Instant::now())) => {
                    rest_until = Instant::now() + self.walk();
                }
            }
        }
    }

    /// Reads one piece of the chain; returns how long to leave the processor to others.
    fn walk(&mut self) -> Duration {
        let begun = Instant::now();
        let outcome = self.check_or_index();
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = self.statements.standing();
        match outcome {
            Ok(true) => begun.elapsed() * (READING_SHARE - 1),
            Ok(false) => LOOK,
            Err(error) => {
                log::debug!("the chain can't be read in the background: {error}");
                LOOK
            }
        }
    }

    /// Checks the next blocks, and indexes them if they are next in the index; without a check, indexes.
    /// True if there were any.
    fn check_or_index(&mut self) -> Result<bool, StoreError> {
        let Some(next) = self.checking.wants(&self.to_check) else {
            return self.statements.index_piece(&mut *self.store);
        };
        let blocks = match self.store.blocks(next, self.checking.last(), PIECE_TO_CHECK) {
            Err(error @ StoreError::Corrupt { .. }) => {
                self.end(ExitReason::Store(Arc::new(error)));
                return Ok(false);
            }
            // The check waits for what a peer may send; the index needn't.
            Err(StoreError::Past { .. }) => return self.statements.index_piece(&mut *self.store),
            blocks => blocks?,
        };
        self.statements.follow(&blocks);
        self.statements.follow_segments(&*self.store);
        if let Err(reason) = self.checking.take(&blocks, &*self.store) {
            self.end(reason);
        }
        Ok(!blocks.is_empty())
    }

    fn end(&self, reason: ExitReason) {
        log::error!("this server ends: {reason}");
        self.life.end(reason);
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::ForPeer { sender, from, up_to } => self.for_peer(&sender, from, up_to),
            Job::ForClient { reply_sender, id, .. } if reply_sender.queued() >= MAX_UNREAD => {
                decline(&reply_sender, id, "read the earlier replies first");
            }
            Job::ForClient { ref query, .. } if self.has_to_index(query) => {
                match self.statements.index_piece(&mut *self.store) {
                    Ok(true) => self.begun = Some(job),
                    // There is nothing more to index.
                    Ok(false) => self.answer_client(job),
                    Err(error) => {
                        log::warn!("the chain can't be read: {error}");
                        job.fail(&error);
                    }
                }
            }
            job => self.answer_client(job),
        }
    }

    /// True if the index lacks blocks that a client asks about.
    fn has_to_index(&self, query: &Query) -> bool {
        match query {
            Query::History { state, .. } => !self.statements.covers(state.blocks),
            Query::Chain { .. } => false,
        }
    }

    fn answer_client(&mut self, job: Job) {
        match job {
            Job::ForPeer { .. } => {}
            Job::ForClient { ref reply_sender, id, ref query } => {
                match self.answer((reply_sender.tags(), id), query) {
                    Ok(answer) => reply_sender.send(answer),
                    Err(error) => {
                        log::warn!("a client's question can't be answered: {error}");
                        job.fail(&error);
                    }
                }
            }
        }
    }

    /// Answers a client. If the store fails, the request's name is still there for whoever tells the client so.
    fn answer(
        &mut self,
        (tags, number): (&Tags, Option<u64>),
        query: &Query,
    ) -> Result<Outgoing, StoreError> {
        Ok(match query {
            Query::Chain { from, to } => {
                let blocks = self.store.blocks(*from, *to, PIECE_FOR_CLIENT)?;
                let more = blocks.last().is_some_and(|last| last.height() < *to);
                Outgoing::Text(encode_chain(tags.take(number).as_ref(), &blocks, more))
            }
            Query::History { account, before, limit, state } => {
                let store = &mut *self.store;
                let page = self.statements.page(store, account, *before, *limit, state)?;
                Outgoing::Reply(tags.take(number), page)
            }
        })
    }

    fn for_peer(&mut self, sender: &PeerSender, from: u64, up_to: u64) {
        let blocks: Vec<SealedBlock> = match self.store.blocks(from, up_to, PIECE_FOR_PEER) {
            Ok(blocks) => blocks,
            Err(error) => {
                return log::warn!("blocks {from} to {up_to} can't be read for a peer: {error}");
            }
        };
        sender.send(Message::BlocksResponse { blocks });
    }
}

#[cfg(test)]
#[path = "block_reader_tests.rs"]
mod tests;
