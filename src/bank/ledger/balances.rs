//! What each account holds: by the chain alone, and by what this server knows on top.

use std::fmt;

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::bank::ledger::digest::Digest;
use crate::bank::ledger::directory::{AccountNumber, Directory};
use crate::bank::ledger::entry::{Action, Record};
use crate::bank::ledger::trial::{Changes, Trial, moved};

/// Why an entry can't take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerError {
    /// There is no such account.
    UnknownAccount(AccountId),
    /// The payer holds less.
    Overdraft {
        /// The payer.
        account: AccountId,
        /// What it holds.
        balance: Amount,
    },
    /// The amount is 0.
    Nothing,
    /// Payer and payee are one.
    ToItself,
    /// The account is open already.
    Exists(AccountId),
    /// That may happen only at the account's home.
    NotHome(AccountId),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LedgerError::UnknownAccount(account) => write!(f, "there is no account {account}"),
            LedgerError::Overdraft { account, balance } => {
                write!(f, "{account} holds only {balance}")
            }
            LedgerError::Nothing => f.write_str("the amount must be at least 1"),
            LedgerError::ToItself => f.write_str("payer and payee are the same account"),
            LedgerError::Exists(account) => write!(f, "{account} is open already"),
            LedgerError::NotHome(account) => write!(
                f,
                "{account} may be opened and debited only by its home, server {}",
                account.home()
            ),
        }
    }
}

/// The numbers of a transfer's payer and payee, if they were found.
pub type Found = [Option<AccountNumber>; 2];

/// What the payer and the payee of a transfer would hold by the local balances.
#[derive(Clone, Copy, Debug)]
pub struct Weighed([(AccountNumber, Amount); 2]);

/// Which balance of an account is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// By the chain alone: the same at every server that holds the same blocks.
    Committed,
    /// The committed balance plus the effects of this server's local log: what it decides by.
    Local,
}

/// The accounts and what they hold. No balance is ever below zero, and only transfers change them,
/// so the total stays what it was.
///
/// An account of this server's is known from the moment it is opened here; another's, only from the
/// chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Balances(Directory<Holding>);

/// What one account holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Holding {
    /// None for an account that is not in the chain yet.
    committed: Sparse,
    local: Amount,
}

/// An `Option<Amount>` in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sparse(u64);

impl Sparse {
    const NONE: Sparse = Sparse(u64::MAX);

    fn get(self) -> Option<Amount> {
        Amount::new(self.0)
    }
}

impl Default for Sparse {
    fn default() -> Sparse {
        Sparse::NONE
    }
}

impl From<Amount> for Sparse {
    fn from(amount: Amount) -> Sparse {
        Sparse(amount.units())
    }
}

impl Balances {
    /// No accounts. `salt` as for [`Directory::new`].
    pub fn new(salt: u64) -> Balances {
        Balances(Directory::new(salt))
    }

    /// Adds the accounts that the chain begins with.
    pub fn found(&mut self, accounts: impl IntoIterator<Item = (AccountId, Amount)>) {
        for (account, amount) in accounts {
            let number = self.0.add(&account);
            *self.0.at_mut(number) = Holding { committed: amount.into(), local: amount };
        }
    }

    /// How many accounts are known.
    pub fn accounts(&self) -> usize {
        self.0.len()
    }

    /// Every account that is in the chain, with what it holds by it.
    pub fn all_committed(&self) -> impl Iterator<Item = (AccountId, Amount)> + '_ {
        let all = self.0.iter();
        all.filter_map(|(account, holding)| Some((account.clone(), holding.committed.get()?)))
    }

    pub(super) fn find(&self, account: &AccountId) -> Option<AccountNumber> {
        self.0.find(account)
    }

    pub(super) fn at(&self, view: View, number: AccountNumber) -> Option<Amount> {
        match view {
            View::Committed => self.0.at(number).committed.get(),
            View::Local => Some(self.0.at(number).local),
        }
    }

    /// What an account holds, if there is one of that name in this view.
    pub fn of(&self, view: View, account: &AccountId) -> Option<Amount> {
        self.at(view, self.find(account)?)
    }

    /// What an account holds by the chain.
    pub fn committed(&self, account: &AccountId) -> Option<Amount> {
        self.of(View::Committed, account)
    }

    /// What an account holds by the chain and the local log.
    pub fn local(&self, account: &AccountId) -> Option<Amount> {
        self.of(View::Local, account)
    }

    /// Tries out what would be, by one of the views.
    pub fn try_out(&self, view: View) -> Trial<'_> {
        Trial::new(self, view)
    }

    /// The payers' and payees' numbers, as far as the accounts are known. All at once: with many accounts
    /// nearly each of them has to be fetched from memory, and so a processor fetches several at a time.
    pub fn find_all<'a>(&self, actions: impl Iterator<Item = &'a Action>) -> Vec<Found> {
        let find = |action: &Action| match action {
            Action::Transfer { from, to, .. } => [self.find(from), self.find(to)],
            Action::Open { .. } | Action::Rejoin { .. } => [None; 2],
        };
        actions.map(find).collect()
    }

    /// What a transfer would do to the local balances. `found` may be from before accounts were opened.
    ///
    /// # Errors
    /// Those of [`Trial::apply`].
    pub fn weigh(
        &self,
        from: &AccountId,
        to: &AccountId,
        amount: Amount,
        found: Found,
    ) -> Result<Weighed, LedgerError> {
        let known = |account: &AccountId, number: Option<AccountNumber>| {
            let number = number.or_else(|| self.find(account))?;
            Some((number, self.0.at(number).local))
        };
        moved(from, to, amount, [known(from, found[0]), known(to, found[1])]).map(Weighed)
    }

    /// Lets a transfer that was just weighed take effect; returns what the payer holds then.
    pub fn take(&mut self, Weighed(holdings): Weighed) -> Amount {
        for (number, amount) in holdings {
            self.0.at_mut(number).local = amount;
        }
        holdings[0].1
    }

    /// Lets something take effect on the local balances: all of it, or nothing and the reason.
    ///
    /// # Errors
    /// Those of [`Trial::apply`].
    pub fn apply(&mut self, action: &Action) -> Result<(), LedgerError> {
        match action {
            Action::Transfer { from, to, amount } => {
                let weighed = self.weigh(from, to, *amount, [None; 2])?;
                self.take(weighed);
            }
            Action::Open { account } if self.find(account).is_none() => drop(self.0.add(account)),
            Action::Open { account } => return Err(LedgerError::Exists(account.clone())),
            Action::Rejoin { .. } => {}
        }
        Ok(())
    }

    /// Lets records take effect on the local balances.
    ///
    /// # Errors
    /// That of the first that can't.
    pub fn apply_all(&mut self, records: &[Record]) -> Result<(), LedgerError> {
        let found = self.find_all(records.iter().map(|record| &record.action));
        for (record, found) in records.iter().zip(found) {
            match &record.action {
                Action::Transfer { from, to, amount } => {
                    let weighed = self.weigh(from, to, *amount, found)?;
                    self.take(weighed);
                }
                action => self.apply(action)?,
            }
        }
        Ok(())
    }

    /// Takes over what a trial by the committed balances came to, as what the chain says now; returns
    /// the new balances by name.
    pub fn commit(&mut self, changes: Changes) -> Vec<(AccountId, Amount)> {
        let mut named = Vec::with_capacity(changes.changed.len() + changes.opened.len());
        for (number, amount) in changes.changed {
            self.0.at_mut(number).committed = amount.into();
            named.push((self.0.name(number).clone(), amount));
        }
        for (account, amount) in changes.opened {
            let number = self.0.add(&account);
            self.0.at_mut(number).committed = amount.into();
            named.push((account, amount));
        }
        named
    }

    /// How many accounts the chain knows, and what they and their balances come to.
    pub fn digest(&self) -> (usize, Digest) {
        let mut digest = Digest::default();
        let mut accounts = 0;
        for (account, amount) in self.all_committed() {
            digest.add(account.as_str(), amount);
            accounts += 1;
        }
        (accounts, digest)
    }

    /// Forgets what the local log had added.
    pub fn forget_log(&mut self) {
        for Holding { committed, local } in self.0.values_mut() {
            *local = committed.get().unwrap_or_default();
        }
    }
}
