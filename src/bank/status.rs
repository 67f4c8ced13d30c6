//! A server's status, as it tells a client that asks for it.
//!
//! The state machine fills in what it knows. The shell adds, on the reply's way out, what takes a clock and
//! what is counted over many turns ([`Measured`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, InstanceId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::ballot::Ballot;

/// How a server found its store when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// It was empty: the server founds the bank together with the others.
    Baby,
    /// It held the server's own earlier state.
    Zombie,
}

/// A peer, in [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The peer's id.
    pub id: ServerId,
    /// The address where it listens, by this server's configuration.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// True if it was heard within three heartbeats.
    pub connected: bool,
    /// The height that it last named.
    pub height: Option<u64>,
    /// The furthest turn of its store that was seen since this server started.
    pub turn: Option<TurnNumber>,
    /// How long ago it was last heard, in milliseconds. Filled in by the shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_ms: Option<u64>,
    /// How many entries a second it logged of late, by its heartbeats. Filled in by the shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries_per_second: Option<u64>,
}

/// How much money was issued beyond what was taken back, in units. Below zero if more was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Issued {
    /// By all homes, as the chain tells it.
    pub all: i64,
    /// By this home, in the chain and in its log.
    pub here: i64,
    /// How much more this home may issue.
    pub left_here: u64,
}

/// A server's status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Status {
    /// The server's id.
    pub server: ServerId,
    /// How it started.
    pub start: Start,
    /// The store's instance.
    pub instance: InstanceId,
    /// The present life.
    pub life: LifeId,
    /// The last durable turn.
    pub turn: TurnNumber,
    /// True if every server has confirmed block 0: the bank is open.
    pub active: bool,
    /// The servers that the founding waits for.
    pub waiting_for: Vec<ServerId>,
    /// Why the store takes no writes, if it takes none. Then the server only reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_writes: Option<String>,
    /// Why the server serves no transfers as a home, if it serves none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_serving: Option<String>,
    /// True if this server hears a majority of those that vote, itself among them. Servers of before say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hears_majority: Option<bool>,
    /// The hash of block 0, which names the bank; none before the founding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<BlockHash>,
    /// The sum of all balances; none before the founding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Amount>,
    /// The money that is issued, if the bank was founded for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Issued>,
    /// The height of the last block held; none before the founding.
    pub height: Option<u64>,
    /// The hash of the last block held.
    pub head: BlockHash,
    /// For each server, its last entry in the chain.
    #[serde(default)]
    pub included: BTreeMap<ServerId, Position>,
    /// The number of entries in the local log.
    pub log_length: usize,
    /// The number of transfers that wait, for a run or for money.
    pub waiting: usize,
    /// The number of accounts that this server knows.
    pub accounts: usize,
    /// The ballot promised for the next height.
    pub promised: Option<Ballot>,
    /// The ballot in which a block was accepted for the next height.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Ballot>,
    /// The present run, in a word: idle, preparing, accepting, backing off.
    pub run: String,
    /// The present run's ballot; none if this server has no run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ballot: Option<Ballot>,
    /// The servers that have answered the present run, in its present phase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answered: Vec<ServerId>,
    /// The servers that have not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<ServerId>,
    /// True if everybody has to prove a key here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keyed: bool,
    /// For each server that told its key, the key by which it is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<ServerId, Fingerprint>,
    /// The other servers.
    pub peers: Vec<PeerStatus>,
    /// What the shell measured and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// What an account's owner may know of a server in a bank with keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ShortStatus {
    /// The server's id.
    pub server: ServerId,
    /// True if the bank is open.
    pub active: bool,
    /// The hash of block 0, which names the bank; none before the founding.
    pub bank: Option<BlockHash>,
    /// The height of the last block held; none before the founding.
    pub height: Option<u64>,
    /// The accounts of whoever asks, by this server's knowledge. The first 100 of them.
    pub yours: Vec<AccountId>,
}

/// The shell's measurements and counts, since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Measured {
    /// The time since the process started, in milliseconds.
    pub uptime_ms: u64,
    /// The age of the local log's oldest entry, in milliseconds. If the entry was there when the store was
    /// loaded, it is at least so old. None if the log is empty.
    pub oldest_entry_ms: Option<u64>,
    /// How many entries a second this server logged of late.
    pub entries_per_second: u64,
    /// The number of transfers and openings accepted here. A retry doesn't count again.
    pub accepted: u64,
    /// The number of transfers and openings that were refused.
    pub refused: u64,
    /// The number of transfers and openings that were answered "unavailable".
    pub unavailable: u64,
    /// The number of Paxos runs that this server started.
    pub runs_started: u64,
    /// The number of these runs that got through.
    pub runs_won: u64,
    /// The number of these runs that lost against another server's ballot or block.
    pub runs_lost: u64,
    /// The time from a request's arrival to its reply, for accepted transfers that took no run.
    pub local: Option<Percentiles>,
    /// The time from arrival to reply for transfers accepted after a run, or answered once they were settled.
    pub paxos: Option<Percentiles>,
    /// The server's dealings with its store.
    pub redis: RedisStatus,
    /// The handshakes of connections that others dialled.
    #[serde(default)]
    pub handshakes: Handshakes,
    /// The archive, if the server has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveStatus>,
    /// The index behind statements.
    #[serde(default)]
    pub index: IndexStatus,
}

/// What the index behind statements holds: which blocks touch an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IndexStatus {
    /// The number of blocks that it knows of.
    pub blocks: u64,
    /// The bytes of memory that it takes.
    pub bytes: u64,
    /// The number of blocks that it has no place for: a statement has to search them.
    pub searched: u64,
}

/// What a server's archive holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArchiveStatus {
    /// The height of the first block that is still in the store.
    pub base: u64,
    /// The number of segments that hold the blocks below.
    pub segments: u64,
    /// The bytes of these segments.
    #[serde(default)]
    pub bytes: u64,
    /// The number of these that are damaged, and not mended yet.
    pub damaged: u64,
    /// Why no blocks leave the store now, if anything is in the way.
    pub trouble: Option<String>,
}

/// How many handshakes there were since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Handshakes {
    /// The number after which both ends knew each other's key.
    pub done: u64,
    /// The number of failed ones, by the kind of failure.
    pub failed: BTreeMap<String, u64>,
}

/// A server's dealings with its store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RedisStatus {
    /// How long durable writes took of late.
    pub round_trip: Option<Percentiles>,
    /// The time of the last durable write, in microseconds.
    pub last_us: Option<u64>,
    /// The last failure, since the process started.
    pub last_error: Option<String>,
    /// How long ago the last failure was, in milliseconds.
    pub last_error_ms: Option<u64>,
}

/// Durations of the last half minute to a minute, in microseconds. Each is an upper bound, at most a
/// quarter too high.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Percentiles {
    /// The time within which half of them were.
    pub p50_us: u64,
    /// The time within which ninety-nine of a hundred were.
    pub p99_us: u64,
    /// The number of durations.
    pub count: u64,
}

/// The outcomes of a server's own runs, in one turn or in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Runs {
    /// The runs that started.
    pub started: u64,
    /// The runs that got through: with a block, or because there was nothing to agree on.
    pub won: u64,
    /// The runs that lost: another ballot was promised, or another server's block came first. (A run that is
    /// no longer needed is given up, and counts neither as won nor as lost.)
    pub lost: u64,
}
