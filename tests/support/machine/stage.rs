//! Server A of an open bank of three, played step by step: B and C are what a test says for them.

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::effects::{Bound, Event, Stop, Timer, TimerCommand, Write};
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::ledger::element::Element;
use crate::bank::note::Note;
use crate::bank::paxos::message::Message;
use crate::bank::request::{Outcome, Reply, Request, Status};
use crate::bank::server::{Config, Server};

pub use super::bank_of_three::*;
use super::disk::Disk;

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

    /// It writes entries into its log.
    pub fn logs(&self) -> bool {
        self.writes.iter().any(|write| matches!(write, Write::Log(_)))
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
        Stage::alone_on(config, &genesis())
    }

    /// Of the bank with this block 0.
    pub fn alone_on(config: Config, genesis: &SealedBlock) -> Stage {
        let mut disk = Disk::founded(1, genesis);
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
        greetings(&hello(peer)).into_iter().for_each(|event| self.server.handle(event));
        self.turn()
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
        let connection = connection(&id(of));
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
        self.status_for(CLIENT)
    }

    pub fn status_for(&mut self, of: ConnectionId) -> Status {
        match self.handle(Event::Request(of, Some(1), Request::Status)).replies().pop() {
            Some(Reply::Status(status)) => *status,
            other => panic!("no status: {other:?}"),
        }
    }

    /// Ends turns, and lets the server hear itself, until it is silent.
    pub fn turn(&mut self) -> Said {
        let mut said = Said::default();
        loop {
            let turn = self.server.end_turn();
            let receipt = self.disk.commit(turn.batch);
            said.writes.extend(receipt.batch().writes.clone());
            said.free.extend(turn.free);
            said.timers.extend(turn.timers);
            said.notes.extend(turn.notes.iter().map(Note::to_string));
            said.stop = said.stop.or(turn.stop);
            let mut own = Vec::new();
            for bound in turn.bound.release(&receipt) {
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
