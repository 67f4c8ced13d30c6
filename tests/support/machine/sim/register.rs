//! The judge's own reading of the chain: who is a member at which height, and who votes there.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::address::Address;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::member_change::{Admission, MemberChange};

/// More voters there may not be.
pub const MOST_VOTERS: usize = 9;

/// Who takes part at one height.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    pub members: BTreeMap<ServerId, InstanceId>,
    /// Those without a vote.
    pub branches: BTreeSet<ServerId>,
    pub addresses: BTreeMap<ServerId, Address>,
}

impl Roll {
    pub fn votes(&self, server: &ServerId) -> bool {
        self.members.contains_key(server) && !self.branches.contains(server)
    }

    pub fn voters(&self) -> impl Iterator<Item = &ServerId> {
        self.members.keys().filter(|server| self.votes(server))
    }

    fn is_taken(&self, at: &Address, by_other_than: &ServerId) -> bool {
        self.addresses.iter().any(|(server, known)| known == at && server != by_other_than)
    }
}

/// What an entry has come to.
pub enum Turn {
    Rejoined(ServerId, InstanceId),
    VoidRejoin,
    Admitted(ServerId, InstanceId),
    Dismissed(ServerId),
    Stays,
    Changed(MemberChange),
    Void,
}

#[derive(Default)]
pub struct Register {
    /// Who takes part after each block.
    after: Vec<Roll>,
    /// The stores that are no server's any more.
    over: BTreeSet<InstanceId>,
}

impl Register {
    /// Who takes part by the chain that anybody has; nobody before there is one.
    pub fn latest(&self) -> Roll {
        self.after.last().cloned().unwrap_or_default()
    }

    /// Whether a server takes part by the chain that anybody has.
    pub fn is_member(&self, server: &ServerId) -> bool {
        self.after.last().is_some_and(|roll| roll.members.contains_key(server))
    }

    /// The height of the last block that anybody has; 0 before there is one.
    pub fn height(&self) -> u64 {
        (self.after.len() as u64).saturating_sub(1)
    }

    /// Who takes part at the height after this one.
    pub fn after(&self, height: u64) -> Option<&Roll> {
        self.after.get(height as usize)
    }

    /// Whether a store is no server's any more.
    pub fn is_over(&self, instance: InstanceId) -> bool {
        self.over.contains(&instance)
    }

    /// Whether these took part at a height after this one.
    pub fn took_part_since(&self, height: u64, servers: &BTreeSet<ServerId>) -> bool {
        self.after.iter().skip(height as usize).any(|roll| roll.members.keys().eq(servers))
    }

    /// A block of which nobody knew is in the chain. `rich` are those who hold money after it.
    pub fn enter(&mut self, block: &SealedBlock, rich: &BTreeSet<ServerId>) -> Vec<Turn> {
        let mut roll = self.latest();
        if let Some(genesis) = &block.block().genesis {
            roll.members = genesis.servers.clone();
        }
        let mut turns = Vec::new();
        let mut dismissed = false;
        for (by, log) in &block.block().logs {
            let entries: Vec<&Action> =
                log.iter().flat_map(|e| e.records()).map(|record| &record.action).collect();
            for (place, action) in entries.iter().enumerate() {
                let is_last = place + 1 == entries.len();
                match action {
                    Action::Rejoin { server, old, new, .. } => {
                        turns.push(self.rejoin(&mut roll, server, *old, *new));
                    }
                    Action::Member(change) => match &**change {
                        MemberChange::Dismiss { server } => {
                            let may = server == by && is_last && !dismissed;
                            let may = may && !rich.contains(server);
                            let turn = self.dismiss(&mut roll, server, may);
                            dismissed |= matches!(turn, Turn::Dismissed(_));
                            turns.push(turn);
                        }
                        change => turns.push(self.change(&mut roll, change)),
                    },
                    _ => {}
                }
            }
        }
        assert_eq!(self.after.len() as u64, block.height(), "blocks come in their order");
        self.after.push(roll);
        turns
    }

    fn rejoin(
        &mut self,
        roll: &mut Roll,
        server: &ServerId,
        old: InstanceId,
        new: InstanceId,
    ) -> Turn {
        if roll.members.values().any(|named| *named == new) {
            return Turn::VoidRejoin;
        }
        let present = roll.members.get_mut(server).filter(|present| **present == old);
        let Some(present) = present.filter(|_| !self.over.contains(&new)) else {
            // The word for this store was of another one: it may never come in on it.
            self.over.insert(new);
            return Turn::VoidRejoin;
        };
        *present = new;
        self.over.insert(old);
        Turn::Rejoined(server.clone(), new)
    }

    fn dismiss(&mut self, roll: &mut Roll, server: &ServerId, may: bool) -> Turn {
        let others_vote = roll.voters().any(|voter| voter != server);
        let Some(instance) = roll.members.get(server).copied().filter(|_| may && others_vote)
        else {
            return Turn::Stays;
        };
        self.over.insert(instance);
        roll.members.remove(server);
        roll.branches.remove(server);
        roll.addresses.remove(server);
        Turn::Dismissed(server.clone())
    }

    fn change(&mut self, roll: &mut Roll, change: &MemberChange) -> Turn {
        let server = change.server().clone();
        let (is_member, votes) = (roll.members.contains_key(&server), roll.votes(&server));
        let full = roll.voters().count() >= MOST_VOTERS;
        match change {
            MemberChange::Admit(Admission { instance, at, branch, .. }) => {
                let is_new = !self.over.contains(instance);
                if is_member || !is_new || (full && !branch) || roll.is_taken(at, &server) {
                    return Turn::Void;
                }
                roll.members.insert(server.clone(), *instance);
                roll.addresses.insert(server.clone(), at.clone());
                if *branch {
                    roll.branches.insert(server.clone());
                }
                return Turn::Admitted(server, *instance);
            }
            MemberChange::Move { at, .. } if is_member && !roll.is_taken(at, &server) => {
                roll.addresses.insert(server, at.clone());
            }
            MemberChange::Promote { .. } if is_member && !votes && !full => {
                roll.branches.remove(&server);
            }
            MemberChange::Demote { .. } if votes && roll.voters().count() > 1 => {
                roll.branches.insert(server);
            }
            _ => return Turn::Void,
        }
        Turn::Changed(change.clone())
    }
}
