//! The archive of the shipped program: blocks leave Redis for segments, everything reads through them, and
//! nothing depends on them.

#[path = "../support/mod.rs"]
mod support;

mod bank;
mod damaged;
mod full;
mod interrupted;
mod reading;
mod without;
