//! Accepting: money moves in the local balances, and an entry comes into the local log.

use super::Server;
use super::calls::Ticket;
use super::instructing::Seen;
use super::waiting::Member;
use crate::bank::amount::Amount;
use crate::bank::effects::Write;
use crate::bank::ids::ConnectionId;
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::ledger::sessions::Fate;
use crate::bank::request::{Instruction, Outcome};

impl Server {
    /// Answers a transfer that stands alone and is covered, with nothing in its way, or was seen
    /// before: nearly all are so. Gives back any other, of which nothing was noted. It comes to the same
    /// as looking at it as a group of one.
    pub(super) fn accept_at_once(
        &mut self,
        connection: ConnectionId,
        ticket: Ticket,
        instruction: Instruction,
    ) -> Option<Instruction> {
        let Action::Transfer { from, to, amount } = &instruction.action else {
            return Some(instruction);
        };
        let is_home = from.is_of(&self.config.id);
        let has_room = self.log.len() < self.config.limits.log;
        if !is_home || !has_room || instruction.wait_ms.is_some() || self.waiting.holds_up(from) {
            return Some(instruction);
        }
        let Ok(weighed) = self.balances.weigh(from, to, *amount) else {
            return Some(instruction);
        };
        match self.seen(&instruction, connection) {
            Seen::New => {}
            seen => {
                self.answer_again(Member { instruction, tickets: vec![ticket] }, seen);
                return None;
            }
        }
        let (position, via) = (self.log.last().next(), Via::Local);
        let balance = self.balances.take(weighed);
        self.took_effect(&instruction, position, via);
        let Instruction { action, request, settled, .. } = instruction;
        self.log_records([Record { action, request, via, linked: false }]);
        let outcome = self.acceptance(position, via, balance, false);
        self.deliver(&[ticket], settled, position, outcome);
        None
    }

    /// Accepts a group that is covered: entries in the local log. After this point it happened.
    pub(super) fn accept_group(&mut self, group: Vec<Member>, via: Via) {
        let first = self.log.last().next();
        let record = |Instruction { action, request, linked, .. }: &Instruction| Record {
            action: action.clone(),
            request: request.clone(),
            via,
            linked: *linked,
        };
        let records: Vec<Record> = group.iter().map(|member| record(&member.instruction)).collect();
        if planted!(GroupSplit) && records.len() > 1 {
            for record in records {
                self.log_records(vec![Record { linked: false, ..record }]);
                self.seal_log();
            }
        } else {
            self.log_records(records);
        }
        for (place, Member { instruction, tickets }) in group.into_iter().enumerate() {
            let (action, position) = (&instruction.action, first.plus(place));
            self.balances.apply(action).expect("what is accepted is covered");
            self.took_effect(&instruction, position, via);
            let balance = action.subject().and_then(|subject| self.balances.local(subject));
            let outcome = self.acceptance(position, via, balance.unwrap_or_default(), false);
            self.deliver(&tickets, instruction.settled, position, outcome);
        }
    }

    /// Money has moved: a retry is to find that, and who waits for these accounts is concerned.
    fn took_effect(&mut self, instruction: &Instruction, position: Position, via: Via) {
        let Instruction { action, request, linked, .. } = instruction;
        if let Some(request) = request {
            self.sessions.remember(request, action, *linked, Fate::Accepted(position, via));
        }
        if let Action::Transfer { from, to, .. } = action {
            self.debited(from);
            self.waiting.credited(to);
        }
    }

    pub(super) fn acceptance(
        &self,
        position: Position,
        via: Via,
        balance: Amount,
        repeated: bool,
    ) -> Outcome {
        let Position { epoch, seq } = position;
        let server = self.config.id.clone();
        Outcome::Accepted { server, epoch, seq, balance, via, repeated, settled: None }
    }

    /// Adds what belongs together to the local log.
    pub(super) fn log_records<I>(&mut self, records: I)
    where
        I: IntoIterator<Item = Record, IntoIter: ExactSizeIterator>,
    {
        if let Some(element) = self.log.append(records, self.config.limits.element) {
            self.write(Write::Log(element));
        }
        self.begin_to_settle();
    }

    /// Makes an element of what was accepted in this turn, so that it becomes durable with it.
    pub(super) fn seal_log(&mut self) {
        if let Some(element) = self.log.seal() {
            self.write(Write::Log(element));
        }
    }
}
