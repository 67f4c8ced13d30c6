//! The requests of clients, and the answers to them.

use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::fingerprint::Fingerprint;
pub use crate::bank::follow::{Follow, Place, Wanted};
use crate::bank::ids::{AccountId, InstanceId, NamedSession, RequestId, ServerId, SessionId};
use crate::bank::ledger::entry::{Action, Entry, Position, Via};
pub use crate::bank::member_order::{AsksToJoin, MemberStatus, Order};
pub use crate::bank::query::{AccountState, Cursor, Following, Query};
use crate::bank::reason::Reason;
use crate::bank::reference::Reference;
pub use crate::bank::status::{
    Issued, Measured, PeerStatus, Percentiles, RedisStatus, ShortStatus, Start, Status,
};

/// A transfer, or the opening of an account, as a client asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What is to be done.
    pub action: Action,
    /// Its name, if it belongs to a session. A retry has the same name, and happens once.
    pub request: Option<RequestId>,
    /// True if it has to happen together with the next one in the same request, or not at all.
    pub linked: bool,
    /// True if the answer has to wait until its entry is in a committed block, and so durable at a majority.
    pub settled: bool,
    /// The time, in milliseconds, before which it is not refused for insufficient funds.
    pub wait_ms: Option<u64>,
    /// What it is for, in the client's words.
    pub reference: Option<Reference>,
}

impl Instruction {
    /// Makes an instruction of the action alone, answered as soon as possible.
    pub fn plain(action: Action) -> Instruction {
        let (request, wait_ms, reference) = (None, None, None);
        Instruction { action, request, linked: false, settled: false, wait_ms, reference }
    }
}

/// A part of a [`Request::Batch`]. The shell takes a batch in by parts, so that nobody else has to wait for
/// all of it. Linked instructions are never parted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// How many of the batch's instructions came before this part.
    pub before: usize,
    /// The part's instructions.
    pub instructions: Vec<Instruction>,
    /// How many instructions are still to come.
    pub after: usize,
}

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Opens a session: one that the client names, or a new one.
    Session(Option<NamedSession>),
    /// Asks for a transfer or an opening, and its [`Outcome`].
    One(Instruction),
    /// Asks for several, answered together when the last one has its outcome.
    Batch(Vec<Instruction>),
    /// Asks for an account's balance as this server knows it; its own account's if none is named.
    Balance(Option<AccountId>),
    /// Asks for the entries of the local log after a position, oldest first.
    Log {
        /// The position; the log's beginning if none is given.
        after: Option<Position>,
    },
    /// Asks for blocks of the chain, from height `from` on, as many as fit in one piece.
    Chain {
        /// The first height.
        from: u64,
        /// The last height wanted; the chain's head if none is given.
        to: Option<u64>,
    },
    /// Asks for entries of the chain as they come. One reply says that they follow; then come lines that are no
    /// replies, for as long as the connection lasts.
    Follow(Follow),
    /// Asks for an account's statement: the entries of the chain that touch it, the newest first. At its home
    /// the local log's entries come before them.
    History {
        /// The account.
        account: AccountId,
        /// Where the page before this one ended.
        before: Option<Cursor>,
        /// The most entries wanted.
        limit: usize,
    },
    /// Asks for the accounts whose names begin with a prefix, in the order of their names.
    Accounts {
        /// The prefix; empty for all.
        prefix: String,
        /// The last name of the page before this one.
        after: Option<AccountId>,
        /// The most accounts wanted.
        limit: usize,
    },
    /// Asks for the server's status.
    Status,
    /// Runs Paxos until the chain holds what the local logs of all consulted servers hold now.
    Settle,
    /// Confirms, by an operator's word, that a server rejoins with the store that this key speaks for. Without
    /// one, asks who wants to rejoin.
    Rejoin(Option<(ServerId, Fingerprint)>),
    /// Asks for the members, or gives an operator's order about them.
    Members(Order),
}

/// A line of an account's statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StatementLine {
    /// The height of the block that holds the entry; none while it is in the local log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// The account's balance after the entry.
    pub balance: Amount,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

/// An account, as [`Request::Accounts`] lists it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listed {
    /// The account's name.
    pub account: AccountId,
    /// Its balance by the chain; none if it is not in the chain yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Amount>,
}

/// The outcome of a transfer or an opening.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It has happened, and is durable at its home.
    Accepted {
        /// The entry's name begins with the server that accepted it…
        server: ServerId,
        /// …then comes the server's epoch…
        epoch: u64,
        /// …and then the seq.
        seq: u64,
        /// The local balance of the payer, or of the account opened: after it happened, or, if
        /// `repeated`, now.
        balance: Amount,
        /// How it came to be accepted.
        via: Via,
        /// True if this answers a retry. The transfer happened once, earlier.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        repeated: bool,
        /// Whether its entry is in a committed block by now; set only if the client asked for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled: Option<bool>,
    },
    /// The consulted servers don't have the money, or don't know the payee, or the account is open already.
    /// It has not happened and will not.
    Refused {
        /// Why.
        #[serde(flatten)]
        reason: Reason,
        /// The balance of the payer, or of the account that is open, by everything that the consulted servers
        /// know. Earlier members of its linked group haven't happened, and don't count.
        balance: Amount,
        /// The servers whose logs were consulted.
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
    /// Another item of its linked group has not happened. So it has not happened either, and will not.
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
        /// The right server's address.
        address: String,
    },
    /// It is a retry so late that the server no longer knows the first try's outcome. It is not done (again).
    Expired {
        /// Why.
        #[serde(flatten)]
        reason: Reason,
    },
}

impl Outcome {
    /// Returns the same outcome as it is told to a retry.
    pub fn again(mut self) -> Outcome {
        match &mut self {
            Outcome::Accepted { repeated, .. } => *repeated = true,
            Outcome::Refused { reason, .. }
            | Outcome::Unavailable { reason }
            | Outcome::Invalid { reason }
            | Outcome::LinkedFailed { reason }
            | Outcome::WrongServer { reason, .. }
            | Outcome::Expired { reason } => reason.repeated = true,
        }
        self
    }
}

/// The error of a request, or of a line that should have been one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The line is longer than lines may be. The connection ends.
    LineTooLong,
    /// The line is not JSON, or not UTF-8.
    NotJson,
    /// The line is JSON, but no request: it has an unknown kind or field, or a value of the wrong form.
    BadRequest,
    /// The request is of a version that this server does not speak.
    BadVersion,
    /// The bank is not founded yet, or there is no majority now.
    Unavailable,
    /// The account is not known.
    UnknownAccount,
    /// Whoever asks may not do so. The message says which key could.
    Forbidden,
    /// The name can't be used for a session. The message says why, and what to do.
    NameRefused,
    /// The session goes on over a newer connection, and what became of the request is told there.
    TakenOver,
    /// The server's store gave no answer; ask again.
    Store,
    /// The server's store takes no writes, being full for instance. Nothing was done. Reads are answered.
    Full,
}

/// A store that asks to rejoin in a server's place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AsksToRejoin {
    /// The server.
    pub server: ServerId,
    /// The store's instance.
    pub instance: InstanceId,
    /// The key that speaks for the store.
    pub key: Fingerprint,
    /// True if an operator has confirmed it here.
    pub confirmed: bool,
}

/// An answer. On the wire the `id` of its request stands beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// The answer to [`Request::Session`].
    Session {
        /// The session's id.
        session: SessionId,
        /// The highest number that the server knows in it, if its client named it; 0 if none.
        #[serde(skip_serializing_if = "Option::is_none")]
        highest: Option<u64>,
    },
    /// The answer to [`Request::One`].
    One(Outcome),
    /// The answer to [`Request::Batch`].
    Batch {
        /// The outcomes, in the order of the instructions.
        outcomes: Vec<Outcome>,
    },
    /// The answer to [`Request::Balance`].
    Balance {
        /// The account.
        account: AccountId,
        /// The local balance: the committed balance, plus the effects of this server's local log.
        balance: Amount,
        /// The balance by the chain alone; none if the account is not in the chain yet.
        #[serde(skip_serializing_if = "Option::is_none")]
        committed: Option<Amount>,
        /// The chain's height.
        height: u64,
    },
    /// The answer to [`Request::Follow`].
    Follows {
        /// The server that is followed.
        server: ServerId,
        /// The bank, by the hash of its block 0.
        bank: BlockHash,
        /// The place of the first entry that may follow.
        next: Place,
    },
    /// The answer to [`Request::History`].
    History {
        /// The account.
        account: AccountId,
        /// The lines, the newest first.
        lines: Vec<StatementLine>,
        /// Where the next page goes on; none if this is the last page.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<Cursor>,
    },
    /// The answer to [`Request::Accounts`].
    Accounts {
        /// The accounts, in the order of their names.
        accounts: Vec<Listed>,
        /// True if there are more after these.
        more: bool,
    },
    /// The answer to [`Request::Log`].
    Log {
        /// The server whose log it is.
        server: ServerId,
        /// The entries, oldest first.
        entries: Vec<Entry>,
        /// True if there are more after these.
        more: bool,
    },
    /// The answer to [`Request::Status`].
    Status(Box<Status>),
    /// The answer to [`Request::Settle`]: the chain holds what the consulted logs held when it was asked.
    Settled {
        /// Always true.
        settled: bool,
        /// The chain's height.
        height: u64,
        /// The servers whose logs were consulted.
        consulted: Vec<ServerId>,
        /// The servers whose logs were not.
        not_consulted: Vec<ServerId>,
    },
    /// The answer to [`Request::Rejoin`].
    Rejoins {
        /// The stores that ask to rejoin, and have not yet.
        rejoins: Vec<AsksToRejoin>,
    },
    /// The answer to [`Request::Members`].
    Members {
        /// The chain's height: what follows from it are the members.
        height: u64,
        /// The members.
        members: Vec<MemberStatus>,
        /// The servers that ask to become members here.
        asks: Vec<AsksToJoin>,
        /// The servers that are to be admitted as soon as they greet.
        ordered: Vec<ServerId>,
    },
    /// The answer to [`Request::Status`] for whoever may not know all.
    Short(ShortStatus),
    /// What a connection is told whose session goes on over a newer one, also in answer to its requests.
    TakenOver {
        /// Always [`ErrorCode::TakenOver`].
        error: ErrorCode,
        /// The session.
        session: SessionId,
        /// What is so and what to do, for people.
        message: String,
    },
    /// The answer to a request that can't be answered otherwise.
    Error {
        /// What is wrong, for programs.
        error: ErrorCode,
        /// What is wrong and what would be right, for people.
        message: String,
    },
}
