//! What is yet to happen in the simulated world, in the order of time.

use std::cmp::{Ordering, Reverse};

use crate::bank::effects::{Bound, Event, Timer};
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::request::Reply;

/// Ordered by time, then by when it was scheduled.
pub struct Scheduled {
    pub at: Reverse<(u64, u64)>,
    pub happening: Box<Happening>,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        self.at == other.at
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> Ordering {
        self.at.cmp(&other.at)
    }
}

pub enum Happening {
    Event {
        server: ServerId,
        life: u64,
        event: Event,
    },
    Timer {
        server: ServerId,
        life: u64,
        timer: Timer,
        token: u64,
    },
    Dial {
        from: ServerId,
        to: ServerId,
        life: u64,
    },
    Start(ServerId),
    Client {
        client: usize,
        alarm: u64,
    },
    Reply {
        client: usize,
        connection: ConnectionId,
        id: Option<u64>,
        reply: Reply,
    },
    /// The answer to a hello, over the connection that was dialled.
    Answer {
        dialler: ServerId,
        life: u64,
        connection: ConnectionId,
        event: Event,
    },
    /// Breaks a link, if it is still this one.
    GiveUp {
        dialler: ServerId,
        to: ServerId,
        connection: ConnectionId,
    },
    /// A slow store has answered.
    Durable {
        server: ServerId,
        life: u64,
        bound: Vec<Bound>,
    },
    Weather,
    /// One that is to leave pays out what it has, and asks to be dismissed.
    Leaves(ServerId),
    /// An old store's time to do something.
    Old(usize),
}
