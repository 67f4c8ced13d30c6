//! What holds for all values: the order of ballots, the arithmetic of accounts, logs and blocks, the
//! codecs' round trips, and that a changed block is found.

mod blocks;
mod ledger;
mod pages;
mod values;
mod wire;

use proptest::prelude::*;

/// A failure says what it takes to repeat it; no file is needed.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}
