//! What the other threads tell the event loop.

use std::time::Instant;

use crate::bank::effects::Event;
use crate::bank::ids::{ConnectionId, ServerId};
use crate::node::link::Link;
use crate::node::outlet::Outlet;

/// An event for the state machine, with what the event loop needs to act on the effects.
///
/// What can be sent on, an [`Outlet`] or a [`Link`], comes before anything that was received there.
/// So what still arrives from a connection that the event loop has let go of is known by this: its
/// id is not in the tables.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A connection has said its first line, and can be written to here.
    Opened(ConnectionId, Outlet),
    /// Something from that connection.
    Connection(ConnectionId, Event),
    /// A request on that connection, and when its line was read.
    Request(ConnectionId, Event, Instant),
    /// A peer whose connection this is has said nothing for too long. The connection's end follows.
    Silent(ConnectionId),
    /// The connection that this server dials to a peer is up.
    Dialled(ServerId, Link),
    /// Something about the link of this number.
    Link(u64, ServerId, Event),
}
