//! The ledger: entries, the local log, balances, sessions.

pub mod balances;
pub mod entry;
pub mod local_log;
pub mod sessions;
