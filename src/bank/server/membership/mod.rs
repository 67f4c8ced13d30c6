//! The bank's servers, and what each is told and believed (DESIGN.md, "Founding and identity", "Rejoin" and
//! "One peer's word").

mod accusing;
mod asking;
mod foretold;
mod founding;
mod going_on;
mod greeting;
mod joining;
mod keys;
mod leaving;
mod members;
mod named;
mod ordering;
mod orders;
mod peers;
mod rejoining;
mod sightings;

pub(super) use keys::cannot_speak;
pub(super) use members::quorum_of;
pub(super) use peers::{Peer, Peers};
pub use rejoining::cannot_rejoin;
