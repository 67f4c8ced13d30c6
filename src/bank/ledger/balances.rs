//! What each account holds: by the chain alone, and by what this server knows on top.

use std::fmt;

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::bank::ledger::digest::Digest;
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Balances {
    directory: Directory,
    /// None for an account that is not in the chain yet.
    committed: Vec<Sparse>,
    local: Vec<Amount>,
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

impl Balances {
    /// No accounts. `salt` as for [`Directory::new`].
    pub fn new(salt: u64) -> Balances {
        Balances { directory: Directory::new(salt), ..Balances::default() }
    }

    /// Adds the accounts that the chain begins with.
    pub fn found(&mut self, accounts: impl IntoIterator<Item = (AccountId, Amount)>) {
        for (account, amount) in accounts {
            let number = self.add(&account);
            self.committed[number.index()] = Sparse(amount.units());
            self.local[number.index()] = amount;
        }
    }

    fn add(&mut self, account: &AccountId) -> AccountNumber {
        let number = self.directory.add(account);
        if number.index() == self.local.len() {
            self.committed.push(Sparse::NONE);
            self.local.push(Amount::ZERO);
        }
        number
    }

    /// How many accounts are known.
    pub fn accounts(&self) -> usize {
        self.directory.len()
    }

    pub(super) fn find(&self, account: &AccountId) -> Option<AccountNumber> {
        self.directory.find(account)
    }

    pub(super) fn at(&self, view: View, number: AccountNumber) -> Option<Amount> {
        match view {
            View::Committed => self.committed[number.index()].get(),
            View::Local => Some(self.local[number.index()]),
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
            Some((number, self.local[number.index()]))
        };
        moved(from, to, amount, find).map(Weighed)
    }

    /// Lets a transfer that was just weighed take effect; returns what the payer holds then.
    pub fn take(&mut self, Weighed(holdings): Weighed) -> Amount {
        for (number, amount) in holdings {
            self.local[number.index()] = amount;
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
            Action::Open { account } if self.find(account).is_none() => drop(self.add(account)),
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
            self.committed[number.index()] = Sparse(amount.units());
            let name = self.directory.name(number).parse().expect("it was the name of an account");
            named.push((name, amount));
        }
        for (account, amount) in changes.opened {
            let number = self.add(&account);
            self.committed[number.index()] = Sparse(amount.units());
            named.push((account, amount));
        }
        named
    }

    /// How many accounts the chain knows, and what they and their balances come to.
    pub fn digest(&self) -> (usize, Digest) {
        let mut digest = Digest::default();
        let mut accounts = 0;
        for (name, amount) in self.directory.names().zip(&self.committed) {
            if let Some(amount) = amount.get() {
                digest.add(name, amount);
                accounts += 1;
            }
        }
        (accounts, digest)
    }

    /// Forgets what the local log had added.
    pub fn forget_log(&mut self) {
        for (local, committed) in self.local.iter_mut().zip(&self.committed) {
            *local = committed.get().unwrap_or_default();
        }
    }
}
