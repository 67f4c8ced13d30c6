//! The real state machine in a simulated world: one seed decides everything.
//!
//! `./dev.sh simulate` runs it; by itself it takes `SEEDS`, `MINUTES` or `SEED` from its environment,
//! and `FROM`, the first seed.

#[path = "support/machine/mod.rs"]
mod machine;

use std::io::IsTerminal;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use machine::sim::seed::{How, simulate};
use machine::sim::tally::{Fault, Mark, Tally};
use paxos_banking::bank;

/// What the ordinary suite runs.
const USUALLY: u64 = 2_000;

/// How far a simulation of many seeds is.
struct Progress {
    next: u64,
    done: u64,
    failed: Vec<u64>,
    tally: Tally,
}

struct Simulation {
    begun: Instant,
    /// The first seed that isn't played any more.
    end: u64,
    until: Option<Instant>,
    progress: Mutex<Progress>,
}

impl Simulation {
    /// Plays one seed after the other until there is none left, or one has failed.
    fn play(&self) {
        loop {
            let seed = {
                let mut progress = self.progress.lock().unwrap();
                let over = self.until.is_some_and(|until| Instant::now() > until);
                if over || progress.next >= self.end || !progress.failed.is_empty() {
                    return;
                }
                progress.next += 1;
                progress.next - 1
            };
            let outcome = catch_unwind(|| simulate(seed, How::default()).tally);
            let mut progress = self.progress.lock().unwrap();
            progress.done += 1;
            match outcome {
                Ok(tally) => progress.tally.add(&tally),
                Err(_) => progress.failed.push(seed),
            }
            if std::io::stderr().is_terminal() && progress.done.is_multiple_of(50) {
                eprint!("\r{}\x1b[K", self.speed(progress.done));
            }
        }
    }

    fn speed(&self, done: u64) -> String {
        let seconds = self.begun.elapsed().as_secs_f64();
        format!("{done} seeds, {:.0} a second", done as f64 / seconds)
    }

    fn report(&self, progress: &Progress) {
        let Progress { next, done, tally, .. } = progress;
        let each = |count: u64| count as f64 / *done as f64;
        let faults = tally.faults.iter().sum();
        println!("{}, {} threads; the next is seed {next}", self.speed(*done), threads());
        println!("{:>12} transfers judged, {:.0} a seed", tally.judged, each(tally.judged));
        println!("{faults:>12} faults, {:.0} a seed", each(faults));
        for (words, count) in Fault::WORDS.iter().zip(tally.faults) {
            println!("{count:>16} {words}");
        }
        let hit = tally.marks.iter().filter(|count| **count > 0).count();
        println!("{hit:>12} of {} rare paths", tally.marks.len());
        for (words, count) in Mark::WORDS.iter().zip(tally.marks) {
            println!("{count:>16} {words}");
        }
    }
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

#[test]
fn nothing_that_may_never_happen_happens() {
    if let Some(seed) = number("SEED") {
        simulate(seed, How { trace: true, ..How::default() });
        return;
    }
    let minutes = number("MINUTES");
    let from = number("FROM").unwrap_or_default();
    let many = number("SEEDS").unwrap_or(if minutes.is_some() { u64::MAX } else { USUALLY });
    let simulation = Simulation {
        begun: Instant::now(),
        end: from.saturating_add(many),
        until: minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes)),
        progress: Mutex::new(Progress {
            next: from,
            done: 0,
            failed: Vec::new(),
            tally: Tally::default(),
        }),
    };
    thread::scope(|scope| (0..threads()).for_each(|_| drop(scope.spawn(|| simulation.play()))));
    let progress = simulation.progress.lock().unwrap();
    simulation.report(&progress);
    if let Some(seed) = progress.failed.iter().min() {
        panic!("seed {seed} failed; replay it by: ./dev.sh simulate --seed {seed}");
    }
    if progress.done >= USUALLY {
        let never = Mark::WORDS.iter().zip(progress.tally.marks).filter(|(_, count)| *count == 0);
        let never: Vec<&str> = never.map(|(words, _)| *words).collect();
        assert!(never.is_empty(), "never reached: {never:?}");
    }
}
