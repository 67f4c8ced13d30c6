//! The pure state machine: events in, effects out. No sockets, threads, clocks, files or randomness.

pub mod address;
pub mod amount;
pub(crate) mod as_text;
pub mod asker;
pub mod blockchain;
pub mod effects;
pub mod fingerprint;
pub mod follow;
pub(crate) mod hex;
pub mod ids;
pub mod ledger;
pub mod limits;
pub mod member_note;
pub mod member_order;
pub mod note;
pub mod paxos;
pub mod query;
pub mod reason;
pub mod reference;
pub mod request;
pub mod server;
pub(crate) mod short_text;
pub mod status;
pub mod stored;
pub mod timer;
pub mod wall_time;
