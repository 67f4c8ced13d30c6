//! Who is let in, and that nobody listens in.

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod half_open;
mod keyed;
mod sealed;
