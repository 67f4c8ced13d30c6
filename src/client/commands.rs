//! Commands carried out over a session.

use crate::bank::ledger::entry::Entry;
use crate::bank::request::{Reply, Request};
use crate::client::parse::Command;
use crate::client::session::{Ending, Failure, Session, out_of_place};
use crate::wire::Answer;
use crate::wire::reply::{Blocks, HashedBlock};

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Of a transfer.
    Transfer(Ending),
    /// Of `balance`, `log`, `status` and `settle`: the server's reply; of `log`, all of it.
    Reply(Reply),
    /// Of `chain`: all that was asked for.
    Chain(Vec<HashedBlock<'static>>),
    /// Of `help`.
    Help,
    /// There was no answer to what was asked.
    Failed(Failure),
    /// It was no command, for this reason.
    Usage(String),
}

/// Carries a command out; none is what `quit` comes to.
pub fn execute(command: Command, session: &mut Session) -> Option<Response> {
    let result = match command {
        Command::Transfer { from, to, amount } => {
            Ok(Response::Transfer(session.transfer(from, to, amount)))
        }
        Command::Balance(account) => reply(session, &Request::Balance(account)),
        Command::Log => log(session),
        Command::Chain { from, to } => chain(session, from, to),
        Command::Status => reply(session, &Request::Status),
        Command::Settle => reply(session, &Request::Settle),
        Command::Help => Ok(Response::Help),
        Command::Quit => return None,
    };
    Some(result.unwrap_or_else(Response::Failed))
}

fn reply(session: &mut Session, request: &Request) -> Result<Response, Failure> {
    match session.ask(request)? {
        Answer::Reply(reply) => Ok(Response::Reply(reply)),
        Answer::Chain(_) => Err(out_of_place()),
    }
}

/// The log, page by page. Entries that are put into a block meanwhile are not in the later pages.
fn log(session: &mut Session) -> Result<Response, Failure> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let Answer::Reply(Reply::Log { server, entries, more }) =
            session.ask(&Request::Log { after })?
        else {
            return Err(out_of_place());
        };
        let last = entries.last().map(Entry::position);
        all.extend(entries);
        if !more {
            return Ok(Response::Reply(Reply::Log { server, entries: all, more }));
        }
        if last <= after {
            return Err(no_further());
        }
        after = last;
    }
}

/// The chain, piece by piece.
fn chain(session: &mut Session, from: u64, to: Option<u64>) -> Result<Response, Failure> {
    let mut all: Vec<HashedBlock<'static>> = Vec::new();
    let mut next = from;
    loop {
        let Answer::Chain(Blocks { blocks, more }) =
            session.ask(&Request::Chain { from: next, to })?
        else {
            return Err(out_of_place());
        };
        let heights = blocks.iter().map(|block| block.height);
        if !heights.eq((next..).take(blocks.len())) {
            return Err(Failure::NotUnderstood("blocks with a gap between them".into()));
        }
        let last = blocks.last().map(|block| block.height);
        all.extend(blocks);
        match last {
            _ if !more => return Ok(Response::Chain(all)),
            Some(last) => next = last + 1,
            None => return Err(no_further()),
        }
    }
}

/// A server that says "more" and gets nowhere must not hold us for ever.
fn no_further() -> Failure {
    Failure::NotUnderstood("there is more, but it doesn't come".into())
}
