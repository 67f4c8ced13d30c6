//! The blockchain: blocks, the chain's head, reconciling.

pub mod block;
