//! What a user can ask for, and what comes of it. [`execute`](crate::client::execute) leads from one to
//! the other.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::request::{Cursor, Instruction, Listed, Reply, Request};
use crate::client::ending::{Ending, Failure};
use crate::client::help::Topic;
use crate::wire::link::{LinkFaults, LinkOrder};
use crate::wire::reply::HashedBlock;

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

/// An account, as one server knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountBalance {
    /// Its name.
    pub account: AccountId,
    /// Its local balance: committed, and the effects of the server's own log.
    pub balance: Amount,
    /// What it holds by the chain; none if it is not in the chain yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committed: Option<Amount>,
    /// The chain's height.
    pub height: u64,
}

/// What all servers that answered know together: the longest chain and the logs that go on from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AllBalances {
    /// In the order of their names.
    pub balances: Vec<Sum>,
    /// The height of the longest chain.
    pub height: u64,
    /// Whose chain that is.
    pub chain_of: ServerId,
    /// The servers that were asked, with the number of entries in the log of each that go on from
    /// that chain.
    pub logs: BTreeMap<ServerId, usize>,
    /// Those that did not answer, and why.
    pub silent: BTreeMap<ServerId, String>,
    /// A block came whenever they were asked: what it took from the logs is not in here.
    pub moved: bool,
}

/// An account by all that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Its name.
    pub account: AccountId,
    /// By the longest chain; none if it is not in there yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committed: Option<Amount>,
    /// What all logs bring and take.
    pub logs: i64,
    /// Both together.
    pub balance: i64,
}
