//! What a server knows of another.

use super::accusing::Word;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::{ConnectionId, InstanceId, LifeId};
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
