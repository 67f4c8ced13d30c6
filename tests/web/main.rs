//! The page over a running bank, in a real browser, and whom it lets in.
#![cfg(feature = "http")]

#[path = "../support/mod.rs"]
mod support;

mod letting_in;
mod live;
mod page;
mod searching;
mod showing;
