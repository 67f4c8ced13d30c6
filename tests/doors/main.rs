//! Who is let in, and that nobody listens in.

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod clients;
mod following;
mod half_open;
mod impostors;
mod keyed;
mod sealed;
