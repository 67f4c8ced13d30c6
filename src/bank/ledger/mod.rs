//! The ledger: entries, the local log, balances, sessions.

pub mod entry;
