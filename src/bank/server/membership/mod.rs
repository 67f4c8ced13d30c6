//! The bank's servers, and what each is told and believed (DESIGN.md, "Founding and identity", "Rejoin" and
//! "One peer's word").

mod accusing;
mod asking;
mod founding;
mod going_on;
mod greeting;
mod keys;
mod members;
mod named;
mod peers;
mod rejoining;
mod sightings;

pub(super) use keys::cannot_speak;
pub(super) use peers::{Peer, Peers};
pub use rejoining::cannot_rejoin;
