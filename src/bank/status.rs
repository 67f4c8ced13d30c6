//! How a server is, as it tells a client that asks for its status.
//!
//! The state machine fills in what it knows. What takes a clock, and what is counted over many turns
//! ([`Measured`]), the shell adds on the reply's way out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::{InstanceId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::ballot::Ballot;

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
    /// Where it listens, as this server was configured.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// It was heard within three heartbeats.
    pub connected: bool,
    /// The height that it last spoke of.
    pub height: Option<u64>,
    /// The furthest turn of its store that it was seen at, since this server started.
    pub turn: Option<TurnNumber>,
    /// How long ago it was last heard, in milliseconds. The shell's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_ms: Option<u64>,
    /// How many entries a second it logged of late, by its heartbeats. The shell's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries_per_second: Option<u64>,
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
    /// Why the store takes no writes, if it takes none: then the server only reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_writes: Option<String>,
    /// The hash of block 0, which names the bank; none before the founding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<BlockHash>,
    /// The last block held; none before the founding.
    pub height: Option<u64>,
    /// That block's hash.
    pub head: BlockHash,
    /// For each server, its last entry that is in the chain.
    #[serde(default)]
    pub included: BTreeMap<ServerId, Position>,
    /// Entries in the local log.
    pub log_length: usize,
    /// Transfers that wait, for a run or for money.
    pub waiting: usize,
    /// Accounts that this server knows.
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
    /// Who has answered the present run, in its present phase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answered: Vec<ServerId>,
    /// Who has not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<ServerId>,
    /// The other servers.
    pub peers: Vec<PeerStatus>,
    /// What the shell measured and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// What the shell around a state machine measured and counted, since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Measured {
    /// Since the process started, in milliseconds.
    pub uptime_ms: u64,
    /// The age of the local log's oldest entry, in milliseconds: at the least, if it was there when
    /// the store was loaded. None if the log is empty.
    pub oldest_entry_ms: Option<u64>,
    /// How many entries a second this server logged of late.
    pub entries_per_second: u64,
    /// Transfers and openings that were accepted here; a retry doesn't count again.
    pub accepted: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Those that were answered "unavailable".
    pub unavailable: u64,
    /// Paxos runs that this server started.
    pub runs_started: u64,
    /// Those that got through.
    pub runs_won: u64,
    /// Those that lost against another server's ballot or block.
    pub runs_lost: u64,
    /// From the arrival of a request to its reply, for accepted transfers that took no run.
    pub local: Option<Percentiles>,
    /// The same for those accepted after a run, or answered when they were settled.
    pub paxos: Option<Percentiles>,
    /// The store.
    pub redis: RedisStatus,
}

/// A server's dealings with its store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RedisStatus {
    /// How long durable writes took of late.
    pub round_trip: Option<Percentiles>,
    /// The last one, in microseconds.
    pub last_us: Option<u64>,
    /// The last failure, since the process started.
    pub last_error: Option<String>,
    /// How long ago that was, in milliseconds.
    pub last_error_ms: Option<u64>,
}

/// Durations of the last half minute to a minute, in microseconds; each is an upper bound, at most a
/// quarter too high.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half of them were not longer than this.
    pub p50_us: u64,
    /// Ninety-nine of a hundred were not.
    pub p99_us: u64,
    /// So many were measured.
    pub count: u64,
}

/// What became of a server's own runs, in one turn or in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Runs {
    /// Started.
    pub started: u64,
    /// Got through: with a block, or since there was nothing to agree on.
    pub won: u64,
    /// Lost: another ballot was promised, or another server's block came first. (One that nothing
    /// needs any more is given up, which is neither.)
    pub lost: u64,
}
