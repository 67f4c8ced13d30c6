//! The real state machine in a simulated world: one seed decides everything.
//!
//! `SEED=7 cargo test --test sim` replays one seed and tells what happened.

mod clients;
mod disk;
mod faults;
mod judge;
mod network;
mod world;

use clients::Habits;
use faults::{Faults, HEALED};
use world::{Setting, World};

/// Simulated milliseconds of faults, and those within which everything must finish afterwards.
const FAULTY: u64 = 60_000;
const HEALING: u64 = 120_000;
/// What went wrong may show for so long.
const CALMING: u64 = 15_000;

fn simulate(seed: u64, trace: bool) -> World {
    let mut dice = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let faults = Faults {
        loss: [0, 2, 10, 30][dice.usize(..4)],
        duplication: [0, 5, 30][dice.usize(..3)],
        slow: [0, 2, 20, 60][dice.usize(..4)],
        silence: [0, 0, 3, 15][dice.usize(..4)],
        crash: [0, 1, 5, 20][dice.usize(..4)],
        unreachable: [0, 30][dice.usize(..2)],
        cut: [0, 2, 20][dice.usize(..3)],
        pause: [0, 5, 30][dice.usize(..3)],
        partition: [0, 70][dice.usize(..2)],
    };
    let habits = Habits {
        window: [1, 1, 4][dice.usize(..3)],
        most: [[20, 60, 150, 1_000], [90, 110, 150, 200]][dice.usize(..2)],
        beat: [0, 0, 2_000][dice.usize(..3)],
    };
    let servers = [1, 2, 3, 3, 3, 4, 5][dice.usize(..7)];
    let setting = Setting { servers, clients_each: 1 + dice.usize(..2), opening: 100, habits };
    let mut world = World::new(seed, setting, faults);
    world.trace = trace;
    while world.step(FAULTY) {}
    world.faults = HEALED;
    world.weather();
    let calm = world.now + CALMING;
    while world.step(calm) {}
    world.judge.calm = true;
    for client in &mut world.clients {
        client.left += 10;
        client.settles = true;
    }
    let end = world.now + HEALING;
    let done = |world: &World| world.clients.iter().all(|c| c.is_done() && c.settled);
    while !done(&world) && world.step(end) {}
    assert!(done(&world), "not everything finished after the faults were healed");
    // Let the last commits arrive.
    let end = world.now + 10_000;
    while world.step(end) {}
    world.judge.finish(&world.disks);
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
