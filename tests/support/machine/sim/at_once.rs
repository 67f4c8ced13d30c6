//! What can happen at once has to.

use std::collections::BTreeSet;

use crate::bank::ids::{RequestId, ServerId};
use crate::bank::ledger::entry::Action;
use crate::bank::request::Instruction;

use super::judge::Judge;

impl Judge {
    /// Whether a new instruction can happen at once: all that it needs is there, and nothing that
    /// waits for the same account goes before it.
    pub fn is_covered(&self, server: &ServerId, life: u64, instruction: &Instruction) -> bool {
        let Instruction { action, request, linked, .. } = instruction;
        let done = request.as_ref().is_none_or(|request| self.books.paid.contains_key(request));
        let of_now = |request: &RequestId| request.session.epoch == self.books.epoch(server);
        // Whoever asks to leave logs nothing more.
        let stays = !self.books.leaving.contains_key(server) && !self.has_left.contains(&life);
        let is_member = self.books.register.is_member(server) && !self.books.is_learning(server);
        let takes_part = stays && is_member;
        if !takes_part || !request.as_ref().is_some_and(of_now) {
            return false;
        }
        let known = |request: &RequestId| self.came.contains_key(&(life, request.clone()));
        let known = request.as_ref().is_some_and(known);
        let Some(subject) = action.subject().filter(|s| s.home() == server.as_str()) else {
            return false;
        };
        if self.forgetful || *linked || known || done {
            return false;
        }
        let view = &self.books.views[server];
        let (from, to, amount) = match action {
            Action::Transfer { from, to, amount } => (from, to, amount),
            // Who may issue, and where, the rules show.
            Action::Mint { .. } | Action::Burn { .. } => return false,
            _ => return !view.contains_key(subject),
        };
        let covered = view.get(from).is_some_and(|holds| *holds >= i128::from(amount.units()));
        let held_up = |index: &usize| {
            let arrival = &self.arrivals[*index];
            let patient = arrival.patient_until().is_some_and(|until| self.now < until);
            !patient && arrival.debits(from)
        };
        let held_up = self.waiting.get(&life).is_some_and(|waiting| waiting.iter().any(held_up));
        let payable = self.books.can_be_paid(server, to);
        let makes_sense = from != to && amount.units() > 0 && view.contains_key(to) && payable;
        makes_sense && covered && !held_up
    }

    /// All that came to a life was answered.
    pub fn nothing_waits(&self, life: u64) -> bool {
        self.waiting.get(&life).is_none_or(BTreeSet::is_empty)
    }

    /// What can happen at once happens in the turn in which it comes.
    pub fn assert_done(&self, life: u64, at_once: Option<RequestId>) {
        if let Some(request) = at_once {
            let index = self.came.get(&(life, request.clone()));
            // It came late, on a connection of which the end had been told, and so it was forbidden.
            let unheard = index.is_some_and(|index| self.arrivals[*index].order.is_none());
            let done = unheard || self.books.paid.contains_key(&request);
            assert!(done, "{request} is covered and nothing goes before it, but it waits");
        }
    }
}
