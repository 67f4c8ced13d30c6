//! What a server knows of another.

use crate::bank::ids::{ConnectionId, InstanceId};

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
    /// Own heartbeats since it was last heard.
    pub missed: u32,
    /// The instance it last greeted with.
    pub instance: Option<InstanceId>,
    /// The highest height that it is known to hold.
    pub height: Option<u64>,
    /// It has confirmed the same block 0.
    pub confirmed: bool,
    /// Its chain contradicts ours; it isn't asked for blocks again.
    pub forked: bool,
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

    /// It is connected and not behind: it holds the chain up to `height`, or lacks just the last
    /// block, whose commit may be on its way to it, or the word of it on its way from it.
    pub fn is_abreast(&self, height: u64) -> bool {
        let holds = self.height.is_some_and(|held| held.saturating_add(1) >= height);
        self.is_connected() && !self.forked && holds
    }

    /// It holds the chain up to `height`.
    pub fn holds(&mut self, height: u64) {
        self.height = self.height.max(Some(height));
    }
}
