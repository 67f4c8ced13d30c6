//! What each account holds.

use std::collections::BTreeMap;
use std::fmt;

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::bank::ledger::entry::Entry;

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
    /// The account can't be debited by this server.
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
            LedgerError::NotHome(account) => {
                write!(f, "{account} may be debited only by its home, server {}", account.home())
            }
        }
    }
}

/// The accounts and what they hold. No balance is ever below zero, and only transfers change them,
/// so the total stays what it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Balances(BTreeMap<AccountId, Amount>);

impl Balances {
    /// The accounts as they open.
    pub fn open(accounts: impl IntoIterator<Item = (AccountId, Amount)>) -> Balances {
        Balances(accounts.into_iter().collect())
    }

    /// What an account holds, if there is one of that name.
    pub fn of(&self, account: &AccountId) -> Option<Amount> {
        self.0.get(account).copied()
    }

    /// Every account and what it holds, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&AccountId, Amount)> {
        self.0.iter().map(|(account, amount)| (account, *amount))
    }

    /// Lets an entry take effect: all of it, or nothing and the reason.
    ///
    /// # Errors
    /// In the order of [`Balances::check`].
    pub fn apply(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        self.check(&entry.from, &entry.to, entry.amount)?;
        let debited = self.of(&entry.from).and_then(|balance| balance.minus(entry.amount));
        let credited = self.of(&entry.to).and_then(|balance| balance.plus(entry.amount));
        let (Some(debited), Some(credited)) = (debited, credited) else {
            unreachable!("checked above; the total of all balances is an amount");
        };
        self.0.insert(entry.from.clone(), debited);
        self.0.insert(entry.to.clone(), credited);
        Ok(())
    }

    /// Whether a transfer could take effect now.
    ///
    /// # Errors
    /// First what is wrong with the transfer for ever, then what the balance lacks.
    pub fn check(
        &self,
        from: &AccountId,
        to: &AccountId,
        amount: Amount,
    ) -> Result<(), LedgerError> {
        if amount == Amount::ZERO {
            return Err(LedgerError::Nothing);
        }
        if from == to {
            return Err(LedgerError::ToItself);
        }
        let unknown = |account: &AccountId| LedgerError::UnknownAccount(account.clone());
        let balance = self.of(from).ok_or_else(|| unknown(from))?;
        self.of(to).ok_or_else(|| unknown(to))?;
        match balance.minus(amount) {
            Some(_) => Ok(()),
            None => Err(LedgerError::Overdraft { account: from.clone(), balance }),
        }
    }
}
