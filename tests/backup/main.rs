//! Backups of the shipped program: what is in the folder is a server of one moment, whatever happens, and what
//! is wrong with it is named.

#[path = "../archive/bank.rs"]
#[allow(dead_code, reason = "shared with the tests of the archive")]
mod bank;
#[path = "../support/mod.rs"]
mod support;

mod damaged;
mod folders;
mod founded;
mod founding;
mod founding_many;
mod founding_names;
mod interrupted;
mod succession;
mod taking;
mod told;
