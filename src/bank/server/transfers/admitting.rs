//! Transfers and openings (DESIGN.md, "A transfer" and "Retries"): is it a retry, does it make sense, is it
//! covered? They come alone, or in groups that happen together or not at all.

use super::super::Server;
use super::super::rights::Right;
use super::answering::Seen;
use super::calls::Ticket;
use super::queue::{Member, Need, need_of};
use crate::bank::ids::ConnectionId;
use crate::bank::ledger::balances::View;
use crate::bank::ledger::entry::Via;
use crate::bank::ledger::rule::LedgerError;
use crate::bank::ledger::sessions::Lookup;
use crate::bank::ledger::trial::Trial;
use crate::bank::reason::{Code, Reason};
use crate::bank::request::{ErrorCode, Instruction, Outcome, Part, Request};

/// Who asks: over which connection, and by which right.
#[derive(Clone, Copy, Debug)]
pub(in crate::bank::server) struct Asked {
    pub connection: ConnectionId,
    pub right: Right,
}

impl Server {
    /// Takes in a client's instructions. Each has its own outcome, and one reply tells them all.
    pub(in crate::bank::server) fn instructions(
        &mut self,
        connection: ConnectionId,
        id: Option<u64>,
        instructions: Vec<Instruction>,
        single: bool,
    ) {
        if instructions.is_empty() {
            // There is no last outcome that would bring the reply.
            return self.reply_empty(connection, id);
        }
        if let Some(call) = self.open_call(connection, id, &instructions, 0, single) {
            self.take_up(connection, (call, 0), instructions);
        }
    }

    /// Takes in a part of a client's instructions (see [`Event::Part`](crate::bank::effects::Event)).
    pub(in crate::bank::server) fn on_part(
        &mut self,
        connection: ConnectionId,
        id: Option<u64>,
        part: Part,
    ) {
        let Part { before, instructions, after } = part;
        let call = match before {
            0 if self.decline(connection, id) || self.is_nobodys(connection, id) => None,
            0 => self.open_call(connection, id, &instructions, after, false),
            _ => self.clients.calls.unfinished(connection),
        };
        // If the request was refused as a whole, its rest is refused with it.
        let Some(call) = call else { return };
        self.clients.calls.expect_more(connection, call, after > 0);
        self.take_up(connection, (call, before), instructions);
    }

    /// Refuses a batch whole if whoever asks has no right to ask for any.
    fn is_nobodys(&mut self, connection: ConnectionId, id: Option<u64>) -> bool {
        let forbidden =
            self.rights().forbids(self.right_of(connection), &Request::Batch(Vec::new()));
        let Some(message) = forbidden else { return false };
        self.reply_error(connection, id, ErrorCode::Forbidden, message);
        true
    }

    /// Opens the call of these instructions and `more` others, unless nothing can be decided.
    fn open_call(
        &mut self,
        connection: ConnectionId,
        id: Option<u64>,
        instructions: &[Instruction],
        more: usize,
        single: bool,
    ) -> Option<u64> {
        let named = instructions.iter().any(|instruction| instruction.request.is_some());
        if (!self.takes_part() && (named || self.rejoins())) || self.leaves() {
            // Nobody knows what this server accepted with another store before the chain names this store,
            // so nothing is decided.
            self.reply_error(connection, id, ErrorCode::Unavailable, self.not_open());
            return None;
        }
        Some(self.clients.calls.open(connection, id, instructions.len() + more, single))
    }

    /// Takes up instructions; `first` is the place of the first one in the call.
    fn take_up(
        &mut self,
        connection: ConnectionId,
        (call, first): (u64, usize),
        instructions: Vec<Instruction>,
    ) {
        let last = first + instructions.len() - 1;
        let takes_part = self.takes_part();
        let asked = Asked { connection, right: self.right_of(connection) };
        let mut group = Vec::new();
        let found = self.ledger.balances.find_all(instructions.iter().map(|one| &one.action));
        let all = (first..).zip(instructions.into_iter().zip(found));
        for (place, (mut instruction, found)) in all {
            let (linked, ticket) = (instruction.linked, Ticket { call, place });
            if takes_part && !linked && group.is_empty() {
                match self.log_at_once(asked, ticket, instruction, found) {
                    None => continue,
                    Some(not_so_simple) => instruction = not_so_simple,
                }
            }
            group.push(Member { instruction, tickets: vec![ticket] });
            if !linked || place == last {
                self.group(asked, std::mem::take(&mut group));
            }
        }
    }

    /// Examines instructions that belong together.
    fn group(&mut self, asked: Asked, group: Vec<Member>) {
        if !self.takes_part() {
            return self.group_in_vain(group);
        }
        let seen: Vec<Seen> =
            group.iter().map(|member| self.seen(&member.instruction, asked)).collect();
        let torn = group.iter().all(|member| member.instruction.linked);
        if seen.iter().all(|seen| matches!(seen, Seen::New)) || (torn && planted!(TornCopyIsNew)) {
            return self.new_group(asked, group);
        }
        for (member, seen) in group.into_iter().zip(seen) {
            self.answer_again(member, seen);
        }
    }

    pub(in crate::bank::server) fn seen(
        &mut self,
        instruction: &Instruction,
        Asked { connection, right }: Asked,
    ) -> Seen {
        let Some(request) = &instruction.request else { return Seen::New };
        if let Err(reason) = self.is_session(&request.session, right) {
            return Seen::Decided(wrong_session(reason));
        }
        let lost = self.is_of_lost_store(&request.session);
        let of_former_bank = self.chain().is_of_former_bank(request.session.epoch);
        match self.look_up(request, instruction, connection) {
            // It may be in the former chain, or lost with it.
            Lookup::New if of_former_bank && !planted!(FormerSessionLost) => {
                Seen::Decided(Outcome::Expired {
                    reason: Reason::new(
                        Code::TooLate,
                        format!(
                            "{request} was asked of the bank that this one goes on from: what became of it \
                             is not known here"
                        ),
                    ),
                })
            }
            // The rest of an earlier epoch is in the chain, and what was forgotten may be there.
            Lookup::New if lost => Seen::Decided(Outcome::Unavailable {
                reason: Reason::new(
                    Code::Lost,
                    format!("{request} was lost with the store: it has not happened and will not"),
                ),
            }),
            Lookup::New => match self.may_begin(&request.session) {
                Ok(()) => Seen::New,
                Err(reason) => Seen::Decided(wrong_session(reason)),
            },
            Lookup::Known(fate) => Seen::Again(fate),
            Lookup::Expired => Seen::Decided(Outcome::Expired {
                reason: Reason::new(
                    Code::TooLate,
                    format!("{request} is too long ago: what became of it is not known here"),
                ),
            }),
            Lookup::Reused => Seen::Decided(Outcome::Invalid {
                reason: Reason::new(
                    Code::NumberReused,
                    format!("{request} was something else; what is new takes a new number"),
                ),
            }),
            Lookup::Stale => Seen::Stale,
        }
    }

    /// Takes up a group without retries.
    fn new_group(&mut self, asked: Asked, group: Vec<Member>) {
        if let Err(culprit) = self.makes_sense(asked.right, &group) {
            return self.reject(group, culprit);
        }
        let mut payers = group.iter().filter_map(|member| member.instruction.action.payer());
        let held_up = payers.any(|account| self.waiting.holds_up(account));
        match self.weigh(&group) {
            Err((place, error)) if need_of(&error).is_none() => {
                let outcome = self.rejection(&error);
                self.reject(group, (place, outcome));
            }
            // What waits already goes first.
            Ok(()) if !held_up || planted!(WaitingOvertaken) => self.log_group(group, Via::Local),
            Err((place, _)) if place > 0 && planted!(LinkedHalfApplied) => {
                let mut group = group;
                let rest = group.split_off(place);
                self.log_group(group, Via::Local);
                self.wait(asked, rest, Need::Money);
            }
            weighed => {
                let need = weighed.err().and_then(|(_, error)| need_of(&error));
                self.wait(asked, group, need.unwrap_or(Need::Turn));
            }
        }
    }

    /// Checks that all of a group could happen now, one after the other; else returns the first that couldn't.
    pub(in crate::bank::server) fn weigh(
        &self,
        group: &[Member],
    ) -> Result<(), (usize, LedgerError)> {
        let mut trial = Trial::new(&self.ledger.balances, View::Local);
        let known = self.peers.ids().filter(|_| planted!(PromisedCreditSpent));
        let promised = known.flat_map(|server| self.proposer.knowledge.log(server));
        let records = promised.flat_map(|element| element.records());
        records.for_each(|record| drop(trial.apply(&record.action)));
        let mut actions = group.iter().map(|member| &member.instruction.action).enumerate();
        let mut issued = self.issued_here();
        actions.try_for_each(|(place, action)| {
            issued = self.chain().may_issue(issued, action).map_err(|error| (place, error))?;
            trial.apply(action).map_err(|error| (place, error))
        })
    }

    /// Returns what this home has issued beyond what it took back, in the chain and in its log.
    pub(in crate::bank::server) fn issued_here(&self) -> i64 {
        self.chain().issued_by(&self.config.id) + self.ledger.log.issues()
    }
}

fn wrong_session(reason: String) -> Outcome {
    Outcome::Invalid { reason: Reason::new(Code::WrongSession, reason) }
}
