//! What the other threads tell the event loop.

use std::time::Instant;

use crossbeam_channel::Sender;

use crate::bank::effects::Event;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::request::Request;
use crate::node::backlog::Untaken;
use crate::node::figures::Seen;
use crate::node::link::Link;
use crate::node::reply_sender::ReplySender;

/// An event for the state machine, with what the event loop needs to act on its effects.
///
/// A [`ReplySender`] or a [`Link`] comes before anything received there. So an event from a connection that
/// the event loop has forgotten is recognized: its id is not in the tables.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A connection has said its first line, and can be written to through this sender.
    Opened(ConnectionId, ReplySender),
    /// The other end of that connection has proved this key.
    Proved(ConnectionId, Fingerprint),
    /// The roles of keys are other ones now.
    Roles,
    /// Somebody asks how the server stands. It is told when the turn is durable.
    Look(Sender<Seen>),
    /// The archivist wants the blocks of these heights from a peer.
    Wanted(u64, u64),
    /// An event from that connection.
    Connection(ConnectionId, Event),
    /// A client's request, which waits for its turn.
    Asked(ConnectionId, Ask),
    /// A request on that connection, or a part of it, whose turn it is, and when its line was read.
    Request(ConnectionId, Event, Instant),
    /// The peer of this connection has been silent for too long. The connection's end follows.
    Silent(ConnectionId),
    /// The connection that this server dials to a peer is up. The peer has proved the key, if there is one.
    Dialled(ServerId, Link, Option<Fingerprint>),
    /// An event about the link of this number.
    Link(u64, ServerId, Event),
}

/// A request as a client's reader hands it over.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The client's number for the request.
    pub(crate) number: Option<u64>,
    /// The request.
    pub(crate) request: Request,
    /// When the request's line was read.
    pub(crate) came: Instant,
    /// The request's cost, in items of a batch.
    pub(crate) weight: usize,
    /// True if the client, with all its unanswered requests, asks for little.
    pub(crate) is_little: bool,
    /// Counts the request until it is taken in, if its client asks for much.
    pub(crate) _untaken: Option<Untaken>,
}
