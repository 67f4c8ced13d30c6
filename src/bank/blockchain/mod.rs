//! The blockchain: blocks, the chain's head, reconciling.

pub mod block;
pub mod chain;
mod head;
pub mod reconcile;
