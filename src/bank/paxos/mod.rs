//! Paxos: one instance of the synod per height of the chain.

pub mod acceptor;
pub mod ballot;
pub mod knowledge;
pub mod message;
pub mod pace;
pub mod proposer;
pub mod rest;
pub mod run;
mod standing;
pub mod tenure;
