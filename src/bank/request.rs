//! What clients ask of a server, and what it answers.

use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::{AccountId, InstanceId, LifeId, RequestId, ServerId, SessionId, TurnNumber};
use crate::bank::ledger::entry::{Entry, Position, Via};
use crate::bank::paxos::ballot::Ballot;

/// The most transfers that one request may carry.
pub const MAX_TRANSFERS: usize = 5_000;
/// The most entries that one answer to `log` carries.
pub const MAX_LOG_PAGE: usize = 1_000;

/// A transfer as a client asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TransferRequest {
    /// Who pays; the server's own account if none is named.
    pub from: Option<AccountId>,
    /// Who is paid.
    pub to: AccountId,
    /// How much.
    pub amount: Amount,
    /// Its name, if it belongs to a session: a retry under the same name is paid once.
    pub request: Option<RequestId>,
}

/// A request of a client's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Opens a session.
    Session,
    /// Looks at a transfer and answers with its [`Outcome`].
    Transfer(TransferRequest),
    /// The same for several, answered together when the last one has its outcome.
    Transfers(Vec<TransferRequest>),
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
    /// How the server is.
    Status,
    /// Runs Paxos until the local logs of all servers heard are in the chain.
    Settle,
}

/// What became of a transfer.
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
        /// The payer's local balance: after the transfer, or, if `repeated`, now.
        balance: Amount,
        /// How it came to be accepted.
        via: Via,
        /// This answers a retry; the transfer happened once, earlier.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        repeated: bool,
    },
    /// The servers consulted don't have the money. It has not happened and will not.
    Refused {
        /// Why, for people.
        reason: String,
        /// The payer's balance by all that the servers consulted know.
        balance: Amount,
        /// The servers whose logs were looked at.
        consulted: Vec<ServerId>,
        /// The servers whose logs were not.
        not_consulted: Vec<ServerId>,
    },
    /// It could not be decided now. It has not happened and will not.
    Unavailable {
        /// Why, for people.
        reason: String,
    },
    /// It makes no sense. It has not happened and will not.
    Invalid {
        /// Why, for people.
        reason: String,
    },
    /// A retry so late that the server no longer knows what became of it. It is not done (again).
    Expired {
        /// Why, for people.
        reason: String,
    },
}

/// How a server found its store when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// Empty: it founds the bank together with the others.
    Baby,
    /// With its own earlier state.
    Zombie,
}

/// A peer, in [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its id.
    pub id: ServerId,
    /// It was heard within three heartbeats.
    pub connected: bool,
    /// The height that it last spoke of.
    pub height: Option<u64>,
}

/// How a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Status {
    /// Its id.
    pub server: ServerId,
    /// How it started.
    pub start: Start,
    /// Its store.
    pub instance: InstanceId,
    /// Its present life.
    pub life: LifeId,
    /// Its last durable turn.
    pub turn: TurnNumber,
    /// Every server has confirmed block 0: the bank is open.
    pub active: bool,
    /// Whom the founding waits for.
    pub waiting_for: Vec<ServerId>,
    /// The last block held; none before the founding.
    pub height: Option<u64>,
    /// That block's hash.
    pub head: BlockHash,
    /// Entries in the local log.
    pub log_length: usize,
    /// Transfers that wait for a run.
    pub waiting: usize,
    /// The ballot promised for the next height.
    pub promised: Option<Ballot>,
    /// The present run, in a word: idle, preparing, accepting, backing off.
    pub run: String,
    /// The other servers.
    pub peers: Vec<PeerStatus>,
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
    /// To [`Request::Transfer`].
    Transfer(Outcome),
    /// To [`Request::Transfers`], in their order.
    Transfers {
        /// One each.
        outcomes: Vec<Outcome>,
    },
    /// To [`Request::Balance`].
    Balance {
        /// The account.
        account: AccountId,
        /// Its local balance: committed, plus the effects of this server's local log.
        balance: Amount,
        /// Its balance by the chain alone.
        committed: Amount,
        /// The chain's height.
        height: u64,
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
    /// To [`Request::Settle`]: nothing is left in the logs of those consulted.
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
