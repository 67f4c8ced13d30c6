//! Trials: entries applied to balances that stay as they are.

use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::balances::{AccountNumbers, Balances, View};
use crate::bank::ledger::changed::{Change, Changes, KeyChange};
use crate::bank::ledger::directory::AccountNumber;
use crate::bank::ledger::entry::{Action, Record};
use crate::bank::ledger::rule::{LedgerError, issued, moved};

/// The balances as they would be after the applied entries.
#[derive(Clone, Debug)]
pub struct Trial<'a> {
    base: &'a Balances,
    view: View,
    changes: Changes,
    /// True if the entries applied now are of this server's own log.
    own: bool,
}

/// The place where a trial holds an account.
enum Location {
    /// In the underlying balances; and the slot where to look for it among the changed ones.
    Base(AccountNumber, usize),
    Opened,
}

impl<'a> Trial<'a> {
    /// Begins a trial, by one of the views.
    pub fn new(base: &'a Balances, view: View) -> Trial<'a> {
        Trial { base, view, changes: Changes::default(), own: false }
    }

    /// Sets whether the entries applied from now on are of this server's own log, which the local balances
    /// count already.
    pub fn is_own(&mut self, own: bool) {
        self.own = own;
    }

    /// Makes room for `transfers` transfers.
    pub fn expect(&mut self, transfers: usize) {
        self.changes.changed.reserve((2 * transfers).min(self.base.accounts()));
    }

    fn find(&self, account: &AccountId) -> Option<(Location, Amount)> {
        self.find_at(account, self.base.find(account))
    }

    /// Finds an account whose number was looked up.
    fn find_at(
        &self,
        account: &AccountId,
        number: Option<AccountNumber>,
    ) -> Option<(Location, Amount)> {
        match number.and_then(|number| Some((number, self.base.at(self.view, number)?))) {
            Some((number, before)) => {
                let (slot, change) = self.changes.changed.find(number);
                Some((Location::Base(number, slot), change.map_or(before, |change| change.amount)))
            }
            None => Some((Location::Opened, self.changes.opened.get(account)?.amount)),
        }
    }

    /// Returns what an account would hold.
    pub fn of(&self, account: &AccountId) -> Option<Amount> {
        self.find(account).map(|(_, amount)| amount)
    }

    /// True if an account of a server holds money. Looks at all accounts.
    pub fn holds_any(&self, home: &ServerId) -> bool {
        let known = self.base.all_committed().map(|(account, _)| account);
        let mut all = known.chain(self.changes.opened.keys().cloned());
        all.any(|account| account.is_of(home) && self.of(&account) > Some(Amount::ZERO))
    }

    /// Applies an action: all of it, or nothing and the reason.
    ///
    /// # Errors
    /// First what is wrong with it for ever, then what the balance lacks.
    pub fn apply(&mut self, action: &Action) -> Result<(), LedgerError> {
        match action {
            Action::Open { account, .. }
                if self.find(account).is_some() && !planted!(AccountOpenedTwice) =>
            {
                return Err(LedgerError::Exists(account.clone()));
            }
            Action::Open { account, .. } => {
                self.changes.opened.insert(account.clone(), Change::default());
            }
            Action::Transfer { from, to, amount } => {
                self.transfer(from, to, *amount, [self.base.find(from), self.base.find(to)])?;
            }
            Action::Mint { account, amount } | Action::Burn { account, amount } => {
                self.changes.changed.reserve(1);
                let found = self.find(account);
                let (place, after) = issued(action, account, *amount, found)?;
                self.set(place, account, after, if self.own { action.issues() } else { 0 });
            }
            Action::Rekey { account, .. } if self.find(account).is_none() => {
                return Err(LedgerError::UnknownAccount(account.clone()));
            }
            // They move no money; their effect on the servers is the chain's business.
            Action::Rekey { .. }
            | Action::Pin { .. }
            | Action::Rejoin { .. }
            | Action::Member(_) => {}
        }
        if let Some((account, key)) = action.gives_key() {
            let before = self.changes.keys.get(account).map_or(0, |change| change.own);
            let own = before + u32::from(self.own);
            self.changes.keys.insert(account.clone(), KeyChange { key, own });
        }
        Ok(())
    }

    /// Gives an account the balance with which it begins. Only a server's own account may be there before, with
    /// nothing.
    ///
    /// # Errors
    /// If the account is there.
    pub fn begin(
        &mut self,
        account: &AccountId,
        amount: Amount,
        key: Option<Fingerprint>,
    ) -> Result<(), LedgerError> {
        self.changes.changed.reserve(1);
        match self.find(account) {
            Some((place @ Location::Base(..), Amount::ZERO)) => self.set(place, account, amount, 0),
            Some(_) => return Err(LedgerError::Exists(account.clone())),
            None => {
                self.changes.opened.insert(account.clone(), Change { amount, own: 0 });
            }
        }
        if let Some(key) = key {
            self.changes.keys.insert(account.clone(), KeyChange { key, own: 0 });
        }
        Ok(())
    }

    /// Applies records, one after the other, up to the first that can't take effect.
    ///
    /// # Errors
    /// How many took effect, and why the next one can't.
    pub fn apply_all(&mut self, records: &[Record]) -> Result<(), (usize, LedgerError)> {
        let found = self.base.find_all(records.iter().map(|record| &record.action));
        for (place, (record, found)) in records.iter().zip(found).enumerate() {
            let applied = match &record.action {
                Action::Transfer { from, to, amount } => self.transfer(from, to, *amount, found),
                action => self.apply(action),
            };
            applied.map_err(|error| (place, error))?;
        }
        Ok(())
    }

    fn transfer(
        &mut self,
        from: &AccountId,
        to: &AccountId,
        amount: Amount,
        [payer, payee]: AccountNumbers,
    ) -> Result<(), LedgerError> {
        self.changes.changed.reserve(2);
        let known = [self.find_at(from, payer), self.find_at(to, payee)];
        let [(payer, debited), (payee, credited)] = moved(from, to, amount, known)?;
        let own = if self.own { amount.units() as i64 } else { 0 };
        self.set(payer, from, debited, -own);
        self.set(payee, to, credited, own);
        Ok(())
    }

    fn set(&mut self, place: Location, account: &AccountId, amount: Amount, own: i64) {
        match place {
            Location::Base(number, slot) => self.changes.changed.set(slot, number, amount, own),
            Location::Opened => {
                let opened = self.changes.opened.get_mut(account);
                opened.expect("it was found there").set(amount, own);
            }
        }
    }

    /// Returns the balances that differ from before.
    pub fn into_changes(self) -> Changes {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    fn units(units: u64) -> Amount {
        Amount::new(units).unwrap()
    }

    fn pays(from: &str, to: &str, amount: u64) -> Action {
        Action::Transfer { from: account(from), to: account(to), amount: units(amount) }
    }

    fn opens(name: &str) -> Action {
        Action::open(account(name))
    }

    fn balances() -> Balances {
        let mut balances = Balances::new(1, 2);
        balances.found(["A", "B"].map(|name| (account(name), units(100))));
        balances
    }

    #[test]
    fn what_is_wrong_for_ever_comes_before_what_the_balance_lacks() {
        let balances = balances();
        let mut trial = Trial::new(&balances, View::Local);
        assert_eq!(trial.apply(&pays("A", "B", 0)), Err(LedgerError::Nothing));
        assert_eq!(trial.apply(&pays("A", "A", 500)), Err(LedgerError::ToItself));
        let unknown = Err(LedgerError::UnknownAccount(account("A/x")));
        assert_eq!(trial.apply(&pays("A", "A/x", 500)), unknown);
        let overdraft = LedgerError::Overdraft { account: account("A"), balance: units(100) };
        assert_eq!(trial.apply(&pays("A", "B", 101)), Err(overdraft));
        assert_eq!(trial.apply(&opens("B")), Err(LedgerError::Exists(account("B"))));
        assert_eq!(trial.into_changes(), Changes::default());
    }

    #[test]
    fn a_trial_sees_its_own_effects_and_changes_nothing() {
        let balances = balances();
        let mut trial = Trial::new(&balances, View::Committed);
        for action in [opens("A/x"), pays("A", "A/x", 70), pays("A/x", "B", 20)] {
            trial.apply(&action).unwrap();
        }
        let of = |name| trial.of(&account(name)).map(Amount::units);
        assert_eq!([of("A"), of("A/x"), of("B")], [Some(30), Some(50), Some(120)]);
        assert_eq!(balances.committed(&account("A")), Some(units(100)));
        assert_eq!(balances.committed(&account("A/x")), None);
    }

    #[test]
    fn an_account_of_the_log_is_not_one_of_the_chain_until_it_is_committed() {
        let mut balances = balances();
        balances.apply(&opens("A/x")).unwrap();
        balances.apply(&pays("A", "A/x", 10)).unwrap();
        let x = account("A/x");
        assert_eq!((balances.local(&x), balances.committed(&x)), (Some(units(10)), None));
        let mut trial = Trial::new(&balances, View::Committed);
        trial.is_own(true);
        trial.apply(&opens("A/x")).unwrap();
        let changes = trial.into_changes();
        balances.commit(changes, 1);
        assert_eq!(balances.local(&x), Some(units(10)));
        assert_eq!(balances.committed(&x), Some(Amount::ZERO));
        balances.forget_log();
        assert_eq!(balances.local(&x), Some(Amount::ZERO));
    }
}
