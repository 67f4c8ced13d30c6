//! How to use a Redis.

use std::time::Duration;

/// How to use a Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// True to go on, with a warning, if Redis's settings let it lose confirmed writes.
    pub allow_weak: bool,
    /// True to bring a store of an older format along when it is taken over.
    pub upgrade: bool,
    /// On the disks of how many replicas a turn has to be, beside Redis's own, before it counts as durable.
    pub copies: u8,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long Redis may take to answer, or to take in what is sent.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            allow_weak: false,
            upgrade: false,
            copies: 0,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
        }
    }
}
