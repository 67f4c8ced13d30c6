//! What a proposer knows of the servers' local logs.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::blockchain::block_error::BlockError;
use crate::bank::blockchain::chain::Chain;
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;

/// A proposer's knowledge of the servers' local logs, from promises made to it for the present height, in
/// this or an earlier ballot. Promised entries are durable, so the knowledge stays true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Knowledge(BTreeMap<ServerId, Vec<Element>>);

impl Knowledge {
    /// Returns the known beginning of a server's log.
    pub fn log(&self, server: &ServerId) -> &[Element] {
        self.0.get(server).map_or(&[], Vec::as_slice)
    }

    /// Returns a server's last known entry: in its log, or else in the chain.
    pub fn end(&self, chain: &Chain, server: &ServerId) -> Position {
        self.log(server).last().map_or_else(|| chain.included(server), Element::last)
    }

    /// Returns the last known seq of each server of the bank.
    pub fn known(&self, chain: &Chain) -> BTreeMap<ServerId, u64> {
        chain.members().map(|server| (server.clone(), self.end(chain, server).seq)).collect()
    }

    /// Adds what a server promised, as far as it was not known: the server may have told of it since it was asked. The
    /// entries' effects are checked when they are in a block.
    ///
    /// # Errors
    /// If the promise doesn't go on from the known entries. Then nothing is added.
    pub fn learn(
        &mut self,
        chain: &Chain,
        server: &ServerId,
        elements: &[Element],
    ) -> Result<(), BlockError> {
        let end = self.end(chain, server);
        let is_new = |one: &&Element| one.first() > end || planted!(ToldTwice);
        let mut log = self.log(server).to_vec();
        log.extend(elements.iter().filter(is_new).cloned());
        chain.verify_sequence(server, &log)?;
        self.0.insert(server.clone(), log);
        Ok(())
    }

    /// Adds what a server told of its log beyond a block, as far as it was not known. Such a word asks for nothing, so
    /// one that doesn't fit is dropped.
    pub fn learn_beyond(&mut self, chain: &Chain, server: &ServerId, beyond: &[Element]) {
        let end = self.end(chain, server);
        if beyond.iter().any(|one| one.first() > end) {
            let _ = self.learn(chain, server, beyond);
        }
    }

    /// Forgets a server's promise.
    pub fn forget(&mut self, server: &ServerId) {
        self.0.remove(server);
    }

    /// Returns the logs for a block of these servers' entries.
    pub fn gather(&self, servers: &BTreeSet<ServerId>) -> BTreeMap<ServerId, Vec<Element>> {
        let logs = servers.iter().map(|server| (server.clone(), self.log(server).to_vec()));
        logs.filter(|(_, log)| !log.is_empty()).collect()
    }

    /// Forgets entries that are in the chain now.
    pub fn trim(&mut self, chain: &Chain) {
        if planted!(KnowledgeNotTrimmed) {
            return;
        }
        let is_member = |server: &ServerId| chain.derived().is_member(server);
        self.0.retain(|server, _| is_member(server));
        for (server, log) in &mut self.0 {
            let included = chain.included(server);
            log.retain(|element| element.last() > included);
        }
    }
}
