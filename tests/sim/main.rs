//! The real state machine in a simulated world: one seed decides everything.
//!
//! `SEED=7 cargo test --test sim` replays one seed and tells what happened.

mod clients;
mod disk;
mod judge;
mod world;

use world::{Faults, HEALED, OPENING, World};

/// Simulated milliseconds of faults, and those within which everything must finish afterwards.
const FAULTY: u64 = 60_000;
const HEALING: u64 = 120_000;

fn simulate(seed: u64, trace: bool) -> World {
    let mut dice = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let faults = Faults {
        loss: [0, 2, 10, 30][dice.usize(..4)],
        duplication: [0, 5, 30][dice.usize(..3)],
        crash: [0, 1, 5, 20][dice.usize(..4)],
        unreachable: [0, 30][dice.usize(..2)],
    };
    let mut world = World::new(seed, 1 + dice.usize(..5), faults);
    world.trace = trace;
    while world.step(FAULTY) {}
    world.faults = HEALED;
    for client in &mut world.clients {
        client.settles = true;
    }
    let end = world.now + HEALING;
    let done = |world: &World| world.clients.iter().all(|c| c.is_done() && c.settled);
    while world.step(end) && !done(&world) {}
    assert!(done(&world), "not everything finished after the faults were healed");
    // Let the last commits arrive.
    let end = world.now + 10_000;
    while world.step(end) {}
    world.judge.finish(&world.disks, OPENING);
    world
}

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
        accepted += world.judge.accepted();
        refused += world.judge.refused;
        unavailable += world.judge.unavailable;
        crashes += world.crashes;
    }
    println!(
        "{seeds} seeds: {accepted} accepted, {refused} refused, {unavailable} unavailable, {crashes} crashes"
    );
    assert!(accepted > 0 && refused > 0 && crashes > 0, "the simulation is not vacuous");
}
