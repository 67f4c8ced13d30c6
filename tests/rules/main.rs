//! Rules of the protocol that show only at one server, step by step: what it says, writes and sets
//! its timers to, and what it ignores.

mod abreast;
mod chain;
#[path = "../sim/disk.rs"]
mod disk;
mod elements;
mod founding;
mod groups;
mod keeping;
mod ledger;
mod listing;
mod long_logs;
mod messages;
mod named;
mod patience;
mod proposing;
mod reconciling;
mod recovery;
mod resting;
mod serving;
mod settling;
mod sightings;
mod stage;
mod vain_runs;
mod voting;
mod waiting;

use paxos_banking::bank;
