//! Paxos: one instance of the synod per height of the chain.

pub mod ballot;
pub mod message;
