//! A state of the bank: stores, links between them, messages under way, and what clients were told.

use std::collections::BTreeSet;

use paxos_banking::bank::blockchain::block::BlockHash;
use paxos_banking::bank::effects::Write;
use paxos_banking::bank::ids::ServerId;
use paxos_banking::bank::paxos::ballot::Ballot;

use super::LOST;
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
    /// How often the old store and another lose each other.
    pub cuts: u8,
    /// Crashes of others than the old store.
    pub crashes: u8,
    /// Heartbeats of newer stores, by which they ask to rejoin.
    pub newer_beats: u8,
    /// Heartbeats of all others.
    pub beats: u8,
    /// Timers that say that something took too long.
    pub impatience: u8,
    /// The old store comes back.
    pub returns: bool,
}

impl Budget {
    /// The old store is silent: what it has to say by heartbeats it says in handshakes.
    pub fn beats(&mut self, place: usize, servers: usize) -> Option<&mut u8> {
        let beats = if place < servers { &mut self.beats } else { &mut self.newer_beats };
        Some(beats).filter(|beats| place != LOST && **beats > 0)
    }
}

/// What a client was told: that it happened, under this name, or that it did not.
pub type Told = Result<(u64, u64), ()>;

#[derive(Clone, Debug, PartialEq, Hash)]
pub struct State {
    pub stores: Vec<Shared<Node>>,
    /// Sorted.
    pub links: Vec<Link>,
    /// How many connections each has taken.
    pub taken: Vec<u64>,
    pub network: Network,
    /// For each thing that a client asks for: that it did, and the answer.
    pub told: Vec<Option<Option<Told>>>,
    pub budget: Budget,
    /// Who made a vote for which height durable.
    pub votes: BTreeSet<(u64, usize)>,
    /// Who accepted what in which ballot.
    pub accepts: BTreeSet<(BlockHash, Ballot, usize)>,
    /// The old store has voted when a newer one was connected.
    pub voted_late: bool,
    /// A server other than C has crashed while its log held a rejoin.
    pub crashed_meanwhile: bool,
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

    pub fn id(&self, place: usize) -> &ServerId {
        self.stores[place].id()
    }

    /// How many servers the bank has. The stores beyond are of C.
    pub fn servers(&self) -> usize {
        self.stores[LOST].config.configuration.servers.len()
    }

    /// The stores of C that were to come in place of another.
    pub fn newer(&self) -> std::ops::Range<usize> {
        self.servers()..self.stores.len()
    }

    /// A turn of this one's becomes durable.
    pub fn save(&mut self, place: usize) {
        if let Stage::Decided { batch, .. } = &self.stores[place].stage {
            let mut height = self.stores[place].disk.chain.len() as u64;
            let newer_is_linked = self.links.iter().any(|link| self.newer().contains(&link.from));
            for write in batch.writes.clone() {
                match write {
                    Write::Append { .. } => height += 1,
                    Write::Promise(_) => drop(self.votes.insert((height, place))),
                    Write::Accept { ballot, block } => {
                        self.votes.insert((height, place));
                        self.accepts.insert((block.hash(), ballot, place));
                    }
                    Write::Log(_) | Write::Activate => continue,
                }
                self.voted_late |= place == LOST && newer_is_linked;
            }
        }
        self.change(place, Node::save);
    }
}
