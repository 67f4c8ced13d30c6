//! Reads the store for peers and clients, in pieces, apart from the event loop; and checks the chain that
//! a start left unread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::ServerId;
use crate::bank::paxos::message::Message;
use crate::bank::request::{ErrorCode, Query, Reply};
use crate::node::checking::{Checking, ToCheck};
use crate::node::life::{ExitReason, Life};
use crate::node::link::Post;
use crate::node::outlet::{Outgoing, Outlet};
use crate::node::statements::Statements;
use crate::store::{BlockSource, StoreError};
use crate::wire::encode_chain;

/// About how much of the chain goes to a peer at a time.
const PIECE_FOR_PEER: usize = 4 << 20;
/// About how much of the chain goes to a client at a time.
const PIECE_FOR_CLIENT: usize = 512 << 10;
/// A client that has so many replies unread gets nothing on top.
const MAX_UNREAD: usize = 8;
/// Jobs that may wait.
pub(crate) const JOBS: usize = 64;
/// Blocks that were just appended and may wait to be indexed. What finds no room is read from the store.
pub(crate) const APPENDED: usize = 8;
/// About how much of the chain is checked at a time.
const PIECE_TO_CHECK: usize = 256 << 10;
/// What is done in the background takes one part in so many of a processor's time.
const INDEX_SHARE: u32 = 10;
/// How often the reader looks whether the chain has grown.
const LOOK: Duration = Duration::from_millis(500);

/// What somebody is to get.
#[derive(Debug)]
pub(crate) enum Job {
    /// A client.
    ForClient {
        /// Where the reply goes.
        outlet: Outlet,
        /// The number of its request.
        id: Option<u64>,
        /// What it asks.
        query: Query,
    },
    /// A peer: blocks.
    ForPeer {
        /// The way to the link that was up when the job was given.
        post: Post,
        /// The first height.
        from: u64,
        /// The last height.
        up_to: u64,
    },
}

impl Job {
    /// There is no room for this job. A peer times out and asks again; a client is told.
    pub(crate) fn decline(self) {
        match self {
            Job::ForClient { outlet, id, .. } => decline(&outlet, id, "too much is being read"),
            Job::ForPeer { .. } => log::debug!("too many blocks are asked for: a peer has to wait"),
        }
    }
}

fn decline(outlet: &Outlet, id: Option<u64>, why: &str) {
    let message = format!("that can't be read now ({why}); try again");
    outlet.send(Outgoing::Reply(id, Reply::Error { error: ErrorCode::Store, message }));
}

/// The thread's own: its view of the store, and what it has learnt from that.
pub(crate) struct BlockReader {
    store: Box<dyn BlockSource>,
    statements: Statements,
    appended: Receiver<SealedBlock>,
    /// One of those, of which it is not the turn yet.
    ahead: Option<SealedBlock>,
    life: Arc<Life>,
    to_check: Arc<ToCheck>,
    checking: Checking,
}

impl BlockReader {
    /// A reader of the store of server `id`, and of what its loads leave to be checked; `appended`
    /// brings blocks that are in the store, as many as there is room for.
    pub(crate) fn new(
        id: ServerId,
        store: Box<dyn BlockSource>,
        appended: Receiver<SealedBlock>,
        life: Arc<Life>,
        to_check: Arc<ToCheck>,
    ) -> BlockReader {
        let (statements, checking) = (Statements::new(id), Checking::default());
        BlockReader { store, statements, appended, ahead: None, life, to_check, checking }
    }

    /// Does jobs until the event loop gives no more; meanwhile checks the chain, if that is to be done,
    /// and keeps the index of statements.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        let mut rest_until = Instant::now() + LOOK;
        loop {
            match jobs.recv_deadline(rest_until) {
                Ok(job) => self.work(job),
                Err(RecvTimeoutError::Timeout) => rest_until = Instant::now() + self.walk(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Walks over one piece of the chain; returns how long to leave the processor to others.
    fn walk(&mut self) -> Duration {
        let begun = Instant::now();
        match self.check_or_index() {
            Ok(true) => begun.elapsed() * (INDEX_SHARE - 1),
            Ok(false) => LOOK,
            Err(error) => {
                log::debug!("the chain can't be read in the background: {error}");
                LOOK
            }
        }
    }

    /// Checks the next blocks, and indexes them if it is their turn; or indexes. Says whether there were
    /// any.
    fn check_or_index(&mut self) -> Result<bool, StoreError> {
        let Some(next) = self.checking.wants(&self.to_check) else {
            if let Some(block) = self.next_appended() {
                self.statements.follow(&[block]);
                return Ok(true);
            }
            return self.statements.index_piece(&mut *self.store);
        };
        let blocks = match self.store.blocks(next, self.checking.last(), PIECE_TO_CHECK) {
            Err(error @ StoreError::Corrupt { .. }) => {
                self.end(ExitReason::Store(Arc::new(error)));
                return Ok(false);
            }
            blocks => blocks?,
        };
        self.statements.follow(&blocks);
        if let Err(reason) = self.checking.take(&blocks, &*self.store) {
            self.end(reason);
        }
        Ok(!blocks.is_empty())
    }

    /// The next block to be indexed, if the event loop has left it here.
    fn next_appended(&mut self) -> Option<SealedBlock> {
        let next = self.statements.next();
        let mut blocks = self.ahead.take().into_iter().chain(self.appended.try_iter());
        let block = blocks.find(|block| block.height() >= next)?;
        if block.height() == next {
            return Some(block);
        }
        self.ahead = Some(block);
        None
    }

    fn end(&self, reason: ExitReason) {
        log::error!("this server ends: {reason}");
        self.life.end(reason);
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::ForPeer { post, from, up_to } => self.for_peer(&post, from, up_to),
            Job::ForClient { outlet, id, .. } if outlet.queued() >= MAX_UNREAD => {
                decline(&outlet, id, "read the earlier replies first");
            }
            Job::ForClient { outlet, id, query } => match self.answer(id, &query) {
                Ok(answer) => outlet.send(answer),
                Err(error) => {
                    log::warn!("{query:?} can't be answered: {error}");
                    decline(&outlet, id, "the store gives no answer");
                }
            },
        }
    }

    fn answer(&mut self, id: Option<u64>, query: &Query) -> Result<Outgoing, StoreError> {
        Ok(match query {
            Query::Chain { from, to } => {
                let blocks = self.store.blocks(*from, *to, PIECE_FOR_CLIENT)?;
                let more = blocks.last().is_some_and(|last| last.height() < *to);
                Outgoing::Text(encode_chain(id, &blocks, more))
            }
            Query::History { account, before, limit, state } => {
                let store = &mut *self.store;
                let page = self.statements.page(store, account, *before, *limit, state)?;
                Outgoing::Reply(id, page)
            }
        })
    }

    fn for_peer(&mut self, post: &Post, from: u64, up_to: u64) {
        let blocks: Vec<SealedBlock> = match self.store.blocks(from, up_to, PIECE_FOR_PEER) {
            Ok(blocks) => blocks,
            Err(error) => {
                return log::warn!("blocks {from} to {up_to} can't be read for a peer: {error}");
            }
        };
        post.send(Message::BlocksResponse { blocks });
    }
}
