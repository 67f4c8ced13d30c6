//! What follows from the chain, beside the balances.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::bank::blockchain::block::{Block, Genesis};
use crate::bank::ids::{InstanceId, ServerId, SessionId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position};

/// What follows from the blocks up to a height, equally at every server. A store keeps it beside its
/// chain, so that a starting server need not read the whole chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Derived {
    /// For each server, its last entry in the chain.
    pub included: BTreeMap<ServerId, Position>,
    /// For each server, the instance whose votes count for the next height.
    pub instances: BTreeMap<ServerId, InstanceId>,
    /// The instances that others replaced, and those that came too late to replace another.
    pub deposed: BTreeSet<InstanceId>,
}

impl Derived {
    /// Returns what follows from block 0.
    pub fn at_founding(genesis: &Genesis) -> Derived {
        let included = genesis.servers.keys().map(|id| (id.clone(), Position::START)).collect();
        let instances = genesis.servers.clone();
        Derived { included, instances, deposed: BTreeSet::new() }
    }

    /// Applies a block's rejoins; returns the instances that they depose. A server that rejoins counts its
    /// entries anew, in the next epoch; the block's entries of its log are still of the epoch before. A void
    /// rejoin deposes the instance that it names as new. The operator gave the word for it before another
    /// store took the place, and that store must never be replaced on this word.
    pub fn rejoin(&mut self, block: &Block) -> BTreeSet<InstanceId> {
        let mut deposes = BTreeSet::new();
        let elements = block.logs.values().flatten().filter(|element| element.holds_rejoin());
        for record in elements.flat_map(Element::records) {
            let Action::Rejoin { server, old, new } = &record.action else { continue };
            // The rejoin came twice, or is of no use to anybody.
            let is_named = self.instances.values().any(|instance| instance == new);
            let (instances, included) = (&mut self.instances, &mut self.included);
            let (Some(present), Some(last)) = (instances.get_mut(server), included.get_mut(server))
            else {
                continue;
            };
            if is_named {
                continue;
            }
            let late = self.deposed.contains(new);
            let deposed = if !late && (*present == *old || planted!(RejoinDeposesAnybody)) {
                let epoch = if planted!(OldEpochGoesOn) { last.epoch } else { last.epoch + 1 };
                let seq = if planted!(OldEpochGoesOn) { last.seq } else { 0 };
                *last = Position { epoch, seq };
                std::mem::replace(present, *new)
            } else {
                *new
            };
            self.deposed.insert(deposed);
            deposes.insert(deposed);
        }
        deposes
    }
}

/// What follows from the chain for one server: its sessions with entries there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionsInChain {
    /// Each session, with its highest number in the chain.
    pub highest: BTreeMap<SessionId, u64>,
    /// The position before which sessions were opened that have expired, unless they are listed here.
    pub horizon: Option<Position>,
}
