//! Server A of an open bank of three, played step by step: B and C are what a test says for them.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, FORMAT, Genesis, SealedBlock};
use crate::bank::blockchain::chain::Chain;
use crate::bank::effects::{Bound, Event, Stop, Timer, TimerCommand, Write};
use crate::bank::ids::{
    AccountId, ConnectionId, InstanceId, LifeId, RequestId, ServerId, SessionName, TurnNumber,
};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::ledger::pages::Page;
use crate::bank::limits::Limits;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Configuration, Hello, Message, Standing, Vote};
use crate::bank::request::{Instruction, Outcome, Reply, Request, Status};
use crate::bank::server::settling::Habit;
use crate::bank::server::{Config, Server};

use crate::disk::Disk;

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

pub fn configuration() -> Configuration {
    let servers = ["A", "B", "C"].map(id).to_vec();
    Configuration { servers, opening_balance: units(OPENING) }
}

pub fn config() -> Config {
    let address = |name: &str| (id(name), format!("{name}:7000"));
    Config {
        id: id("A"),
        configuration: configuration(),
        addresses: ["A", "B", "C"].map(address).into(),
        habit: Habit::default(),
        rejoin: false,
        bank: None,
        limits: Limits::default(),
    }
}

pub fn genesis() -> SealedBlock {
    let servers = ["A", "B", "C"].map(|name| (id(name), instance(name)));
    let opening_balance = configuration().opening_balance;
    SealedBlock::genesis(Genesis {
        format: FORMAT,
        opening_balance,
        servers: BTreeMap::from(servers),
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
    }
}

/// Of a peer that holds nothing.
pub fn baby(of: &str) -> Hello {
    let standing = Standing { genesis: None, active: false, ..standing(0) };
    Hello { standing, knows_you_as: None, ..hello(of) }
}

pub fn ballot(round: u64, server: &str) -> Ballot {
    Ballot { round, server: id(server), life: LifeId(if server == "A" { 1 } else { 7 }) }
}

pub fn pays(from: &str, to: &str, amount: u64) -> Action {
    Action::Transfer { from: account(from), to: account(to), amount: units(amount) }
}

pub fn opens(name: &str) -> Action {
    Action::Open { account: account(name) }
}

/// Of something that happened alone, without a session.
pub fn record(action: Action) -> Record {
    Record { action, request: None, via: Via::Local, linked: false }
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
    Message::Accepted { height, ballot, hash, instance: instance(of) }
}

/// In the first session of A's.
pub fn numbered(action: Action, number: u64) -> Instruction {
    let name = SessionName { server: id("A"), epoch: 1, opened_at: 0, bits: LifeId(1), count: 1 };
    let session = name.into();
    Instruction { request: Some(RequestId { session, number }), ..Instruction::plain(action) }
}

/// To B, in the first session of A's.
pub fn transfer(amount: u64, number: u64) -> Instruction {
    numbered(pays("A", "B", amount), number)
}

/// What came out of one event and of what the server then said to itself.
#[derive(Debug, Default)]
pub struct Said {
    pub writes: Vec<Write>,
    pub free: Vec<(ServerId, Message)>,
    pub timers: Vec<TimerCommand>,
    pub bound: Vec<Bound>,
    pub notes: Vec<String>,
    pub stop: Option<Stop>,
}

impl Said {
    /// The block that was proposed.
    pub fn proposal(&self) -> Option<SealedBlock> {
        self.free.iter().find_map(|(_, message)| match message {
            Message::Accept { block, .. } => Some(block.clone()),
            _ => None,
        })
    }

    /// Whom it asked for promises.
    pub fn asked(&self) -> Vec<ServerId> {
        let asks = |(_, message): &&(ServerId, Message)| matches!(message, Message::Prepare { .. });
        self.free.iter().filter(asks).map(|(to, _)| to.clone()).collect()
    }

    /// The bound messages to peers.
    pub fn told(&self) -> Vec<(ServerId, Message)> {
        let told = self.bound.iter().filter_map(|bound| match bound {
            Bound::Peer(to, message) => Some((to.clone(), message.clone())),
            _ => None,
        });
        told.collect()
    }

    pub fn replies(&self) -> Vec<Reply> {
        let replies = self.bound.iter().filter_map(|bound| match bound {
            Bound::Reply(_, _, reply) => Some(reply.clone()),
            _ => None,
        });
        replies.collect()
    }

    /// The outcomes of transfers and openings, alone or in lists.
    pub fn outcomes(&self) -> Vec<Outcome> {
        let outcomes = self.replies().into_iter().flat_map(|reply| match reply {
            Reply::One(outcome) => vec![outcome],
            Reply::Batch { outcomes } => outcomes,
            _ => Vec::new(),
        });
        outcomes.collect()
    }

    pub fn sets(&self, timer: Timer) -> bool {
        self.timers.contains(&TimerCommand::Set(timer))
    }

    pub fn cancels(&self, timer: Timer) -> bool {
        self.timers.contains(&TimerCommand::Cancel(timer))
    }

    pub fn appends(&self) -> bool {
        self.writes.iter().any(|write| matches!(write, Write::Append { .. }))
    }

    /// Some line for the log holds these words.
    pub fn notes(&self, words: &str) -> bool {
        self.notes.iter().any(|note| note.contains(words))
    }
}

/// Server A, and its disk.
pub struct Stage {
    pub disk: Disk,
    pub server: Server,
}

impl Stage {
    /// With nothing on its disk.
    pub fn baby() -> Stage {
        Stage::baby_as(config())
    }

    pub fn baby_as(config: Config) -> Stage {
        let mut disk = Disk::empty(1);
        let server = disk.load(config, 1);
        Stage { disk, server }
    }

    /// Of an open bank, with nobody connected.
    pub fn alone() -> Stage {
        Stage::alone_as(config())
    }

    pub fn alone_as(config: Config) -> Stage {
        let mut disk = Disk::empty(1);
        disk.chain.push(genesis());
        disk.stored.active = true;
        let chain = Chain::found(&genesis()).unwrap();
        let balances = chain.opening_balances().collect();
        disk.pages.insert(0, Page { number: 0, height: 0, balances });
        disk.stored.included = chain.all_included().clone();
        disk.stored.instances = chain.all_instances().clone();
        let server = disk.load(config, 1);
        let mut stage = Stage { disk, server };
        stage.turn();
        stage
    }

    /// Of an open bank, with B and C connected.
    pub fn open() -> Stage {
        Stage::open_as(config())
    }

    pub fn open_as(config: Config) -> Stage {
        let mut stage = Stage::alone_as(config);
        stage.meet("B");
        stage.meet("C");
        stage
    }

    /// A dies, and comes back with what is on its disk; B and C connect again.
    pub fn crash(&mut self) {
        self.server = self.disk.load(config(), 2);
        self.meet("B");
        self.meet("C");
    }

    /// Connections in both directions.
    pub fn meet(&mut self, peer: &str) -> Said {
        self.server.handle(Event::Greeted(ConnectionId(instance(peer).0), hello(peer)));
        self.server.handle(Event::LinkUp(id(peer)));
        self.handle(Event::LinkAnswered(id(peer), Message::Hello(hello(peer))))
    }

    /// Something happens, and the turn ends.
    pub fn handle(&mut self, event: Event) -> Said {
        self.server.handle(event);
        self.turn()
    }

    pub fn hear(&mut self, connection: ConnectionId, message: Message) -> Said {
        self.handle(Event::Received(connection, message))
    }

    /// A peer says that it holds these blocks, is asked for them, and sends them.
    pub fn fetch(&mut self, of: &str, blocks: &[SealedBlock]) -> Said {
        let connection = ConnectionId(instance(of).0);
        self.hear(connection, commit(blocks.last().expect("some")));
        self.hear(connection, Message::BlocksResponse { blocks: blocks.to_vec() })
    }

    pub fn time_out(&mut self, timer: Timer) -> Said {
        self.handle(Event::Timer(timer))
    }

    pub fn request(&mut self, request: Request) -> Said {
        self.handle(Event::Request(CLIENT, Some(1), request))
    }

    /// A pays B.
    pub fn pay(&mut self, amount: u64, number: u64) -> Said {
        self.request(Request::One(transfer(amount, number)))
    }

    /// The run so numbered hears both, who have this to promise, and is won.
    pub fn win(&mut self, round: u64, of_b: Vec<Element>, of_c: Vec<Element>) -> Said {
        self.hear(OF_B, promise("B", round, of_b));
        let said = self.hear(OF_C, promise("C", round, of_c));
        match said.proposal() {
            Some(block) => self.hear(OF_B, accepted("B", round, &block)),
            None => said,
        }
    }

    pub fn status(&mut self) -> Status {
        match self.request(Request::Status).replies().pop() {
            Some(Reply::Status(status)) => *status,
            other => panic!("no status: {other:?}"),
        }
    }

    /// Ends turns, and lets the server hear itself, until it is silent.
    pub fn turn(&mut self) -> Said {
        let mut said = Said::default();
        loop {
            let turn = self.server.end_turn();
            let receipt = (!turn.batch.writes.is_empty()).then(|| self.disk.commit(&turn.batch));
            said.writes.extend(turn.batch.writes);
            said.free.extend(turn.free);
            said.timers.extend(turn.timers);
            said.notes.extend(turn.notes.into_iter().map(|note| note.text));
            said.stop = said.stop.or(turn.stop);
            let mut own = Vec::new();
            for bound in turn.bound.release(receipt) {
                match bound {
                    Bound::Own(message) => own.push(message),
                    bound => said.bound.push(bound),
                }
            }
            if own.is_empty() {
                return said;
            }
            own.into_iter().for_each(|message| self.server.handle(Event::Own(message)));
        }
    }
}
