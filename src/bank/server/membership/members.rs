//! The single source for the bank's members, and for whose votes decide.

use super::super::Server;
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::quorum::Quorum;
use crate::bank::ids::ServerId;
use crate::bank::server::config::Config;

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

    /// True if a server is a member by the chain, or, before the founding, by the configuration.
    pub(in crate::bank::server) fn is_member(&self, id: &ServerId) -> bool {
        match &self.chain {
            Some(chain) => chain.derived().is_member(id),
            None => self.config.configuration.servers.contains(id),
        }
    }

    /// Returns whose votes decide on the next height.
    pub(in crate::bank::server) fn quorum(&self) -> Quorum<'_> {
        quorum_of(&self.chain, &self.config)
    }

    /// True if this server's vote counts for the next height.
    pub(in crate::bank::server) fn votes(&self) -> bool {
        self.quorum().counts(&self.config.id)
    }

    /// True if a peer is connected with the store that the chain names.
    pub(in crate::bank::server) fn hears_its_store(&self, id: &ServerId) -> bool {
        let named = self.chain.as_ref().and_then(|chain| chain.instance(id));
        self.peers.get(id).is_some_and(|peer| peer.is_connected() && peer.instance == named)
    }

    /// True if a majority of the voters is connected, this server included.
    pub(in crate::bank::server) fn sees_majority(&self) -> bool {
        let here = self.peers.iter().filter(|(id, peer)| peer.is_connected() && self.is_member(id));
        let me = std::iter::once(&self.config.id);
        self.quorum().is_reached_by(here.map(|(id, _)| id).chain(me))
    }

    /// Returns where a server is found: by its own word, while it is ahead, or else by the chain, or else by the
    /// configuration, or else by a member's word.
    pub(in crate::bank::server) fn address(&self, id: &ServerId) -> Option<&str> {
        let moved = self.peers.get(id).and_then(|peer| peer.moved.as_ref());
        if let Some((height, at)) = moved
            && Some(*height) > self.height()
        {
            return Some(at.as_str());
        }
        let chain = self.chain.as_ref().map(|chain| &chain.derived().membership.addresses);
        let by_chain = chain.and_then(|addresses| addresses.get(id)).map(|at| at.as_str());
        let told = || self.peers.addresses.get(id).map(|at| at.as_str());
        by_chain.or_else(|| self.config.addresses.get(id).map(String::as_str)).or_else(told)
    }

    /// Returns whom this server dials, and where.
    pub fn dials(&self) -> Vec<(ServerId, String)> {
        let peers = self.peers.ids();
        peers.filter_map(|id| Some((id.clone(), self.address(id)?.to_owned()))).collect()
    }
}

/// Returns whose votes decide on the next height: by the chain, or, before the founding, all of the configuration.
pub(in crate::bank::server) fn quorum_of<'a>(
    chain: &'a Option<Chain>,
    config: &Config,
) -> Quorum<'a> {
    let founding = || Quorum::of_all(config.configuration.servers.len());
    chain.as_ref().map_or_else(founding, Chain::quorum)
}
