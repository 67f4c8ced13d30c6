//! Server A of a bank of three, and what B, C and clients may say to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, FORMAT, Genesis, SealedBlock};
use crate::bank::effects::Event;
use crate::bank::ids::{
    AccountId, ConnectionId, InstanceId, LifeId, Naming, RequestId, ServerId, SessionName,
    TurnNumber,
};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position, Record};
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Configuration, Hello, Message, Standing, Vote};
use crate::bank::request::Instruction;
use crate::bank::server::Config;

/// The connections from the peers, each of the number of its instance, and a client's.
pub const OF_B: ConnectionId = ConnectionId(2);
pub const OF_C: ConnectionId = ConnectionId(3);
pub const CLIENT: ConnectionId = ConnectionId(9);

/// What each account holds at the start, and what none can pay.
pub const OPENING: u64 = 10_000;
pub const TOO_MUCH: u64 = 20_000;

pub fn id(name: &str) -> ServerId {
    name.parse().unwrap()
}

pub fn units(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

pub fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

/// A is 1, B is 2, C is 3.
pub fn instance(name: &str) -> InstanceId {
    InstanceId(name.bytes().map(|byte| u64::from(byte - b'A') + 1).sum())
}

/// The connection from this peer: [`OF_B`] or [`OF_C`].
pub fn connection(peer: &ServerId) -> ConnectionId {
    ConnectionId(instance(&peer.to_string()).0)
}

pub fn configuration() -> Configuration {
    let servers = ["A", "B", "C"].map(id).to_vec();
    Configuration { servers, opening_balance: units(OPENING), issuing: false }
}

/// Returns what server A is told when it starts.
pub fn config() -> Config {
    super::config_of(&id("A"), &configuration().servers, OPENING)
}

pub fn genesis() -> SealedBlock {
    let servers = ["A", "B", "C"].map(|name| (id(name), instance(name)));
    let opening_balance = configuration().opening_balance;
    SealedBlock::genesis(Genesis {
        format: FORMAT,
        opening_balance,
        servers: BTreeMap::from(servers),
        keys: BTreeMap::new(),
        origin: None,
        issuing: false,
    })
}

pub fn standing(height: u64) -> Standing {
    Standing {
        genesis: Some(genesis().hash()),
        active: true,
        height,
        turn: TurnNumber(3),
        position: Position::START,
    }
}

/// Of a peer that holds block 0.
pub fn hello(of: &str) -> Hello {
    Hello {
        version: FORMAT,
        id: id(of),
        instance: instance(of),
        life: LifeId(7),
        lives: vec![(LifeId(7), TurnNumber(1))],
        configuration: configuration(),
        standing: standing(0),
        knows_you_as: Some(instance("A")),
        rejoins: false,
        saw_you_at: None,
        keys: false,
        origin: None,
        joins: false,
        addresses: BTreeMap::new(),
    }
}

/// Of a peer that holds nothing.
pub fn baby(of: &str) -> Hello {
    let standing = Standing { genesis: None, active: false, ..standing(0) };
    Hello { standing, knows_you_as: None, ..hello(of) }
}

/// Connects a peer in both directions: it greets A and answers A's greeting, each time with this hello.
pub fn greetings(hello: &Hello) -> [Event; 3] {
    let peer = hello.id.clone();
    let answer = Message::Hello(hello.clone());
    [
        Event::Greeted(connection(&peer), hello.clone()),
        Event::LinkUp(peer.clone()),
        Event::LinkAnswered(peer, answer),
    ]
}

pub fn ballot(round: u64, server: &str) -> Ballot {
    Ballot { round, server: id(server), life: LifeId(if server == "A" { 1 } else { 7 }) }
}

pub fn pays(from: &str, to: &str, amount: u64) -> Action {
    Action::Transfer { from: account(from), to: account(to), amount: units(amount) }
}

pub fn opens(name: &str) -> Action {
    Action::open(account(name))
}

/// Of something that happened alone, without a session.
pub fn record(action: Action) -> Record {
    Record::plain(action)
}

/// The entries of one turn, of which the first has this seq.
pub fn element_of(seq: u64, actions: impl IntoIterator<Item = Action>) -> Element {
    Element::seal(Position { epoch: 1, seq }, actions.into_iter().map(record).collect())
}

/// The first entry of a server's log: it pays A, or, if it is A's, B.
pub fn element(of: &str, amount: u64) -> Element {
    element_of(1, [pays(of, if of == "A" { "B" } else { "A" }, amount)])
}

/// B's block after another, with these servers' first entries.
pub fn block_after(previous: &SealedBlock, entries: &[(&str, u64)]) -> SealedBlock {
    block_of(previous, entries.iter().map(|(of, amount)| (*of, element(of, *amount))))
}

/// B's block after another, with an element of each of these servers.
pub fn block_of<'a>(
    previous: &SealedBlock,
    elements: impl IntoIterator<Item = (&'a str, Element)>,
) -> SealedBlock {
    let logs = elements.into_iter().map(|(of, element)| (id(of), vec![element]));
    SealedBlock::seal(Block {
        height: previous.height() + 1,
        previous: previous.hash(),
        proposer: Some(id("B")),
        genesis: None,
        opening: None,
        logs: logs.collect(),
    })
}

pub fn prepare(of: &str, round: u64, previous: &SealedBlock) -> Message {
    let (ballot, known, asks) = (ballot(round, of), BTreeMap::new(), BTreeSet::new());
    let height = previous.height() + 1;
    Message::Prepare { height, ballot, previous: previous.hash(), known, asks }
}

pub fn accept(of: &str, round: u64, block: &SealedBlock) -> Message {
    let (height, ballot) = (block.height(), ballot(round, of));
    Message::Accept { height, ballot, block: block.clone() }
}

pub fn commit(block: &SealedBlock) -> Message {
    Message::Commit { height: block.height(), hash: block.hash() }
}

/// What a server promises to A's run for block 1: its log.
pub fn promise(of: &str, round: u64, elements: Vec<Element>) -> Message {
    vote(of, round, Vote::Log { elements, cut: false, whole: None })
}

pub fn vote(of: &str, round: u64, vote: Vote) -> Message {
    let (ballot, instance) = (ballot(round, "A"), instance(of));
    Message::Promise { height: 1, ballot, instance, waiting: false, vote }
}

pub fn accepted(of: &str, round: u64, block: &SealedBlock) -> Message {
    let (height, ballot, hash) = (block.height(), ballot(round, "A"), block.hash());
    let (instance, beyond) = (instance(of), Some(Vec::new()));
    Message::Accepted { height, ballot, hash, instance, waiting: false, beyond }
}

/// The name of A's session that was opened as this one, before A had paid.
pub fn session(count: u64) -> SessionName {
    session_at(0, count)
}

/// The same, opened when A had so many entries.
pub fn session_at(opened_at: u64, count: u64) -> SessionName {
    let naming = Naming::ByServer { opened_at, bits: LifeId(1), count };
    SessionName { naming, server: id("A"), epoch: 1, owner: None }
}

/// A's session that its client named.
pub fn named_session(name: &str) -> SessionName {
    let naming = Naming::ByClient(name.parse().unwrap());
    SessionName { naming, ..session(1) }
}

/// In the first session of A's.
pub fn numbered(action: Action, number: u64) -> Instruction {
    let request = RequestId { session: session(1).into(), number };
    Instruction { request: Some(request), ..Instruction::plain(action) }
}

/// To B, in the first session of A's.
pub fn transfer(amount: u64, number: u64) -> Instruction {
    numbered(pays("A", "B", amount), number)
}
