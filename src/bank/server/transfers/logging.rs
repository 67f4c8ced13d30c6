//! Accepting: money moves in the local balances, and an entry enters the local log.

use super::super::Server;
use super::admitting::Asked;
use super::answering::Seen;
use super::calls::Ticket;
use super::queue::Member;
use crate::bank::effects::Write;
use crate::bank::ledger::balances::AccountNumbers;
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::ledger::sessions::Fate;
use crate::bank::request::Instruction;

impl Server {
    /// Answers a single transfer if it is covered and nothing is in its way, as with nearly all transfers, or
    /// if it was seen before. Returns any other transfer, of which nothing was noted. The outcome is the same as
    /// if the transfer were examined as a group of one.
    pub(in crate::bank::server) fn log_at_once(
        &mut self,
        asked: Asked,
        ticket: Ticket,
        instruction: Instruction,
        found: AccountNumbers,
    ) -> Option<Instruction> {
        let Action::Transfer { from, to, amount } = &instruction.action else {
            return Some(instruction);
        };
        let is_home = from.is_of(&self.config.id);
        let has_room = self.ledger.log.len() < self.config.limits.log;
        let leads_nowhere = self.is_homeless(to);
        if !is_home
            || leads_nowhere
            || !has_room
            || instruction.wait_ms.is_some()
            || self.waiting.holds_up(from)
        {
            return Some(instruction);
        }
        if !self.rights().may_debit(asked.right, from) {
            return Some(instruction);
        }
        let Ok(weighed) = self.ledger.balances.weigh(from, to, *amount, found) else {
            return Some(instruction);
        };
        match self.seen(&instruction, asked) {
            Seen::New => {}
            seen => {
                self.answer_again(Member { instruction, tickets: vec![ticket] }, seen);
                return None;
            }
        }
        let (position, via) = (self.ledger.log.last().next(), Via::Local);
        let balance = self.ledger.balances.take(weighed);
        self.took_effect(&instruction, position, via);
        let Instruction { action, request, settled, reference, .. } = instruction;
        self.log_records([Record { action, request, via, linked: false, reference }]);
        let outcome = self.acceptance(position, via, balance, false);
        self.deliver(&[ticket], settled, position, outcome);
        None
    }

    /// Accepts a group that is covered: its entries enter the local log. After this point it has happened.
    pub(in crate::bank::server) fn log_group(&mut self, group: Vec<Member>, via: Via) {
        let first = self.ledger.log.last().next();
        let record = |instruction: &Instruction| {
            let Instruction { action, request, linked, reference, .. } = instruction.clone();
            Record { action, request, via, linked, reference }
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
            self.ledger.balances.apply(action).expect("what is accepted is covered");
            self.took_effect(&instruction, position, via);
            let balance = action.subject().and_then(|subject| self.ledger.balances.local(subject));
            let outcome = self.acceptance(position, via, balance.unwrap_or_default(), false);
            self.deliver(&tickets, instruction.settled, position, outcome);
        }
    }

    /// Notes that money has moved: a retry has to find it, and these accounts' waiting transfers be looked at.
    fn took_effect(&mut self, instruction: &Instruction, position: Position, via: Via) {
        let Instruction { action, request, .. } = instruction;
        if let Some(request) = request {
            self.ledger.sessions.remember(
                request,
                instruction.into(),
                Fate::Accepted(position, via),
            );
        }
        if let Some(payer) = action.payer() {
            self.debited(payer);
        }
        if let Some(payee) = action.payee() {
            self.waiting.credited(payee);
        }
    }

    /// Adds records that belong together to the local log.
    pub(in crate::bank::server) fn log_records<I>(&mut self, records: I)
    where
        I: IntoIterator<Item = Record, IntoIter: ExactSizeIterator>,
    {
        if let Some(element) = self.ledger.log.append(records, self.config.limits.element) {
            self.write(Write::Log(element));
        }
        self.begin_to_settle();
    }

    /// Makes an element of this turn's entries, so that they become durable with the turn.
    pub(in crate::bank::server) fn seal_log(&mut self) {
        if let Some(element) = self.ledger.log.seal() {
            self.write(Write::Log(element));
        }
    }
}
