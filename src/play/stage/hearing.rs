//! Who hears whom among the servers that run, as their links are now.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use super::Stage;
use crate::bank::ids::ServerId;
use crate::play::cast::list;

/// How long a block that is chosen may be on its way to a server.
const ON_ITS_WAY: Duration = Duration::from_secs(3);

impl Stage {
    /// Waits a moment until the servers that run hold the same blocks. Where one can't hear of them, it is left behind.
    pub(in crate::play) fn wait_for_blocks(&mut self) {
        let until = Instant::now() + ON_ITS_WAY;
        while !self.hold_the_same() && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn hold_the_same(&mut self) -> bool {
        let live = self.live();
        let heads: BTreeSet<_> =
            live.iter().filter_map(|id| self.status(id).ok()).map(|status| status.head).collect();
        heads.len() <= 1
    }

    /// Returns the links that are broken, each from one server to another.
    pub(in crate::play) fn broken(&self) -> Vec<(ServerId, ServerId)> {
        self.faults.iter().map(|(from, fault)| (from.clone(), fault.peer.clone())).collect()
    }

    /// True if all servers that run are open and hear each other.
    pub(in crate::play) fn is_connected(&mut self) -> bool {
        let live = self.live();
        live.iter().all(|id| self.hears_exactly(id, &live))
    }

    /// Waits until the servers that run hear each other and nobody else, and hold the same blocks. Where links are
    /// broken, nobody knows what gets through: then the servers at their ends need not hear each other, and not
    /// everybody may have all blocks.
    pub(in crate::play) fn wait_until_calm(&mut self) -> Result<(), String> {
        let live = self.live();
        self.wait_until(&format!("{} hear each other", list(&live)), |stage| {
            let heads: BTreeSet<_> =
                live.iter().map(|id| stage.status(id).ok().map(|status| status.head)).collect();
            let agree = heads.len() <= 1 || !stage.faults.is_empty();
            agree && live.iter().all(|id| stage.hears_exactly(id, &live))
        })
    }

    /// True if a server hears another.
    pub(in crate::play) fn hears(&mut self, id: &ServerId, other: &ServerId) -> bool {
        let status = self.status(id);
        status
            .is_ok_and(|status| status.peers.iter().any(|peer| peer.id == *other && peer.connected))
    }

    fn hears_exactly(&mut self, id: &ServerId, live: &BTreeSet<ServerId>) -> bool {
        let Ok(status) = self.status(id) else { return false };
        let is_broken = |peer: &ServerId| {
            let mut faults = self.faults.iter();
            faults.any(|(from, fault)| [(id, peer), (peer, id)].contains(&(from, &fault.peer)))
        };
        let is_right =
            |peer: &ServerId, connected| connected == live.contains(peer) || is_broken(peer);
        status.active && status.peers.iter().all(|peer| is_right(&peer.id, peer.connected))
    }
}
