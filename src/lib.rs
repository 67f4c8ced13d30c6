//! PAXOS-Banking: a bank replicated over a few servers.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod bank;
pub mod client;
pub mod node;
pub mod store;
pub mod wire;
