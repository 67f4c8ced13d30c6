//! Nodes that don't hear each other.

use super::{Cluster, Name};
use crate::bank::effects::Event;

impl Cluster {
    pub fn part(&mut self, one: Name, other: Name) {
        self.apart.insert((one, other));
        self.apart.insert((other, one));
        let between =
            |(from, to): (Name, Name)| (from, to) == (one, other) || (from, to) == (other, one);
        let ended: Vec<_> = self
            .links
            .iter()
            .filter(|((from, _), (_, to))| between((from, to)))
            .map(|(link, _)| link.clone())
            .collect();
        ended.into_iter().for_each(|link| self.hang_up(&link));
    }

    pub fn part_from_all(&mut self, name: Name) {
        let others: Vec<Name> = self.nodes.keys().copied().filter(|other| *other != name).collect();
        others.into_iter().for_each(|other| self.part(name, other));
    }

    pub fn join(&mut self, one: Name, other: Name) {
        self.apart.remove(&(one, other));
        self.apart.remove(&(other, one));
    }

    /// A node is told something, and what it says to these others gets lost: it is parted from them.
    pub fn tell_and_part(&mut self, name: Name, others: &[Name], event: Event) {
        self.queue.push_back((name, None, event));
        others.iter().for_each(|other| self.part(name, other));
        self.deliver_all();
    }
}
