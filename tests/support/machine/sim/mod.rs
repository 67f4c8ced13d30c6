//! The real state machine in a simulated world: one seed decides everything. `tests/sim.rs` plays seeds,
//! and `tests/planted` plays them with mistakes.

pub mod archiving;
pub mod arrival;
pub mod at_once;
pub mod books;
pub mod clients;
pub mod doors;
pub mod faults;
pub mod former;
pub mod judge;
pub mod leavers;
pub mod lies;
pub mod lost;
pub mod membership;
pub mod network;
pub mod old;
pub mod operators;
pub mod orders;
pub mod queue;
pub mod register;
pub mod replies;
pub mod seed;
pub mod setting;
pub mod tally;
pub mod turns;
pub mod world;
