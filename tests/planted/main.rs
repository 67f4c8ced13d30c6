//! Protocol mistakes, planted one at a time into the state machine, and found by the simulator or by
//! a short play of its own.
//!
//! `src/bank` is pure, so it can be compiled once more, here, with a `planted!` that says yes; in the
//! library that macro is `false`, so that no shipped program can hold a mistake.
//! `MISTAKE=HalfIsEnough SEED=7 cargo test --test planted` tells what one seed makes of a mistake.

#[macro_use]
mod mistakes;

#[allow(dead_code, reason = "not all that the model counts is asked for here")]
#[path = "../model/abacus.rs"]
mod abacus;
#[allow(dead_code, unused_imports, reason = "not all that the library offers is used here")]
#[path = "../../src/bank/mod.rs"]
mod bank;
#[allow(dead_code, reason = "no number of states is known here")]
#[path = "../model/bounds.rs"]
mod bounds;
mod founding;
mod long_logs;
#[path = "../support/machine/mod.rs"]
mod machine;
#[allow(dead_code, reason = "not all banks of the model are explored here")]
#[path = "../model/members/mod.rs"]
mod members;
mod modelled;
#[allow(dead_code, reason = "the model's other banks connect otherwise")]
#[path = "../model/node.rs"]
mod node;
mod plays;
mod queues;
#[allow(dead_code, reason = "the model's other banks have more in a state")]
#[path = "../model/state.rs"]
mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use machine::shelf::Careless;
use machine::sim::seed::{How, simulate};
use mistakes::{ALL, Mistake, is_planted, plant};
use modelled::{Begin, MODELLED, explore};
use plays::PLAYS;

/// A mistake that has no play of its own has to be found within so many seeds. Most are found
/// within ten; but which seed finds one changes with any change of the state machine.
const BUDGET: u64 = 10_000;
/// Where there is a play, chance is given so many to show that it finds the mistake as well.
const CHANCE: u64 = 200;
/// With no mistake planted these are clean; `tests/sim.rs` shows it of all.
const CLEAN: u64 = 50;

/// The mistakes of whoever archives, around the state machine.
const CARELESS: &[(Mistake, Careless)] = &[
    (Mistake::SegmentNamedUnflushed, Careless::NamesUnflushed),
    (Mistake::SegmentSealedUnnamed, Careless::SealsUnnamed),
    (Mistake::SegmentNotedUnwritten, Careless::NotesUnwritten),
    (Mistake::SegmentNotNoted, Careless::NotesNothing),
    (Mistake::BaseTooHigh, Careless::BaseTooHigh),
    (Mistake::UncountedBlocksLeave, Careless::TrimsUncounted),
    (Mistake::LastBlockLeaves, Careless::TrimsAll),
    (Mistake::GenesisLeaves, Careless::ForgetsGenesis),
    (Mistake::NotedSegmentsRemoved, Careless::RemovesNoted),
    (Mistake::SegmentsReadUnchecked, Careless::ReadsUnchecked),
];

/// By what a mistake is found, and in what words.
type Lookup = Option<(String, String)>;

/// What went wrong, if something did.
fn caught(play: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(play)).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
    Some(text.unwrap_or_default())
}

/// Plays a seed with what is planted, in the state machine or in the shell around it.
fn play(seed: u64, trace: bool) {
    let careless = CARELESS.iter().find(|(of, _)| is_planted(*of)).map(|(_, careless)| *careless);
    let replies_early = is_planted(Mistake::ReplyBeforeDurable);
    simulate(seed, How { trace, replies_early, careless });
}

fn hunt(mistake: Mistake) -> Lookup {
    plant(Some(mistake));
    // What is to find it has to, whatever chance does: a play that finds nothing would look like a test.
    let play = PLAYS.iter().find(|(of, _)| *of == mistake).map(|(_, play)| caught(play));
    let model = MODELLED.iter().find(|(of, _)| *of == mistake).map(|(_, bank)| by_model(*bank));
    match (play, model) {
        (Some(None), _) | (_, Some(None)) => None,
        (_, Some(found)) => found,
        (Some(Some(words)), None) => search(CHANCE).or_else(|| Some(("its play".into(), words))),
        (None, None) => search(BUDGET),
    }
}

/// Explores a bank of the model. It may also panic before there is a state.
fn by_model(bank: Begin) -> Lookup {
    let mut found = None;
    let panicked = caught(|| found = explore(&bank()));
    let found = found.map(|(states, what)| (format!("{states} states"), what.to_owned()));
    found.or_else(|| Some(("its bank".into(), panicked?)))
}

fn search(seeds: u64) -> Lookup {
    (0..seeds).find_map(|seed| {
        let words = caught(|| play(seed, false))?;
        Some((format!("seed {seed}"), words))
    })
}

/// Nothing is found if nothing is planted.
fn check_clean() -> Lookup {
    plant(None);
    let mut plays = PLAYS.iter();
    let caught = plays.find_map(|(of, play)| Some((format!("play of {of:?}"), caught(play)?)));
    let caught = caught.or_else(|| {
        MODELLED.iter().find_map(|(of, bank)| {
            let (states, what) = by_model(*bank)?;
            Some((format!("bank of {of:?}, {states}"), what))
        })
    });
    caught.or_else(|| search(CLEAN))
}

fn tell(name: &str, what: &str, found: &Lookup) {
    match found {
        Some((by, words)) => {
            let words = words.lines().next().unwrap_or_default();
            let words = words.trim_start_matches("assertion `left == right` failed: ");
            let words: String = words.chars().take(60).collect();
            println!("{name:22} {by:10} {what}: {words}");
        }
        None => println!("{name:22} not found  {what}"),
    }
}

fn hunt_all() -> usize {
    let (next, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let hunter = || {
        while let Some((mistake, what)) = ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = hunt(*mistake);
            if found.is_none() {
                missed.fetch_add(1, Ordering::Relaxed);
            }
            tell(&format!("{mistake:?}"), what, &found);
        }
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(hunter))));
    missed.into_inner()
}

fn main() {
    let mistake = std::env::var("MISTAKE").ok().map(|name| {
        let known = ALL.iter().find(|(mistake, _)| format!("{mistake:?}") == name);
        known.expect("MISTAKE is one of the list").0
    });
    if let Ok(seed) = std::env::var("SEED") {
        plant(mistake);
        play(seed.parse().expect("SEED is a number"), true);
        return;
    }
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(mistake) = mistake {
        plant(Some(mistake));
        return tell(&format!("{mistake:?}"), "by chance", &search(u64::MAX));
    }
    let missed = hunt_all();
    let clean = check_clean();
    tell("none", "nothing is planted", &clean);
    if missed > 0 || clean.is_some() {
        println!("{missed} mistakes were not found");
        std::process::exit(1);
    }
}
