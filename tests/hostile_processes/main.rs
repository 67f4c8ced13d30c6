//! Clients and peers from hell, against servers as processes, while a well-behaved client pays.

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod lines;
mod payer;
mod peers;
mod places;
