//! A state of the bank: stores, links between them, messages under way, and what clients and operators were told.

use std::collections::BTreeSet;

use crate::bank::blockchain::block::BlockHash;
use crate::bank::effects::Write;
use crate::bank::ids::ServerId;
use crate::bank::paxos::ballot::Ballot;
use crate::node::{Node, Stage};
use crate::state::{Network, Shared};

/// A connection that one store's server has dialled to another's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    pub from: usize,
    pub to: usize,
    /// Its name at the end where it was taken; also that of messages under way on it.
    pub name: u64,
    /// Only the end that was dialled does not know yet that it is broken.
    pub is_cut: bool,
}

/// What may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub crashes: u8,
    /// How often one is cut off from all others.
    pub cuts: u8,
    /// Who is cut off comes back.
    pub returns: bool,
    /// Heartbeats.
    pub beats: u8,
    /// Timers that say that something took too long.
    pub impatience: u8,
}

/// What somebody was told of what it had asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// A transfer has happened, under this name.
    Accepted(u64, u64),
    /// An order is carried out, or what was logged is settled.
    Done,
    /// For a reason.
    No(String),
}

#[derive(Clone, Debug, PartialEq, Hash)]
pub struct State {
    pub stores: Vec<Shared<Node>>,
    /// Sorted.
    pub links: Vec<Link>,
    /// How many connections each has taken.
    pub taken: Vec<u64>,
    pub network: Network,
    /// Who is cut off from all others.
    pub apart: BTreeSet<usize>,
    /// For each thing that is asked for: that it was, and the answer.
    pub told: Vec<Option<Option<Told>>>,
    pub budget: Budget,
    /// Who made a vote for which height durable.
    pub votes: BTreeSet<(u64, usize)>,
    /// Who accepted what in which ballot.
    pub accepts: BTreeSet<(BlockHash, Ballot, usize)>,
    /// Who has crashed.
    pub crashed: BTreeSet<usize>,
    /// The highest round that was promised when the exploring began: that promise stands.
    pub stood: u64,
}

impl State {
    /// Lets one server change.
    pub fn change<R>(&mut self, place: usize, change: impl FnOnce(&mut Node) -> R) -> R {
        let mut node = Node::clone(&self.stores[place]);
        let result = change(&mut node);
        self.stores[place] = Shared::new(node);
        result
    }

    pub fn is_up(&self, place: usize) -> bool {
        self.stores[place].server.is_some()
    }

    /// Whether others may reach it.
    pub fn is_heard(&self, place: usize) -> bool {
        self.is_up(place) && !self.apart.contains(&place)
    }

    pub fn id(&self, place: usize) -> &ServerId {
        self.stores[place].id()
    }

    pub fn places(&self) -> std::ops::Range<usize> {
        0..self.stores.len()
    }

    /// True if no server is within its turn, and nothing is under way.
    pub fn is_quiet(&self) -> bool {
        let is_idle = |node: &Shared<Node>| node.stage == Stage::Idle && node.own.is_empty();
        self.stores.iter().all(is_idle) && self.network.iter().next().is_none()
    }

    /// A turn of this one's becomes durable.
    pub fn save(&mut self, place: usize) {
        if let Stage::Decided { batch, .. } = &self.stores[place].stage {
            let mut height = self.stores[place].disk.chain.len() as u64;
            for write in batch.writes.clone() {
                match write {
                    Write::Append { .. } => height += 1,
                    Write::Promise(_) => drop(self.votes.insert((height, place))),
                    Write::Accept { ballot, block } => {
                        self.votes.insert((height, place));
                        self.accepts.insert((block.hash(), ballot, place));
                    }
                    Write::Log(_) | Write::Activate => {}
                }
            }
        }
        self.change(place, Node::save);
    }
}
