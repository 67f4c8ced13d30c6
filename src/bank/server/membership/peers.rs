//! A server's knowledge of its peers.

use std::collections::BTreeMap;

use super::asking::{Asking, Newcomer};
use super::foretold::Foretold;
use super::orders::Orders;
use crate::bank::address::Address;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::blockchain::chain::Chain;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, InstanceId, LifeId, ServerId};
use crate::bank::paxos::message::Sighting;

/// The own heartbeats after which a silent peer counts as not connected.
const SILENCE: u32 = 3;

/// The connection that this server dials to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkState {
    /// It is not connected.
    #[default]
    Down,
    /// It is connected, and a hello is under way.
    Greeting,
    /// It is up: the peer has answered with a good hello.
    Up,
}

/// A peer's word on this server's store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Word {
    /// The peer has not spoken in this life.
    #[default]
    None,
    /// The peer has welcomed this server.
    Good,
    /// The peer says that the store was lost, swapped, rolled back or replaced, for this reason.
    Bad(String),
}

/// Another server of the bank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The connection to the peer.
    pub link: LinkState,
    /// The key that the other end of this connection proved.
    pub link_key: Option<Fingerprint>,
    /// The newest connection from the peer.
    pub incoming: Option<ConnectionId>,
    /// The instance and life in its hello on this connection: messages there are this store's word, in this
    /// life.
    pub greeted_as: Option<(InstanceId, LifeId)>,
    /// The key that the peer proved on this connection.
    pub greeted_key: Option<Fingerprint>,
    /// The key that it proved with its last good hello, on whichever connection.
    pub key: Option<Fingerprint>,
    /// The own heartbeats since the peer was last heard.
    pub missed: u32,
    /// The instance in its last hello.
    pub instance: Option<InstanceId>,
    /// The furthest point at which it was seen.
    pub seen: Option<Sighting>,
    /// The highest height that it is known to hold for good.
    pub height: Option<u64>,
    /// True if by its last word it lacks blocks that this server held then.
    pub behind: bool,
    /// The block 0 in its last hello, if it is another bank's.
    pub elsewhere: Option<BlockHash>,
    /// Its block 0, if this server holds none and didn't take it.
    pub strange: Option<BlockHash>,
    /// True if it has confirmed the same block 0.
    pub confirmed: bool,
    /// True if its chain contradicts ours. It isn't asked for blocks again.
    pub forked: bool,
    /// Its word on this server's store.
    pub(super) word: Word,
    /// True if it was asked for blocks that it claims to have, and sent none. No run waits for these blocks.
    pub in_vain: bool,
    /// True if it is no member yet, by its last hello, and waits to be admitted.
    pub joins: bool,
    /// Where it is dialled, if the chain or a member has told this since this server started.
    pub dialled: Option<String>,
    /// The key by which it is known if a block is chosen that this server has accepted, and the block.
    pub(super) foretold: Option<Foretold>,
    /// Where it says that it is found, by a chain of this height, if this server's chain tells another address.
    pub(super) moved: Option<(u64, Address)>,
    /// True if it named a round that can't be believed. That is logged once for each greeting.
    pub leaps: bool,
}

impl Peer {
    /// True if messages can be sent to it.
    pub fn is_linked(&self) -> bool {
        self.link == LinkState::Up
    }

    /// True if it was heard within three heartbeats.
    pub fn is_connected(&self) -> bool {
        self.incoming.is_some() && self.missed < SILENCE
    }

    /// True if it may be there: it was heard within three heartbeats, or this life is younger.
    pub fn may_be_there(&self) -> bool {
        self.missed < SILENCE
    }

    /// True if a run should hear it: it is connected, and was not behind by its last word. It may not have
    /// told of blocks appended since. It takes part in the run, or soon says that it doesn't.
    pub fn is_abreast(&self) -> bool {
        self.is_connected() && !self.forked && self.height.is_some() && !self.behind
    }

    /// Notes that it holds the chain up to `height`, while this server holds it up to `own`. A few blocks don't count: it
    /// has them in a moment. Who won last may make blocks faster than one hears of them who is not needed for them.
    pub fn holds(&mut self, height: u64, own: Option<u64>) {
        self.tells_of(height, own, true);
    }

    /// Notes that it tells of a block at this height, which it holds for good or may yet lose in a crash. Both show how
    /// far it is.
    pub fn tells_of(&mut self, height: u64, own: Option<u64>, for_good: bool) {
        let few = if planted!(LaggardUnheard) { 1 } else { FEW_BLOCKS };
        let seen = self.height.max(Some(height));
        if for_good || planted!(ProposalTellsHeight) {
            self.height = seen;
        }
        self.behind = seen.map(|height| height.saturating_add(few)) < own;
    }
}

/// The other servers, and the connections that they dialled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peers {
    known: BTreeMap<ServerId, Peer>,
    /// The connections that peers dialled and opened with a good hello.
    greeted: BTreeMap<ConnectionId, ServerId>,
    /// Who asks to rejoin, and whom an operator has confirmed.
    pub(super) asking: Asking,
    /// Who asks to join, and what operators have ordered.
    pub(in crate::bank::server) orders: Orders,
    /// Where servers are found, as members told this server when it joined.
    pub(in crate::bank::server) addresses: BTreeMap<ServerId, Address>,
}

/// The blocks that a server may lack, and yet is expected to take part in a run.
const FEW_BLOCKS: u64 = 16;

impl Peers {
    /// Starts with peers of which nothing is known.
    pub fn new(ids: impl Iterator<Item = ServerId>) -> Peers {
        let known = ids.map(|id| (id, Peer::default())).collect();
        Peers { known, ..Peers::default() }
    }

    /// Adds a peer, unless it is one already.
    pub fn add(&mut self, id: &ServerId) {
        self.known.entry(id.clone()).or_default();
    }

    /// Removes a peer; what still comes on its connections is a stranger's word.
    pub fn remove(&mut self, id: &ServerId) {
        self.known.remove(id);
        self.greeted.retain(|_, of| of != id);
    }

    /// Returns a peer.
    pub fn get(&self, id: &ServerId) -> Option<&Peer> {
        self.known.get(id)
    }

    /// True if a server is a peer, and messages can be sent to it.
    pub fn is_linked(&self, id: &ServerId) -> bool {
        self.get(id).is_some_and(Peer::is_linked)
    }

    /// Returns a peer, to be changed.
    pub fn get_mut(&mut self, id: &ServerId) -> Option<&mut Peer> {
        self.known.get_mut(id)
    }

    /// Returns all peers with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&ServerId, &Peer)> {
        self.known.iter()
    }

    /// Returns the names of all peers.
    pub fn ids(&self) -> impl Iterator<Item = &ServerId> {
        self.known.keys()
    }

    /// Returns all peers.
    pub fn values(&self) -> impl Iterator<Item = &Peer> {
        self.known.values()
    }

    /// Returns all peers, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.known.values_mut()
    }

    /// Returns how many peers there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns the peer that opened a connection with a good hello.
    pub fn of(&self, connection: ConnectionId) -> Option<&ServerId> {
        self.greeted.get(&connection)
    }

    /// Notes the key that the other end of the connection to a peer has proved.
    pub fn link_proved(&mut self, id: &ServerId, key: Fingerprint) {
        if let Some(peer) = self.known.get_mut(id) {
            peer.link_key = Some(key);
        }
    }

    /// Notes that a peer has opened a connection with a good hello. Its older connection may still bring
    /// messages of an earlier life, so it counts no longer.
    pub fn on_greeted(
        &mut self,
        id: &ServerId,
        connection: ConnectionId,
        as_whom: (InstanceId, LifeId),
        key: Option<Fingerprint>,
    ) {
        if let Some(peer) = self.known.get_mut(id) {
            if let Some(older) = peer.incoming.replace(connection) {
                self.greeted.remove(&older);
            }
            peer.missed = 0;
            (peer.greeted_as, peer.greeted_key) = (Some(as_whom), key);
        }
        self.greeted.insert(connection, id.clone());
    }

    /// Notes that a connection is gone. True if it was a peer's newest one.
    pub fn on_closed(&mut self, connection: ConnectionId) -> bool {
        let peer = self.greeted.remove(&connection).and_then(|id| self.known.get_mut(&id));
        match peer.filter(|peer| peer.incoming == Some(connection)) {
            Some(peer) => {
                peer.incoming = None;
                true
            }
            None => false,
        }
    }

    /// Forgets who asked for the place of servers that have rejoined by now.
    pub fn settle_newcomers(&mut self, chain: &Chain) {
        let named =
            |(id, newcomer): &(&ServerId, Newcomer)| chain.instance(id) == Some(newcomer.instance);
        let done: Vec<ServerId> =
            self.asking.all().filter(named).map(|(id, _)| id.clone()).collect();
        done.iter().for_each(|id| self.asking.settled(id));
    }

    /// Returns the peers that reject this server's store.
    pub fn accusers(&self) -> Vec<ServerId> {
        let accuses = |(_, peer): &(&ServerId, &Peer)| matches!(peer.word, Word::Bad(_));
        self.iter().filter(accuses).map(|(id, _)| id.clone()).collect()
    }

    /// True if a peer rejects this server's store, and no connected peer has welcomed it. The word of an absent
    /// peer may have changed.
    pub fn put_in_doubt(&self) -> bool {
        let is_there = |peer: &Peer| peer.is_connected() || peer.is_linked();
        let welcome = self.values().any(|peer| peer.word == Word::Good && is_there(peer));
        !welcome && !self.accusers().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ServerId {
        name.parse().unwrap()
    }

    fn connected(peers: &Peers) -> usize {
        peers.values().filter(|peer| peer.is_connected()).count()
    }

    fn two() -> Peers {
        Peers::new(["B", "C"].map(id).into_iter())
    }

    #[test]
    fn only_the_newest_connection_of_a_peer_is_its_word() {
        let (mut peers, [older, newer]) = (two(), [1, 2].map(ConnectionId));
        for connection in [older, newer] {
            peers.on_greeted(&id("B"), connection, (InstanceId(7), LifeId(1)), None);
        }
        assert_eq!((peers.of(older), peers.of(newer)), (None, Some(&id("B"))));
        assert!(!peers.on_closed(older) && connected(&peers) == 1);
        assert!(peers.on_closed(newer) && connected(&peers) == 0);
    }

    #[test]
    fn a_peer_that_is_silent_is_not_connected_until_it_greets() {
        let mut peers = two();
        let greets = |peers: &mut Peers, connection| {
            peers.on_greeted(&id("B"), ConnectionId(connection), (InstanceId(7), LifeId(1)), None);
        };
        greets(&mut peers, 1);
        peers.get_mut(&id("B")).unwrap().missed = SILENCE - 1;
        assert_eq!(connected(&peers), 1);
        peers.get_mut(&id("B")).unwrap().missed = SILENCE;
        assert_eq!(connected(&peers), 0);
        greets(&mut peers, 2);
        assert_eq!(connected(&peers), 1);
        assert!(!peers.on_closed(ConnectionId(3)) && connected(&peers) == 1, "nobody's");
    }

    #[test]
    fn who_is_behind_or_of_another_chain_is_not_abreast() {
        let connected = Peer { incoming: Some(ConnectionId(1)), ..Peer::default() };
        assert!(!connected.is_abreast(), "nobody knows how far it is");
        let mut peer = connected;
        peer.holds(4, Some(20));
        assert!(peer.is_abreast(), "a few blocks don't count");
        peer.holds(4, Some(21));
        assert!(!peer.is_abreast());
        peer.holds(21, Some(21));
        peer.holds(3, Some(21));
        assert_eq!((peer.height, peer.is_abreast()), (Some(21), true), "an older word came late");
        assert!(!Peer { forked: true, ..peer.clone() }.is_abreast());
        assert!(!Peer { incoming: None, ..peer }.is_abreast());
    }

    #[test]
    fn an_accuser_puts_in_doubt_until_one_that_is_there_welcomes() {
        let mut peers = two();
        peers.get_mut(&id("B")).unwrap().word = Word::Bad("lost".into());
        assert!(peers.put_in_doubt());
        peers.get_mut(&id("C")).unwrap().word = Word::Good;
        assert!(peers.put_in_doubt(), "C is not there");
        peers.on_greeted(&id("C"), ConnectionId(1), (InstanceId(8), LifeId(1)), None);
        assert!(!peers.put_in_doubt());
        assert_eq!(peers.accusers(), [id("B")]);
    }
}
