//! Agreement on the next block: a run's proposer and acceptors, and the chain that grows by it
//! (DESIGN.md, "A Paxos run").

mod appending;
mod foreseen;
mod proposing;
mod reconciling;
mod standing;
mod voting;

pub(super) use voting::{HeldPrepare, Voter};
