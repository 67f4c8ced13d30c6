//! Reconciling: how a server gets the blocks it lacks.
//!
//! It asks all servers which heights they hold (`<RECONCILE_REQUEST>`, `<R_ACK>`), takes the longest chain,
//! and fetches in pieces (`<R_BLOCKS_REQ>`, `<R_BLOCKS_RESP>`), one outstanding. A step that takes too
//! long is tried with another peer.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::ids::ServerId;

/// How far a server is with reconciling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reconcile {
    /// It holds all blocks that it knows to exist.
    #[default]
    Idle,
    /// It has asked all servers which heights they hold.
    Asking {
        /// The last height held by each server that answered.
        acks: BTreeMap<ServerId, u64>,
    },
    /// It has asked a peer for blocks.
    Fetching {
        /// The peer.
        peer: ServerId,
        /// The last height that the peer holds.
        target: u64,
        /// The heights of the others that answered.
        acks: BTreeMap<ServerId, u64>,
        /// The peers that were asked in vain.
        tried: BTreeSet<ServerId>,
    },
}

impl Reconcile {
    /// True if nothing is under way.
    pub fn is_idle(&self) -> bool {
        *self == Reconcile::Idle
    }

    /// Goes on from the answers. Picks the longest chain among those longer than `height` and not tried
    /// yet, or becomes idle. Returns which peer to ask for blocks, and up to which height.
    pub fn choose(
        &mut self,
        height: Option<u64>,
        acks: BTreeMap<ServerId, u64>,
        tried: BTreeSet<ServerId>,
    ) -> Option<(ServerId, u64)> {
        let longest = (acks.iter())
            .filter(|(peer, held)| Some(**held) > height && !tried.contains(*peer))
            .max_by_key(|(_, held)| **held)
            .map(|(peer, held)| (peer.clone(), *held));
        *self = match longest.clone() {
            None => Reconcile::Idle,
            Some((peer, target)) => Reconcile::Fetching { peer, target, acks, tried },
        };
        longest
    }
}
