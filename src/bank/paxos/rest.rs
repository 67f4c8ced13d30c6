//! What logs hold beyond their promised beginnings.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position};
use crate::bank::paxos::message::Whole;

/// What is left of logs when their promised beginnings are in a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rest {
    /// Nothing: the logs were promised whole.
    Nothing,
    /// This money for the accounts that were asked for. Accounts that are left out get nothing.
    Brings(BTreeMap<AccountId, Amount>),
    /// Something, and nobody said what it brings.
    Unknown,
}

/// The servers from whose logs a block was built, and what is left of the logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Consulted {
    /// The servers, each with the last entry of its whole log when it promised, if it said so.
    pub ends: BTreeMap<ServerId, Option<Position>>,
    /// What is left of all logs together.
    pub rest: Rest,
}

impl Consulted {
    /// Returns the servers.
    pub fn servers(&self) -> BTreeSet<ServerId> {
        self.ends.keys().cloned().collect()
    }
}

impl Rest {
    /// Computes what is left of a server's log, whose sum is `whole`, after its beginning `promised`.
    ///
    /// # Errors
    /// If the whole brings less than the beginning.
    pub fn of(
        server: &ServerId,
        asked: &BTreeSet<AccountId>,
        whole: Whole,
        promised: &[Element],
    ) -> Result<Rest, String> {
        let mut brings: BTreeMap<AccountId, Amount> = whole.brings;
        brings.retain(|account, _| asked.contains(account));
        // The balance of an account that the log opens doesn't matter to anybody: its home may spend it.
        brings.iter_mut().filter(|(account, _)| account.is_of(server)).for_each(|(_, amount)| {
            *amount = Amount::ZERO;
        });
        if !brings.is_empty() && !planted!(RestCountedTwice) {
            for record in promised.iter().flat_map(Element::records) {
                let Action::Transfer { to, amount, .. } = &record.action else { continue };
                let Some(left) = brings.get_mut(to).filter(|_| !to.is_of(server)) else { continue };
                *left = left.minus(*amount).ok_or_else(|| {
                    format!("its whole log brings {to} less than the beginning of it")
                })?;
            }
        }
        brings.retain(|account, amount| *amount > Amount::ZERO || account.is_of(server));
        Ok(Rest::Brings(brings))
    }

    /// Adds another server's rest. A sum beyond all money is nothing to rely on.
    pub fn and(self, other: Rest) -> Rest {
        match (self, other) {
            (Rest::Nothing, rest) | (rest, Rest::Nothing) => rest,
            (Rest::Brings(mut brings), Rest::Brings(others)) => {
                for (account, amount) in others {
                    let sum = brings.entry(account).or_default();
                    match sum.plus(amount) {
                        _ if planted!(RestOfOneOnly) => *sum = amount,
                        Some(more) => *sum = more,
                        None => return Rest::Unknown,
                    }
                }
                Rest::Brings(brings)
            }
            _ => Rest::Unknown,
        }
    }

    /// Describes what is left for people, if anything is.
    pub fn in_words(&self) -> Option<String> {
        let what = match self {
            Rest::Nothing => return None,
            Rest::Unknown => "nobody said what that brings".into(),
            Rest::Brings(brings) if brings.is_empty() => "that brings nothing to what waits".into(),
            Rest::Brings(brings) => {
                let first = brings.iter().take(3);
                let first: Vec<String> =
                    first.map(|(account, amount)| format!("{amount} to {account}")).collect();
                let more = if brings.len() > 3 { ", …" } else { "" };
                format!("that brings {}{more}", first.join(", "))
            }
        };
        Some(format!("more is logged than a block takes; {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::ledger::entry::Record;

    fn account(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    fn units(units: u64) -> Amount {
        Amount::new(units).unwrap()
    }

    fn brings(all: &[(&str, u64)]) -> BTreeMap<AccountId, Amount> {
        all.iter().map(|(name, amount)| (account(name), units(*amount))).collect()
    }

    /// Returns the rest of B's log, in which it has promised to pay A 5, twice.
    fn rest(whole: &[(&str, u64)]) -> Result<Rest, String> {
        let action = Action::Transfer { from: account("B"), to: account("A"), amount: units(5) };
        let record = Record::plain(action);
        let promised = [Element::seal(Position::START.next(), vec![record.clone(), record])];
        let asked = ["A", "A/x", "B/y"].map(account).into();
        let whole = Whole { last: Position { epoch: 1, seq: 9 }, brings: brings(whole) };
        Rest::of(&"B".parse().unwrap(), &asked, whole, &promised)
    }

    #[test]
    fn what_was_promised_is_not_left() {
        assert_eq!(
            rest(&[("A", 12), ("A/x", 3)]),
            Ok(Rest::Brings(brings(&[("A", 2), ("A/x", 3)])))
        );
        assert_eq!(rest(&[("A", 10)]), Ok(Rest::Brings(brings(&[]))));
        assert!(rest(&[("A", 9)]).unwrap_err().contains("brings A less than"));
    }

    #[test]
    fn only_what_was_asked_for_is_kept_and_of_a_new_payee_only_that_it_is_there() {
        let found = rest(&[("A/z", 7), ("B/y", 4)]);
        assert_eq!(found, Ok(Rest::Brings(brings(&[("B/y", 0)]))));
    }

    #[test]
    fn rests_add_up_unless_one_is_unknown_or_they_are_too_much() {
        let of = |all| Rest::Brings(brings(all));
        let sum = of(&[("A", 2)]).and(Rest::Nothing).and(of(&[("A", 3), ("A/x", 1)]));
        assert_eq!(sum, of(&[("A", 5), ("A/x", 1)]));
        assert_eq!(sum.and(Rest::Unknown), Rest::Unknown);
        let most = Amount::MAX.units();
        assert_eq!(of(&[("A", most)]).and(of(&[("A", 1)])), Rest::Unknown);
        assert_eq!(Rest::Nothing.and(Rest::Nothing), Rest::Nothing);
    }
}
