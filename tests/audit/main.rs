//! The audit of what servers have stored: a sound bank is sound, also while it runs, and whatever is made
//! wrong is found and named by its place.

#[path = "../support/mod.rs"]
mod support;

mod banks;
mod corruption;
mod corruptions;
mod damages;
mod files;
mod journal;
mod members;
mod rejoined;
mod running;
mod segments;
mod sessions;
mod told;
