//! Reads the store for peers and clients, in pieces, apart from the event loop; and checks the chain that
//! a start left unread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};

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
/// Blocks that were just appended and may wait to be indexed. What finds no room is read from the store,
/// and so is what comes after it until the index has caught up.
pub(crate) const APPENDED: usize = 8;
/// About how much of the chain is checked at a time.
const PIECE_TO_CHECK: usize = 256 << 10;
/// What is read in the background takes one part in so many of a processor's time.
const READING_SHARE: u32 = 10;
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
        BlockReader { store, statements, appended, life, to_check, checking }
    }

    /// Does jobs until the event loop gives no more; meanwhile checks the chain, if that is to be done,
    /// and keeps the index of statements.
    pub(crate) fn run(&mut self, jobs: &Receiver<Job>) {
        let mut rest_until = Instant::now() + LOOK;
        loop {
            select! {
                recv(jobs) -> job => match job {
                    Ok(job) => self.work(job),
                    Err(_) => return,
                },
                // Read and parsed already, it costs little: so it needn't wait, and must not, or there
                // would soon be no room for the next ones.
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

    /// Walks over one piece of the chain; returns how long to leave the processor to others.
    fn walk(&mut self) -> Duration {
        let begun = Instant::now();
        match self.check_or_index() {
            Ok(true) => begun.elapsed() * (READING_SHARE - 1),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Mutex;
    use std::thread;

    use super::*;
    use crate::bank::amount::Amount;
    use crate::bank::blockchain::block::{Block, BlockHash};
    use crate::bank::ledger::element::Element;
    use crate::bank::ledger::entry::{Action, Position, Record, Via};
    use crate::bank::request::AccountState;

    /// A chain, and the heights that were read of it.
    struct Chain(Vec<SealedBlock>, Arc<Mutex<Vec<u64>>>);

    impl BlockSource for Chain {
        fn blocks(&mut self, from: u64, _: u64, _: usize) -> Result<Vec<SealedBlock>, StoreError> {
            let block = self.0.get(from as usize).cloned();
            self.1.lock().unwrap().extend(block.iter().map(SealedBlock::height));
            Ok(block.into_iter().collect())
        }
    }

    /// In each block A pays B 1.
    fn block(height: u64) -> SealedBlock {
        let (from, to) = ("A".parse().unwrap(), "B".parse().unwrap());
        let action = Action::Transfer { from, to, amount: Amount::new(1).unwrap() };
        let record = Record { action, request: None, via: Via::Local, linked: false };
        let element = Element::seal(Position { epoch: 1, seq: height + 1 }, vec![record]);
        let logs = BTreeMap::from([("A".parse().unwrap(), vec![element])]);
        let (previous, proposer) = (BlockHash::NONE, None);
        SealedBlock::seal(Block { height, previous, proposer, genesis: None, logs })
    }

    /// A reader of a chain of six blocks, of which these are handed to it, indexes all; for that it reads
    /// those.
    fn reads_beside(handed: &[u64], expected: &[u64]) {
        let (to_reader, appended) = crossbeam_channel::bounded(APPENDED);
        handed.iter().for_each(|height| to_reader.send(block(*height)).unwrap());
        let (to_jobs, jobs) = crossbeam_channel::bounded(1);
        let read = Arc::new(Mutex::new(Vec::new()));
        let chain = Box::new(Chain((0..6).map(block).collect(), read.clone()));
        let (id, check) = ("A".parse().unwrap(), Arc::default());
        let mut reader = BlockReader::new(id, chain, appended, Life::new(), check);
        thread::scope(|scope| {
            scope.spawn(|| reader.run(&jobs));
            let begun = Instant::now();
            while !to_reader.is_empty() || read.lock().unwrap().len() < expected.len() {
                assert!(begun.elapsed() < Duration::from_secs(60), "only {read:?} of {expected:?}");
                thread::sleep(Duration::from_millis(5));
            }
            drop(to_jobs);
        });
        assert_eq!(reader.statements.next(), 6);
        assert_eq!(*read.lock().unwrap(), expected);
        let account = "B".parse().unwrap();
        let state = AccountState { blocks: 6, committed: Amount::new(106), log: Vec::new() };
        let page = reader.statements.page(&mut *reader.store, &account, None, 9, &state).unwrap();
        let Reply::History { lines, .. } = page else { panic!("{page:?}") };
        let heights: Vec<_> = lines.iter().filter_map(|line| line.height).collect();
        assert_eq!(heights, [5, 4, 3, 2, 1, 0], "each once");
    }

    #[test]
    fn what_the_event_loop_hands_over_is_not_read_again() {
        reads_beside(&[], &[0, 1, 2, 3, 4, 5]);
        reads_beside(&[0, 1, 2, 3, 4, 5], &[]);
        reads_beside(&[0, 1], &[2, 3, 4, 5]);
        // What comes before its turn is read when that has come.
        reads_beside(&[0, 3], &[1, 2, 3, 4, 5]);
    }

    /// A source that gives no answer.
    struct Broken;

    impl BlockSource for Broken {
        fn blocks(&mut self, _: u64, _: u64, _: usize) -> Result<Vec<SealedBlock>, StoreError> {
            Err(StoreError::Failed("as the test wants it".into()))
        }
    }

    #[test]
    fn a_client_whose_question_is_not_answered_is_told_why() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (outlet, outgoing) = Outlet::new(Arc::new(listener.accept().unwrap().0));
        let ask = || {
            let query = Query::Chain { from: 0, to: 5 };
            Job::ForClient { outlet: outlet.clone(), id: Some(7), query }
        };
        let told = || match outgoing.try_iter().last() {
            Some(Outgoing::Reply(Some(7), Reply::Error { message, .. })) => message,
            other => panic!("{other:?}"),
        };
        ask().decline();
        assert!(told().contains("too much is being read"));
        let (id, check) = ("A".parse().unwrap(), Arc::default());
        let mut reader = BlockReader::new(id, Box::new(Broken), never(), Life::new(), check);
        reader.work(ask());
        assert!(told().contains("the store gives no answer"));
        (0..MAX_UNREAD).for_each(|_| outlet.send(Outgoing::Left));
        reader.work(ask());
        assert!(told().contains("read the earlier replies first"));
    }
}
