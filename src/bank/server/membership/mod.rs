//! The bank's servers, and what each is told and believed (DESIGN.md, "Founding and identity", "Rejoin" and
//! "One peer's word").

mod accusing;
mod founding;
mod greeting;
mod members;
mod named;
mod peers;
mod rejoining;
mod sightings;

pub(super) use peers::{Peer, Peers};
pub use rejoining::cannot_rejoin;
