//! The single source for the bank's members.

use super::super::Server;
use crate::bank::ids::ServerId;
use crate::bank::paxos::ballot::majority;

impl Server {
    /// Returns the bank's servers: by the chain, or, before the founding, by the configuration.
    pub(in crate::bank::server) fn members(&self) -> impl Iterator<Item = &ServerId> {
        let founded = self.chain.iter().flat_map(|chain| chain.members());
        let configured = match self.chain {
            None => &self.config.configuration.servers[..],
            Some(_) => &[],
        };
        founded.chain(configured)
    }

    /// Returns how many servers are a majority.
    pub(in crate::bank::server) fn majority(&self) -> usize {
        let majority = majority(self.members().count());
        if planted!(HalfIsEnough) { majority - 1 } else { majority }
    }
}
