//! Who waits for a block: clients that settle, and requests whose entries are told when they are in one.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::Ticket;
use super::verdict::Verdict;
use crate::bank::blockchain::chain::Chain;
use crate::bank::ids::{ConnectionId, ServerId, WaitId};
use crate::bank::ledger::entry::Position;
use crate::bank::request::Outcome;
use crate::bank::status::Runs;

/// A client that waits for the logs to be settled: for what they held when it asked, not for what comes
/// meanwhile, of which there may be no end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Settling {
    pub connection: ConnectionId,
    pub request: Option<u64>,
    /// The last entry of each server's log: of this one's when the client asked, of the others' when they
    /// promised for the first time since.
    pub targets: BTreeMap<ServerId, Position>,
    /// How many entries up to there are in no block yet.
    pub left: u64,
    /// Connected servers that did not answer a run which would otherwise have ended this.
    pub unanswered: BTreeSet<ServerId>,
    /// What had become of this server's runs when the client asked.
    pub since: Runs,
}

impl Settling {
    /// Whether all that a server's log held is in a block.
    pub fn is_done(&self, chain: &Chain, server: &ServerId) -> bool {
        self.targets.get(server).is_some_and(|target| *target <= chain.included(server))
    }

    /// Looks at how much is left; true if that is less than before.
    pub fn comes_closer(&mut self, chain: &Chain) -> bool {
        let left = |(server, target): (&ServerId, &Position)| {
            let included = chain.included(server);
            if included < *target { target.seq.saturating_sub(included.seq) } else { 0 }
        };
        let left = self.targets.iter().map(left).fold(0, u64::saturating_add);
        std::mem::replace(&mut self.left, left) > left
    }

    /// Goes by what a run has heard of logs that were not heard of before.
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

/// The entries of one request that are told when they are in a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Unsettled {
    pub id: WaitId,
    /// The entries' positions, and what is told then.
    pub entries: Vec<(Position, Ticket, Outcome)>,
}

/// The same outcome, which tells whether the entry is in a block.
pub fn settled_by(outcome: Outcome, is_settled: bool) -> Outcome {
    match outcome {
        Outcome::Accepted { server, epoch, seq, balance, via, repeated, .. } => {
            let settled = Some(is_settled);
            Outcome::Accepted { server, epoch, seq, balance, via, repeated, settled }
        }
        other => other,
    }
}
