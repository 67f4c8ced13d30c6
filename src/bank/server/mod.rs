//! The state machine of one server.
//!
//! [`Server::handle`] takes in an event; [`Server::end_turn`] returns the effects of all events since the
//! last turn. The order is always: any number of `handle`, then `end_turn`, then the turn is made durable
//! and its outbox released, then the next `handle`.
//!
//! The folder follows DESIGN.md: [`recovery`] from the store; `membership` (handshakes, founding, rejoin);
//! `transfers` (clients' instructions, from admission to answer); `consensus` (Paxos, and the chain that
//! grows by it); `requests` (clients' other requests, status too); `resting` (a server whose store takes no
//! writes).

use crate::bank::blockchain::block::BlockHash;
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::reconcile::Reconcile;
use crate::bank::effects::{Bound, Effects, Event, Stop, Timer, TimerCommand, Turn, Write};
use crate::bank::ids::{LifeId, ServerId, TurnNumber};
use crate::bank::note::{Note, Nothing, Warning};
use crate::bank::paxos::message::Message;
use crate::bank::paxos::pace::Pace;
use crate::bank::paxos::proposer::Proposer;
use crate::bank::status::Runs;
use crate::bank::wall_time::WallTime;

pub mod config;
mod consensus;
mod membership;
mod own;
pub mod recovery;
mod requests;
mod resting;
mod rights;
mod transfers;

pub use config::{Config, Habit};
use consensus::{HeldPrepare, Voter};
use membership::Peers;
pub use membership::cannot_rejoin;
use own::{Ledger, OwnStore};
use transfers::{Clients, Waiting};

/// A server: takes events by [`Server::handle`], and returns what follows by [`Server::end_turn`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    config: Config,
    store: OwnStore,
    /// The chain; none until the bank is founded.
    chain: Option<Chain>,
    ledger: Ledger,
    clients: Clients,
    peers: Peers,
    voter: Voter,
    proposer: Proposer,
    pace: Pace,
    waiting: Waiting,
    reconcile: Reconcile,
    effects: Effects,
}

impl Server {
    /// Returns the server's present life.
    pub fn life(&self) -> LifeId {
        self.store.life
    }

    /// Returns the hash of the bank's block 0, if it is founded.
    pub fn bank(&self) -> Option<BlockHash> {
        self.chain.as_ref().map(Chain::genesis_hash)
    }

    /// Returns the chain's height, and how many entries the local log holds. None until the bank is founded.
    pub fn stand(&self) -> Option<(u64, usize)> {
        Some((self.height()?, self.ledger.log.len()))
    }

    /// Tells the time of day. The entries of this turn carry it, for people.
    pub fn tell_time(&mut self, now: WallTime) {
        self.ledger.log.tell_time(now);
    }

    /// Takes in an event.
    pub fn handle(&mut self, event: Event) {
        match event {
            Event::Proved(connection, asker) => self.clients.proved(connection, asker),
            Event::LinkProved(peer, key) => self.peers.link_proved(&peer, key),
            Event::LinkUp(peer) => self.on_link_up(peer),
            Event::LinkAnswered(peer, answer) => self.on_link_answered(peer, answer),
            Event::LinkDown(peer) => self.on_link_down(&peer),
            Event::Greeted(connection, hello) => self.on_greeted(connection, hello),
            Event::Received(connection, message) => match self.peers.of(connection) {
                Some(peer) => self.on_message(peer.clone(), message),
                None => self.ignore(Nothing::Stranger(message.name())),
            },
            Event::Own(message) => self.on_message(self.config.id.clone(), message),
            Event::Closed(connection) => self.on_closed(connection),
            Event::Request(connection, id, request) => self.on_request(connection, id, request),
            Event::Part(connection, id, part) => self.on_part(connection, id, part),
            Event::Timer(timer) => self.on_timer(timer),
        }
        self.go_on();
        self.waiting.just_told = false;
        self.assert_invariants();
    }

    /// Ends the turn, and returns the effects of the events since the last one.
    pub fn end_turn(&mut self) -> Turn {
        self.seal_log();
        assert!(!self.rests() || self.effects.writes.is_empty(), "who only reads writes nothing");
        if !self.effects.writes.is_empty() {
            self.store.turn = TurnNumber(self.store.turn.0 + 1);
        }
        std::mem::take(&mut self.effects).into_turn(self.store.turn)
    }

    fn on_message(&mut self, from: ServerId, message: Message) {
        if !message.is_possible(&from) {
            return self.warn(Warning::Impossible(message.name(), from));
        }
        if self.is_deaf_to(&message) {
            return self.ignore(Nothing::Resting(message.name(), from));
        }
        if let Some(round) = message.highest_round()
            && self.is_a_leap(&from, round)
        {
            return;
        }
        if !self.speaks_by_its_key(&from) || !self.may_say(&from, &message) {
            return self.ignore(Nothing::WithoutKey(message.name(), from));
        }
        let own = self.height();
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.missed = 0;
            if let Some(height) = message.tells_height() {
                peer.tells_of(height, own, !message.is_free());
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
            Message::ReconcileRequest => self.on_reconcile_request(&from),
            Message::ReconcileAck { height } => self.on_reconcile_ack(from, height),
            Message::BlocksRequest { from: first, to } => self.on_blocks_request(from, first, to),
            Message::BlocksResponse { blocks } => self.on_blocks_response(&from, blocks),
            Message::Hello(_) | Message::Reject { .. } => {
                self.ignore(Nothing::GreetsAgain(from));
            }
            _ if !self.takes_part() => self.ignore(Nothing::NoPartYet(from)),
            Message::Rejoin { old, new } => self.on_rejoin(&from, old, new),
            Message::Prepare { height, ballot, previous, known, asks } => {
                self.on_prepare(HeldPrepare { from, height, ballot, previous, known, asks });
            }
            Message::Promise { height, ballot, instance, waiting, vote } => {
                self.on_promise(from, (height, ballot), instance, waiting, vote);
            }
            Message::Accept { height, ballot, block } => {
                self.on_accept(from, height, ballot, block)
            }
            Message::Accepted { height, ballot, hash, instance, waiting, beyond } => {
                self.on_accepted(from, (height, ballot), hash, instance, (waiting, beyond));
            }
            Message::Commit { height, hash } => self.on_commit(from, height, hash),
            Message::Nack { height, ballot, promised, waiting } => {
                self.on_nack(from, (height, ballot), promised, waiting);
            }
        }
    }

    fn on_timer(&mut self, timer: Timer) {
        if self.ignores(timer) {
            return;
        }
        match timer {
            Timer::Heartbeat => self.on_heartbeat(),
            Timer::Gather { .. } => self.on_gather_over(),
            Timer::Comeback => self.on_comeback_over(),
            Timer::Repeat => self.on_repeat(),
            Timer::BackOff { attempt } => self.pace.on_back_off_over(attempt),
            Timer::FinishRound => self.on_finish_round(),
            Timer::Reconcile => self.on_reconcile_timeout(),
            Timer::Deadline(wait) => self.on_deadline(wait),
            Timer::Patience { wait, .. } => self.on_patience_over(wait),
            Timer::LookUp => self.pace.on_look_up_over(),
            Timer::Rest => self.pace.on_rest_over(),
            Timer::Settle => self.on_old_log(),
        }
    }

    /// Does what follows by itself after any event: answers a prepare that came too early, looks at waiting
    /// transfers, starts a run that is needed or drops one that is not.
    fn go_on(&mut self) {
        if self.rests() || !self.takes_part() || self.effects.stop.is_some() {
            return;
        }
        self.answer_held_prepare();
        self.look_at_waiting();
        let timer = self.pace.take_turn(self.transfers_want_run());
        self.cancel_all(timer);
        if !self.wants_run() {
            self.pace.on_idle();
            self.abandon_run();
        } else if self.proposer.run.is_none()
            && !self.pace.is_backing_off()
            && !self.waits_for_blocks()
            && !self.waits_for_commit()
        {
            let urgent = self.transfers_want_run();
            let finishes = self.pace.finishing;
            if self.pace.lets_others_go() || (!finishes && self.yields(urgent)) {
                let timer = self.pace.stand_aside();
                self.set(timer);
            } else {
                self.start_run();
            }
        }
    }

    fn wants_run(&self) -> bool {
        self.pace.finishing || self.transfers_want_run() || self.wants_to_settle()
    }

    /// Returns the chain of a founded bank.
    ///
    /// # Panics
    /// Before the founding. Callers have checked that the server is active.
    fn chain(&self) -> &Chain {
        self.chain.as_ref().expect("an active server has a chain")
    }

    fn height(&self) -> Option<u64> {
        self.chain.as_ref().map(Chain::height)
    }

    /// Sends a message to a peer, if its link is up, or to this server itself.
    ///
    /// Only here it is decided whether a message may leave at once: if it is true whatever is durable
    /// ([`Message::is_free`]). All others speak of this turn, and leave with it.
    fn send(&mut self, to: &ServerId, message: Message) {
        if *to == self.config.id {
            // A block takes long to verify, so the others get it first.
            match message.is_free() && !matches!(message, Message::Accept { .. }) {
                true => self.on_message(to.clone(), message),
                false => self.effects.bind(Bound::Own(message)),
            }
        } else if self.peers.is_linked(to)
            && self.is_heard_by_its_key(to)
            && self.may_tell(to, &message)
        {
            match message.is_free() {
                true => self.effects.free.push((to.clone(), message)),
                false => self.effects.bind(Bound::Peer(to.clone(), message)),
            }
        }
    }

    fn send_all(&mut self, message: &Message) {
        for peer in self.peer_ids() {
            self.send(&peer, message.clone());
        }
    }

    fn peer_ids(&self) -> Vec<ServerId> {
        self.peers.ids().cloned().collect()
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

    fn set_all(&mut self, timers: impl IntoIterator<Item = Timer>) {
        timers.into_iter().for_each(|timer| self.set(timer));
    }

    fn cancel_all(&mut self, timers: impl IntoIterator<Item = Timer>) {
        timers.into_iter().for_each(|timer| self.cancel(timer));
    }

    fn note(&mut self, note: Note) {
        self.effects.notes.push(note);
    }

    fn warn(&mut self, warning: Warning) {
        self.note(Note::Warning(warning));
    }

    /// Notes that something came and changed nothing.
    fn ignore(&mut self, nothing: Nothing) {
        self.note(Note::Nothing(nothing));
    }

    fn stop(&mut self, reason: String) {
        self.effects.stop.get_or_insert(Stop { reason });
    }

    /// Counts what becomes of a run.
    fn count(&mut self, note: impl Fn(&mut Runs)) {
        note(&mut self.proposer.runs);
        note(&mut self.effects.runs);
    }

    /// Checks what must hold after every event.
    fn assert_invariants(&self) {
        self.voter.acceptor.assert_sound();
        let Some(chain) = &self.chain else {
            assert!(
                !self.store.active && self.ledger.log.is_empty(),
                "nothing before the founding"
            );
            return;
        };
        if let Some((_, block)) = self.voter.acceptor.accepted() {
            assert_eq!(block.height(), chain.height() + 1, "the slot is that of the next height");
            assert_eq!(block.block().previous, chain.head(), "and links to the head");
        }
        if let Some(run) = &self.proposer.run {
            assert_eq!(run.plan.height, chain.height() + 1, "a run dies with its height");
        }
        let own = chain.included(&self.config.id).seq + self.ledger.log.len() as u64;
        assert_eq!(self.ledger.log.last().seq, own, "the log goes on where the chain ends");
    }
}
