//! What comes of asking a server.

use std::fmt;

use crate::bank::ids::RequestId;
use crate::bank::request::{ErrorCode, Outcome};

/// Why there is no answer of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server can't be reached; nothing was sent.
    NotSent(String),
    /// It was sent, and nothing came back.
    NoAnswer(String),
    /// The server answered with an error.
    Said(ErrorCode, String),
    /// Something came back that is no answer.
    NotUnderstood(String),
    /// The server at this address is another one.
    WrongServer(String),
    /// The bank has no such server.
    NoServer(String),
    /// The user did not want to wait any longer.
    Interrupted,
}

impl Failure {
    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Failure::NotSent(_) | Failure::NoAnswer(_) => true,
            Failure::Said(code, _) => {
                matches!(code, ErrorCode::Unavailable | ErrorCode::Store | ErrorCode::Full)
            }
            Failure::NotUnderstood(_)
            | Failure::WrongServer(_)
            | Failure::NoServer(_)
            | Failure::Interrupted => false,
        }
    }

    /// Whether what was asked for may have happened all the same.
    pub(super) fn leaves_open_what_happened(&self) -> bool {
        match self {
            Failure::NoAnswer(_) | Failure::NotUnderstood(_) | Failure::Interrupted => true,
            // A store that fails may have kept what it was given.
            Failure::Said(code, _) => *code == ErrorCode::Store,
            Failure::NotSent(_) | Failure::WrongServer(_) | Failure::NoServer(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotSent(why) => write!(f, "can't reach the server: {why}"),
            Failure::NoAnswer(why) => write!(f, "no answer from the server: {why}"),
            Failure::Said(_, message) => f.write_str(message),
            Failure::NotUnderstood(why) => write!(f, "the server's answer makes no sense: {why}"),
            Failure::WrongServer(why) | Failure::NoServer(why) => f.write_str(why),
            Failure::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// How a transfer, or the opening of an account, ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server says so. Never [`Outcome::Expired`].
    Decided(Outcome),
    /// It may or may not have happened.
    Unknown {
        /// Its name, by which it can be found in the log or the chain if it happened.
        request: RequestId,
        /// Why it isn't known.
        reason: String,
    },
    /// It was never taken in: it has not happened and will not.
    NotDone(Failure),
}

/// What is said of a reply of another kind than the request calls for.
pub(super) fn out_of_place() -> Failure {
    Failure::NotUnderstood("it answers another question".into())
}

/// A server that says "more" and gets nowhere must not hold us for ever.
pub(super) fn no_further() -> Failure {
    Failure::NotUnderstood("there is more, but it doesn't come".into())
}

/// Keeps what the server said last: it tells more than that there was no answer.
pub(super) fn last_said(said: Option<Failure>, failure: Failure) -> Option<Failure> {
    if matches!(failure, Failure::Said(..)) { Some(failure) } else { said }
}

/// What to report at the end: the last failure, and before it what the server said, if it did.
pub(super) fn last_word(said: Option<Failure>, last: Failure) -> Failure {
    match (said, last) {
        (
            Some(Failure::Said(code, message)),
            last @ (Failure::NotSent(_) | Failure::NoAnswer(_)),
        ) => Failure::Said(code, format!("{message}; then: {last}")),
        (_, last) => last,
    }
}
