//! The arithmetic of accounts, held against maps of the plain kind.

use std::collections::BTreeMap;

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ids::AccountId;
use paxos_banking::bank::ledger::balances::{Balances, View};
use paxos_banking::bank::ledger::directory::Directory;
use paxos_banking::bank::ledger::entry::Action;
use paxos_banking::bank::ledger::rule::LedgerError;
use paxos_banking::bank::ledger::trial::Trial;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::config;
use crate::values::account;

const OPENING: u64 = 100;
const FOUNDED: [&str; 2] = ["A", "B"];

/// One of few accounts, so that they meet.
fn one_of_few() -> impl Strategy<Value = AccountId> {
    select(&["A", "B", "A/x", "A/y", "B/x"][..]).prop_map(|name| name.parse().unwrap())
}

fn action() -> impl Strategy<Value = Action> {
    let amount = (0..150u64).prop_map(|units| Amount::new(units).unwrap());
    prop_oneof![
        4 => (one_of_few(), one_of_few(), amount.clone())
            .prop_map(|(from, to, amount)| Action::Transfer { from, to, amount }),
        1 => one_of_few().prop_map(Action::open),
        1 => (one_of_few(), amount.clone())
            .prop_map(|(account, amount)| Action::Mint { account, amount }),
        1 => (one_of_few(), amount).prop_map(|(account, amount)| Action::Burn { account, amount }),
        1 => (one_of_few(), crate::values::key())
            .prop_map(|(account, key)| Action::Rekey { account, key: Box::new(key) }),
    ]
}

type Plain = BTreeMap<AccountId, u64>;

fn founded() -> (Balances, Plain) {
    let mut balances = Balances::new(7, 2);
    let accounts = FOUNDED.map(|name| name.parse::<AccountId>().unwrap());
    let opening = Amount::new(OPENING).unwrap();
    balances.found(accounts.clone().map(|account| (account, opening)));
    (balances, accounts.map(|account| (account, OPENING)).into())
}

/// Lets something happen to the plain accounts, or says why it can't.
fn happen(plain: &mut Plain, action: &Action) -> Result<(), LedgerError> {
    match action {
        Action::Open { account, .. } if plain.contains_key(account) => {
            return Err(LedgerError::Exists(account.clone()));
        }
        Action::Open { account, .. } => drop(plain.insert(account.clone(), 0)),
        Action::Transfer { amount, .. } if amount.units() == 0 => return Err(LedgerError::Nothing),
        Action::Transfer { from, to, .. } if from == to => return Err(LedgerError::ToItself),
        Action::Transfer { from, to, amount } => {
            for account in [from, to] {
                if !plain.contains_key(account) {
                    return Err(LedgerError::UnknownAccount(account.clone()));
                }
            }
            if plain[from] < amount.units() {
                let balance = Amount::new(plain[from]).unwrap();
                return Err(LedgerError::Overdraft { account: from.clone(), balance });
            }
            *plain.get_mut(from).unwrap() -= amount.units();
            *plain.get_mut(to).unwrap() += amount.units();
        }
        Action::Mint { amount, .. } | Action::Burn { amount, .. } if amount.units() == 0 => {
            return Err(LedgerError::Nothing);
        }
        Action::Mint { account, amount } | Action::Burn { account, amount } => {
            let Some(holds) = plain.get_mut(account) else {
                return Err(LedgerError::UnknownAccount(account.clone()));
            };
            let after = match action {
                Action::Mint { .. } => Some(*holds + amount.units()),
                _ => holds.checked_sub(amount.units()),
            };
            let Some(after) = after else {
                let balance = Amount::new(*holds).unwrap();
                return Err(LedgerError::Overdraft { account: account.clone(), balance });
            };
            *holds = after;
        }
        Action::Rekey { account, .. } if !plain.contains_key(account) => {
            return Err(LedgerError::UnknownAccount(account.clone()));
        }
        Action::Rekey { .. } | Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => {}
    }
    Ok(())
}

/// Whether one view of the balances is these accounts and no others.
fn agree(balances: &Balances, view: View, plain: &Plain) -> bool {
    ["A", "B", "A/x", "A/y", "B/x"]
        .map(|name| name.parse::<AccountId>().unwrap())
        .iter()
        .all(|account| balances.of(view, account).map(Amount::units) == plain.get(account).copied())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn balances_are_what_plain_counting_says(actions in vec(action(), 0..60)) {
        let (mut balances, mut plain) = founded();
        let mut total = 2 * OPENING as i64;
        for action in &actions {
            let happened = happen(&mut plain, action);
            total += if happened.is_ok() { action.issues() } else { 0 };
            prop_assert_eq!(balances.apply(action), happened);
            prop_assert!(agree(&balances, View::Local, &plain));
            prop_assert_eq!(plain.values().sum::<u64>() as i64, total);
        }
        prop_assert!(agree(&balances, View::Committed, &founded().1), "the chain says as before");
    }

    #[test]
    fn a_trial_says_what_would_be_and_changes_nothing(
        before in vec(action(), 0..20),
        tried in vec(action(), 0..20),
    ) {
        let (mut balances, mut plain) = founded();
        for action in &before {
            let _ = balances.apply(action);
            let _ = happen(&mut plain, action);
        }
        let as_it_was = plain.clone();
        let mut trial = Trial::new(&balances, View::Local);
        for action in &tried {
            prop_assert_eq!(trial.apply(action), happen(&mut plain, action));
            let touched = [action.subject(), action.payee()];
            for account in touched.into_iter().flatten() {
                prop_assert_eq!(trial.of(account).map(Amount::units), plain.get(account).copied());
            }
        }
        prop_assert!(agree(&balances, View::Local, &as_it_was));
    }

    /// As a chain does with a log: everything is in the local balances at once, and is committed in
    /// pieces.
    #[test]
    fn committed_balances_follow_the_local_ones(pieces in vec(vec(action(), 0..10), 0..6)) {
        let (mut balances, mut local) = founded();
        let mut committed = local.clone();
        let mut log = Vec::new();
        for piece in pieces {
            let happens = |action: &Action| happen(&mut local, action).is_ok();
            let piece: Vec<Action> = piece.into_iter().filter(happens).collect();
            piece.iter().for_each(|action| balances.apply(action).unwrap());
            log.push(piece);
        }
        for piece in log {
            let mut trial = Trial::new(&balances, View::Committed);
            trial.is_own(true);
            for action in &piece {
                prop_assert_eq!(trial.apply(action), Ok(()));
                happen(&mut committed, action).unwrap();
            }
            let changes = trial.into_changes();
            balances.commit(changes, 1);
            prop_assert!(agree(&balances, View::Committed, &committed));
            prop_assert!(agree(&balances, View::Local, &local));
        }
        balances.forget_log();
        prop_assert!(agree(&balances, View::Local, &committed));
    }

    #[test]
    fn a_directory_numbers_names_as_they_come(
        salt in any::<u64>(),
        names in vec(account(), 0..200),
        others in vec(account(), 0..20),
    ) {
        let mut directory = Directory::<()>::new(salt);
        let mut plain: BTreeMap<AccountId, usize> = BTreeMap::new();
        for name in &names {
            let next = plain.len();
            let expected = *plain.entry(name.clone()).or_insert(next);
            prop_assert_eq!(directory.add(name).index(), expected);
            prop_assert_eq!(directory.len(), plain.len());
        }
        for name in names.iter().chain(&others) {
            let found = directory.find(name);
            prop_assert_eq!(found.map(|number| number.index()), plain.get(name).copied());
            if let Some(number) = found {
                prop_assert_eq!(directory.name(number), name);
            }
        }
    }
}
