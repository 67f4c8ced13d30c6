//! Why a transfer or an opening did not happen: a code for programs, and words for people.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::bank::ledger::rule::LedgerError;

/// Why a transfer or an opening did not happen, for programs.
///
/// The codes stand in the order in which a server looks for them, so of two that apply a client hears the
/// first: what is known of a retry; what is wrong with a request whatever the balances are; then the money.
/// `doc/WIRE.md` lists them with what a client can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The bank is not open, or this server takes no part in it now.
    NotOpen,
    /// The session is another server's, or this server never named it.
    WrongSession,
    /// The number was used for something else in this session.
    NumberReused,
    /// The store that may have held the first try was lost: the try has not happened and will not.
    Lost,
    /// The retry comes too late: what became of the first try is not known any more.
    TooLate,
    /// Others of its linked group were decided before, without it.
    GroupDecided,
    /// The last of a request is linked to one after it, of which there is none.
    LinkedAtEnd,
    /// More are linked than can be.
    TooManyLinked,
    /// The local log is full: settle first.
    LogFull,
    /// Two of one linked group have the same number.
    NumberTwice,
    /// Only a server may ask for it.
    NotForClients,
    /// The account's home is another server.
    WrongServer,
    /// The account would be at home at a server that there is not.
    NoSuchServer,
    /// Nobody may wait so long for money.
    WaitTooLong,
    /// The amount is 0.
    AmountZero,
    /// Payer and payee are the same account.
    SameAccount,
    /// There is no such account.
    UnknownAccount,
    /// There are as many accounts as there can be.
    TooManyAccounts,
    /// The account is open already.
    AccountExists,
    /// The payer holds less, by all that the servers consulted know.
    InsufficientFunds,
    /// Too much waits at this server already.
    TooMuchWaits,
    /// No majority of the servers was connected in time.
    NoMajority,
    /// No Paxos run got through in time.
    NoRun,
    /// Paxos runs got through in time, and none brought an answer.
    Undecided,
    /// Another one of its linked group has not happened.
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
        }
    }
}

/// Why a transfer or an opening did not happen. It reads as its words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// For programs. Servers of earlier versions say none.
    #[serde(default = "unknown", skip_serializing_if = "is_unknown")]
    pub code: Code,
    /// For people.
    #[serde(rename = "reason")]
    pub words: String,
}

fn unknown() -> Code {
    Code::Other
}

fn is_unknown(code: &Code) -> bool {
    *code == Code::Other
}

impl Reason {
    /// A reason of this code, in these words.
    pub fn new(code: Code, words: impl Into<String>) -> Reason {
        Reason { code, words: words.into() }
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
