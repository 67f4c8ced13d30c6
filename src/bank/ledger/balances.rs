//! What each account holds: by the chain alone, and by what this server knows on top.

use std::fmt;

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::bank::ledger::directory::{AccountNumber, Directory};
use crate::bank::ledger::entry::Action;
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

    /// What a transfer would do to the local balances.
    ///
    /// # Errors
    /// Those of [`Trial::apply`].
    pub fn weigh(
        &self,
        from: &AccountId,
        to: &AccountId,
        amount: Amount,
    ) -> Result<Weighed, LedgerError> {
        let find = |account: &AccountId| {
            let number = self.find(account)?;
            Some((number, self.0.at(number).local))
        };
        moved(from, to, amount, find).map(Weighed)
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
                let weighed = self.weigh(from, to, *amount)?;
                self.take(weighed);
            }
            Action::Open { account } if self.find(account).is_none() => drop(self.0.add(account)),
            Action::Open { account } => return Err(LedgerError::Exists(account.clone())),
            Action::Rejoin { .. } => {}
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

    /// Forgets what the local log had added.
    pub fn forget_log(&mut self) {
        for Holding { committed, local } in self.0.values_mut() {
            *local = committed.get().unwrap_or_default();
        }
    }
}
