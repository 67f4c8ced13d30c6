//! Who is named only by a block that this server has accepted for the next height: such a server may say that the
//! block was chosen (DESIGN.md, "Members").

use super::super::Server;
use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::effects::Bound;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::paxos::message::{Hello, Message};

/// A peer's store and key that the chain will name if a certain block is chosen, and the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Foretold {
    pub instance: InstanceId,
    pub key: Fingerprint,
    pub block: BlockHash,
}

impl Server {
    /// Takes note of a server that holds the next block, if this server has accepted a block that names its store and
    /// its key, and nothing else names the key.
    pub(super) fn hear_of_foretold(&mut self, hello: &Hello, proved: Option<Fingerprint>) {
        let is_known = self.is_known_by(&hello.id, proved);
        if is_known || !self.is_ahead(hello) || planted!(ForetoldUnheard) {
            return;
        }
        let Some(foretold) = self.foretell(hello, proved) else { return };
        self.peers.add(&hello.id);
        if let Some(peer) = self.peers.get_mut(&hello.id) {
            peer.foretold = Some(foretold);
        }
    }

    fn foretell(&mut self, hello: &Hello, proved: Option<Fingerprint>) -> Option<Foretold> {
        let key = proved.filter(|_| self.is_keyed())?;
        let block = self.proposed()?.clone();
        self.foresee(&block).ok()?;
        let consequences = self.voter.foreseen.of(&block)?;
        let (instance, hash) = (hello.instance, block.hash());
        let is_named = consequences.names(&hello.id, instance, key);
        is_named.then_some(Foretold { instance, key, block: hash })
    }

    /// Returns the block that this server has accepted for the next height, or was shown while it has no vote.
    fn proposed(&self) -> Option<&SealedBlock> {
        let accepted = self.voter.acceptor.accepted().map(|(_, block)| block);
        accepted.or(self.voter.shown.as_ref())
    }

    /// True if the block that is accepted now names this key for a peer.
    pub(super) fn is_foretold(&self, id: &ServerId, proved: Option<Fingerprint>) -> bool {
        let foretold = self.peers.get(id).and_then(|peer| peer.foretold);
        let proposed = self.proposed().map(SealedBlock::hash);
        foretold.is_some_and(|foretold| {
            proved == Some(foretold.key) && proposed == Some(foretold.block)
        })
    }

    /// True if nothing but an accepted block speaks for this key of a peer. Its word counts for that block alone.
    pub(super) fn is_only_foretold(&self, id: &ServerId, proved: Option<Fingerprint>) -> bool {
        let foretold = self.peers.get(id).and_then(|peer| peer.foretold);
        let is_so = foretold.is_some_and(|foretold| proved == Some(foretold.key));
        is_so && !self.is_known_by(id, proved) && !planted!(ForetoldBelieved)
    }

    /// Checks the hello of a server that the chain doesn't name. It is no word against this server's store, and none
    /// for it.
    pub(super) fn check_foretold(&mut self, hello: &Hello) -> Result<(), String> {
        let foretold = self.peers.get(&hello.id).and_then(|peer| peer.foretold);
        let is_its_store = foretold.is_some_and(|foretold| foretold.instance == hello.instance);
        if !self.is_ahead(hello) || !is_its_store {
            return Err(self.why_no_member(&hello.id));
        }
        self.hear_of_addresses(hello);
        Ok(())
    }

    /// True if a message of a peer's counts. One that is only foretold may say which block was chosen, and nothing else.
    pub(in crate::bank::server) fn may_say(&self, from: &ServerId, message: &Message) -> bool {
        let proved = self.peers.get(from).and_then(|peer| peer.greeted_key);
        let hands_over = matches!(
            message,
            Message::Heartbeat(_)
                | Message::ReconcileAck { .. }
                | Message::BlocksResponse { .. }
                | Message::Commit { .. }
        );
        !self.is_only_foretold(from, proved) || (hands_over && self.is_foretold(from, proved))
    }

    /// True if a message may be sent to a peer. One that is only foretold is asked for blocks, and told nothing.
    pub(in crate::bank::server) fn may_tell(&self, to: &ServerId, message: &Message) -> bool {
        let proved = self.peers.get(to).and_then(|peer| peer.link_key);
        let asks = matches!(message, Message::ReconcileRequest | Message::BlocksRequest { .. });
        asks || !self.is_only_foretold(to, proved)
    }

    /// True if a peer may hand over this block: one that is only foretold, the very block that was accepted.
    pub(in crate::bank::server) fn may_hand_over(
        &self,
        from: &ServerId,
        block: &SealedBlock,
    ) -> bool {
        let Some(peer) = self.peers.get(from) else { return true };
        let is_it = peer.foretold.is_some_and(|foretold| foretold.block == block.hash());
        is_it || !self.is_only_foretold(from, peer.greeted_key)
    }

    /// Takes those for members, after a block, whom it has made members as was foretold; and parts from those whom it
    /// hasn't.
    pub(in crate::bank::server) fn look_who_was_foretold(&mut self) {
        for id in self.peer_ids() {
            let Some(foretold) = self.peers.get(&id).and_then(|peer| peer.foretold) else {
                continue;
            };
            if self.is_known_by(&id, Some(foretold.key)) {
                self.welcomed(&id);
            } else if !self.is_member(&id) {
                self.peers.remove(&id);
                self.effects.bind(Bound::Part(id));
                continue;
            }
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.foretold = None;
            }
        }
    }
}
