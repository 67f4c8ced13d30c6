//! Telling the client: every outcome and every error leaves through here.

use super::super::Server;
use super::calls::Ticket;
use super::queue::{Culprit, Member};
use super::until_settled::{Unsettled, settled_by};
use crate::bank::amount::Amount;
use crate::bank::effects::{Bound, Timer};
use crate::bank::ids::ConnectionId;
use crate::bank::ledger::entry::{Position, Via};
use crate::bank::ledger::rule::LedgerError;
use crate::bank::ledger::sessions::Fate;
use crate::bank::note::Nothing;
use crate::bank::reason::{Code, Reason};
use crate::bank::request::{ErrorCode, Outcome, Reply};

/// What is known of an instruction when it comes.
pub(in crate::bank::server) enum Seen {
    /// It is new.
    New,
    /// Its outcome is known, or it is impossible.
    Decided(Outcome),
    /// A retry.
    Again(Fate),
    /// It came on an older connection of its session, and must not be done.
    Stale,
}

impl Server {
    /// Answers an instruction that was seen before, or belongs to a group that was.
    pub(in crate::bank::server) fn answer_again(&mut self, member: Member, seen: Seen) {
        let Member { instruction, tickets } = member;
        match seen {
            Seen::Decided(outcome) => self.resolve_all(&tickets, outcome),
            Seen::Again(Fate::Rejected(outcome)) => self.resolve_all(&tickets, outcome.again()),
            Seen::Again(Fate::Accepted(position, via)) => {
                let subject = instruction.action.subject();
                let balance = subject.and_then(|subject| self.ledger.balances.local(subject));
                let outcome = self.acceptance(position, via, balance.unwrap_or_default(), true);
                self.deliver(&tickets, instruction.settled, position, outcome);
            }
            Seen::Again(Fate::Waiting(wait)) => self.join_wait(wait, &instruction, &tickets),
            Seen::Stale => {
                self.ignore(Nothing::OlderConnection);
                let given_up =
                    tickets.iter().filter_map(|ticket| self.clients.calls.give_up(ticket.call));
                let given_up: Vec<_> = given_up.collect();
                for (call, request) in given_up.into_iter().zip(&instruction.request) {
                    self.answered_elsewhere(call, &request.session);
                }
            }
            Seen::New => {
                let reason = Reason::new(
                    Code::GroupDecided,
                    "others of its linked group were decided before, without it",
                );
                self.reject(
                    vec![Member { instruction, tickets }],
                    (0, Outcome::Invalid { reason }),
                );
            }
        }
    }

    pub(in crate::bank::server) fn acceptance(
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

    /// Tells the outcome of an entry: at once, or when it is in a block, if that was asked for or is the habit.
    pub(in crate::bank::server) fn deliver(
        &mut self,
        tickets: &[Ticket],
        when_settled: bool,
        position: Position,
        outcome: Outcome,
    ) {
        if !when_settled && !self.config.habit.always {
            return self.resolve_all(tickets, outcome);
        }
        if position <= self.chain().included(&self.config.id) || planted!(SettledEarly) {
            return self.resolve_all(tickets, settled_by(outcome, true));
        }
        for ticket in tickets {
            self.tell_when_settled(*ticket, position, &outcome);
        }
    }

    fn tell_when_settled(&mut self, ticket: Ticket, position: Position, outcome: &Outcome) {
        let entry = (position, ticket, outcome.clone());
        if let Some(unsettled) = self.waiting.unsettled.get_mut(&ticket.call) {
            return unsettled.entries.push(entry);
        }
        let limits = &self.config.limits;
        let is_full = self.waiting.unsettled.len() >= limits.waiting;
        if is_full || !self.clients.calls.may_wait(ticket.call, limits) {
            return self.resolve_all(&[ticket], settled_by(outcome.clone(), false));
        }
        let id = self.waiting.name();
        self.waiting.unsettled.insert(ticket.call, Unsettled { id, entries: vec![entry] });
        self.set(Timer::Deadline(id));
    }

    /// Answers a group that comes while this server takes no part: it hasn't happened, and will not. If it may
    /// be a retry, that can't be said, since it may have happened before.
    pub(super) fn group_in_vain(&mut self, group: Vec<Member>) {
        let reason = self.not_open();
        if group.iter().all(|member| member.instruction.request.is_none()) {
            return self.reject(
                group,
                (0, Outcome::Unavailable { reason: Reason::new(Code::NotOpen, reason) }),
            );
        }
        for ticket in group.iter().flat_map(|member| &member.tickets) {
            if let Some((connection, id)) = self.clients.calls.give_up(ticket.call) {
                self.reply_error(connection, id, ErrorCode::Unavailable, reason.clone());
            }
        }
    }

    /// Makes the outcome of an instruction that a ledger's error prevents for good.
    pub(in crate::bank::server) fn rejection(&self, error: &LedgerError) -> Outcome {
        let reason = error.into();
        match error {
            LedgerError::Exists(account) => Outcome::Refused {
                reason,
                balance: self.ledger.balances.local(account).unwrap_or_default(),
                consulted: vec![self.config.id.clone()],
                not_consulted: Vec::new(),
            },
            LedgerError::IssuedTooMuch { .. } => Outcome::Unavailable { reason },
            _ => Outcome::Invalid { reason },
        }
    }

    /// Rejects a group because of one of its members: it has not happened and will not.
    pub(in crate::bank::server) fn reject(
        &mut self,
        group: Vec<Member>,
        (culprit, outcome): Culprit,
    ) {
        let number = culprit + 1;
        for (place, Member { instruction, tickets }) in group.into_iter().enumerate() {
            let outcome = if place == culprit {
                outcome.clone()
            } else {
                let reason = Reason::new(
                    Code::LinkedFailed,
                    format!("number {number} of its linked group has not happened"),
                );
                Outcome::LinkedFailed { reason }
            };
            if let Some(request) = &instruction.request {
                let fate = Fate::Rejected(outcome.clone());
                self.ledger.sessions.remember(request, (&instruction).into(), fate);
            }
            self.resolve_all(&tickets, outcome);
        }
    }

    /// Gives an outcome to the holders of these tickets.
    pub(in crate::bank::server) fn resolve_all(&mut self, tickets: &[Ticket], outcome: Outcome) {
        let Some((last, others)) = tickets.split_last() else { return };
        for ticket in others {
            self.resolve(*ticket, outcome.clone());
        }
        self.resolve(*last, outcome);
    }

    fn resolve(&mut self, ticket: Ticket, outcome: Outcome) {
        if let Some(reply) = self.clients.calls.resolve(ticket, outcome) {
            self.effects.bind(reply);
        }
    }

    /// Answers a request that holds nothing.
    pub(in crate::bank::server) fn reply_empty(
        &mut self,
        connection: ConnectionId,
        id: Option<u64>,
    ) {
        let reply = Reply::Batch { outcomes: Vec::new() };
        self.effects.bind(Bound::Reply(connection, id, reply));
    }

    pub(in crate::bank::server) fn reply_error(
        &mut self,
        connection: ConnectionId,
        id: Option<u64>,
        error: ErrorCode,
        message: String,
    ) {
        let reply = Reply::Error { error, message };
        self.effects.bind(Bound::Reply(connection, id, reply));
    }
}
