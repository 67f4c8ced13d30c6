//! What clients ask of a server, and what it answers.

use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, RequestId, ServerId, SessionId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Entry, Position, Via};
use crate::bank::reason::Reason;
pub use crate::bank::status::{Measured, PeerStatus, Percentiles, RedisStatus, Start, Status};

/// A transfer, or the opening of an account, as a client asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What is to happen.
    pub action: Action,
    /// Its name, if it belongs to a session: a retry under the same name happens once.
    pub request: Option<RequestId>,
    /// It is to happen together with the one after it in the same request, or not at all.
    pub linked: bool,
    /// To be answered when its entry is in a committed block, and so durable at a majority.
    pub settled: bool,
    /// It is not refused for insufficient funds before so many milliseconds have passed.
    pub wait_ms: Option<u64>,
}

impl Instruction {
    /// The action alone, answered as soon as that can be.
    pub fn plain(action: Action) -> Instruction {
        Instruction { action, request: None, linked: false, settled: false, wait_ms: None }
    }
}

/// A part of a [`Request::Batch`], which the shell takes in piece by piece so that nobody else has to
/// wait for all of it. Linked instructions are never parted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// How many of the batch's instructions came before these.
    pub before: usize,
    /// These.
    pub instructions: Vec<Instruction>,
    /// How many are still to come.
    pub after: usize,
}

/// A request of a client's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Opens a session.
    Session,
    /// Looks at a transfer or an opening and answers with its [`Outcome`].
    One(Instruction),
    /// The same for several, answered together when the last one has its outcome.
    Batch(Vec<Instruction>),
    /// An account's balance as this server knows it; its own account if none is named.
    Balance(Option<AccountId>),
    /// The entries of the local log after a position, oldest first.
    Log {
        /// The position after which to begin; the log's beginning if none is given.
        after: Option<Position>,
    },
    /// Blocks of the chain, from height `from` on, as many as fit in one piece.
    Chain {
        /// The first height.
        from: u64,
        /// The last height wanted; the chain's head if none is given.
        to: Option<u64>,
    },
    /// An account's statement: the entries of the chain that touch it, the newest first; before them,
    /// at its home, those of the local log.
    History {
        /// The account.
        account: AccountId,
        /// Where the page before this one ended.
        before: Option<Cursor>,
        /// The most entries wanted.
        limit: usize,
    },
    /// The accounts of which the names begin so, in the order of their names.
    Accounts {
        /// What they begin with; empty for all.
        prefix: String,
        /// The last name of the page before this one.
        after: Option<AccountId>,
        /// The most accounts wanted.
        limit: usize,
    },
    /// How the server is.
    Status,
    /// Runs Paxos until what the local logs of all servers heard hold now is in the chain.
    Settle,
}

/// A place in an account's statement, from which the next page goes on. For the server that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The height of the block that holds the last entry shown.
    pub height: u64,
    /// That entry's place among all entries of the block, from 0.
    pub place: u64,
    /// What the account held before that entry.
    pub balance: Amount,
}

impl Cursor {
    /// In place of a height: what was shown last is in the local log, and `place` is its seq.
    pub const IN_LOG: u64 = Amount::MAX.units();
}

/// A line of an account's statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StatementLine {
    /// The height of the block that holds the entry; none while it is in the local log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// The account's balance after it.
    pub balance: Amount,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

/// An account, as [`Request::Accounts`] lists it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listed {
    /// Its name.
    pub account: AccountId,
    /// What it holds by the chain; none if it is not in the chain yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Amount>,
}

/// What a client asks that is answered from the store, outside the event loop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Query {
    /// Blocks.
    Chain {
        /// The first height.
        from: u64,
        /// The last height.
        to: u64,
    },
    /// An account's statement.
    History {
        /// The account.
        account: AccountId,
        /// Where the page before ended.
        before: Option<Cursor>,
        /// The most entries wanted.
        limit: usize,
        /// What was known when it was asked.
        state: AccountState,
    },
}

/// What a server knows of an account, all of it at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountState {
    /// The number of blocks in the chain.
    pub blocks: u64,
    /// What the account holds by those blocks; none if it is not in the chain yet.
    pub committed: Option<Amount>,
    /// The piece of the local log that is to be looked through, of whatever accounts, oldest first;
    /// empty where none is.
    pub log: Vec<Element>,
    /// The local log goes on before that piece.
    pub older: bool,
    /// What the account holds after that piece.
    pub balance: Amount,
}

/// What became of a transfer or an opening.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It has happened; it is durable at its home.
    Accepted {
        /// The entry's name: the server that accepted it…
        server: ServerId,
        /// …its epoch…
        epoch: u64,
        /// …and the seq.
        seq: u64,
        /// The local balance of the payer, or of the account opened: after it happened, or, if
        /// `repeated`, now.
        balance: Amount,
        /// How it came to be accepted.
        via: Via,
        /// This answers a retry; the transfer happened once, earlier.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        repeated: bool,
        /// Whether its entry is in a committed block by now; only if that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled: Option<bool>,
    },
    /// The servers consulted don't have the money, or don't know the payee; or the account is open
    /// already. It has not happened and will not.
    Refused {
        /// Why.
        #[serde(flatten)]
        reason: Reason,
        /// The balance of the payer, or of the account that is open, by all that the servers consulted
        /// know.
        balance: Amount,
        /// The servers whose logs were looked at.
        consulted: Vec<ServerId>,
        /// The servers whose logs were not.
        not_consulted: Vec<ServerId>,
    },
    /// It could not be decided now. It has not happened and will not.
    Unavailable {
        /// Why.
        #[serde(flatten)]
        reason: Reason,
    },
    /// It makes no sense. It has not happened and will not.
    Invalid {
        /// Why.
        #[serde(flatten)]
        reason: Reason,
    },
    /// Another one that it is linked to has not happened. It has not happened either and will not.
    LinkedFailed {
        /// Why.
        #[serde(flatten)]
        reason: Reason,
    },
    /// It can happen only at another server. It has not happened here and will not.
    WrongServer {
        /// Why.
        #[serde(flatten)]
        reason: Reason,
        /// The right server.
        server: ServerId,
        /// Where that one listens.
        address: String,
    },
    /// A retry so late that the server no longer knows what became of it. It is not done (again).
    Expired {
        /// Why.
        #[serde(flatten)]
        reason: Reason,
    },
}

/// What is wrong with a request, or with a line that should have been one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The line is longer than lines may be. The connection ends.
    LineTooLong,
    /// The line is not JSON, or not UTF-8.
    NotJson,
    /// It is JSON, but no request: an unknown kind or field, or a value of the wrong form.
    BadRequest,
    /// It is of a version that this server does not speak.
    BadVersion,
    /// The bank is not founded yet, or there is no majority now.
    Unavailable,
    /// The account is not known.
    UnknownAccount,
    /// The server's store gave no answer; ask again.
    Store,
    /// The server's store takes no writes, being full for instance: nothing was done. Reads are answered.
    Full,
}

/// An answer. On the wire it stands beside the `id` of its request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To [`Request::Session`].
    Session {
        /// The session's name.
        session: SessionId,
    },
    /// To [`Request::One`].
    One(Outcome),
    /// To [`Request::Batch`], in their order.
    Batch {
        /// One each.
        outcomes: Vec<Outcome>,
    },
    /// To [`Request::Balance`].
    Balance {
        /// The account.
        account: AccountId,
        /// Its local balance: committed, plus the effects of this server's local log.
        balance: Amount,
        /// Its balance by the chain alone; none if it is not in the chain yet.
        #[serde(skip_serializing_if = "Option::is_none")]
        committed: Option<Amount>,
        /// The chain's height.
        height: u64,
    },
    /// To [`Request::History`].
    History {
        /// The account.
        account: AccountId,
        /// The newest first.
        lines: Vec<StatementLine>,
        /// Where the next page goes on; none if this was the last one.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<Cursor>,
    },
    /// To [`Request::Accounts`].
    Accounts {
        /// In the order of their names.
        accounts: Vec<Listed>,
        /// There are more after these.
        more: bool,
    },
    /// To [`Request::Log`].
    Log {
        /// Whose log.
        server: ServerId,
        /// Oldest first.
        entries: Vec<Entry>,
        /// There are more after these.
        more: bool,
    },
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Settle`]: what the logs of those consulted held when it was asked is in the chain.
    Settled {
        /// Always true.
        settled: bool,
        /// The chain's height.
        height: u64,
        /// The servers whose logs were looked at.
        consulted: Vec<ServerId>,
        /// The servers whose logs were not.
        not_consulted: Vec<ServerId>,
    },
    /// To a request that can't be answered otherwise.
    Error {
        /// What is wrong, for programs.
        error: ErrorCode,
        /// What is wrong and what would be right, for people.
        message: String,
    },
}
