//! The end of a turn, as a shell does it: free messages leave, the turn becomes durable, what was
//! bound leaves; and what can go wrong in between.

use super::clients::Client;
use super::queue::Happening;
use super::tally::Fault;
use super::world::World;
use crate::bank::effects::{Bound, Event, Timer, TimerCommand, Write};
use crate::bank::ids::ServerId;
use crate::bank::note::{Level, Note, Step};
use crate::bank::paxos::message::{Message, Vote};
use crate::bank::request::Reply;
use crate::bank::wall_time::WallTime;

impl World {
    pub fn end_turn(&mut self, id: &ServerId) {
        let host = self.hosts.get_mut(id).unwrap();
        let Some(server) = &mut host.server else { return };
        // Each life by a clock of its own, which may be behind that of the life before.
        server.tell_time(
            WallTime::new(self.now + host.life.wrapping_mul(7_919) % 60_000).expect("a time"),
        );
        let turn = server.end_turn();
        for note in turn.notes.iter().filter(|note| note.level() != Level::Debug) {
            self.tally.note(note);
            self.tell(|| format!("{id} {note}"));
        }
        self.begun =
            turn.notes.iter().any(|note| matches!(note, Note::Run(_, _, Step::Prepares(_))));
        if let Some(stop) = turn.stop {
            return self.stops(id, &stop.reason);
        }
        let proposes = turn.free.iter().any(|(_, message)| message.is_bulky());
        let votes = turn.batch.writes.iter().any(|write| !matches!(write, Write::Log(_)));
        let dies = self.death(proposes || votes);
        let life = self.hosts[id].life;
        for (to, message) in turn.free {
            self.judge.free(life, &message);
            self.tally.free(id, &message);
            self.send(id, &to, message);
        }
        if let Some(fault @ (Fault::CrashUnwritten | Fault::StoreUnwritten)) = dies {
            if self.replies_early {
                let receipt = turn.batch.nothing_to_write().expect("by mistake");
                self.hand_out_all(id, turn.bound.release(&receipt));
            }
            return self.crash(id, fault);
        }
        let disk = self.disks.get_mut(id).unwrap();
        let accepted = disk.stored.accepted.as_ref().map(|(_, block)| block.clone());
        let receipt = disk.commit(turn.batch);
        if !receipt.batch().writes.is_empty() {
            self.tally.durable(receipt.batch(), disk.stored.log.is_empty(), accepted.as_ref());
            self.judge.durable(id, life, receipt.batch(), &self.disks);
            self.judge_roll(id);
        }
        self.judge_shelf(id);
        if let Some(fault @ (Fault::CrashSilent | Fault::StoreSilent)) = dies {
            return self.crash(id, fault);
        }
        for command in turn.timers {
            self.timer(id, command);
        }
        let bound = turn.bound.release(&receipt);
        let pauses = dies.is_none() && self.rng.u16(0..1_000) < self.faults.pause;
        if pauses {
            let pause = self.rng.u64(10..3_000);
            let host = self.hosts.get_mut(id).unwrap();
            host.paused_until = host.paused_until.max(self.now + pause);
            if self.rng.bool() {
                self.suffer(Fault::SlowStore, id);
                return self
                    .schedule(pause, Happening::Durable { server: id.clone(), life, bound });
            }
            self.suffer(Fault::Pause, id);
        }
        self.hand_out_all(id, bound);
        self.archive(id);
        if dies.is_some() {
            self.crash(id, Fault::CrashSaid);
        }
    }

    /// Whether a server dies, or its store fails, in this turn, and how. A store that fails is
    /// handled as a crash is: everything is forgotten and loaded again.
    fn death(&mut self, matters: bool) -> Option<Fault> {
        let silence = matters && self.rng.u8(0..100) < self.faults.silence;
        let kinds = [
            Fault::CrashUnwritten,
            Fault::CrashSilent,
            Fault::CrashSaid,
            Fault::StoreUnwritten,
            Fault::StoreSilent,
        ];
        let dies = silence || self.rng.u16(0..1_000) < self.faults.crash;
        dies.then(|| kinds[self.rng.usize(..kinds.len())])
    }

    pub fn hand_out_all(&mut self, id: &ServerId, bound: Vec<Bound>) {
        for bound in bound {
            self.tally.bound(&bound);
            self.hand_out(id, bound);
        }
    }

    fn timer(&mut self, id: &ServerId, command: TimerCommand) {
        let token = self.count();
        let host = self.hosts.get_mut(id).unwrap();
        let timer = match command {
            TimerCommand::Cancel(timer) => {
                host.timers.remove(&timer);
                return;
            }
            TimerCommand::Set(timer) => timer,
        };
        host.timers.insert(timer, token);
        let life = host.life;
        let base = match timer {
            Timer::Heartbeat => 500,
            Timer::Gather { covered: false } => 200,
            Timer::Gather { covered: true } => 10,
            Timer::Repeat => 300,
            Timer::BackOff { attempt } => 20 << attempt.min(6),
            Timer::FinishRound | Timer::Reconcile => 1_000,
            Timer::Deadline(_) => 5_000,
            Timer::LookUp => 400,
            Timer::Comeback => 1,
            Timer::Rest => 60,
            Timer::Settle => 1_500,
            // Never too early: that is what the client was told.
            Timer::Patience { ms, .. } => ms,
        };
        // An even pace, lest a connected server seem silent for three heartbeats.
        let jitter = match timer {
            Timer::Heartbeat => base / 10,
            Timer::Patience { .. } => 0,
            _ if self.faults.hasty => base - 1,
            _ => base / 2,
        };
        let delay = self.rng.u64(base - jitter..=base + jitter);
        self.schedule(delay, Happening::Timer { server: id.clone(), life, timer, token });
    }

    fn hand_out(&mut self, id: &ServerId, bound: Bound) {
        match bound {
            Bound::Peer(to, mut message) => {
                if self.terse.contains(id) {
                    leave_out_the_rest(&mut message);
                }
                self.send(id, &to, message);
            }
            Bound::Own(message) => self.deliver(id, 0, Event::Own(message)),
            Bound::Answer(connection, message) => self.answer(id, connection, message),
            Bound::Reply(connection, number, reply) => {
                self.tell(|| format!("{id} answers {number:?}: {reply:?}"));
                if let Reply::Session { session, .. } = &reply {
                    let life = self.life(id);
                    self.judge.opened_in.insert(session.clone(), life);
                }
                self.judge.reply((connection, number.unwrap_or_default()), &reply);
                let is_to = |c: &Client| c.connection.is_some_and(|(to, _)| to == connection);
                let client = self.clients.iter().position(is_to);
                if let Some(client) = client
                    && !self.happens(self.faults.loss, Fault::ClientLost)
                {
                    let delay = self.rng.u64(1..20);
                    let happening = Happening::Reply { client, connection, id: number, reply };
                    self.schedule(delay, happening);
                }
            }
            Bound::Read { .. } | Bound::Follow(..) | Bound::Tell(..) => {}
            Bound::HangUp(to) => self.hang_up(id, &to),
            Bound::Dial(to, at) => {
                let host = self.hosts.get_mut(id).unwrap();
                host.dials.insert(to.clone(), at);
                let (from, life) = (id.clone(), host.life);
                self.schedule(1, Happening::Dial { from, to, life });
            }
            Bound::Part(from) => {
                self.hosts.get_mut(id).unwrap().dials.remove(&from);
                self.hang_up(id, &from);
                self.hang_up(&from, id);
            }
            Bound::SendBlocks { to, from, up_to } => {
                let piece = self.disks[id].read(from, up_to.min(from + 2));
                self.judge_piece(id, from, &piece);
                if !piece.is_empty() {
                    self.send(id, &to, Message::BlocksResponse { blocks: piece });
                }
            }
        }
    }
}

/// As of a server that knows nothing of such a field.
fn leave_out_the_rest(message: &mut Message) {
    if let Message::Promise { vote: Vote::Log { whole, .. }, .. } = message {
        *whole = None;
    }
}
