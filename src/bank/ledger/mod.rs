//! The ledger: entries, elements, the local log, accounts and their balances, sessions.

pub mod balances;
pub mod changed;
pub mod digest;
pub mod directory;
pub mod element;
pub mod entry;
pub mod local_log;
pub mod member_change;
mod name_order;
pub(crate) mod owners;
pub mod pages;
pub(crate) mod quick;
pub mod restoration;
pub mod rule;
pub mod secret;
pub mod sessions;
pub mod trial;
