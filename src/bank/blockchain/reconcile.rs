//! Reconciling: how a server gets the blocks it lacks.
//!
//! It asks all which heights they hold (`<RECONCILE_REQUEST>`, `<R_ACK>`), takes the longest, and
//! fetches in pieces (`<R_BLOCKS_REQ>`, `<R_BLOCKS_RESP>`), one outstanding. A step that takes too
//! long is tried with another peer.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::ids::ServerId;

/// Where a server is with reconciling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reconcile {
    /// It has what it knows to exist.
    #[default]
    Idle,
    /// It has asked all which heights they hold.
    Asking {
        /// The last height that each server that answered holds.
        acks: BTreeMap<ServerId, u64>,
    },
    /// It has asked one for blocks.
    Fetching {
        /// Whom.
        peer: ServerId,
        /// The last height that peer holds.
        target: u64,
        /// What others answered.
        acks: BTreeMap<ServerId, u64>,
        /// Whom it asked in vain.
        tried: BTreeSet<ServerId>,
    },
}

impl Reconcile {
    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        *self == Reconcile::Idle
    }

    /// Goes on from the answers: to fetch from the longest chain among those that are longer than
    /// `height` and not tried yet, or to idle. Returns whom to ask for blocks up to which height.
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
