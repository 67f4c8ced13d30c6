//! Servers that leave: they pay out what they have, ask to be dismissed, and stop.

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::request::{Instruction, Order, Request};

use super::clients::Client;
use super::operators::Changes;
use super::queue::Happening;
use super::register::Roll;
use super::tally::Fault;
use super::world::World;

/// How often one tries to leave before it stays.
const TRIES: u8 = 12;

impl World {
    pub fn begin_to_leave(&mut self, changes: Changes, roll: &Roll) {
        let leaving = self.operators.leaving.len() + 1;
        let fewer = roll.members.len().saturating_sub(leaving);
        if fewer < changes.least || !self.may_reduce(roll) {
            return;
        }
        let Some(id) = self.any(roll.members.keys()) else { return };
        if self.operators.leaving.contains_key(&id) || self.is_last_with_a_segment(&id) {
            return;
        }
        self.tell(|| format!("{id} ── IS TO LEAVE"));
        self.operators.leaving.insert(id.clone(), 0);
        self.clients.iter_mut().filter(|client| client.is_at(&id)).for_each(|client| {
            client.left = 0;
        });
        self.schedule(100, Happening::Leaves(id));
    }

    /// One that is to leave pays out what it has, and asks to be dismissed.
    pub fn leaves(&mut self, id: &ServerId) {
        let Some(tries) = self.operators.leaving.get_mut(id) else { return };
        *tries += 1;
        let tries = *tries;
        let roll = self.roll();
        if tries > TRIES || !roll.members.contains_key(id) {
            self.operators.leaving.remove(id);
            self.clients.iter_mut().filter(|client| client.is_at(id)).for_each(|client| {
                client.left += 3;
            });
            return;
        }
        let life = self.hosts[id].life;
        if life > 0 && !self.judge.books.is_learning(id) {
            self.pay_out(id, life, &roll);
            if self.may_reduce(&roll) {
                self.operators.reduced_at = Some(self.now);
                self.order(id, Order::Change(MemberChange::Dismiss { server: id.clone() }));
            }
        }
        let again = self.rng.u64(200..1_200);
        self.schedule(again, Happening::Leaves(id.clone()));
    }

    fn pay_out(&mut self, id: &ServerId, life: u64, roll: &Roll) {
        let Some(to) = self.any(roll.members.keys().filter(|other| *other != id)) else { return };
        let view = &self.judge.books.views[id];
        let own =
            view.iter().filter(|(account, units)| account.home() == id.as_str() && **units > 0);
        let paid = own.map(|(from, units)| {
            let amount = Amount::new(*units as u64).expect("an amount");
            Instruction::plain(Action::Transfer {
                from: from.clone(),
                to: AccountId::of(&to),
                amount,
            })
        });
        let paid: Vec<Instruction> = paid.take(2).collect();
        if !paid.is_empty() {
            let connection = self.new_connection();
            self.operator_says(id, life, connection, Request::Batch(paid));
        }
    }

    /// A server stops, which only those may that are dismissed.
    pub fn stops(&mut self, id: &ServerId, reason: &str) {
        let instance = self.disks[id].stored.instance;
        let named = self.roll().members.get(id).copied();
        let is_over = named != Some(instance) && self.judge.books.register.is_over(instance);
        assert!(is_over, "no server may have to stop here: {id}: {reason}");
        if self.roll().members.contains_key(id) {
            // It was to come in the place of a store that had been replaced already: it comes again, with another.
            self.cut_off(id);
            self.lose(id);
            return self.schedule(500, Happening::Start(id.clone()));
        }
        self.suffer(Fault::Dismissed, id);
        self.cut_off(id);
        self.operators.leaving.remove(id);
        self.operators.gone.insert(id.clone());
        self.clients.iter_mut().filter(|client| client.is_at(id)).for_each(Client::retire);
        // Somebody starts it again, and it is to say the same.
        if self.rng.u8(0..3) == 0 {
            let delay = self.rng.u64(100..4_000);
            self.schedule(delay, Happening::Start(id.clone()));
        }
    }
}
