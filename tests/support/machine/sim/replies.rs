//! What servers reply, judged by the books.

use std::collections::BTreeSet;

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::Action;
use crate::bank::reason::Code;
use crate::bank::request::{ErrorCode, Instruction, Outcome, Reply};

use super::judge::{Call, Judge};
use super::tally::Mark;

/// What a server says that takes part and has no room: the request may yet happen.
const TOO_MUCH: &str = "too much waits at this server already";

impl Judge {
    /// A server replies. What it says must be true by what it names.
    pub fn reply(&mut self, call: Call, reply: &Reply) {
        let outcomes = match reply {
            Reply::One(outcome) => std::slice::from_ref(outcome),
            Reply::Batch { outcomes } => outcomes.as_slice(),
            Reply::Settled { consulted, .. } => return self.settled(call, consulted),
            Reply::Error { error: ErrorCode::Forbidden, .. } => return self.unheard(call),
            // A life that takes no part yet, or just now, may take part later; a name outlives the store, too.
            // So what came meanwhile may come again under its number, in other company and another order.
            Reply::Error { error: ErrorCode::Unavailable, message } if message != TOO_MUCH => {
                return self.unheard(call);
            }
            _ => return,
        };
        let asked = self.asked.remove(&call).expect("a reply to what was asked, and only one");
        let mut rest = outcomes;
        for (group, arrivals) in &asked.groups {
            let (outcomes, others) = rest.split_at(group.len());
            rest = others;
            let as_first = |arrival: &usize| self.arrivals[*arrival].group.len() == group.len();
            if !self.has_left.contains(&asked.life) {
                all_or_none(outcomes, arrivals.iter().all(as_first));
            }
            for (place, outcome) in outcomes.iter().enumerate() {
                self.one(asked.life, arrivals[place], &group[place], outcome);
            }
        }
        assert!(rest.is_empty(), "an outcome for each instruction");
    }

    /// All that those consulted held when the client asked is in blocks.
    fn settled(&mut self, call: Call, consulted: &[ServerId]) {
        self.blockless += 1;
        let held = self.settles.remove(&call).expect("a reply to what was asked, and only one");
        let held = held.iter().filter(|name| !self.books.lost.contains(*name));
        for name in held.filter(|(server, ..)| consulted.contains(server)) {
            assert!(self.books.in_block.contains_key(name), "settled, but {name:?} is in no block");
        }
    }

    /// How many runs got through, as far as blocks and answers tell.
    pub fn runs(&self) -> usize {
        self.books.heights.len() + self.blockless
    }

    fn one(&mut self, life: u64, index: usize, asked: &Instruction, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted { .. } => self.accepted_so(life, asked, outcome),
            Outcome::Refused { reason, .. } => self.refused(index, reason, outcome),
            Outcome::Expired { .. } => {
                assert!(self.forgetful, "{asked:?} is forgotten by one that forgets nothing");
                if self.resumed.contains(&life) {
                    self.marks.push(Mark::ExpiredByResuming);
                }
            }
            Outcome::Unavailable { reason } if reason.code == Code::Lost => {
                let request = asked.request.as_ref().expect("a session's");
                let before = self.books.paid.get(request);
                let lost = before.is_none_or(|name| self.books.lost.contains(name));
                assert!(lost, "{request} is not lost: {before:?}");
                assert!(!request.session.is_named(), "{request} may be done with this store");
                self.marks.push(Mark::ToldLost);
            }
            Outcome::Unavailable { reason } => {
                // One may be unlucky for so long, but then others are not.
                let runs = self.runs() - self.arrivals[index].runs;
                let nobody = self.calm.is_some()
                    && runs == 0
                    && matches!(reason.code, Code::NoRun | Code::NoMajority);
                assert!(!nobody, "{reason}: so {asked:?} is not decided, though all is well");
            }
            _ => {}
        }
        self.settle_arrival(index);
        if asked.request.is_none() || matches!(outcome, Outcome::Expired { .. }) {
            return;
        }
        let first = self.arrivals[index].answer.get_or_insert_with(|| outcome.clone());
        let same = match (&*first, outcome) {
            (Outcome::Accepted { seq, .. }, Outcome::Accepted { seq: again, .. }) => seq == again,
            (first, again) => first.clone().again() == again.clone().again(),
        };
        assert!(same, "{asked:?} was answered by {first:?}, then by {outcome:?}");
    }

    fn accepted_so(&mut self, life: u64, asked: &Instruction, outcome: &Outcome) {
        let Outcome::Accepted { server, epoch, seq, repeated, settled, .. } = outcome else {
            return;
        };
        let name = (server.clone(), *epoch, *seq);
        let entry = self.books.logged.get(&name);
        let entry = entry.unwrap_or_else(|| panic!("{asked:?} was accepted, but is not durable"));
        let record = &entry.record;
        let what = (&record.action, &record.request);
        assert_eq!(what, (&asked.action, &asked.request), "the entry is of the request");
        assert_eq!(settled.is_some(), asked.settled, "told if asked: {outcome:?}");
        let in_block = self.books.in_block.contains_key(&name);
        assert!(*settled != Some(true) || in_block, "{asked:?} is in no block, but {outcome:?}");
        let session = asked.request.as_ref().map(|request| &request.session);
        let of_life = session.and_then(|session| self.opened_in.get(session).copied());
        if !repeated && self.resumed.contains(&life) && of_life.is_some_and(|of| of != life) {
            self.marks.push(Mark::NewAfterResuming);
        }
        let Some(request) = asked.request.as_ref().filter(|_| *repeated) else { return };
        if self.paid_in[request] != life {
            self.marks.push(Mark::AfterCrash);
        }
        if request.session.is_named() && *epoch < self.books.epoch(server) {
            self.marks.push(Mark::NamedInChain);
        }
        if matches!(asked.action, Action::Open { .. }) {
            self.marks.push(Mark::OpenedAgain);
        }
    }

    fn refused(&mut self, index: usize, reason: &str, outcome: &Outcome) {
        let Outcome::Refused { balance, consulted, not_consulted, .. } = outcome else { return };
        // What is open already is refused without a run.
        self.blockless += usize::from(consulted.len() > 1);
        let arrival = &self.arrivals[index];
        let action = &arrival.instruction().action;
        let (Action::Transfer { amount, .. } | Action::Burn { amount, .. }) = action else {
            let account = action.subject().expect("a client asks for no rejoin");
            let before = &arrival.group[..arrival.place];
            let known = before.iter().any(|member| member.action == *action);
            assert!(known || self.books.is_open(account), "{account} is refused, but not open");
            return;
        };
        let named: BTreeSet<ServerId> = consulted.iter().chain(not_consulted).cloned().collect();
        let since = self.books.register.took_part_since(arrival.height, &named);
        assert!(since, "a refusal names every member, not {named:?}");
        assert_eq!(named.len(), consulted.len() + not_consulted.len(), "and each once");
        // What came before may have been refused before, and only now be told again.
        let calm = self.calm.is_some_and(|since| arrival.at >= since);
        assert!(!calm || not_consulted.is_empty(), "{action:?}: {not_consulted:?} not asked");
        let early = arrival.patient_until().is_some_and(|until| self.now < until);
        assert!(!early, "{action:?} was refused before its time");
        if reason.starts_with("insufficient funds") {
            let before = &arrival.group[..arrival.place];
            let has = i128::from(balance.units()) + brought(before, action.payer());
            assert!(has < amount.units().into(), "{action:?} was covered, but {outcome:?}");
            self.lacked_money(index, consulted);
            if matches!(self.arrivals[index].instruction().action, Action::Burn { .. }) {
                self.marks.push(Mark::BurnRefused);
            }
            if arrival.patient_until().is_some() {
                self.marks.push(Mark::PatientRefused);
            }
        } else {
            let to = action.payee().expect("only a payee can be unknown");
            let knew = |server: &&ServerId| self.books.knew(server, to, arrival.clock);
            let by = consulted.iter().find(knew);
            assert_eq!(by, None, "{action:?} was refused, though that one knew {to}");
            self.marks.push(Mark::PayeeUnknown);
        }
    }

    /// At some moment since it came, those consulted did not have the money.
    fn lacked_money(&self, index: usize, consulted: &[ServerId]) {
        let arrival = &self.arrivals[index];
        let Some(from) = arrival.instruction().action.payer() else { return };
        // What those before it in its group take, or bring.
        let mut needed = 0;
        for member in &arrival.group[..=arrival.place] {
            let (Action::Transfer { amount, .. }
            | Action::Mint { amount, .. }
            | Action::Burn { amount, .. }) = &member.action
            else {
                continue;
            };
            let units = i128::from(amount.units());
            needed += if member.action.payer() == Some(from) { units } else { 0 };
            needed -= if member.action.payee() == Some(from) { units } else { 0 };
        }
        // Money of others than the consulted may have come and gone by way of blocks.
        let mut balance = self.books.at_first(from);
        let mut least = i128::MAX;
        for (place, payment) in self.books.moves.iter().enumerate() {
            if place >= arrival.moves {
                least = least.min(balance);
            }
            if payment.from.as_ref() == Some(from) {
                balance -= payment.units;
            } else if payment.to.as_ref() == Some(from)
                && (payment.server.as_str() == from.home() || consulted.contains(&payment.server))
            {
                balance += payment.units;
            }
        }
        let lacked = least.min(balance) < needed;
        let instruction = arrival.instruction();
        assert!(lacked, "{instruction:?} was refused, though {consulted:?} had the money");
    }
}

/// Returns what these would bring an account beyond what they take from it.
fn brought(members: &[Instruction], account: Option<&AccountId>) -> i128 {
    let units = |is: bool, amount: &Amount| if is { i128::from(amount.units()) } else { 0 };
    let brings = |action: &Action| match action {
        Action::Transfer { from, to, amount } => {
            units(account == Some(to), amount) - units(account == Some(from), amount)
        }
        Action::Mint { account: at, amount } => units(account == Some(at), amount),
        Action::Burn { account: at, amount } => -units(account == Some(at), amount),
        _ => 0,
    };
    members.iter().map(|member| brings(&member.action)).sum()
}

/// What is linked happens together or not at all, and one of them is to blame, unless some of
/// them came in other company before.
fn all_or_none(outcomes: &[Outcome], as_first: bool) {
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
    let accepted = count(|outcome| matches!(outcome, Outcome::Accepted { .. }));
    let expired = count(|outcome| matches!(outcome, Outcome::Expired { .. }));
    let innocent = count(|outcome| matches!(outcome, Outcome::LinkedFailed { .. }));
    let culprits = outcomes.len() - accepted - expired - innocent;
    let open = |outcome: &Outcome| match outcome {
        Outcome::Unavailable { reason } => !matches!(reason.code, Code::NotOpen | Code::Lost),
        _ => true,
    };
    if !outcomes.iter().any(open) {
        return;
    }
    let consistent = match (accepted, expired) {
        (0, 0) => culprits == 1 || !as_first,
        (0, _) => culprits <= 1 || !as_first,
        _ => innocent + culprits == 0,
    };
    assert!(consistent, "linked, but {outcomes:?}");
}
