//! The ways in which asking a server can end.

use std::fmt;

use crate::bank::ids::RequestId;
use crate::bank::request::{ErrorCode, Outcome, Reply, Status};
use crate::wire::NOTHING_DONE;

/// Why there is no proper answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server can't be reached; nothing was sent.
    NotSent(String),
    /// The question was sent, and nothing came back.
    NoAnswer(String),
    /// The server answered with an error.
    Said(ErrorCode, String),
    /// A line came back that is no answer.
    NotUnderstood(String),
    /// Another server is at this address.
    WrongServer(String),
    /// The server did not prove a key that is accepted; nothing was asked.
    Untrusted(String),
    /// The bank has no such server.
    NoServer(String),
    /// The user did not want to wait longer.
    Interrupted,
}

impl Failure {
    /// True if trying again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Failure::NotSent(_) | Failure::NoAnswer(_) => true,
            Failure::Said(code, _) => {
                matches!(code, ErrorCode::Unavailable | ErrorCode::Store | ErrorCode::Full)
            }
            Failure::NotUnderstood(_)
            | Failure::WrongServer(_)
            | Failure::Untrusted(_)
            | Failure::NoServer(_)
            | Failure::Interrupted => false,
        }
    }

    /// True if the instruction may have happened all the same.
    pub(super) fn leaves_open_what_happened(&self) -> bool {
        match self {
            Failure::NoAnswer(_) | Failure::NotUnderstood(_) | Failure::Interrupted => true,
            // What a session goes on with elsewhere is told there. A store that fails may have kept what it was given.
            Failure::Said(code, message) => match code {
                ErrorCode::TakenOver => true,
                ErrorCode::Store => !message.starts_with(NOTHING_DONE),
                _ => false,
            },
            Failure::NotSent(_)
            | Failure::WrongServer(_)
            | Failure::Untrusted(_)
            | Failure::NoServer(_) => false,
        }
    }
}

impl Failure {
    /// Says why it isn't known what became of an instruction of which an earlier try was heard. That this last try did
    /// nothing would only be in the way.
    pub(super) fn as_doubt(&self) -> String {
        let why = self.to_string();
        why.strip_prefix(NOTHING_DONE).unwrap_or(&why).to_owned()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotSent(why) => write!(f, "can't reach the server: {why}"),
            Failure::NoAnswer(why) => write!(f, "no answer from the server: {why}"),
            Failure::Said(_, message) => f.write_str(message),
            Failure::NotUnderstood(why) => write!(f, "the server's answer makes no sense: {why}"),
            Failure::WrongServer(why) | Failure::Untrusted(why) | Failure::NoServer(why) => {
                f.write_str(why)
            }
            Failure::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// How a transfer, or the opening of an account, ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server decided it. Never [`Outcome::Expired`].
    Decided(Outcome),
    /// It may or may not have happened.
    Unknown {
        /// The request's name. If it happened, the log or the chain holds it under this name.
        request: RequestId,
        /// Why it isn't known.
        reason: String,
    },
    /// The server never took it in: it has not happened and will not.
    NotDone(Failure),
}

/// Makes the failure for a reply of another kind than the request calls for.
pub(super) fn out_of_place() -> Failure {
    Failure::NotUnderstood("it answers another question".into())
}

/// Takes the whole status from what a server says of itself.
pub(super) fn whole_status(reply: Reply) -> Result<Box<Status>, Failure> {
    match reply {
        Reply::Status(status) => Ok(status),
        Reply::Short(_) => {
            let message = "only operators and auditors may ask for this: it needs the whole status";
            Err(Failure::Said(ErrorCode::Forbidden, message.into()))
        }
        _ => Err(out_of_place()),
    }
}

/// Makes the failure for a server that says "more" and sends nothing, which must not hold us for ever.
pub(super) fn no_further() -> Failure {
    Failure::NotUnderstood("it says that there is more, and doesn't send it".into())
}

/// Keeps what the server said last, which tells more than the lack of an answer.
pub(super) fn last_said(said: Option<Failure>, failure: Failure) -> Option<Failure> {
    if matches!(failure, Failure::Said(..)) { Some(failure) } else { said }
}

/// Returns what to report at the end: the last failure, after what the server said, if it said anything.
pub(super) fn last_word(said: Option<Failure>, last: Failure) -> Failure {
    match (said, last) {
        (
            Some(Failure::Said(code, message)),
            last @ (Failure::NotSent(_) | Failure::NoAnswer(_)),
        ) => Failure::Said(code, format!("{message}; then: {last}")),
        (_, last) => last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bug: a client whose session a second one had taken over said that its payment had not happened and would not,
    /// though the second one was told that it had.
    #[test]
    fn what_was_asked_in_a_session_that_goes_on_elsewhere_may_have_happened() {
        let said = |code, message: &str| Failure::Said(code, message.into());
        assert!(said(ErrorCode::TakenOver, "it goes on").leaves_open_what_happened());
        assert!(!said(ErrorCode::TakenOver, "it goes on").is_transient());
        assert!(said(ErrorCode::Store, "no answer").leaves_open_what_happened());
        assert!(!said(ErrorCode::Store, NOTHING_DONE).leaves_open_what_happened());
        assert!(!said(ErrorCode::Full, "no room").leaves_open_what_happened());
    }
}
