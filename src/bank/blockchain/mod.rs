//! The blockchain: blocks, the chain's head, reconciling.

pub mod bank_name;
pub mod block;
pub mod block_error;
pub mod chain;
pub mod derived;
mod head;
pub mod issuing;
pub mod members;
mod opening;
pub mod origin;
pub mod quorum;
pub mod reconcile;
mod terms;
