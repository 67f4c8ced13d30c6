//! Getting the blocks that this server lacks (see [`crate::bank::blockchain::reconcile`]).

use std::collections::{BTreeMap, BTreeSet};

use super::super::Server;
use super::super::membership::Peer;
use super::appending::AppendError;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::block_error::BlockError;
use crate::bank::blockchain::reconcile::Reconcile;
use crate::bank::effects::{Bound, Timer};
use crate::bank::ids::ServerId;
use crate::bank::note::{Note, Nothing, Warning};
use crate::bank::paxos::message::Message;

impl Server {
    /// Asks all servers for their heights, unless that is under way: a peer holds blocks that this one lacks.
    pub(in crate::bank::server) fn start_reconciling(&mut self) {
        if !self.reconcile.is_idle() {
            return;
        }
        self.reconcile = Reconcile::Asking { acks: BTreeMap::new() };
        self.send_all(&Message::ReconcileRequest);
        self.set(Timer::Reconcile);
    }

    /// Asks a peer that can now be reached too, if others are being asked.
    pub(in crate::bank::server) fn ask_heights_of(&mut self, peer: &ServerId) {
        if matches!(self.reconcile, Reconcile::Asking { .. }) {
            self.send(peer, Message::ReconcileRequest);
        }
    }

    /// Asks one server that is known to hold block `target`, unless something is under way.
    pub(in crate::bank::server) fn fetch_from(&mut self, peer: ServerId, target: u64) {
        if self.reconcile.is_idle() {
            let acks = BTreeMap::from([(peer, target)]);
            self.choose_peer(acks, BTreeSet::new());
        }
    }

    /// Tells a peer which heights are held here.
    pub(in crate::bank::server) fn on_reconcile_request(&mut self, from: &ServerId) {
        if let Some(height) = self.height() {
            self.send(from, Message::ReconcileAck { height });
        }
    }

    /// Takes in which heights a peer holds.
    pub(in crate::bank::server) fn on_reconcile_ack(&mut self, from: ServerId, height: u64) {
        let own = self.height();
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.holds(height, own);
        let is_strange = peer.forked || peer.strange.is_some();
        let Reconcile::Asking { acks } = &mut self.reconcile else { return };
        if !is_strange {
            acks.insert(from, height);
        }
        let asked = |(id, peer): (&ServerId, &Peer)| {
            !peer.is_linked() || !peer.is_connected() || peer.forked || acks.contains_key(id)
        };
        if self.peers.iter().all(asked) {
            let acks = std::mem::take(acks);
            self.choose_peer(acks, BTreeSet::new());
        }
    }

    fn choose_peer(&mut self, acks: BTreeMap<ServerId, u64>, tried: BTreeSet<ServerId>) {
        match self.reconcile.choose(self.height(), acks, tried) {
            None => self.cancel(Timer::Reconcile),
            Some((peer, target)) => {
                self.note(Note::Reconciles(peer.clone(), target));
                self.request_piece(&peer, target);
            }
        }
    }

    fn request_piece(&mut self, peer: &ServerId, to: u64) {
        let from = self.height().map_or(0, |height| height + 1);
        self.send(peer, Message::BlocksRequest { from, to });
        self.set(Timer::Reconcile);
    }

    /// Goes on with what was answered, or tries another peer, since a step took too long.
    pub(in crate::bank::server) fn on_reconcile_timeout(&mut self) {
        match std::mem::take(&mut self.reconcile) {
            Reconcile::Idle => {}
            Reconcile::Asking { acks } => self.choose_peer(acks, BTreeSet::new()),
            Reconcile::Fetching { peer, acks, mut tried, .. } => {
                self.note(Note::SendsNothing(peer.clone()));
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.in_vain = true;
                }
                tried.insert(peer);
                self.choose_peer(acks, tried);
            }
        }
    }

    /// Has the block reader send a peer the blocks it asks for.
    pub(in crate::bank::server) fn on_blocks_request(
        &mut self,
        from: ServerId,
        first: u64,
        to: u64,
    ) {
        match self.height() {
            Some(height) if first <= height.min(to) && self.is_heard_by_its_key(&from) => {
                let up_to = height.min(to);
                self.effects.bind(Bound::SendBlocks { to: from, from: first, up_to });
            }
            _ => self.send(&from, Message::BlocksResponse { blocks: Vec::new() }),
        }
    }

    /// True if blocks are on their way that a run should wait for. Blocks don't count if the only peers that
    /// claim to have them did not send them when asked.
    pub(in crate::bank::server) fn waits_for_blocks(&self) -> bool {
        let own = self.height();
        let mut longer = self.peers.values().filter(|peer| peer.height > own).peekable();
        let nobody = longer.peek().is_none();
        let may_come = nobody || longer.any(|peer| !peer.forked && !peer.in_vain);
        !self.reconcile.is_idle() && (may_come || planted!(WaitsInVain))
    }

    /// Takes in blocks of a peer's chain. Only committed blocks are sent in this way, and only those are taken
    /// that this server asked this very peer for.
    pub(in crate::bank::server) fn on_blocks_response(
        &mut self,
        from: &ServerId,
        blocks: Vec<SealedBlock>,
    ) {
        let (is_asked, target) = match &self.reconcile {
            Reconcile::Fetching { peer, target, .. } => (peer == from, *target),
            _ => (false, 0),
        };
        if !is_asked && !planted!(UnaskedBlocksTaken) {
            return self.ignore(Nothing::UnaskedBlocks(from.clone()));
        }
        let before = self.height();
        let asked_for =
            |block: &&SealedBlock| block.height() <= target || planted!(UnaskedBlocksTaken);
        for block in blocks.iter().filter(asked_for) {
            if self.chain.is_none() {
                if !self.found_on_block_of(from, block) {
                    break;
                }
            } else if !self.may_hand_over(from, block) {
                break;
            } else if Some(block.height()) > self.height()
                && let Err(problem) = self.append(block)
            {
                self.reject_block(from, block.height(), problem);
                break;
            }
        }
        let moved = self.height() > before;
        if let Some(known) = self.peers.get_mut(from).filter(|_| moved) {
            known.in_vain = false;
        }
        let Reconcile::Fetching { peer, target, .. } = &self.reconcile else { return };
        if peer != from {
            return;
        }
        let (peer, target) = (peer.clone(), *target);
        if self.height() >= Some(target) {
            self.reconcile = Reconcile::Idle;
            self.cancel(Timer::Reconcile);
            self.note(Note::Reconciled(target));
        } else if moved {
            self.request_piece(&peer, target);
        } else {
            self.on_reconcile_timeout();
        }
    }

    fn reject_block(&mut self, from: &ServerId, height: u64, problem: AppendError) {
        match problem {
            AppendError::Against(reason) => {
                if let Some(known) = self.peers.get_mut(from) {
                    known.forked = true;
                }
                self.accused(from, reason);
            }
            // A block from further on. The blocks before it are on their way or have to be asked for.
            AppendError::Block(BlockError::Height { .. }) => self.start_reconciling(),
            AppendError::Block(BlockError::Link { .. }) => self.fork(from, height),
            AppendError::Block(problem) => {
                self.warn(Warning::BadBlock(height, from.clone(), problem.to_string()));
                self.fork(from, height);
            }
        }
    }
}
