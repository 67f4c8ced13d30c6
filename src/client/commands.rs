//! Commands carried out over a session.

use std::fmt;

use crate::bank::ids::{AccountId, ServerId};
use crate::bank::request::{Cursor, Instruction, Listed, Reply, Request};
use crate::client::help::Topic;
use crate::client::inside::{self, AccountBalance, AllBalances};
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
    /// Shows a local log: the server's own, or another's.
    Log(Option<ServerId>),
    /// Shows blocks.
    Chain {
        /// The first height.
        from: u64,
        /// The last height; the head if none is named.
        to: Option<u64>,
    },
    /// Shows all of one block.
    Block(u64),
    /// Shows what all accounts hold, by the longest chain and the logs of all servers that answer.
    AllBalances {
        /// What their names begin with.
        prefix: String,
    },
    /// Shows how the server is.
    Status,
    /// The same once a second: so many times, or until the user has seen enough.
    Watch(Option<u32>),
    /// Empties the local logs into the chain.
    Settle,
    /// Breaks or mends the server's links, or shows how they are.
    Link(LinkOrder),
    /// Asks again for what ended as unknown.
    Again,
    /// Shows the commands, or one of them.
    Help(Option<&'static Topic>),
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
    Accounts(List),
    /// The same, with what they hold.
    Balances(List),
}

/// Accounts by the beginning of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// What their names begin with.
    pub prefix: String,
    /// The most accounts.
    pub limit: usize,
    /// The last of the page before.
    pub after: Option<AccountId>,
}

impl List {
    /// Asks for it.
    pub(super) fn request(&self) -> Request {
        let List { prefix, limit, after } = self.clone();
        Request::Accounts { prefix, after, limit }
    }

    /// The list that follows this page of it, if there is more.
    pub(super) fn next(&self, page: &[Listed], more: bool) -> Option<List> {
        let after = page.last().filter(|_| more)?.account.clone();
        Some(List { after: Some(after), ..self.clone() })
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let List { prefix, limit, after } = self;
        let space = if prefix.is_empty() { "" } else { " " };
        write!(f, "{space}{prefix} {limit}")?;
        after.as_ref().map_or(Ok(()), |after| write!(f, " --after {after}"))
    }
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
            Page::Accounts(list) => write!(f, "accounts{list}"),
            Page::Balances(list) => write!(f, "balances{list}"),
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
    /// Of `balances`, and of `more` after it.
    Balances {
        /// In the order of their names.
        accounts: Vec<AccountBalance>,
        /// What asks for the page after this one, if there is one.
        next: Option<Page>,
    },
    /// Of `balances --all`.
    AllBalances(AllBalances),
    /// Of `chain`: all that was asked for.
    Chain(Vec<HashedBlock>),
    /// Of `block`.
    Block(Box<HashedBlock>),
    /// Of `link`: what is wrong with the server's links.
    Links(LinkFaults),
    /// Of `help`.
    Help(Option<&'static Topic>),
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
        Command::Again => Ok(again(session)),
        Command::Balance(account) => reply(session, &Request::Balance(account)),
        Command::Page(page) => show(session, &page),
        Command::More => match next {
            Some(page) => show(session, page),
            None => Ok(Response::Usage(
                "there is no page to go on with: more follows history, accounts or balances".into(),
            )),
        },
        Command::Log(None) => log(session),
        Command::Log(Some(server)) => session.at(&server).and_then(|mut there| log(&mut there)),
        Command::Chain { from, to } => chain(session, from, to).map(Response::Chain),
        Command::Block(height) => block(session, height),
        Command::AllBalances { prefix } => inside::all_balances(session, &prefix),
        // One look of them.
        Command::Status | Command::Watch(_) => reply(session, &Request::Status),
        Command::Settle => reply(session, &Request::Settle),
        Command::Link(order) => session.order(&order).map(Response::Links),
        Command::Help(topic) => Ok(Response::Help(topic)),
        Command::Quit => return None,
    };
    Some(result.unwrap_or_else(Response::Failed))
}

pub(super) fn ask(session: &mut Session, request: &Request) -> Result<Reply, Failure> {
    match session.ask(request)? {
        Answer::Reply(reply) => Ok(reply),
        _ => Err(out_of_place()),
    }
}

fn reply(session: &mut Session, request: &Request) -> Result<Response, Failure> {
    ask(session, request).map(Response::Reply)
}

fn again(session: &mut Session) -> Response {
    match session.again() {
        Some(mut endings) if endings.len() == 1 => Response::One(endings.remove(0)),
        Some(endings) => Response::Batch(endings),
        None => Response::Usage(
            "nothing ended as unknown: again asks once more for what did, under the same name"
                .into(),
        ),
    }
}

fn show(session: &mut Session, page: &Page) -> Result<Response, Failure> {
    match page {
        Page::History { account, limit, before } => {
            let (account, limit) = (account.clone(), *limit);
            let request = Request::History { account: account.clone(), before: *before, limit };
            let reply = ask(session, &request)?;
            let Reply::History { next, .. } = &reply else { return Err(out_of_place()) };
            let next = next.map(|next| Page::History { account, limit, before: Some(next) });
            Ok(Response::Page { reply, next })
        }
        Page::Accounts(list) => {
            let reply = ask(session, &list.request())?;
            let Reply::Accounts { accounts, more } = &reply else { return Err(out_of_place()) };
            let next = list.next(accounts, *more).map(Page::Accounts);
            Ok(Response::Page { reply, next })
        }
        Page::Balances(list) => inside::balances(session, list),
    }
}

fn block(session: &mut Session, height: u64) -> Result<Response, Failure> {
    if let Some(block) = chain(session, height, Some(height))?.pop() {
        return Ok(Response::Block(Box::new(block)));
    }
    let Reply::Status(status) = ask(session, &Request::Status)? else { return Err(out_of_place()) };
    let last =
        status.height.map_or("there are none yet".into(), |height| format!("the last is {height}"));
    Ok(Response::Usage(format!("there is no block {height}: {last}")))
}

fn log(session: &mut Session) -> Result<Response, Failure> {
    let (server, entries) = inside::log_after(session, None)?;
    Ok(Response::Reply(Reply::Log { server, entries, more: false }))
}

/// The chain, piece by piece.
fn chain(session: &mut Session, from: u64, to: Option<u64>) -> Result<Vec<HashedBlock>, Failure> {
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
            _ if !more => return Ok(all),
            Some(last) => next = last + 1,
            None => return Err(no_further()),
        }
    }
}

/// A server that says "more" and gets nowhere must not hold us for ever.
pub(super) fn no_further() -> Failure {
    Failure::NotUnderstood("there is more, but it doesn't come".into())
}
