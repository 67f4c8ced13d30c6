//! The state machine of one server.
//!
//! [`Server::handle`] takes in an event; [`Server::end_turn`] gives back what all events since the
//! last turn amount to. The order is always: any number of `handle`, then `end_turn`, then the turn
//! is made durable and its outbox released, then the next `handle`.
//!
//! The folder follows DESIGN.md: [`recovery`] from the store; `founding` (handshakes, heartbeats,
//! block 0) and `named` (which bank); `serving` (clients' requests), `instructing` (transfers and openings),
//! `waiting`, `weighing` and `refusing` (what the local balances do not cover), [`settling`]; `resting`
//! (reads alone); `proposing`, `gathering` and `voting` (Paxos); `appending` and `reconciling` (the chain).

use std::collections::BTreeMap;

use crate::bank::blockchain::bank_name::BankName;
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::reconcile::Reconcile;
use crate::bank::effects::{
    Bound, Effects, Event, Level, Note, Stop, Timer, TimerCommand, Turn, Write,
};
use crate::bank::ids::{ConnectionId, InstanceId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::local_log::LocalLog;
use crate::bank::ledger::secret::Secret;
use crate::bank::ledger::sessions::Sessions;
use crate::bank::limits::Limits;
use crate::bank::paxos::acceptor::Acceptor;
use crate::bank::paxos::ballot::{Ballot, majority};
use crate::bank::paxos::message::{Configuration, Message};
use crate::bank::paxos::proposer::{Knowledge, Run};
use crate::bank::request::Start;
use crate::bank::status::Runs;

mod accepting;
mod accusing;
mod appending;
mod calls;
mod founding;
mod gathering;
mod held;
mod instructing;
mod named;
mod peers;
mod proposing;
mod reconciling;
pub mod recovery;
mod refusing;
mod rejoining;
pub mod replay;
mod resting;
mod resuming;
mod serving;
pub mod settling;
mod vain_runs;
mod voting;
mod waiting;
mod weighing;

use appending::Foreseen;
use calls::Calls;
use peers::Peer;
use refusing::Verdict;
pub use rejoining::cannot_rejoin;
use settling::Habit;
use voting::HeldPrepare;
use waiting::Waiting;

/// Who a server is, and what it is part of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Its id.
    pub id: ServerId,
    /// The bank's servers and opening balance.
    pub configuration: Configuration,
    /// Where each server listens, to be told to clients that came to the wrong one.
    pub addresses: BTreeMap<ServerId, String>,
    /// The store of this server was lost for good, says the operator: it is to rejoin with another.
    pub rejoin: bool,
    /// The only bank that it serves, if it was told: then it founds none.
    pub bank: Option<BankName>,
    /// When it settles by itself.
    pub habit: Habit,
    /// How much it holds at a time.
    pub limits: Limits,
}

/// A server: feed it events with [`Server::handle`], take what follows with [`Server::end_turn`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    config: Config,
    instance: InstanceId,
    life: LifeId,
    lives: Vec<(LifeId, TurnNumber)>,
    start: Start,
    turn: TurnNumber,
    /// Every server has confirmed block 0.
    active: bool,
    /// None until the bank is founded.
    chain: Option<Chain>,
    log: LocalLog,
    balances: Balances,
    sessions: Sessions,
    sessions_opened: u64,
    secret: Secret,
    calls: Calls,
    peers: BTreeMap<ServerId, Peer>,
    /// The connections that peers dialled and opened with a good hello.
    greeted: BTreeMap<ConnectionId, ServerId>,
    acceptor: Acceptor,
    foreseen: Foreseen,
    held_prepare: Option<HeldPrepare>,
    run: Option<Run>,
    knowledge: Knowledge,
    /// The highest round seen in any ballot.
    highest_round: u64,
    /// Runs in a row that did not get through.
    attempt: u32,
    /// What became of the runs of this life.
    runs: Runs,
    /// Runs in a row that brought nothing to those who waited.
    vain_runs: u32,
    /// Runs that are wanted only by those who would hardly get anything of them wait for a timer.
    runs_rest: bool,
    /// The next run waits for the timer of that attempt.
    backing_off: bool,
    /// The last run was won while others waited: they go first.
    let_others_go: bool,
    /// A block of promised logs could not be, and there was no good one since.
    wary: bool,
    /// A block was accepted and nobody commits it: a run is needed for that alone.
    finishing: bool,
    waiting: Waiting,
    /// Something happened after which waiting transfers are to be looked at again.
    look_again: bool,
    /// Payees that nobody knows were asked for a short while ago.
    lookups_rest: bool,
    /// The timer is set after which the log is old enough to be settled.
    settle_timer: bool,
    /// The log is to be settled up to this seq, by habit.
    settle_up_to: Option<u64>,
    /// The instance in whose place this server asked to come.
    replaces: Option<InstanceId>,
    /// The last entry of that instance's that a peer has seen, and which peer.
    seen_of_it: Option<(Position, ServerId)>,
    /// The other server's ballot that a settling run of this server's last yielded to.
    yielded_to: Option<Ballot>,
    /// What the run that was just concluded allows to refuse.
    verdict: Option<Verdict>,
    reconcile: Reconcile,
    /// Why it only reads, if it does.
    rests: Option<String>,
    effects: Effects,
}

impl Server {
    /// Its present life.
    pub fn life(&self) -> LifeId {
        self.life
    }

    /// Takes in something that happened.
    pub fn handle(&mut self, event: Event) {
        match event {
            Event::LinkUp(peer) => self.link_up(peer),
            Event::LinkAnswered(peer, answer) => self.link_answered(peer, answer),
            Event::LinkDown(peer) => self.link_down(&peer),
            Event::Greeted(connection, hello) => self.greeted(connection, hello),
            Event::Received(connection, message) => match self.greeted.get(&connection) {
                Some(peer) => self.receive(peer.clone(), message),
                None => self.debug(|| format!("a {} from a stranger", message.name())),
            },
            Event::Own(message) => self.receive(self.config.id.clone(), message),
            Event::Closed(connection) => self.closed(connection),
            Event::Request(connection, id, request) => self.request(connection, id, request),
            Event::Part(connection, id, part) => self.part(connection, id, part),
            Event::Timer(timer) => self.time_out(timer),
        }
        self.go_on();
        self.assert_invariants();
    }

    /// Ends the turn: what the events since the last one amount to.
    pub fn end_turn(&mut self) -> Turn {
        self.seal_log();
        assert!(!self.rests() || self.effects.writes.is_empty(), "who only reads writes nothing");
        if !self.effects.writes.is_empty() {
            self.turn = TurnNumber(self.turn.0 + 1);
        }
        std::mem::take(&mut self.effects).into_turn(self.turn)
    }

    fn receive(&mut self, from: ServerId, message: Message) {
        if !message.is_possible(&from) {
            return self.warn(format!("a {} of {from} can't be: ignored", message.name()));
        }
        if self.is_deaf_to(&message) {
            return self.debug(|| {
                format!("a {} of {from}, while the store takes no writes", message.name())
            });
        }
        if let Some(round) = message.highest_round()
            && self.is_a_leap(&from, round)
        {
            return;
        }
        let own = self.height();
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.missed = 0;
            if let Some(height) = message.tells_height() {
                peer.holds(height, own);
            }
        }
        match message {
            Message::Heartbeat(standing) => {
                let greeted_as = self.peers.get(&from).and_then(|peer| peer.greeted_as);
                if let Some(as_whom) = greeted_as {
                    self.sight(&from, as_whom, &standing);
                }
                self.learn_standing(&from, standing);
            }
            Message::ReconcileRequest => self.reconcile_request(&from),
            Message::ReconcileAck { height } => self.reconcile_ack(from, height),
            Message::BlocksRequest { from: first, to } => self.blocks_request(from, first, to),
            Message::BlocksResponse { blocks } => self.blocks_response(&from, blocks),
            Message::Hello(_) | Message::Reject { .. } => {
                self.debug(|| format!("{from} greets in the middle of a connection"));
            }
            _ if !self.takes_part() => self.debug(|| format!("no part yet: {from} has to wait")),
            Message::Rejoin { old, new } => self.log_rejoin(&from, old, new),
            Message::Prepare { height, ballot, previous, known, asks } => {
                self.prepare(HeldPrepare { from, height, ballot, previous, known, asks });
            }
            Message::Promise { height, ballot, instance, waiting, vote } => {
                self.promise(from, (height, ballot), instance, waiting, vote);
            }
            Message::Accept { height, ballot, block } => self.accept(from, height, ballot, block),
            Message::Accepted { height, ballot, hash, instance } => {
                self.accepted(from, (height, ballot), hash, instance);
            }
            Message::Commit { height, hash } => self.commit(from, height, hash),
            Message::Nack { height, ballot, promised, waiting } => {
                self.nack(from, (height, ballot), promised, waiting);
            }
        }
    }

    fn time_out(&mut self, timer: Timer) {
        if self.ignores(timer) {
            return;
        }
        match timer {
            Timer::Heartbeat => self.heartbeat(),
            Timer::Gather { .. } => self.gather_is_over(),
            Timer::Repeat => self.repeat(),
            Timer::BackOff { attempt } if attempt == self.attempt => self.backing_off = false,
            Timer::BackOff { .. } => {}
            Timer::FinishRound => self.finish_round(),
            Timer::Reconcile => self.reconcile_step_failed(),
            Timer::Deadline(wait) => self.deadline(wait),
            Timer::Patience { wait, .. } => self.patience_is_over(wait),
            Timer::LookUp => self.lookups_rest = false,
            Timer::Rest => self.runs_rest = false,
            Timer::Settle => self.time_to_settle(),
        }
    }

    /// What follows by itself after any event: answer the prepare that came too early, look at
    /// waiting transfers, start the run that is needed or drop the one that is not.
    fn go_on(&mut self) {
        if self.rests() || !self.takes_part() || self.effects.stop.is_some() {
            return;
        }
        self.answer_held_prepare();
        self.look_at_waiting();
        if !self.wants_run() {
            // Nobody is in the way of the others, so the next run, whenever it is, begins at once.
            self.let_others_go = false;
            self.abandon_run();
        } else if self.run.is_none() && !self.backing_off && !self.waits_for_blocks() {
            let only_settles = !self.finishing && !self.transfers_want_run();
            if std::mem::take(&mut self.let_others_go) || (only_settles && self.yields()) {
                self.back_off();
            } else {
                self.start_run();
            }
        }
    }

    fn wants_run(&self) -> bool {
        self.finishing || self.transfers_want_run() || self.wants_to_settle()
    }

    /// The chain of a founded bank.
    ///
    /// # Panics
    /// Before the founding; whoever calls it has checked that the server is active.
    fn chain(&self) -> &Chain {
        self.chain.as_ref().expect("an active server has a chain")
    }

    fn height(&self) -> Option<u64> {
        self.chain.as_ref().map(Chain::height)
    }

    fn majority(&self) -> usize {
        let majority = majority(self.config.configuration.servers.len());
        if planted!(HalfIsEnough) { majority - 1 } else { majority }
    }

    /// A message that is true whatever is durable; to a peer whose link is down it isn't sent.
    fn send_free(&mut self, to: &ServerId, message: Message) {
        if self.peers.get(to).is_some_and(Peer::is_linked) {
            self.effects.free.push((to.clone(), message));
        }
    }

    /// A message that speaks of this turn, to a peer or to this server itself.
    fn send_bound(&mut self, to: &ServerId, message: Message) {
        let early = match message {
            Message::Promise { .. } => planted!(PromiseBeforeDurable),
            Message::Accepted { .. } => planted!(AcceptedBeforeDurable),
            _ => false,
        };
        if *to == self.config.id {
            if early {
                return self.receive(to.clone(), message);
            }
            self.effects.bind(Bound::Own(message));
        } else if early {
            self.send_free(to, message);
        } else if self.peers.get(to).is_some_and(Peer::is_linked) {
            self.effects.bind(Bound::Peer(to.clone(), message));
        }
    }

    fn send_all_free(&mut self, message: &Message) {
        for peer in self.peer_ids() {
            self.send_free(&peer, message.clone());
        }
    }

    fn send_all_bound(&mut self, message: &Message) {
        for peer in self.peer_ids() {
            self.send_bound(&peer, message.clone());
        }
    }

    fn peer_ids(&self) -> Vec<ServerId> {
        self.peers.keys().cloned().collect()
    }

    fn write(&mut self, write: Write) {
        self.effects.writes.push(write);
    }

    fn set(&mut self, timer: Timer) {
        self.effects.timers.push(TimerCommand::Set(timer));
    }

    fn cancel(&mut self, timer: Timer) {
        self.effects.timers.push(TimerCommand::Cancel(timer));
    }

    fn note(&mut self, level: Level, text: String) {
        self.effects.notes.push(Note { level, text });
    }

    fn info(&mut self, text: String) {
        self.note(Level::Info, text);
    }

    /// Says what a run does.
    fn step(&mut self, text: String) {
        self.note(Level::Step, text);
    }

    fn warn(&mut self, text: String) {
        self.note(Level::Warning, text);
    }

    /// Names why something was ignored.
    fn debug(&mut self, text: impl FnOnce() -> String) {
        self.note(Level::Debug, text());
    }

    fn stop(&mut self, reason: String) {
        self.effects.stop.get_or_insert(Stop { reason });
    }

    /// Takes note of what becomes of a run.
    fn count(&mut self, note: impl Fn(&mut Runs)) {
        note(&mut self.runs);
        note(&mut self.effects.runs);
    }

    fn saw_round(&mut self, ballot: &Ballot) {
        self.highest_round = self.highest_round.max(ballot.round);
    }

    /// What must hold after every event.
    fn assert_invariants(&self) {
        self.acceptor.assert_sound();
        let Some(chain) = &self.chain else {
            assert!(!self.active && self.log.is_empty(), "nothing before the founding");
            return;
        };
        if let Some((_, block)) = self.acceptor.accepted() {
            assert_eq!(block.height(), chain.height() + 1, "the slot is that of the next height");
            assert_eq!(block.block().previous, chain.head(), "and links to the head");
        }
        if let Some(run) = &self.run {
            assert_eq!(run.height, chain.height() + 1, "a run dies with its height");
        }
        let own = chain.included(&self.config.id).seq + self.log.len() as u64;
        assert_eq!(self.log.last().seq, own, "the log goes on where the chain ends");
    }
}
