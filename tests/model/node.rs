//! One server of the model: the real state machine, its disk, and the turn that lies between them.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::bank::effects::{Batch, Bound, Event, Outbox, Timer, TimerCommand};
use crate::bank::ids::{ConnectionId, ServerId, TurnNumber};
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::message::Message;
use crate::bank::server::{Config, Server};
use crate::bank::stored::Stored;

use crate::machine::disk::Disk;

/// Where a server is within its turn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Between turns.
    Idle,
    /// It has taken in something, and takes in one thing more before the turn ends.
    Open,
    /// The turn has ended; nothing of it is durable yet. What is bound stays in here.
    Decided { batch: Batch, bound: Outbox },
    /// The turn is durable; nothing that was bound to it has left yet.
    Durable(Vec<Bound>),
}

#[derive(Clone, Debug)]
pub struct Node {
    pub config: Config,
    /// None while it is down.
    pub server: Option<Server>,
    pub disk: Disk,
    pub stage: Stage,
    /// Those that are set and that the model lets run out: all but the heartbeat.
    pub timers: BTreeSet<Timer>,
    /// What it has told itself; the first thing that it takes in next.
    pub own: VecDeque<Message>,
    /// Counts its lives. The last one's ids are made from it.
    pub life: u64,
    pub panicked: bool,
    /// Why it stopped for good, if it did.
    pub stopped: Option<String>,
}

/// Written out for the disk's sake. Taking everything apart makes a forgotten field an error.
impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Node { config, server, disk, stage, timers, own, life, panicked, stopped } = self;
        (config, server, stage, timers, own, life, panicked, stopped).hash(state);
        let Disk { stored, pages: stored_pages, chain, tail: _, shelf: _ } = disk;
        let Stored {
            instance,
            lives,
            turn,
            active,
            blocks,
            pages,
            checkpoint,
            derived,
            sessions,
            log,
            promised,
            accepted,
        } = stored;
        (instance, lives, turn, active, blocks, pages, checkpoint).hash(state);
        (derived, sessions).hash(state);
        (stored_pages, log, promised, accepted, chain).hash(state);
    }
}

impl Node {
    pub fn new(config: Config, place: usize) -> Node {
        Node {
            config,
            server: None,
            disk: Disk::empty(place as u64 + 1),
            stage: Stage::Idle,
            timers: BTreeSet::new(),
            own: VecDeque::new(),
            life: 0,
            panicked: false,
            stopped: None,
        }
    }

    pub fn id(&self) -> &ServerId {
        &self.config.id
    }

    /// The name, at their other ends, of the connections that it dialled in this life.
    pub fn connection(&self, place: usize) -> ConnectionId {
        ConnectionId(self.life * 10 + place as u64)
    }

    /// Begins a new life with what is on the disk. Who needs nobody else may have something to save at once.
    pub fn start(&mut self, place: usize) {
        self.life += 1;
        let life = self.life * 10 + place as u64;
        self.server = Some(self.disk.load(self.config.clone(), life));
        let free = self.end_turn();
        assert!(free.is_empty(), "nobody to speak to yet");
    }

    /// Everything that isn't durable is gone.
    pub fn crash(&mut self) {
        self.server = None;
        self.stage = Stage::Idle;
        self.timers.clear();
        self.own.clear();
    }

    pub fn handle(&mut self, event: Event) {
        let Some(server) = &mut self.server else { return };
        // A broken assertion of the machine's is then a state like others, with a path to it.
        if catch_unwind(AssertUnwindSafe(|| server.handle(event))).is_err() {
            self.panicked = true;
        }
        self.stage = Stage::Open;
    }

    /// Ends the turn; returns what is free to leave. A turn without writes is durable as it is.
    pub fn end_turn(&mut self) -> Vec<(ServerId, Message)> {
        let Some(server) = &mut self.server else { return Vec::new() };
        let turn = server.end_turn();
        if let Some(stop) = turn.stop {
            self.stopped = Some(stop.reason);
            self.crash();
            return Vec::new();
        }
        for command in turn.timers {
            match command {
                TimerCommand::Set(Timer::Heartbeat) => {}
                TimerCommand::Set(timer) => drop(self.timers.insert(timer)),
                TimerCommand::Cancel(timer) => drop(self.timers.remove(&timer)),
            }
        }
        self.stage = match turn.batch.nothing_to_write() {
            Err(batch) => Stage::Decided { batch, bound: turn.bound },
            Ok(_) if turn.bound.is_empty() => Stage::Idle,
            Ok(receipt) => Stage::Durable(turn.bound.release(&receipt)),
        };
        turn.free
    }

    /// Makes the turn durable.
    pub fn save(&mut self) {
        if let Stage::Decided { batch, bound } = self.stage.clone() {
            let receipt = self.disk.commit(batch);
            self.stage = Stage::Durable(bound.release(&receipt));
        }
    }

    /// Hands out what was bound to the turn, which is durable.
    pub fn send(&mut self) -> Vec<Bound> {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Durable(mut bound) => {
                bound.iter_mut().for_each(forget_how_far);
                bound
            }
            other => panic!("nothing may leave yet: {other:?}"),
        }
    }
}

/// No store goes back in time here, so nobody needs to see how far the others are. Were it told, states
/// would be told apart by nothing but how many turns somebody had taken when it was last greeted.
fn forget_how_far(bound: &mut Bound) {
    let (Bound::Peer(_, message) | Bound::Answer(_, message)) = bound else { return };
    let standing = match message {
        Message::Hello(hello) => &mut hello.standing,
        Message::Reject { hello: Some(hello), .. } => &mut hello.standing,
        Message::Heartbeat(standing) => standing,
        _ => return,
    };
    (standing.turn, standing.position) = (TurnNumber(0), Position::START);
}
