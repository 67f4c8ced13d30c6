//! Why a transfer or an opening did not happen: a code for programs, and words for people.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::bank::ledger::rule::LedgerError;

/// The code of a reason why a transfer or an opening did not happen.
///
/// The codes stand in the order in which a server checks for them. If two apply, a client hears the first:
/// what is known of a retry, then what is wrong with a request whatever the balances are, then the money.
/// `doc/WIRE.md` lists them, and what a client can do about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The bank is not open, or this server takes no part in it now.
    NotOpen,
    /// Whoever asks may not do so: the connection proved no key, or another than the account's.
    Forbidden,
    /// The session is another server's, or this server never named it.
    WrongSession,
    /// The number was used for something else in this session.
    NumberReused,
    /// The store that may have held the first try was lost. The try has not happened and will not.
    Lost,
    /// The retry comes too late: the first try's outcome is no longer known.
    TooLate,
    /// Other items of its linked group were decided earlier, without it.
    GroupDecided,
    /// A request's last item is linked to a next one, which isn't there.
    LinkedAtEnd,
    /// The linked group is longer than allowed.
    TooManyLinked,
    /// The local log is full: settle first.
    LogFull,
    /// Two items of a linked group have the same number.
    NumberTwice,
    /// Only a server may ask for this.
    NotForClients,
    /// The account's home is another server.
    WrongServer,
    /// The account names a home that is no server of the bank.
    NoSuchServer,
    /// The bank issues no money, and takes none back.
    NotIssuing,
    /// The wait for money is longer than allowed.
    WaitTooLong,
    /// The amount is 0.
    AmountZero,
    /// Payer and payee are the same account.
    SameAccount,
    /// There is no such account.
    UnknownAccount,
    /// The bank has as many accounts as allowed.
    TooManyAccounts,
    /// The account is open already.
    AccountExists,
    /// The home would have issued more money than a home may.
    IssuedTooMuch,
    /// Too much waits at this server already.
    TooMuchWaits,
    /// The payer holds less, by everything that the consulted servers know.
    InsufficientFunds,
    /// No majority of the servers was connected in time.
    NoMajority,
    /// No Paxos run got through in time.
    NoRun,
    /// Paxos runs got through in time, and none brought an answer.
    Undecided,
    /// Another item of its linked group has not happened.
    LinkedFailed,
    /// A code that this program does not know.
    #[serde(other)]
    Other,
}

impl From<&LedgerError> for Code {
    fn from(error: &LedgerError) -> Code {
        match error {
            LedgerError::UnknownAccount(_) => Code::UnknownAccount,
            LedgerError::Overdraft { .. } => Code::InsufficientFunds,
            LedgerError::Nothing => Code::AmountZero,
            LedgerError::ToItself => Code::SameAccount,
            LedgerError::Exists(_) => Code::AccountExists,
            LedgerError::NotHome(_) => Code::WrongServer,
            LedgerError::NotIssuing => Code::NotIssuing,
            LedgerError::IssuedTooMuch { .. } => Code::IssuedTooMuch,
        }
    }
}

/// Why a transfer or an opening did not happen. It reads as its words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// The code, for programs. Servers of earlier versions send none.
    #[serde(default = "unknown", skip_serializing_if = "is_unknown")]
    pub code: Code,
    /// The words, for people.
    #[serde(rename = "reason")]
    pub words: String,
    /// True if this answers a retry. It was decided once, earlier.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

fn unknown() -> Code {
    Code::Other
}

fn is_unknown(code: &Code) -> bool {
    *code == Code::Other
}

impl Reason {
    /// Makes a reason with this code, in these words.
    pub fn new(code: Code, words: impl Into<String>) -> Reason {
        Reason { code, words: words.into(), repeated: false }
    }
}

impl From<&LedgerError> for Reason {
    fn from(error: &LedgerError) -> Reason {
        Reason::new(error.into(), error.to_string())
    }
}

impl Deref for Reason {
    type Target = str;

    fn deref(&self) -> &str {
        &self.words
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
