//! What one seed decides, from the founding to the judges' last word.

use fastrand::Rng;

use crate::bank::ids::ServerId;
use crate::bank::limits::Limits;
use crate::bank::server::Habit;

use super::clients::Client;
use super::faults::{Faults, HEALED};
use super::former::Former;
use super::operators::Changes;
use super::orders::Habits;
use super::setting::Setting;
use super::tally::Mark;
use super::world::World;
use crate::machine::shelf::{Careless, Shelf};

/// Simulated milliseconds of faults, and those within which everything must finish afterwards.
const FAULTY: u64 = 20_000;
const HEALING: u64 = 120_000;
/// What went wrong may show for so long.
const CALMING: u64 = 12_000;
/// Longer than anything waits for money, and for the run that looks for it then.
const PATIENCE: u64 = 20_000;

/// Few servers whose clients overdraw all at once, a network that is good but for who reaches whom,
/// and deaths at the worst moments: what it takes for two proposers to meet at one acceptor.
fn duel(dice: &mut Rng) -> (Faults, Habits, usize) {
    let faults = Faults {
        slow: [0, 10, 30][dice.usize(..3)],
        silence: [10, 20, 30][dice.usize(..3)],
        partition: [50, 100][dice.usize(..2)],
        spell: 6_000,
        hasty: true,
        ..HEALED
    };
    let habits = Habits { window: 1, most: [90, 110, 150, 200], beat: 500, ..habits(dice) };
    (faults, habits, [3, 3, 3, 5][dice.usize(..4)])
}

/// What clients do, but for how fast.
fn habits(dice: &mut Rng) -> Habits {
    Habits {
        window: [1, 1, 4, 8][dice.usize(..4)],
        most: [[20, 60, 150, 1_000], [90, 110, 150, 200]][dice.usize(..2)],
        beat: [0, 0, 2_000][dice.usize(..3)],
        accounts: [0, 0, 1, 2, 4, 6][dice.usize(..6)],
        linked: [0, 15, 40][dice.usize(..3)],
        settled: [0, 0, 10, 60][dice.usize(..4)],
        patient: [0, 0, 10, 40][dice.usize(..4)],
        careless: [0, 0, 10][dice.usize(..3)],
        issues: 0,
        named: false,
    }
}

/// Bounds so small that they are met all the time.
fn small(dice: &mut Rng) -> Limits {
    Limits {
        element: dice.usize(2..=8),
        block: dice.usize(2..=14),
        log: [5, 50][dice.usize(..2)],
        accounts: 30,
        waiting: 5,
        waiting_of_one: 4,
        waiting_anyway: 1,
        asked: dice.usize(1..=4),
        vain_runs: dice.u32(1..=8),
        items_that_wait: 8,
        items_of_one: 4,
        items_anyway: 2,
        sessions: 3,
        sessions_of_one: 2,
        remembered: 4,
        remembered_in_all: 10,
        ..Limits::default()
    }
}

/// Lets all clients finish what they do, and settle.
fn settle(world: &mut World) {
    for client in 0..world.clients.len() {
        world.clients[client].settles = true;
        if std::mem::take(&mut world.clients[client].settled) {
            world.wake_client(client, 500);
        }
    }
    let end = world.now + HEALING;
    let done = |world: &World| world.clients.iter().all(Client::is_content);
    while !done(world) && world.step(end) {}
    let open = |client: &&Client| !client.is_content();
    let open: Vec<&ServerId> = world.clients.iter().filter(open).map(Client::home).collect();
    assert!(done(world), "not everything finished after the faults were healed, at {open:?}");
}

/// How a seed is played.
#[derive(Clone, Copy, Default)]
pub struct How {
    /// Says what happens.
    pub trace: bool,
    /// With the shell's own mistake: replies leave before their turn is durable.
    pub replies_early: bool,
    /// With a mistake of the archivists'.
    pub careless: Option<Careless>,
}

/// Plays one seed.
///
/// # Panics
/// If something happened that never may, or something that must did not.
pub fn simulate(seed: u64, how: How) -> World {
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
        spell: 3_000,
        lose: 0,
        lie: 0,
        hasty: dice.bool(),
    };
    let habits = habits(&mut dice);
    let servers = [1, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 7][dice.usize(..16)];
    let (faults, habits, servers) =
        if seed.is_multiple_of(2) { duel(&mut dice) } else { (faults, habits, servers) };
    let setting = Setting {
        servers,
        clients_each: 1 + dice.usize(..2),
        opening: 100,
        habits,
        habit: Habit {
            by_age: dice.u8(0..3) == 0,
            by_length: [None, None, Some(3), Some(10)][dice.usize(..4)],
            always: false,
        },
        limits: if dice.u8(0..4) == 0 { small(&mut dice) } else { Limits::default() },
        tail: [None, None, Some(1), Some(2), Some(3)][dice.usize(..5)],
        page: None,
        terse: 0,
        keyed: false,
        shelf: None,
        changes: None,
        former: None,
    };
    let faults = Faults { lose: [0, 0, 5, 30][dice.usize(..4)], ..faults };
    // Of two, either must take the other's word.
    let lie = if servers > 2 { [0, 0, 30][dice.usize(..3)] } else { 0 };
    let faults = Faults { lie, ..faults };
    let terse = usize::from(dice.u8(0..4) == 0);
    let setting = Setting { terse, page: [None, Some(1), Some(2)][dice.usize(..3)], ..setting };
    let setting = Setting { keyed: dice.u8(0..3) == 0, ..setting };
    // Last, so that what comes before is as it would be without.
    let shelf = Shelf::new(dice.usize(1..=4), dice.usize(..4), how.careless);
    let setting = Setting { shelf: (dice.u8(0..3) > 0).then_some(shelf), ..setting };
    let more = [0, 0, 1, 2, 2, 3][dice.usize(..6)];
    let changes = Changes { more, least: if lie > 0 { 3 } else { 1 } };
    let setting = Setting { changes: (dice.u8(0..3) > 0).then_some(changes), ..setting };
    let habits = Habits { named: dice.bool(), ..setting.habits };
    let setting = Setting { habits, ..setting };
    let issues = [0, 0, 3, 20][dice.usize(..4)];
    let setting = Setting { habits: Habits { issues, ..setting.habits }, ..setting };
    let former =
        Former { accounts: [3, 40, 400][dice.usize(..3)], bytes: [80, 600][dice.usize(..2)] };
    let former = (dice.u8(0..4) == 0).then_some(former);
    let setting = Setting { former, ..setting };
    let mut world = World::new(seed, setting, faults);
    world.tally.mark_if(world.judge.books.openings > 0, Mark::GoesOn);
    (world.trace, world.replies_early) = (how.trace, how.replies_early);
    while world.step(FAULTY) {}
    world.faults = HEALED;
    world.rest_operators();
    world.weather();
    let calm = world.now + CALMING;
    while world.step(calm) {}
    // Among many who compete a store that rejoins may need longer to be let in.
    while world.now < calm + HEALING && world.somebody_rejoins() {
        let while_longer = world.now + 500;
        while world.step(while_longer) {}
    }
    world.judge.calm = Some(world.now);
    world.clients.iter_mut().for_each(|client| client.left = 5);
    settle(&mut world);
    // What is sent carelessly may wait for money still, and get it from what was settled now.
    let over = world.now + PATIENCE;
    while world.step(over) {}
    settle(&mut world);
    // Let the last commits arrive.
    let end = world.now + 6_000;
    while world.step(end) {}
    world.judge_members();
    world.judge.finish(&world.disks);
    world.judge_archives();
    world.old.assert_all_stopped(world.doors.keyed, &world.roll().members);
    let marks = std::mem::take(&mut world.judge.books.marks);
    for mark in std::mem::take(&mut world.judge.marks).into_iter().chain(marks) {
        world.tally.mark(mark);
    }
    world
}
