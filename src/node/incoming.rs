//! What the other threads tell the event loop.

use std::time::Instant;

use crate::bank::effects::Event;
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::request::Request;
use crate::node::link::Link;
use crate::node::outlet::Outlet;
use crate::node::owed::Untaken;

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
    /// A client's request, which waits for its turn.
    Asked(ConnectionId, Ask),
    /// A request on that connection, or a part of one, whose turn it is; and when its line was read.
    Request(ConnectionId, Event, Instant),
    /// A peer whose connection this is has said nothing for too long. The connection's end follows.
    Silent(ConnectionId),
    /// The connection that this server dials to a peer is up.
    Dialled(ServerId, Link),
    /// Something about the link of this number.
    Link(u64, ServerId, Event),
}

/// A request as a client's reader hands it over.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The client's number for it.
    pub(crate) number: Option<u64>,
    /// The request.
    pub(crate) request: Request,
    /// When its line was read.
    pub(crate) came: Instant,
    /// What it costs, in items of a batch.
    pub(crate) weight: usize,
    /// Its client has asked for little, with all of it that is not answered.
    pub(crate) is_little: bool,
    /// Counts it as long as it is not taken in, if its client asks for much.
    pub(crate) _untaken: Option<Untaken>,
}
