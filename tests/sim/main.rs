//! The real state machine in a simulated world: one seed decides everything.
//!
//! `SEED=7 cargo test --test sim` replays one seed and tells what happened.

/// No mistake is planted in the library (see `tests/planted`).
macro_rules! planted {
    ($mistake:ident) => {
        false
    };
}

mod clients;
mod disk;
mod faults;
mod judge;
mod network;
mod seed;
mod world;

use paxos_banking::bank;
use seed::simulate;

#[test]
fn nothing_that_may_never_happen_happens() {
    if let Ok(seed) = std::env::var("SEED") {
        simulate(seed.parse().expect("SEED is a number"), true);
        return;
    }
    let seeds = std::env::var("SEEDS").map_or(300, |seeds| seeds.parse().expect("a number"));
    let (mut accepted, mut refused, mut unavailable, mut crashes) = (0, 0, 0, 0);
    for seed in 0..seeds {
        let outcome = std::panic::catch_unwind(|| simulate(seed, false));
        let Ok(world) = outcome else {
            panic!("seed {seed} failed; replay it by: SEED={seed} cargo test --test sim");
        };
        accepted += world.judge.accepted.len();
        refused += world.judge.refused;
        unavailable += world.judge.unavailable;
        crashes += world.crashes;
    }
    println!(
        "{seeds} seeds: {accepted} accepted, {refused} refused, {unavailable} unavailable, {crashes} crashes"
    );
    assert!(accepted > 0 && refused > 0 && crashes > 0, "the simulation is not vacuous");
}
