//! What whoever asks may take.

use std::time::Duration;

/// What whoever asks may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections at a time. Further ones are turned away.
    pub connections: usize,
    /// About the longest head of a request, in bytes.
    pub head: usize,
    /// The longest body of a request, in bytes.
    pub body: usize,
    /// How long a request may take to come, and a reply, or a piece of a stream, to leave.
    pub time: Duration,
}
