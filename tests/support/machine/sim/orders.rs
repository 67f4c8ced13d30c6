//! What a client asks for: an order is one transfer or opening, or several that are linked.

use fastrand::Rng;

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, RequestId, ServerId, SessionId};
use crate::bank::ledger::entry::Action;
use crate::bank::request::Instruction;

/// How the clients of one world behave.
#[derive(Clone, Copy)]
pub struct Habits {
    /// Orders that a client has under way at a time.
    pub window: usize,
    /// Amounts are below one of these.
    pub most: [u64; 4],
    /// All begin to ask at multiples of so many milliseconds; 0: each in its own time.
    pub beat: u64,
    /// How many accounts each home may have beside its own.
    pub accounts: usize,
    /// Of a hundred orders: several that are linked.
    pub linked: u8,
    /// Of a hundred orders: told when they are in a block.
    pub settled: u8,
    /// Of a hundred orders: wait for money.
    pub patient: u8,
    /// Of a hundred times: asks without a session too.
    pub careless: u8,
    /// Of a hundred times: issues money, or takes some back.
    pub issues: u8,
    /// Every other client has a session with a name of its own, and dies now and then.
    pub named: bool,
}

/// Linked instructions, the last of which is linked to nothing unless the client is mistaken.
pub type Order = Vec<Instruction>;

/// Who asks, and of what there is to be chosen.
pub struct Asker<'a> {
    pub home: &'a ServerId,
    pub all: &'a [ServerId],
    pub habits: Habits,
    /// Accounts of its home that it knows to be open.
    pub open: &'a [AccountId],
}

fn further(home: &ServerId, number: usize) -> AccountId {
    format!("{home}/{number}").parse().unwrap()
}

impl Asker<'_> {
    /// An order of at most so many.
    pub fn order(&self, rng: &mut Rng, most: usize) -> Order {
        let linked = most > 1 && rng.u8(0..100) < self.habits.linked;
        let members = if linked { rng.usize(2..=most.min(6)) } else { 1 };
        let mut order: Order = Vec::new();
        let mut opened = None;
        for place in 0..members {
            let action = self.action(rng, opened.as_ref());
            if let Action::Open { account, .. } = &action {
                opened = Some(account.clone());
            }
            order.push(Instruction { linked: place + 1 < members, ..Instruction::plain(action) });
        }
        let last = order.len() - 1;
        order[last].linked = linked && rng.u8(0..20) == 0;
        if rng.u8(0..100) < self.habits.settled {
            order.iter_mut().for_each(|instruction| instruction.settled = true);
        }
        if rng.u8(0..100) < self.habits.patient {
            let most = [1, 300, 2_000, 6_000][rng.usize(..4)];
            order[rng.usize(..members)].wait_ms = Some(rng.u64(0..most));
        }
        order
    }

    fn action(&self, rng: &mut Rng, opened: Option<&AccountId>) -> Action {
        let further_ones = self.habits.accounts > 0;
        if further_ones && rng.u8(0..100) < 9 {
            let home = if rng.u8(0..20) == 0 { self.any(rng) } else { self.home };
            let account = further(home, rng.usize(..self.habits.accounts));
            return Action::open(account);
        }
        if self.habits.issues > 0 && rng.u8(0..100) < self.habits.issues {
            return self.issue(rng);
        }
        let mut from = self.payer(rng);
        // Seldom itself, which makes no sense.
        let mut to = self.payee(rng);
        for _ in 0..3 {
            to = if to == from { self.payee(rng) } else { to };
        }
        let most = rng.usize(..4);
        let mut amount = Amount::new(rng.u64(0..self.habits.most[most])).unwrap();
        match (rng.u8(0..100), opened) {
            (0, _) => to = "nobody".parse().unwrap(),
            (1, _) => amount = Amount::MAX,
            (2, _) => from = AccountId::of(self.any(rng)),
            (3, _) => to = format!("{}/never", self.any(rng)).parse().unwrap(),
            (4, _) => return Action::open(AccountId::of(self.home)),
            (5..55, Some(opened)) => to = opened.clone(),
            _ => {}
        }
        Action::Transfer { from, to, amount }
    }

    fn issue(&self, rng: &mut Rng) -> Action {
        let account = self.payer(rng);
        let most = self.habits.most[rng.usize(..4)];
        let amount = Amount::new(rng.u64(0..most)).unwrap();
        match rng.bool() {
            true => Action::Mint { account, amount },
            false => Action::Burn { account, amount },
        }
    }

    fn any(&self, rng: &mut Rng) -> &ServerId {
        &self.all[rng.usize(..self.all.len())]
    }

    fn payer(&self, rng: &mut Rng) -> AccountId {
        match rng.u8(0..10) {
            0 if self.habits.accounts > 0 => further(self.home, rng.usize(..self.habits.accounts)),
            1..4 if !self.open.is_empty() => self.open[rng.usize(..self.open.len())].clone(),
            _ => AccountId::of(self.home),
        }
    }

    fn payee(&self, rng: &mut Rng) -> AccountId {
        let home = self.any(rng);
        match rng.usize(..=self.habits.accounts) {
            0 => AccountId::of(home),
            number if rng.bool() => further(home, number - 1),
            _ if home == self.home && !self.open.is_empty() => {
                self.open[rng.usize(..self.open.len())].clone()
            }
            _ => AccountId::of(home),
        }
    }
}

/// Numbers an order from `first` on.
pub fn number(order: &mut Order, session: &SessionId, first: u64) {
    for (number, instruction) in (first..).zip(order) {
        instruction.request = Some(RequestId { session: session.clone(), number });
    }
}
