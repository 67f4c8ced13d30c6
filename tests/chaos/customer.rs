//! What a client wants: a mix of all that clients may ask for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ids::AccountId;
use paxos_banking::bank::ledger::entry::Action;
use paxos_banking::bank::request::{Instruction, Reply, Request};

use crate::support::checker::history::{Fate, History, Read};
use crate::teller::Teller;

/// A client of one server.
pub struct Customer {
    teller: Teller,
    home: String,
    /// Its place among the clients of that server.
    place: usize,
    /// Accounts at this home that it may debit.
    own: Vec<AccountId>,
    /// Accounts that it may pay.
    payees: Vec<AccountId>,
    /// The last entry that it was told of.
    last_seq: u64,
    history: History,
}

fn account(name: &str) -> AccountId {
    name.parse().expect("an account's name")
}

impl Customer {
    /// One of so many clients that each server has.
    pub fn new(teller: Teller, home: &str, place: usize, ids: &[String], each: usize) -> Customer {
        let tills = ids.iter().map(|id| account(id));
        let first =
            |id: &String| (0..each).map(|k| account(&format!("{id}/c{k}"))).collect::<Vec<_>>();
        let payees = tills.chain(ids.iter().flat_map(first)).collect();
        let own = vec![account(home), account(&format!("{home}/c{place}"))];
        let (home, history) = (home.to_owned(), History::default());
        Customer { teller, home, place, own, payees, last_seq: 0, history }
    }

    /// Asks for one thing after the other until told to stop; returns what it was told.
    pub fn live(mut self, stop: &AtomicBool) -> History {
        let first = Action::open(self.own[1].clone());
        self.order(vec![Instruction::plain(first)]);
        let (till, own) = (self.own[0].clone(), self.own[1].clone());
        let fund = self.transfer(till, own, 3_000);
        self.order(vec![fund]);
        while !stop.load(Ordering::Relaxed) {
            self.ask_something();
            thread::sleep(Duration::from_millis(self.teller.dice.u64(..60)));
        }
        self.history
    }

    fn ask_something(&mut self) {
        match self.teller.dice.u8(..100) {
            0..12 => {
                let size = self.teller.dice.usize(50..400);
                let batch = (0..size).map(|_| self.payment(3)).collect();
                self.order(batch);
            }
            12..45 => {
                let payment = self.payment(60);
                self.order(vec![payment]);
            }
            45..55 => {
                let much = self.teller.dice.u64(200..4_000);
                let payment = self.payment(much);
                self.order(vec![payment]);
            }
            55..65 => self.link(),
            65..72 => {
                let payment = self.payment(60);
                self.order(vec![Instruction { settled: true, ..payment }]);
            }
            72..78 => self.open(),
            78..82 => {
                let much = self.teller.dice.u64(200..4_000);
                let wait_ms = Some(self.teller.dice.u64(100..1_500));
                let payment = self.payment(much);
                self.order(vec![Instruction { wait_ms, ..payment }]);
            }
            82..86 => self.ask_for_nonsense(),
            _ => self.read(),
        }
    }

    fn any(dice: &mut fastrand::Rng, accounts: &[AccountId]) -> AccountId {
        accounts[dice.usize(..accounts.len())].clone()
    }

    fn transfer(&self, from: AccountId, to: AccountId, units: u64) -> Instruction {
        let amount = Amount::new(units).expect("an amount");
        Instruction::plain(Action::Transfer { from, to, amount })
    }

    /// A payment of about so much, from an own account to another one.
    fn payment(&mut self, about: u64) -> Instruction {
        let from = Customer::any(&mut self.teller.dice, &self.own);
        let mut to = from.clone();
        while to == from {
            let to_own = self.teller.dice.u8(..3) == 0;
            let payees = if to_own { &self.own } else { &self.payees };
            to = Customer::any(&mut self.teller.dice, payees);
        }
        let units = self.teller.dice.u64(1..=about);
        self.transfer(from, to, units)
    }

    fn link(&mut self) {
        let size = self.teller.dice.usize(2..7);
        let mut group: Vec<Instruction> = (0..size).map(|_| self.payment(80)).collect();
        group[..size - 1].iter_mut().for_each(|one| one.linked = true);
        self.order(group);
    }

    fn open(&mut self) {
        let name = format!("{}/c{}.{}", self.home, self.place, self.own.len());
        self.order(vec![Instruction::plain(Action::open(account(&name)))]);
        let accepted = |fate: &Fate| matches!(fate, Fate::Accepted { .. });
        if self.history.asked.last().is_some_and(|asked| accepted(&asked.fate)) {
            self.own.push(account(&name));
        }
    }

    fn ask_for_nonsense(&mut self) {
        let from = self.own[0].clone();
        let action = match self.teller.dice.u8(..4) {
            0 => Action::Transfer {
                from,
                to: account(&format!("{}/nobody", self.home)),
                amount: Amount::new(1).expect("one"),
            },
            1 => Action::Transfer {
                from: from.clone(),
                to: from,
                amount: Amount::new(1).expect("one"),
            },
            2 => Action::Transfer { from, to: self.own[1].clone(), amount: Amount::ZERO },
            _ => Action::open(self.own[1].clone()),
        };
        self.order(vec![Instruction::plain(action)]);
    }

    fn order(&mut self, instructions: Vec<Instruction>) {
        let asked = self.teller.order(instructions);
        let seqs = asked.iter().filter_map(|asked| match asked.fate {
            Fate::Accepted { seq, .. } => Some(seq),
            _ => None,
        });
        self.last_seq = seqs.fold(self.last_seq, u64::max);
        self.history.asked.extend(asked);
    }

    fn read(&mut self) {
        let account = Customer::any(&mut self.teller.dice, &self.own);
        let after_seq = self.last_seq;
        match self.teller.ask(&Request::Balance(Some(account))) {
            Some(Reply::Balance { account, balance, committed, height }) => {
                let (balance, committed) = (balance.units(), committed.map(Amount::units));
                self.history.reads.push(Read { account, balance, committed, height, after_seq });
            }
            Some(Reply::Error { .. }) | None => {}
            Some(other) => panic!("a balance was asked for, not {other:?}"),
        }
    }
}
