//! What a proposer knows of the servers' local logs.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::blockchain::chain::{BlockError, Chain};
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;

/// What a proposer knows of the servers' local logs, from promises made to it for the present height
/// in this or an earlier ballot. What was promised is durable, so it stays true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Knowledge(BTreeMap<ServerId, Vec<Element>>);

impl Knowledge {
    /// The known beginning of a server's log.
    pub fn log(&self, server: &ServerId) -> &[Element] {
        self.0.get(server).map_or(&[], Vec::as_slice)
    }

    /// The last entry of a server's that is known: of its log, or else of the chain.
    pub fn end(&self, chain: &Chain, server: &ServerId) -> Position {
        self.log(server).last().map_or_else(|| chain.included(server), Element::last)
    }

    /// For each server of the bank the last seq of its entries that is known.
    pub fn known(&self, chain: &Chain) -> BTreeMap<ServerId, u64> {
        let servers = chain.genesis().servers.keys();
        servers.map(|server| (server.clone(), self.end(chain, server).seq)).collect()
    }

    /// Adds what a server promised after what is known of it. What its entries do is looked at when they
    /// are in a block.
    ///
    /// # Errors
    /// If that doesn't go on from there; nothing is added.
    pub fn learn(
        &mut self,
        chain: &Chain,
        server: &ServerId,
        elements: &[Element],
    ) -> Result<(), BlockError> {
        let mut log = self.log(server).to_vec();
        log.extend_from_slice(elements);
        chain.verify_sequence(server, &log)?;
        self.0.insert(server.clone(), log);
        Ok(())
    }

    /// Forgets what a server promised.
    pub fn forget(&mut self, server: &ServerId) {
        self.0.remove(server);
    }

    /// The logs of a block of these servers' entries.
    pub fn gather(&self, servers: &BTreeSet<ServerId>) -> BTreeMap<ServerId, Vec<Element>> {
        let logs = servers.iter().map(|server| (server.clone(), self.log(server).to_vec()));
        logs.filter(|(_, log)| !log.is_empty()).collect()
    }

    /// Forgets what is in the chain now.
    pub fn trim(&mut self, chain: &Chain) {
        if planted!(KnowledgeNotTrimmed) {
            return;
        }
        for (server, log) in &mut self.0 {
            let included = chain.included(server);
            log.retain(|element| element.last() > included);
        }
    }
}
