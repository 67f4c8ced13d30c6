//! Streams: what a client is told beside replies, line after line, without asking for each.
//!
//! A stream is in the hands of its connection's own writer, which writes when the client reads. So nothing waits in a
//! queue for a client that is slow, and nobody waits for it.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::bank::request::ErrorCode;

/// The longest silence: both ends notice when the other one is gone.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);

/// How a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// There may be more at once.
    More,
    /// There is nothing more until it is woken, or until this moment.
    Until(Instant),
    /// It was told that this is the end.
    Over,
}

/// A stream. A connection has one at a time.
pub(crate) trait Stream: Debug + Send {
    /// Returns what wakes it.
    fn woken(&self) -> &Receiver<()>;

    /// Appends what comes next, about a chunk at most.
    fn tell(&mut self, text: &mut Vec<u8>) -> Pace;

    /// True if its work may wait until the bank leaves a processor free.
    fn gives_way(&self) -> bool;

    /// Forgets what can be had again, since the client doesn't read.
    fn rest(&mut self);

    /// Appends the error with which it ends.
    fn end(&self, text: &mut Vec<u8>, error: ErrorCode, why: &str);
}
