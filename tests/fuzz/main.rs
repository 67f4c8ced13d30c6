//! Input from hell: valid samples, changed a little or a lot, for everything that reads what others wrote.
//!
//! `./dev.sh fuzz TARGET|all --minutes N [--seed S]` runs it; by itself it takes `TARGET`, `MINUTES` and
//! `SEED` from its environment. In the ordinary suite each target gets one round, or a few. A round begins with
//! the samples, and follows from its seed alone: what leads to words not heard before in the round is
//! changed further.

mod banks;
mod client_lines;
mod command_line;
mod handshake;
mod mutate;
mod peer_lines;
mod prompt;
mod samples;
mod scenario_files;
mod stored;
mod target;

#[allow(dead_code, unused_imports, reason = "the program uses all of it, and has tests of its own")]
#[path = "../../src/cli/mod.rs"]
mod cli;
#[allow(dead_code, reason = "no simulation is played here")]
#[path = "../support/machine/mod.rs"]
mod machine;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use paxos_banking::bank;
use target::{Round, Tally, Target};

fn targets() -> Vec<Box<dyn Target>> {
    vec![
        Box::new(client_lines::ClientLines),
        Box::new(peer_lines::PeerLines),
        Box::new(stored::StoredValues::start()),
        Box::new(prompt::Prompt),
        Box::new(command_line::CommandLine),
        Box::new(scenario_files::ScenarioFiles),
        Box::new(handshake::Handshakes),
    ]
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => fail(&format!("{variable} is a number, not {text}")),
    }
}

fn fail(why: &str) -> ! {
    println!("{why}");
    std::process::exit(1);
}

/// How many rounds a target gets to be heard in all the ways that it has to be.
const MOST_ROUNDS: u64 = 10;

/// Fuzzes one target for as long as there is time, and until it was deep enough. From a seed that was
/// asked for, with no time, one round.
fn fuzz(target: &dyn Target, seed: Option<u64>, time: Duration) {
    let (begun, mut tally) = (Instant::now(), Tally::default());
    let is_replay = seed.is_some() && time.is_zero();
    let first = seed.unwrap_or(1);
    for seed in first.. {
        match Round::new(target, seed).run() {
            Ok(round) => tally.add(round),
            Err(found) => {
                let name = target.name();
                fail(&format!("{name}: {found}\nreplay it by: ./dev.sh fuzz {name} --seed {seed}"));
            }
        }
        let enough = tally.shallow(target).is_none() || seed - first + 1 >= MOST_ROUNDS;
        if begun.elapsed() >= time && (enough || is_replay) {
            break;
        }
    }
    tally.report(target, begun.elapsed());
    if let Some(why) = tally.shallow(target).filter(|_| !is_replay) {
        fail(&format!("{}: {why}", target.name()));
    }
}

fn main() {
    let chosen = std::env::var("TARGET").unwrap_or_else(|_| "all".into());
    let time = Duration::from_secs(60 * number("MINUTES").unwrap_or(0));
    let mut targets = targets();
    let names = targets.iter().map(|target| target.name()).collect::<Vec<_>>().join(", ");
    targets.retain(|target| chosen == "all" || chosen == target.name());
    if targets.is_empty() {
        fail(&format!("{chosen} is not a target; they are {names} and all"));
    }
    // What a panic says is reported with the input that led to it.
    std::panic::set_hook(Box::new(|_| {}));
    for target in targets {
        fuzz(&*target, number("SEED"), time);
    }
}
