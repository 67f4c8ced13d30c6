//! The judge's books of stores that are lost for good and of servers that rejoin.

use std::collections::BTreeSet;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Action;

use super::books::{Books, Name, name};
use super::tally::Mark;

impl Books {
    /// A server's store is lost; it is to rejoin with another, which knows nothing yet.
    pub fn lose(&mut self, server: &ServerId, new: InstanceId) {
        self.learning.insert(server.clone(), new);
        self.waiting.insert(new);
        let genesis = self.genesis();
        self.views.insert(server.clone(), genesis);
        self.leaving.remove(server);
        self.in_chain_of.retain(|(_, of), _| of != server);
    }

    /// Whether a server waits for the chain to name its store.
    pub fn is_learning(&self, server: &ServerId) -> bool {
        self.learning.contains_key(server)
    }

    /// The epoch in which a server counts its entries, by the chain that anybody has.
    pub fn epoch(&self, server: &ServerId) -> u64 {
        let named = self.named.values().filter(|(of, _)| of == server).count() as u64;
        self.first_epoch() - 1 + u64::from(self.is_founder(server)) + named
    }

    /// What a server logged in an epoch and what is in no block never was.
    pub fn write_off(&mut self, server: &ServerId, epoch: u64) {
        let of_epoch = |name: &&Name| name.0 == *server && name.1 == epoch;
        let lost = self.logged.keys().filter(of_epoch);
        let lost: BTreeSet<Name> =
            lost.filter(|name| !self.in_block.contains_key(*name)).cloned().collect();
        for payment in self.moves.iter_mut().filter(|payment| lost.contains(&payment.name)) {
            payment.units = 0;
        }
        for name in &lost {
            if let Action::Open { account, .. } = &self.logged[name].record.action {
                self.opened.remove(account);
            }
        }
        self.changes.retain(|name| !lost.contains(name));
        if !lost.is_empty() {
            self.marks.push(Mark::LostEntries);
        }
        self.lost.extend(lost);
    }

    /// A store that is cut off for good has made an element durable: nobody hears of it.
    pub fn log_in_vain(&mut self, server: &ServerId, element: &Element) {
        for entry in element.entries(server) {
            let before = self.logged.insert(name(&entry), entry.clone());
            assert_eq!(before, None, "an entry's name is used once");
            self.lost.insert(name(&entry));
        }
    }

    /// Whether a server with so long a chain knows that another store has come in place of this one.
    pub fn knows_of_another(&self, server: &ServerId, old: InstanceId, blocks: usize) -> bool {
        let known =
            |(_, (of, height)): &(_, &(ServerId, u64))| of == server && *height < blocks as u64;
        let last = self.named.iter().filter(known).max_by_key(|(_, (_, height))| *height);
        let present = self.register.latest().members.get(server).copied();
        last.is_some_and(|(new, _)| *new != old) && present != Some(old)
    }

    /// A server that learns has appended a block: is it the one that names its store?
    pub fn learnt(&mut self, server: &ServerId, block: &SealedBlock) {
        let Some(instance) = self.learning.get(server) else { return };
        let by = self.named.get(instance).map(|(_, height)| *height);
        if by == Some(block.height()) {
            self.learning.remove(server);
            self.marks.push(Mark::Rejoined);
        }
    }
}
