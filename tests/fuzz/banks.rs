//! A server that is fed, and what must hold of it whatever it is fed.

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::blockchain::chain::Chain;
use paxos_banking::bank::effects::{Bound, Event, Level, Receipt, Timer, TimerCommand, Write};
use paxos_banking::bank::ids::{AccountId, ConnectionId, InstanceId, LifeId, ServerId, TurnNumber};
use paxos_banking::bank::ledger::entry::Position;
use paxos_banking::bank::ledger::pages::Page;
use paxos_banking::bank::ledger::secret::Secret;
use paxos_banking::bank::limits::Limits;
use paxos_banking::bank::paxos::message::{Configuration, Hello, Message, Standing};
use paxos_banking::bank::request::Reply;
use paxos_banking::bank::server::recovery::Recovery;
use paxos_banking::bank::server::settling::Habit;
use paxos_banking::bank::server::{Config, Server};
use paxos_banking::bank::stored::Stored;
use paxos_banking::wire::{encode_message, encode_reply};

use crate::target::Heard;

/// B's connection, and C's.
pub const PEERS: [ConnectionId; 2] = [ConnectionId(1), ConnectionId(2)];
/// A client's.
pub const CLIENT: ConnectionId = ConnectionId(9);
/// What every server's account holds at first.
pub const OPENING: u64 = 100;

pub fn id(name: &str) -> ServerId {
    name.parse().expect("a server's id")
}

pub fn configuration() -> Configuration {
    let opening_balance = Amount::new(OPENING).expect("an amount");
    Configuration { servers: vec![id("A"), id("B"), id("C")], opening_balance }
}

pub fn genesis() -> SealedBlock {
    let Configuration { servers, opening_balance } = configuration();
    let servers = servers.into_iter().zip((1..).map(InstanceId)).collect();
    SealedBlock::genesis(Genesis { format: FORMAT, opening_balance, servers })
}

/// How a server greets A.
pub fn hello(of: &str, instance: u64) -> Hello {
    let standing = Standing {
        genesis: Some(genesis().hash()),
        active: true,
        height: 0,
        turn: TurnNumber(3),
        position: Position::START,
    };
    Hello {
        version: FORMAT,
        id: id(of),
        instance: InstanceId(instance),
        life: LifeId(7),
        lives: vec![(LifeId(7), TurnNumber(1))],
        configuration: configuration(),
        standing,
        knows_you_as: Some(InstanceId(1)),
        rejoins: false,
        saw_you_at: None,
    }
}

/// What a server A is told when it starts.
pub fn config() -> Config {
    let addresses = configuration().servers.into_iter().map(|id| (id, "127.0.0.1:1".to_owned()));
    Config {
        id: id("A"),
        configuration: configuration(),
        addresses: addresses.collect(),
        rejoin: false,
        bank: None,
        habit: Habit::default(),
        limits: Limits::default(),
    }
}

/// Server A of an open bank, both ways connected to B and C.
pub struct Bank {
    server: Server,
    committed: BTreeMap<AccountId, Amount>,
    timers: BTreeSet<Timer>,
}

impl Bank {
    pub fn open() -> Bank {
        let chain = Chain::found(&genesis()).expect("a genesis");
        let opening: Vec<_> = chain.opening_balances().collect();
        let stored = Stored {
            lives: vec![(LifeId(5), TurnNumber(1))],
            turn: TurnNumber(1),
            active: true,
            blocks: 1,
            pages: 1,
            included: chain.all_included().clone(),
            instances: chain.all_instances().clone(),
            ..Stored::empty(InstanceId(1))
        };
        let mut recovery = Recovery::begin(config(), stored).expect("a good store");
        recovery.append(genesis()).expect("a good block");
        let page = Page { number: 0, height: 0, balances: opening.clone() };
        recovery.page(&page).expect("a good page");
        let server = recovery.finish(Secret([1, 1])).expect("a good store");
        let committed = opening.into_iter().collect();
        let mut bank = Bank { server, committed, timers: BTreeSet::new() };
        for ((name, instance), connection) in [("B", 2), ("C", 3)].into_iter().zip(PEERS) {
            bank.server.handle(Event::Greeted(connection, hello(name, instance)));
            bank.server.handle(Event::LinkUp(id(name)));
            let answer = Message::Hello(hello(name, instance));
            bank.server.handle(Event::LinkAnswered(id(name), answer));
        }
        bank.settle_down(&Heard::default());
        bank
    }

    /// Lets it have something, and goes on until it has nothing more to say to itself. False if it
    /// stopped.
    pub fn handle(&mut self, event: Event, heard: &Heard) -> bool {
        self.server.handle(event);
        self.settle_down(heard)
    }

    /// Lets all timers run out that are set now. False if it stopped.
    pub fn wait(&mut self, heard: &Heard) -> bool {
        let timers = std::mem::take(&mut self.timers);
        timers.into_iter().all(|timer| self.handle(Event::Timer(timer), heard))
    }

    fn settle_down(&mut self, heard: &Heard) -> bool {
        loop {
            let turn = self.server.end_turn();
            for note in turn.notes.iter().filter(|note| note.level == Level::Warning) {
                heard.refused(&note.text);
            }
            if let Some(stop) = turn.stop {
                heard.refused(&stop.reason);
                return false;
            }
            for command in turn.timers {
                match command {
                    TimerCommand::Set(timer) => drop(self.timers.insert(timer)),
                    TimerCommand::Cancel(timer) => drop(self.timers.remove(&timer)),
                }
            }
            turn.free.iter().for_each(|(_, message)| assert_one_line(&encode_message(message)));
            turn.batch.writes.iter().for_each(|write| self.keep(write, heard));
            let receipt =
                (!turn.batch.writes.is_empty()).then(|| Receipt::durable(turn.batch.number));
            let mut own = Vec::new();
            for bound in turn.bound.release(receipt) {
                match bound {
                    Bound::Own(message) => own.push(message),
                    bound => hear(&bound, heard),
                }
            }
            if own.is_empty() {
                return true;
            }
            own.into_iter().for_each(|message| self.server.handle(Event::Own(message)));
        }
    }

    /// Money neither comes from nowhere nor goes there.
    fn keep(&mut self, write: &Write, heard: &Heard) {
        heard.accepted(match write {
            Write::Log(_) => "writes an entry",
            Write::Promise(_) => "writes a promise",
            Write::Accept { .. } => "writes an accepted block",
            Write::Append { .. } => "writes a block",
            Write::Activate => "writes that it is open",
        });
        let Write::Append { pages, .. } = write else { return };
        self.committed.extend(pages.iter().flat_map(|page| page.balances.clone()));
        let total: u64 = self.committed.values().map(|amount| amount.units()).sum();
        assert_eq!(total, 3 * OPENING, "the total changed: {:?}", self.committed);
    }
}

fn hear(bound: &Bound, heard: &Heard) {
    match bound {
        Bound::Reply(_, number, reply) => hear_reply(*number, reply, heard),
        Bound::Read { query, .. } => {
            let query = format!("{query:?}");
            heard.accepted(format!("reads {}", query.split(' ').next().unwrap_or_default()));
        }
        Bound::Peer(_, message) | Bound::Answer(_, message) => {
            assert_one_line(&encode_message(message));
            match message {
                Message::Reject { reason, .. } => heard.refused(reason),
                // It says so whatever it hears.
                Message::Heartbeat(_) => {}
                message => heard.accepted(format!("says {}", message.name())),
            }
        }
        Bound::SendBlocks { .. } => heard.accepted("sends blocks"),
        Bound::Own(_) => {}
    }
}

/// What a client hears is one line, and an error in it says something.
pub fn hear_reply(number: Option<u64>, reply: &Reply, heard: &Heard) {
    let line = encode_reply(number, reply);
    assert_one_line(&line);
    let value: serde_json::Value = serde_json::from_str(&line).expect("a reply is JSON");
    assert_eq!(value["id"].as_u64(), number, "{line}");
    let field = |name: &str| value[name].as_str().map(str::to_owned);
    match (reply, field("outcome")) {
        (Reply::Error { message, .. }, _) => heard.refused(message),
        (_, Some(outcome)) if outcome == "accepted" => heard.accepted("a transfer"),
        (_, Some(_)) => heard.refused(&field("reason").expect("a reason")),
        (Reply::Batch { outcomes }, _) if outcomes.is_empty() => heard.accepted("an empty batch"),
        (Reply::Batch { .. }, _) => heard.accepted("a batch"),
        (Reply::Balance { .. }, _) => heard.accepted("a balance"),
        (Reply::Status(_), _) => heard.accepted("a status"),
        (Reply::Session { .. }, _) => heard.accepted("a session"),
        (Reply::Accounts { .. }, _) => heard.accepted("a list of accounts"),
        _ => heard.accepted("another reply"),
    }
}

fn assert_one_line(line: &str) {
    let inside = line.strip_suffix('\n').expect("a line ends in a newline");
    assert!(!inside.is_empty() && !inside.contains('\n'), "not one line: {line:?}");
}
