//! Who is let in, and that nobody listens in.

#[path = "../support/mod.rs"]
mod support;

mod half_open;
mod sealed;
