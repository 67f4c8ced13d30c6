//! The rule of a transfer, and why an entry can't take effect.

use std::fmt;

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::bank::ledger::entry::Action;

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
    /// Payer and payee are the same account.
    ToItself,
    /// The account is open already.
    Exists(AccountId),
    /// The action may happen only at the account's home.
    NotHome(AccountId),
    /// The bank was founded to issue no money.
    NotIssuing,
    /// The home would have issued more than a home may.
    IssuedTooMuch {
        /// How much it still may issue.
        left: Amount,
    },
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
            LedgerError::NotIssuing => f.write_str(
                "this bank issues no money and takes none back: it was founded without --issuing",
            ),
            LedgerError::IssuedTooMuch { left } => {
                write!(
                    f,
                    "a home issues 2^42 units beyond what it takes back at most, and {left} are left"
                )
            }
        }
    }
}

/// Returns what an account holds after money was issued for it, or taken back; `known` is its place and its balance
/// before it.
///
/// # Errors
/// First what is wrong with it for ever, then what the balance lacks.
pub(super) fn issued<P>(
    action: &Action,
    account: &AccountId,
    amount: Amount,
    known: Option<(P, Amount)>,
) -> Result<(P, Amount), LedgerError> {
    if amount == Amount::ZERO {
        return Err(LedgerError::Nothing);
    }
    let (place, balance) = known.ok_or_else(|| LedgerError::UnknownAccount(account.clone()))?;
    let after = match action {
        Action::Burn { .. } => balance.minus(amount),
        // Homes have bounds that keep the sum of all balances an amount; a forged log may break them.
        _ => {
            return match balance.plus(amount) {
                Some(after) => Ok((place, after)),
                None => Err(LedgerError::IssuedTooMuch { left: Amount::ZERO }),
            };
        }
    };
    let overdraft = || LedgerError::Overdraft { account: account.clone(), balance };
    Ok((place, after.ok_or_else(overdraft)?))
}

/// Returns what payer and payee hold after a transfer, and their places. `known` is their places and balances
/// before it.
///
/// # Errors
/// First what is wrong with it for ever, then what the balance lacks.
pub(super) fn moved<P>(
    from: &AccountId,
    to: &AccountId,
    amount: Amount,
    known: [Option<(P, Amount)>; 2],
) -> Result<[(P, Amount); 2], LedgerError> {
    if amount == Amount::ZERO {
        return Err(LedgerError::Nothing);
    }
    if from == to {
        return Err(LedgerError::ToItself);
    }
    let unknown = |account: &AccountId| LedgerError::UnknownAccount(account.clone());
    let [payer, payee] = known;
    let (payer, balance) = payer.ok_or_else(|| unknown(from))?;
    let (payee, holds) = payee.ok_or_else(|| unknown(to))?;
    let Some(debited) = balance.minus(amount) else {
        return Err(LedgerError::Overdraft { account: from.clone(), balance });
    };
    let credited = holds.plus(amount).expect("the total of all balances is an amount");
    Ok([(payer, debited), (payee, credited)])
}
