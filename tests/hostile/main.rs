//! What peers and clients may send without taking a server down, or wedging it.

mod blocks;
mod instructions;
mod votes;

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{Block, BlockHash, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::blockchain::chain::Chain;
use paxos_banking::bank::effects::{Bound, Event, Receipt, Timer, WaitId, Write};
use paxos_banking::bank::ids::{
    ConnectionId, InstanceId, LifeId, RequestId, ServerId, SessionName, TurnNumber,
};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Position, Record, Via};
use paxos_banking::bank::ledger::pages::Page;
use paxos_banking::bank::ledger::secret::Secret;
use paxos_banking::bank::limits::Limits;
use paxos_banking::bank::paxos::ballot::Ballot;
use paxos_banking::bank::paxos::message::{Configuration, Hello, Message, Standing, Vote};
use paxos_banking::bank::request::{Instruction, Reply, Request};
use paxos_banking::bank::server::recovery::Recovery;
use paxos_banking::bank::server::settling::Habit;
use paxos_banking::bank::server::{Config, Server};
use paxos_banking::bank::stored::Stored;

const OF_B: ConnectionId = ConnectionId(1);
const CLIENT: ConnectionId = ConnectionId(9);
const EXTREMES: [u64; 4] = [0, 1, 2, u64::MAX];

fn id(name: &str) -> ServerId {
    name.parse().unwrap()
}

fn configuration() -> Configuration {
    let opening_balance = Amount::new(100).unwrap();
    Configuration { servers: vec![id("A"), id("B"), id("C")], opening_balance }
}

fn genesis() -> SealedBlock {
    let instances = [("A", 1), ("B", 2), ("C", 3)].map(|(name, n)| (id(name), InstanceId(n)));
    let opening_balance = configuration().opening_balance;
    let servers = BTreeMap::from(instances);
    SealedBlock::genesis(Genesis { format: FORMAT, opening_balance, servers })
}

fn hello(of: &str, founded: bool) -> Hello {
    let instance = InstanceId(of.bytes().map(|b| u64::from(b - b'A') + 1).sum());
    let standing = Standing {
        genesis: founded.then(|| genesis().hash()),
        active: founded,
        height: 0,
        turn: TurnNumber(3),
        position: Position::START,
    };
    Hello {
        version: FORMAT,
        id: id(of),
        instance,
        life: LifeId(7),
        lives: vec![(LifeId(7), TurnNumber(1))],
        configuration: configuration(),
        standing,
        knows_you_as: founded.then_some(InstanceId(1)),
        rejoins: false,
        saw_you_at: None,
    }
}

/// Server A, open or yet to be founded.
fn server_a(founded: bool) -> Server {
    let blocks = if founded { vec![genesis()] } else { Vec::new() };
    let chain = blocks.first().map(|block| Chain::found(block).unwrap());
    let opening: Vec<_> = chain.iter().flat_map(Chain::opening_balances).collect();
    let stored = Stored {
        lives: vec![(LifeId(5), TurnNumber(1))],
        turn: TurnNumber(1),
        active: founded,
        blocks: blocks.len() as u64,
        pages: u64::from(founded),
        included: chain.iter().flat_map(|chain| chain.all_included().clone()).collect(),
        instances: chain.iter().flat_map(|chain| chain.all_instances().clone()).collect(),
        ..Stored::empty(InstanceId(1))
    };
    let addresses = configuration().servers.into_iter().map(|id| (id, String::new()));
    let config = Config {
        id: id("A"),
        configuration: configuration(),
        addresses: addresses.collect(),
        rejoin: false,
        bank: None,
        habit: Habit::default(),
        limits: Limits::default(),
    };
    let mut recovery = Recovery::begin(config, stored).unwrap();
    for block in blocks {
        recovery.append(block).unwrap();
        recovery.page(&Page { number: 0, height: 0, balances: opening.clone() }).unwrap();
    }
    recovery.finish(Secret([1, 1])).unwrap()
}

/// Server A, open, with B connected both ways.
fn open_server() -> Server {
    let mut server = server_a(true);
    server.handle(Event::Greeted(OF_B, hello("B", true)));
    server.handle(Event::LinkUp(id("B")));
    server.handle(Event::LinkAnswered(id("B"), Message::Hello(hello("B", true))));
    end_turn(&mut server);
    server
}

/// Ends a turn; returns what it wrote and what was bound to that.
fn end_turn(server: &mut Server) -> (Vec<Write>, Vec<Bound>) {
    let turn = server.end_turn();
    assert_eq!(turn.stop, None);
    let receipt = (!turn.batch.writes.is_empty()).then(|| Receipt::durable(turn.batch.number));
    (turn.batch.writes, turn.bound.release(receipt))
}

/// Goes on until nothing is left to be said to itself; returns the rest.
fn settle_down(server: &mut Server) -> Vec<Bound> {
    run_out(server).1
}

/// The same, with what was written.
fn run_out(server: &mut Server) -> (Vec<Write>, Vec<Bound>) {
    let (mut written, mut said) = (Vec::new(), Vec::new());
    loop {
        let (writes, bound) = end_turn(server);
        let (own, rest): (Vec<Bound>, Vec<Bound>) =
            bound.into_iter().partition(|bound| matches!(bound, Bound::Own(_)));
        written.extend(writes);
        said.extend(rest);
        if own.is_empty() {
            return (written, said);
        }
        for bound in own {
            if let Bound::Own(message) = bound {
                server.handle(Event::Own(message));
            }
        }
    }
}

fn ballot(round: u64, server: &str) -> Ballot {
    Ballot { round, server: id(server), life: LifeId(7) }
}

fn pays(from: &str, to: &str, amount: u64) -> Action {
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    Action::Transfer { from, to, amount: Amount::new(amount).unwrap() }
}

fn opens(account: &str) -> Action {
    Action::Open { account: account.parse().unwrap() }
}

fn numbered(action: Action, number: u64) -> Instruction {
    let name = SessionName { server: id("A"), epoch: 1, opened_at: 0, bits: LifeId(5), count: 1 };
    let session = name.into();
    Instruction { request: Some(RequestId { session, number }), ..Instruction::plain(action) }
}

fn overdraft(server: &mut Server) {
    let instruction = numbered(pays("A", "B", 500), 1);
    server.handle(Event::Request(CLIENT, Some(1), Request::One(instruction)));
}

/// An element of which nothing waited and nothing is linked.
fn element(seq: u64, actions: impl IntoIterator<Item = Action>) -> Element {
    let record = |action| Record { action, request: None, via: Via::Local, linked: false };
    let records = actions.into_iter().map(record).collect();
    Element::seal(Position { epoch: 1, seq }, records)
}

fn block_of(height: u64, logs: BTreeMap<ServerId, Vec<Element>>) -> SealedBlock {
    let (previous, proposer) = (genesis().hash(), Some(id("B")));
    SealedBlock::seal(Block { height, previous, proposer, genesis: None, logs })
}

fn block(height: u64) -> SealedBlock {
    block_of(height, BTreeMap::new())
}

/// One of each, about this height and round.
fn messages(height: u64, round: u64) -> Vec<Message> {
    let (ballot, instance, hash) = (ballot(round, "B"), InstanceId(2), BlockHash::NONE);
    let own = Ballot { server: id("A"), life: LifeId(5), ..ballot.clone() };
    let known = BTreeMap::from([(id("A"), height), (id("Z"), height)]);
    let vote = Vote::Accepted { ballot: ballot.clone(), block: block(height) };
    vec![
        Message::Prepare {
            height,
            ballot: ballot.clone(),
            previous: genesis().hash(),
            known: known.clone(),
            asks: BTreeSet::new(),
        },
        Message::Prepare {
            height,
            ballot: own.clone(),
            previous: hash,
            known,
            asks: BTreeSet::from(["A", "B", "B/x", "Z/z"].map(|name| name.parse().unwrap())),
        },
        Message::Promise { height, ballot: own.clone(), instance, waiting: true, vote },
        Message::Accept { height, ballot: ballot.clone(), block: block(height) },
        Message::Accepted { height, ballot: own.clone(), hash, instance },
        Message::Commit { height, hash },
        Message::Nack { height, ballot: own, promised: ballot, waiting: true },
        Message::ReconcileRequest,
        Message::ReconcileAck { height },
        Message::BlocksRequest { from: height, to: round },
        Message::BlocksResponse { blocks: vec![block(height)] },
    ]
}

/// Timers that may go off at any time, whether they were set or not.
fn late_timers() -> Vec<Timer> {
    let mut timers = vec![Timer::Reconcile, Timer::FinishRound, Timer::Repeat];
    timers.extend([Timer::LookUp, Timer::Rest, Timer::Settle, Timer::Gather { covered: false }]);
    for wait in EXTREMES.map(WaitId) {
        timers.extend([Timer::Deadline(wait), Timer::Patience { wait, ms: u64::MAX }]);
    }
    timers
}

#[test]
fn no_number_in_a_message_takes_a_server_down() {
    for height in EXTREMES {
        for round in EXTREMES {
            for message in messages(height, round) {
                for waits in [false, true] {
                    let mut server = open_server();
                    if waits {
                        overdraft(&mut server);
                    }
                    server.handle(Event::Received(OF_B, message.clone()));
                    settle_down(&mut server);
                    overdraft(&mut server);
                    for timer in late_timers() {
                        server.handle(Event::Timer(timer));
                    }
                    for attempt in 0..5 {
                        server.handle(Event::Timer(Timer::BackOff { attempt }));
                    }
                    settle_down(&mut server);
                }
            }
        }
    }
}

#[test]
fn what_is_said_of_long_words_is_short() {
    let mut server = server_a(true);
    let reason = "x".repeat(1 << 20);
    server.handle(Event::LinkUp(id("B")));
    let reject = Message::Reject { reason, hello: hello("B", true) };
    server.handle(Event::LinkAnswered(id("B"), reject));
    let mut crowded = hello("C", true);
    crowded.configuration.servers = (0..100_000).map(|number| id(&format!("S{number}"))).collect();
    server.handle(Event::Greeted(ConnectionId(2), crowded.clone()));
    server.handle(Event::LinkUp(id("C")));
    server.handle(Event::LinkAnswered(id("C"), Message::Hello(crowded)));
    let turn = server.end_turn();
    assert!(turn.notes.len() >= 3);
    for note in turn.notes {
        assert!(note.text.len() < 1_000, "{} bytes", note.text.len());
    }
    for bound in turn.bound.release(None) {
        if let Bound::Answer(_, Message::Reject { reason, .. }) = bound {
            assert!(reason.len() < 1_000, "{} bytes", reason.len());
        }
    }
}

#[test]
fn a_round_that_nobody_can_have_reached_is_not_promised() {
    let mut server = open_server();
    let known = BTreeMap::new();
    let prepare = |ballot| Message::Prepare {
        height: 1,
        ballot,
        previous: genesis().hash(),
        known: known.clone(),
        asks: BTreeSet::new(),
    };
    server.handle(Event::Received(OF_B, prepare(ballot(u64::MAX, "B"))));
    assert_eq!(end_turn(&mut server).0, [], "no such round");
    server.handle(Event::Received(OF_B, prepare(ballot(5, "C"))));
    assert_eq!(end_turn(&mut server).0, [], "not B's to propose in");
    server.handle(Event::Received(OF_B, prepare(ballot(5, "B"))));
    assert_eq!(end_turn(&mut server).0, [Write::Promise(ballot(5, "B"))]);
}

#[test]
fn a_list_is_answered_even_if_it_is_empty_or_names_a_waiting_transfer_twice() {
    let mut server = open_server();
    server.handle(Event::Request(CLIENT, Some(1), Request::Batch(Vec::new())));
    let empty = Reply::Batch { outcomes: Vec::new() };
    assert_eq!(settle_down(&mut server), [Bound::Reply(CLIENT, Some(1), empty)]);

    let twice = vec![numbered(pays("A", "B", 500), 1), numbered(pays("A", "B", 500), 1)];
    server.handle(Event::Request(CLIENT, Some(2), Request::Batch(twice)));
    settle_down(&mut server);
    let mut replies = Vec::new();
    for number in 1..=2 {
        let deadline = Timer::Deadline(WaitId(number));
        server.handle(Event::Timer(deadline));
        replies.extend(settle_down(&mut server));
    }
    let is_answer = |bound: &&Bound| match bound {
        Bound::Reply(CLIENT, Some(2), Reply::Batch { outcomes }) => outcomes.len() == 2,
        _ => false,
    };
    assert_eq!(replies.iter().filter(is_answer).count(), 1, "{replies:?}");
}

#[test]
fn a_greeting_that_comes_late_does_not_replace_a_newer_connection() {
    let mut server = server_a(true);
    let (older, newer) = (ConnectionId(1), ConnectionId(2));
    server.handle(Event::Greeted(newer, hello("B", true)));
    server.handle(Event::Greeted(older, hello("B", true)));
    server.handle(Event::Closed(older));
    server.handle(Event::Received(newer, Message::ReconcileRequest));
    server.handle(Event::Request(CLIENT, None, Request::Status));
    let said = settle_down(&mut server);
    let Some(Bound::Reply(_, _, Reply::Status(status))) = said.last() else { panic!("{said:?}") };
    assert!(status.peers[0].connected, "B speaks on its newer connection");
}

#[test]
fn a_peer_that_lost_block_0_before_anybody_got_it_does_not_hold_up_the_founding() {
    let mut server = server_a(false);
    server.handle(Event::Greeted(ConnectionId(1), hello("B", true)));
    server.handle(Event::Greeted(ConnectionId(2), hello("C", false)));
    let wiped = Hello { instance: InstanceId(22), ..hello("B", false) };
    server.handle(Event::Greeted(ConnectionId(3), wiped));
    let founded = |write: &Write| matches!(write, Write::Append { .. });
    assert!(end_turn(&mut server).0.iter().any(founded), "all instances are known");
}

#[test]
fn no_bank_is_founded_with_more_money_than_can_be_counted() {
    let opening_balance = Amount::MAX;
    let servers = BTreeMap::from([(id("A"), InstanceId(1)), (id("B"), InstanceId(2))]);
    let genesis = SealedBlock::genesis(Genesis { format: FORMAT, opening_balance, servers });
    assert!(Chain::found(&genesis).is_err());
}
