//! What a server knows of another.

use std::collections::BTreeMap;

use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::{ConnectionId, InstanceId, LifeId, ServerId};
use crate::bank::paxos::message::Sighting;

/// Heartbeats of its own after which a server counts a silent peer as not connected.
const SILENCE: u32 = 3;

/// The connection that this server dials to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Link {
    /// Not connected.
    #[default]
    Down,
    /// Connected; a hello is under way.
    Greeting,
    /// The peer has answered with a good hello.
    Up,
}

/// What a peer has to say of this server's store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Word {
    /// It has not spoken in this life.
    #[default]
    None,
    /// It has welcomed this server.
    Good,
    /// The store was lost, swapped, rolled back or replaced, for this reason.
    Bad(String),
}

/// Another server of the bank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peer {
    /// The connection to it.
    pub link: Link,
    /// The newest connection from it.
    pub incoming: Option<ConnectionId>,
    /// As whom it opened that one: what comes on it is that store's word, in that life.
    pub greeted_as: Option<(InstanceId, LifeId)>,
    /// Own heartbeats since it was last heard.
    pub missed: u32,
    /// The instance it last greeted with.
    pub instance: Option<InstanceId>,
    /// The furthest that it was seen.
    pub seen: Option<Sighting>,
    /// The highest height that it is known to hold.
    pub height: Option<u64>,
    /// By its last word it lacks blocks that this server held then.
    pub behind: bool,
    /// The block 0 that it last greeted with, if that is another bank's.
    pub elsewhere: Option<BlockHash>,
    /// It has confirmed the same block 0.
    pub confirmed: bool,
    /// Its chain contradicts ours; it isn't asked for blocks again.
    pub forked: bool,
    /// What it says of this server's store.
    pub(super) word: Word,
    /// It was asked for blocks that it said it had, and did not send any. No run waits for these.
    pub in_vain: bool,
    /// It named a round that can't be believed; it is said once for each greeting.
    pub leaps: bool,
}

impl Peer {
    /// Messages to it have a way.
    pub fn is_linked(&self) -> bool {
        self.link == Link::Up
    }

    /// It was heard within three heartbeats.
    pub fn is_connected(&self) -> bool {
        self.incoming.is_some() && self.missed < SILENCE
    }

    /// A run should hear it: it is connected, and was not behind by its last word. It has not given
    /// its word on what was appended since; it takes part in that, or soon says that it doesn't.
    pub fn is_abreast(&self) -> bool {
        self.is_connected() && !self.forked && self.height.is_some() && !self.behind
    }

    /// It holds the chain up to `height`, while this server holds it up to `own`. The last block
    /// doesn't count: who accepted that one appends it when it hears of the run for the next.
    pub fn holds(&mut self, height: u64, own: Option<u64>) {
        self.height = self.height.max(Some(height));
        self.behind = self.height.map(|height| height.saturating_add(1)) < own;
    }
}

/// The other servers, and the connections that they dialled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peers {
    known: BTreeMap<ServerId, Peer>,
    /// The connections that peers dialled and opened with a good hello.
    greeted: BTreeMap<ConnectionId, ServerId>,
}

impl Peers {
    /// Peers of which nothing is known yet.
    pub fn new(ids: impl Iterator<Item = ServerId>) -> Peers {
        let known = ids.map(|id| (id, Peer::default())).collect();
        Peers { known, greeted: BTreeMap::new() }
    }

    /// The peer of this name.
    pub fn get(&self, id: &ServerId) -> Option<&Peer> {
        self.known.get(id)
    }

    /// The peer of this name, to be changed.
    pub fn get_mut(&mut self, id: &ServerId) -> Option<&mut Peer> {
        self.known.get_mut(id)
    }

    /// All peers with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&ServerId, &Peer)> {
        self.known.iter()
    }

    /// The names of all peers.
    pub fn ids(&self) -> impl Iterator<Item = &ServerId> {
        self.known.keys()
    }

    /// All peers.
    pub fn values(&self) -> impl Iterator<Item = &Peer> {
        self.known.values()
    }

    /// All peers, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.known.values_mut()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// How many are connected.
    pub fn connected(&self) -> usize {
        self.values().filter(|peer| peer.is_connected()).count()
    }

    /// Whose connection this is, if it was opened with a good hello.
    pub fn of(&self, connection: ConnectionId) -> Option<&ServerId> {
        self.greeted.get(&connection)
    }

    /// A peer has opened a connection with a good hello. What still comes on its older one may be of an
    /// earlier life, so that counts no longer.
    pub fn on_greeted(
        &mut self,
        id: &ServerId,
        connection: ConnectionId,
        as_whom: (InstanceId, LifeId),
    ) {
        if let Some(peer) = self.known.get_mut(id) {
            if let Some(older) = peer.incoming.replace(connection) {
                self.greeted.remove(&older);
            }
            peer.missed = 0;
            peer.greeted_as = Some(as_whom);
        }
        self.greeted.insert(connection, id.clone());
    }

    /// A connection is gone. True if it was the newest one of a peer's.
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

    /// The peers that say that this server's store is not the one it should be.
    pub fn accusers(&self) -> Vec<ServerId> {
        let accuses = |(_, peer): &(&ServerId, &Peer)| matches!(peer.word, Word::Bad(_));
        self.iter().filter(accuses).map(|(id, _)| id.clone()).collect()
    }

    /// True if a peer accuses this server and none that is there has welcomed it. What a peer said that is
    /// away may not be so any more.
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

    fn two() -> Peers {
        Peers::new(["B", "C"].map(id).into_iter())
    }

    #[test]
    fn only_the_newest_connection_of_a_peer_is_its_word() {
        let (mut peers, [older, newer]) = (two(), [1, 2].map(ConnectionId));
        for connection in [older, newer] {
            peers.on_greeted(&id("B"), connection, (InstanceId(7), LifeId(1)));
        }
        assert_eq!((peers.of(older), peers.of(newer)), (None, Some(&id("B"))));
        assert!(!peers.on_closed(older) && peers.connected() == 1);
        assert!(peers.on_closed(newer) && peers.connected() == 0);
    }

    #[test]
    fn an_accuser_puts_in_doubt_until_one_that_is_there_welcomes() {
        let mut peers = two();
        peers.get_mut(&id("B")).unwrap().word = Word::Bad("lost".into());
        assert!(peers.put_in_doubt());
        peers.get_mut(&id("C")).unwrap().word = Word::Good;
        assert!(peers.put_in_doubt(), "C is not there");
        peers.on_greeted(&id("C"), ConnectionId(1), (InstanceId(8), LifeId(1)));
        assert!(!peers.put_in_doubt());
        assert_eq!(peers.accusers(), [id("B")]);
    }
}
