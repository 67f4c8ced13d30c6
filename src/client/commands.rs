//! Commands carried out over a session.

use std::fmt;

use crate::bank::ids::AccountId;
use crate::bank::ledger::entry::Entry;
use crate::bank::request::{Cursor, Instruction, Reply, Request};
use crate::client::session::{Ending, Failure, Session, out_of_place};
use crate::wire::Answer;
use crate::wire::link::{LinkFaults, LinkOrder};
use crate::wire::reply::{Blocks, HashedBlock};

/// A command of a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A transfer or an opening.
    One(Instruction),
    /// Several by one request.
    Batch(Vec<Instruction>),
    /// Shows a balance; of the server's own account if none is named.
    Balance(Option<AccountId>),
    /// Shows a page of a statement or of the list of accounts.
    Page(Page),
    /// Shows the page after the last one.
    More,
    /// Shows the local log.
    Log,
    /// Shows blocks.
    Chain {
        /// The first height.
        from: u64,
        /// The last height; the head if none is named.
        to: Option<u64>,
    },
    /// Shows how the server is.
    Status,
    /// Empties the local logs into the chain.
    Settle,
    /// Breaks or mends the server's links, or shows how they are.
    Link(LinkOrder),
    /// Shows the commands.
    Help,
    /// Ends the client.
    Quit,
}

/// What comes in pages. Displayed as the command that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// Of an account's statement, the newest first.
    History {
        /// The account.
        account: AccountId,
        /// The most entries.
        limit: usize,
        /// Where the page before ended.
        before: Option<Cursor>,
    },
    /// Of the accounts, in the order of their names.
    Accounts {
        /// What their names begin with.
        prefix: String,
        /// The most accounts.
        limit: usize,
        /// The last of the page before.
        after: Option<AccountId>,
    },
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Page::History { account, limit, before } => {
                write!(f, "history {account} {limit}")?;
                before.map_or(Ok(()), |Cursor { height, place, balance }| {
                    write!(f, " --before {height}.{place}.{balance}")
                })
            }
            Page::Accounts { prefix, limit, after } => {
                let space = if prefix.is_empty() { "" } else { " " };
                write!(f, "accounts{space}{prefix} {limit}")?;
                after.as_ref().map_or(Ok(()), |after| write!(f, " --after {after}"))
            }
        }
    }
}

impl Page {
    fn request(&self) -> Request {
        match self.clone() {
            Page::History { account, limit, before } => Request::History { account, before, limit },
            Page::Accounts { prefix, limit, after } => Request::Accounts { prefix, after, limit },
        }
    }

    /// The page that follows this one, by the reply to this one.
    fn next(&self, reply: &Reply) -> Option<Page> {
        match (self, reply) {
            (Page::History { account, limit, .. }, Reply::History { next, .. }) => {
                let (account, limit) = (account.clone(), *limit);
                next.map(|next| Page::History { account, limit, before: Some(next) })
            }
            (Page::Accounts { prefix, limit, .. }, Reply::Accounts { accounts, more: true }) => {
                let (prefix, limit) = (prefix.clone(), *limit);
                let after = accounts.last().map(|last| last.account.clone());
                after.map(|after| Page::Accounts { prefix, limit, after: Some(after) })
            }
            _ => None,
        }
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Of one transfer or opening.
    One(Ending),
    /// Of several, in their order.
    Batch(Vec<Ending>),
    /// Of `balance`, `log`, `status` and `settle`: the server's reply; of `log`, all of it.
    Reply(Reply),
    /// Of `history`, `accounts` and `more`.
    Page {
        /// The server's reply.
        reply: Reply,
        /// What asks for the page after this one, if there is one.
        next: Option<Page>,
    },
    /// Of `chain`: all that was asked for.
    Chain(Vec<HashedBlock>),
    /// Of `link`: what is wrong with the server's links.
    Links(LinkFaults),
    /// Of `help`.
    Help,
    /// There was no answer to what was asked.
    Failed(Failure),
    /// It was no command, or can't be carried out now, for this reason.
    Usage(String),
}

/// Carries a command out. `next` is the page that `more` asks for, if there is one. None is what
/// `quit` comes to.
pub fn execute(command: Command, session: &mut Session, next: Option<&Page>) -> Option<Response> {
    let result = match command {
        Command::One(instruction) => Ok(Response::One(session.instruct(instruction))),
        Command::Batch(instructions) => Ok(Response::Batch(session.instruct_all(instructions))),
        Command::Balance(account) => reply(session, &Request::Balance(account)),
        Command::Page(page) => show(session, &page),
        Command::More => match next {
            Some(page) => show(session, page),
            None => Ok(Response::Usage(
                "there is no page to go on with: more follows history or accounts".into(),
            )),
        },
        Command::Log => log(session),
        Command::Chain { from, to } => chain(session, from, to),
        Command::Status => reply(session, &Request::Status),
        Command::Settle => reply(session, &Request::Settle),
        Command::Link(order) => session.order(&order).map(Response::Links),
        Command::Help => Ok(Response::Help),
        Command::Quit => return None,
    };
    Some(result.unwrap_or_else(Response::Failed))
}

fn ask(session: &mut Session, request: &Request) -> Result<Reply, Failure> {
    match session.ask(request)? {
        Answer::Reply(reply) => Ok(reply),
        _ => Err(out_of_place()),
    }
}

fn reply(session: &mut Session, request: &Request) -> Result<Response, Failure> {
    ask(session, request).map(Response::Reply)
}

fn show(session: &mut Session, page: &Page) -> Result<Response, Failure> {
    let reply = ask(session, &page.request())?;
    let next = page.next(&reply);
    Ok(Response::Page { reply, next })
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
    let mut all: Vec<HashedBlock> = Vec::new();
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
