//! Babies found the bank (DESIGN.md, "Founding and identity").

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::Server;
use super::peers::Peer;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{FORMAT, Genesis, SealedBlock};
use crate::bank::blockchain::chain::Chain;
use crate::bank::effects::Write;
use crate::bank::ids::ServerId;
use crate::bank::ledger::sessions::SessionChanges;
use crate::bank::note::{Note, Warning};
use crate::bank::paxos::message::Message;

impl Server {
    /// Writes block 0 once all instances are known. If a peer has it already, reconciling brings it.
    pub(in crate::bank::server) fn found(&mut self) {
        if self.chain.is_some()
            || !self.may_found()
            || self.peers.values().any(|peer| peer.height.is_some())
        {
            return;
        }
        let mut servers = BTreeMap::from([(self.config.id.clone(), self.store.instance)]);
        for (id, peer) in self.peers.iter() {
            let Some(instance) = peer.instance else { return };
            servers.insert(id.clone(), instance);
        }
        let origin = self.config.opening.as_ref().map(|opening| Arc::new(opening.origin.clone()));
        let opening_balance = match origin {
            Some(_) => Amount::ZERO,
            None => self.config.configuration.opening_balance,
        };
        let Some(keys) = self.founding_keys() else { return };
        let issuing = self.config.configuration.issuing;
        let genesis = Genesis { format: FORMAT, opening_balance, servers, keys, origin, issuing };
        if let Err(why) = self.found_on(&SealedBlock::genesis(genesis)) {
            self.warn(Warning::BadGenesis(format!("this server's own: {why}")));
        }
    }

    /// Founds the bank on a peer's block 0, and returns true, if it is the configured bank's. Otherwise that
    /// peer is not asked again for this block 0.
    pub(in crate::bank::server) fn found_on_block_of(
        &mut self,
        peer: &ServerId,
        block: &SealedBlock,
    ) -> bool {
        let Err(why) = self.found_on(block) else { return true };
        if let Some(known) = self.peers.get_mut(peer) {
            known.strange = Some(block.hash());
        }
        let hash = block.hash().short();
        self.warn(Warning::BadGenesis(format!("{hash} of {peer}'s: {why}")));
        false
    }

    /// Founds the bank on a genesis block, if it is the configured bank's.
    ///
    /// # Errors
    /// Says why it is not.
    fn found_on(&mut self, block: &SealedBlock) -> Result<(), String> {
        let chain = Chain::found(block).map_err(|error| error.to_string())?;
        let genesis = chain.genesis();
        if chain.instance(&self.config.id) != Some(self.store.instance)
            && !self.config.rejoin
            && !self.config.join
        {
            return Err(format!("it names another store of {}", self.config.id));
        }
        if !self.config.serves(&block.hash()) {
            return Err("this server serves another bank only (--bank)".to_owned());
        }
        let comes_later = self.config.join || self.config.rejoin;
        if !self.config.configuration.matches(genesis) && !comes_later {
            return Err(format!("this server is configured for {}", self.config.configuration));
        }
        self.config.check_keys(genesis)?;
        self.config.check_opening(genesis)?;
        self.ledger.balances.found(chain.opening_balances());
        let (pages, checkpoint) = self.pages_for(block);
        self.tell_founded(block);
        self.write(Write::Append {
            block: block.clone(),
            from_accepted: false,
            trim: 0,
            pages,
            checkpoint,
            derived: Box::new(chain.derived().clone()),
            sessions: SessionChanges::default(),
            promise_stands: false,
        });
        self.chain = Some(chain);
        self.follow_members();
        // The others wait to hear that this server has block 0 too.
        self.send_all(&Message::Heartbeat(self.standing()));
        self.append_opening();
        self.activate(false);
        Ok(())
    }

    /// Opens the bank once every server has confirmed block 0, or a server says that all have.
    pub(in crate::bank::server) fn activate(&mut self, told: bool) {
        let confirmed = self.peers.values().filter(|peer| peer.confirmed).count();
        let needed =
            if planted!(FoundedByMajority) { self.quorum().needed - 1 } else { self.peers.len() };
        let all = confirmed >= needed;
        // Without all opening blocks, no balance means anything.
        let is_complete = self.chain.as_ref().is_some_and(Chain::is_complete);
        if self.store.active || !(told || all) || !(is_complete || planted!(OpenBeforeComplete)) {
            return;
        }
        self.store.active = true;
        self.write(Write::Activate);
        self.note(Note::Opened);
        self.send_all(&Message::Heartbeat(self.standing()));
    }

    /// Returns the servers that the founding waits for.
    pub(in crate::bank::server) fn waits_for(&self) -> Vec<ServerId> {
        let missing = |peer: &Peer| {
            if self.chain.is_some() { !peer.confirmed } else { peer.instance.is_none() }
        };
        match self.store.active {
            true => Vec::new(),
            false if self.waits_for_its_bank().is_some() => self.without_block_0(),
            false => {
                self.peers.iter().filter(|(_, p)| missing(p)).map(|(id, _)| id.clone()).collect()
            }
        }
    }
}
