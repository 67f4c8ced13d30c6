//! What the block reader reads, for whom, and in which order.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;

use super::*;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, BlockHash};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position, Record};
use crate::bank::request::AccountState;
use crate::node::link::Link;
use crate::node::send_queue::Queued;
use crate::wire::Tag;

/// A chain, and the heights that were read of it.
struct Chain(Vec<SealedBlock>, Arc<Mutex<Vec<u64>>>);

impl BlockSource for Chain {
    fn blocks(&mut self, from: u64, _: u64, _: usize) -> Result<Vec<SealedBlock>, StoreError> {
        let block = self.0.get(from as usize).cloned();
        self.1.lock().unwrap().extend(block.iter().map(SealedBlock::height));
        Ok(block.into_iter().collect())
    }
}

/// Makes a block in which A pays B 1.
fn block(height: u64) -> SealedBlock {
    let (from, to) = ("A".parse().unwrap(), "B".parse().unwrap());
    let action = Action::Transfer { from, to, amount: Amount::new(1).unwrap() };
    let record = Record::plain(action);
    let element = Element::seal(Position { epoch: 1, seq: height + 1 }, vec![record]);
    let logs = BTreeMap::from([("A".parse().unwrap(), vec![element])]);
    let (previous, proposer) = (BlockHash::NONE, None);
    SealedBlock::seal(Block { height, previous, proposer, genesis: None, opening: None, logs })
}

/// Checks that a reader of a chain of six blocks indexes all of them when it is handed some, and which
/// blocks it reads for that.
fn reads_beside(handed: &[u64], expected: &[u64]) {
    let (to_reader, appended) = crossbeam_channel::bounded(APPENDED);
    handed.iter().for_each(|height| to_reader.send(block(*height)).unwrap());
    let (jobs, to_do) = Jobs::new();
    let read = Arc::new(Mutex::new(Vec::new()));
    let chain = Box::new(Chain((0..6).map(block).collect(), read.clone()));
    let (id, check) = ("A".parse().unwrap(), Arc::default());
    let mut reader =
        BlockReader::new(Statements::new(id, 1 << 20), chain, appended, Life::new(), check);
    thread::scope(|scope| {
        scope.spawn(|| reader.run(&to_do));
        let begun = Instant::now();
        while !to_reader.is_empty() || read.lock().unwrap().len() < expected.len() {
            assert!(begun.elapsed() < Duration::from_secs(60), "only {read:?} of {expected:?}");
            thread::sleep(Duration::from_millis(5));
        }
        drop(jobs);
    });
    assert!(reader.statements.covers(6) && !reader.statements.covers(7));
    assert_eq!(*read.lock().unwrap(), expected);
    let account = "B".parse().unwrap();
    let (committed, balance) = (Amount::new(106), Amount::new(106).unwrap());
    let state = AccountState { blocks: 6, committed, log: Vec::new(), older: false, balance };
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
    // A block that comes before its turn is read when its turn has come.
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
    let (reply_sender, outgoing) = ReplySender::new(Arc::new(listener.accept().unwrap().0));
    let ask = || {
        let query = Query::Chain { from: 0, to: 5 };
        Job::ForClient { reply_sender: reply_sender.clone(), id: Some(7), query }
    };
    let told = || match outgoing.try_iter().last() {
        Some(Queued::Item(Outgoing::Reply(Some(Tag::Number(7)), Reply::Error { message, .. }))) => {
            message
        }
        other => panic!("{other:?}"),
    };
    ask().decline();
    assert!(told().contains("too much is being read"));
    let (id, check) = ("A".parse().unwrap(), Arc::default());
    let mut reader = BlockReader::new(
        Statements::new(id, 1 << 20),
        Box::new(Broken),
        never(),
        Life::new(),
        check,
    );
    reader.work(ask());
    assert!(told().contains("the store gives no answer"));
    (0..MAX_UNREAD).for_each(|_| reply_sender.send(Outgoing::Text(String::new())));
    reader.work(ask());
    assert!(told().contains("read the earlier replies first"));
}

#[test]
fn peers_are_served_before_clients_and_have_a_queue_of_their_own() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = || {
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Arc::new(listener.accept().unwrap().0), theirs)
    };
    let ((client, _client), (peer, _peer)) = (socket(), socket());
    let (reply_sender, _outgoing) = ReplySender::new(client);
    let (link, _writer) = Link::new(1, &peer, None, None);
    let (jobs, to_do) = Jobs::new();
    // More than there is room for.
    for id in 0..=JOBS as u64 {
        let query = Query::Chain { from: 0, to: 0 };
        jobs.order(Job::ForClient { reply_sender: reply_sender.clone(), id: Some(id), query });
    }
    jobs.order(Job::ForPeer { sender: link.sender().clone(), from: 5, up_to: 5 });
    let read = Arc::new(Mutex::new(Vec::new()));
    let chain = Box::new(Chain((0..6).map(block).collect(), read.clone()));
    let (id, check, appended) = ("A".parse().unwrap(), Arc::default(), never());
    let mut reader =
        BlockReader::new(Statements::new(id, 1 << 20), chain, appended, Life::new(), check);
    thread::scope(|scope| {
        scope.spawn(|| reader.run(&to_do));
        let begun = Instant::now();
        while read.lock().unwrap().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is read");
            thread::sleep(Duration::from_millis(1));
        }
        drop(jobs);
    });
    assert_eq!(read.lock().unwrap()[0], 5, "the peer's first");
}
