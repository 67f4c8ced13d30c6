//! What waits for a block: clients that settle, and requests that are answered when their entries are in one.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::Ticket;
use super::verdict::Verdict;
use crate::bank::blockchain::chain::Chain;
use crate::bank::ids::{ConnectionId, ServerId, WaitId};
use crate::bank::ledger::entry::Position;
use crate::bank::request::Outcome;
use crate::bank::status::Runs;

/// A client that waits for the logs to be settled: for what they held when it asked. Later entries, of which
/// there may be no end, don't count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Settling {
    pub connection: ConnectionId,
    pub request: Option<u64>,
    /// The last entry of each server's log: for this server when the client asked, for another when it first
    /// promised since.
    pub targets: BTreeMap<ServerId, Position>,
    /// How many entries up to these are in no block yet.
    pub left: u64,
    /// The servers whose silence kept the last run from ending this wait.
    pub unanswered: BTreeSet<ServerId>,
    /// The outcomes of this server's runs when the client asked.
    pub since: Runs,
}

impl Settling {
    /// True if all that a server's log held is in a block.
    pub fn is_done(&self, chain: &Chain, server: &ServerId) -> bool {
        self.targets.get(server).is_some_and(|target| *target <= chain.included(server))
    }

    /// Counts what is left. True if it is less than before.
    pub fn comes_closer(&mut self, chain: &Chain) -> bool {
        let left = |(server, target): (&ServerId, &Position)| {
            let included = chain.included(server);
            if included < *target { target.seq.saturating_sub(included.seq) } else { 0 }
        };
        let left = self.targets.iter().map(left).fold(0, u64::saturating_add);
        std::mem::replace(&mut self.left, left) > left
    }

    /// Sets targets for logs that a run has heard of for the first time.
    pub fn aim(&mut self, chain: &Chain, verdict: &Verdict) {
        for (server, end) in &verdict.consulted.ends {
            if let Some(end) = end {
                let target = self.targets.entry(server.clone()).or_insert(*end);
                if planted!(SettlingNeverEnds) {
                    *target = *end;
                }
            }
        }
        self.comes_closer(chain);
    }
}

/// The entries of one request that is answered when they are in a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Unsettled {
    pub id: WaitId,
    /// The entries' positions, and the outcome to be told for each.
    pub entries: Vec<(Position, Ticket, Outcome)>,
}

/// Adds to an outcome whether the entry is in a block.
pub fn settled_by(outcome: Outcome, is_settled: bool) -> Outcome {
    match outcome {
        Outcome::Accepted { server, epoch, seq, balance, via, repeated, .. } => {
            let settled = Some(is_settled);
            Outcome::Accepted { server, epoch, seq, balance, via, repeated, settled }
        }
        other => other,
    }
}
