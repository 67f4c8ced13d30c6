//! The real state machine in a simulated world: one seed decides everything. `tests/sim.rs` plays seeds,
//! and `tests/planted` plays them with mistakes.

pub mod archiving;
pub mod books;
pub mod clients;
pub mod doors;
pub mod faults;
pub mod judge;
pub mod lies;
pub mod lost;
pub mod network;
pub mod old;
pub mod orders;
pub mod queue;
pub mod replies;
pub mod seed;
pub mod tally;
pub mod turns;
pub mod world;
