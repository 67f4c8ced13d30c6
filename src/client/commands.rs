//! A user's commands, and what comes of them. [`execute`](crate::client::execute) leads from a command to
//! its response.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::request::{Cursor, Follow, Instruction, Listed, Order, Reply, Request};
use crate::bank::wall_time::WallTime;
use crate::client::ending::{Ending, Failure};
use crate::client::help::Help;
use crate::client::since::Since;
use crate::client::split::as_word;
use crate::wire::link::{LinkFaults, LinkOrder};
use crate::wire::reply::HashedBlock;

/// A user's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Does a transfer or an opening, gives an account another key, or issues money or takes it back.
    One(Instruction),
    /// Does several instructions by one request.
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
    /// Shows all accounts' balances, by the longest chain and the logs of all servers that answer.
    AllBalances {
        /// The prefix of the accounts' names.
        prefix: String,
    },
    /// Shows entries as they come.
    Follow {
        /// What is wanted.
        follow: Follow,
        /// The height of the last block wanted; none to go on without end.
        to: Option<u64>,
    },
    /// Shows the server's status.
    Status,
    /// Shows whether the server serves its accounts.
    Health,
    /// Shows the status once a second: this many times, or until the user has seen enough.
    Watch(Option<u32>),
    /// Empties the local logs into the chain.
    Settle,
    /// Shows which stores ask to rejoin; or confirms one, by its server and its key.
    Rejoin(Option<(ServerId, Fingerprint)>),
    /// Shows the members, or gives an order about them.
    Members(Order),
    /// Breaks or mends the server's links, or shows their faults.
    Link(LinkOrder),
    /// Asks again for what last ended as unknown.
    Again,
    /// Shows the commands, or one of them.
    Help(Help),
    /// Ends the client.
    Quit,
}

/// A page of a list. It is displayed as the command that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// A page of an account's statement, the newest first.
    History {
        /// The account.
        account: AccountId,
        /// The most entries.
        limit: usize,
        /// Where the page before ended.
        before: Option<Cursor>,
        /// The oldest that is wanted.
        since: Option<Since>,
    },
    /// A page of the accounts, in the order of their names.
    Accounts(List),
    /// A page of the accounts with their balances.
    Balances(List),
}

/// A selection of accounts by the beginning of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The prefix of the names.
    pub prefix: String,
    /// The most accounts.
    pub limit: usize,
    /// The last account of the page before.
    pub after: Option<AccountId>,
}

impl List {
    /// Returns the request for this page of accounts.
    pub(super) fn request(&self) -> Request {
        let List { prefix, limit, after } = self.clone();
        Request::Accounts { prefix, after, limit }
    }

    /// Returns the list that follows this page, if there is more.
    pub(super) fn next(&self, page: &[Listed], more: bool) -> Option<List> {
        let after = page.last().filter(|_| more)?.account.clone();
        Some(List { after: Some(after), ..self.clone() })
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let List { prefix, limit, after } = self;
        if !prefix.is_empty() {
            write!(f, " {}", as_word(prefix))?;
        }
        write!(f, " {limit}")?;
        after.as_ref().map_or(Ok(()), |after| write!(f, " --after {after}"))
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Page::History { account, limit, before, since } => {
                write!(f, "history {account} {limit}")?;
                since.map_or(Ok(()), |since| write!(f, " --since {since}"))?;
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
    /// The ending of one transfer or opening.
    One(Ending),
    /// The endings of several, in their order.
    Batch(Vec<Ending>),
    /// The server's reply to `balance`, `log`, `status`, `settle` or `rejoin`; for `log`, the entire log.
    Reply(Reply),
    /// A page of `history`, `accounts` or `more`.
    Page {
        /// The server's reply.
        reply: Reply,
        /// The command's next page, if there is one.
        next: Option<Page>,
        /// The time before which nothing is shown, if there is one.
        since: Option<WallTime>,
    },
    /// A page of `balances`, or of `more` after it.
    Balances {
        /// The accounts, in the order of their names.
        accounts: Vec<AccountBalance>,
        /// The command's next page, if there is one.
        next: Option<Page>,
    },
    /// The answer to `balances --all`.
    AllBalances(AllBalances),
    /// The answer to `chain`: all blocks asked for.
    Chain(Vec<HashedBlock>),
    /// The answer to `block`.
    Block(Box<HashedBlock>),
    /// The answer to `link`: the faults of the server's links.
    Links(LinkFaults),
    /// The answer to `health`.
    Health(Health),
    /// The answer to `help`.
    Help(Help),
    /// No answer to the question.
    Failed(Failure),
    /// No command, or one that can't be carried out now, and why.
    Usage(String),
}

/// Whether a server serves its accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The server's id.
    pub server: ServerId,
    /// True if it serves them.
    pub serves: bool,
    /// Why it serves none, if so and if whoever asks may know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// True if it hears a majority of those that vote; none if whoever asks may not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hears_majority: Option<bool>,
}

/// An account, as one server knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountBalance {
    /// The account's name.
    pub account: AccountId,
    /// The local balance: the committed balance, and the effects of the server's own log.
    pub balance: Amount,
    /// The balance by the chain; none if the account is not in the chain yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committed: Option<Amount>,
    /// The chain's height.
    pub height: u64,
}

/// What all servers that answered know together: the longest chain, and the logs that go on from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AllBalances {
    /// The accounts, in the order of their names.
    pub balances: Vec<Sum>,
    /// The height of the longest chain.
    pub height: u64,
    /// The server whose chain is the longest.
    pub chain_of: ServerId,
    /// The servers that answered, each with the number of entries in its log that go on from the longest
    /// chain.
    pub logs: BTreeMap<ServerId, usize>,
    /// The servers that did not answer, and why.
    pub silent: BTreeMap<ServerId, String>,
    /// True if a block came whenever the servers were asked. What it took from the logs is missing here.
    pub moved: bool,
}

/// An account by all that the servers know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// The account's name.
    pub account: AccountId,
    /// The balance by the longest chain; none if the account is not in it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committed: Option<Amount>,
    /// What all logs add and take.
    pub logs: i64,
    /// The sum of both.
    pub balance: i64,
    /// True if the account's home is no member of the bank: nobody can debit it, until the home is admitted again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub home_is_no_member: bool,
}
