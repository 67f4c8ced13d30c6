//! The exit status that follows from what came of a command. Pure.

use crate::bank::request::{ErrorCode, Outcome, Reply};
use crate::client::commands::Response;
use crate::client::session::{Ending, Failure};

/// How a client ends. The greatest of several counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything was done.
    Done,
    /// A transfer or an opening was refused, or invalid; or the server serves none.
    Refused,
    /// There was no answer, or no majority, in time. What was accepted but not settled in time is accepted all the same.
    NoAnswer,
    /// A command was wrong.
    Usage,
}

impl Exit {
    /// Returns the status for the system.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::NoAnswer => 3,
        }
    }
}

/// Returns the exit status that a response calls for.
pub fn exit_of(response: &Response) -> Exit {
    match response {
        Response::One(ending) => exit_of_ending(ending),
        Response::Batch(endings) => endings.iter().map(exit_of_ending).max().unwrap_or(Exit::Done),
        Response::Failed(
            Failure::Said(ErrorCode::UnknownAccount | ErrorCode::BadRequest, _)
            | Failure::NoServer(_),
        ) => Exit::Usage,
        Response::Failed(Failure::Said(ErrorCode::Forbidden, _)) => Exit::Refused,
        Response::Failed(_) | Response::Reply(Reply::Error { .. }) => Exit::NoAnswer,
        Response::Usage(_) => Exit::Usage,
        Response::Health(health) if !health.serves => Exit::Refused,
        Response::Reply(_)
        | Response::Health(_)
        | Response::Page { .. }
        | Response::Balances { .. }
        | Response::AllBalances(_)
        | Response::Chain(_)
        | Response::Block(_)
        | Response::Links(_)
        | Response::Help(_) => Exit::Done,
    }
}

fn exit_of_ending(ending: &Ending) -> Exit {
    match ending {
        Ending::Decided(Outcome::Accepted { settled: Some(false), .. }) => Exit::NoAnswer,
        Ending::Decided(Outcome::Accepted { .. }) => Exit::Done,
        Ending::Decided(Outcome::Unavailable { .. } | Outcome::Expired { .. }) => Exit::NoAnswer,
        Ending::Decided(
            Outcome::Refused { .. }
            | Outcome::Invalid { .. }
            | Outcome::LinkedFailed { .. }
            | Outcome::WrongServer { .. },
        ) => Exit::Refused,
        Ending::NotDone(failure) if is_invalid(failure) => Exit::Refused,
        Ending::NotDone(_) | Ending::Unknown { .. } => Exit::NoAnswer,
    }
}

/// True if the transfer itself is what the server can't take.
pub(crate) fn is_invalid(failure: &Failure) -> bool {
    use ErrorCode::{BadRequest, Forbidden, LineTooLong, NameRefused, UnknownAccount};
    let Failure::Said(code, _) = failure else { return false };
    matches!(code, BadRequest | Forbidden | LineTooLong | NameRefused | UnknownAccount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::amount::Amount;
    use crate::bank::ledger::entry::Via;
    use crate::bank::reason::{Code, Reason};
    use crate::client::help::Help;

    fn endings() -> Vec<(Ending, u8)> {
        let reason = String::new;
        let why = || Reason::new(Code::Other, "");
        let server = || "A".parse().unwrap();
        let balance = Amount::ZERO;
        let decided = Ending::Decided;
        let said = |code| Ending::NotDone(Failure::Said(code, String::new()));
        let (epoch, seq, via, repeated) = (1, 1, Via::Local, false);
        let accepted = |settled| {
            let server = server();
            decided(Outcome::Accepted { server, epoch, seq, balance, via, repeated, settled })
        };
        let (consulted, not_consulted) = (vec![], vec![]);
        let refused = Outcome::Refused { reason: why(), balance, consulted, not_consulted };
        let wrong = Outcome::WrongServer { reason: why(), server: server(), address: reason() };
        let request = "A.1.0.00000000000000ff.1#3".parse().unwrap();
        vec![
            (accepted(None), 0),
            (accepted(Some(true)), 0),
            (accepted(Some(false)), 3),
            (decided(refused), 1),
            (decided(Outcome::Invalid { reason: why() }), 1),
            (decided(Outcome::LinkedFailed { reason: why() }), 1),
            (decided(wrong), 1),
            (said(ErrorCode::BadRequest), 1),
            (said(ErrorCode::LineTooLong), 1),
            (said(ErrorCode::Forbidden), 1),
            (said(ErrorCode::NameRefused), 1),
            (decided(Outcome::Unavailable { reason: why() }), 3),
            (said(ErrorCode::Unavailable), 3),
            (Ending::NotDone(Failure::NotSent(reason())), 3),
            (Ending::Unknown { request, reason: reason() }, 3),
        ]
    }

    #[test]
    fn exit_statuses_are_as_documented() {
        for (ending, code) in endings() {
            assert_eq!(exit_of(&Response::One(ending.clone())).code(), code, "{ending:?}");
        }
        assert_eq!(exit_of(&Response::Usage(String::new())).code(), 2);
        let forbidden = Failure::Said(ErrorCode::Forbidden, String::new());
        assert_eq!(exit_of(&Response::Failed(forbidden)).code(), 1);
        assert_eq!(exit_of(&Response::Help(Help::Short)).code(), 0);
        assert!(Exit::Usage > Exit::NoAnswer && Exit::NoAnswer > Exit::Refused);
    }

    #[test]
    fn of_a_batch_the_worst_counts() {
        for most in 1..=endings().len() {
            let (some, codes): (Vec<Ending>, Vec<u8>) = endings().into_iter().take(most).unzip();
            assert_eq!(Some(&exit_of(&Response::Batch(some)).code()), codes.iter().max());
        }
    }
}
