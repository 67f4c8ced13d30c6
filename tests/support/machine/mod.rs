//! The pure state machine, played without threads, sockets and stores.
//!
//! A crate that plays it has `bank` at its root, includes this file by `#[path]` as `mod machine`, and needs
//! no other `#[path]` for it. `bank` is the library's, or in `tests/planted` one that is compiled with mistakes.

#[allow(dead_code, reason = "each crate plays a part of it")]
pub mod bank_of_three;
#[allow(dead_code, reason = "each crate plays a part of it")]
pub mod cluster;
pub mod disk;
#[allow(dead_code, reason = "tests/planted has no mistake for some scenes")]
pub mod scenes;
#[allow(dead_code, reason = "each crate plays a part of it")]
pub mod shelf;
pub mod sim;
#[allow(dead_code, reason = "each crate plays a part of it")]
pub mod stage;

use crate::bank::amount::Amount;
use crate::bank::ids::ServerId;
use crate::bank::limits::Limits;
use crate::bank::paxos::message::Configuration;
use crate::bank::server::Config;
use crate::bank::server::Habit;

/// Returns what a server is told when it starts, if all but its bank is as usual.
pub fn config_of(id: &ServerId, servers: &[ServerId], opening: u64) -> Config {
    let opening_balance = Amount::new(opening).expect("an amount");
    Config {
        id: id.clone(),
        configuration: Configuration { servers: servers.to_vec(), opening_balance, issuing: false },
        addresses: servers.iter().map(|id| (id.clone(), format!("{id}:7000"))).collect(),
        rejoin: false,
        join: false,
        bank: None,
        opening: None,
        key: None,
        keys: false,
        expect: Default::default(),
        habit: Habit::default(),
        limits: Limits::default(),
    }
}
