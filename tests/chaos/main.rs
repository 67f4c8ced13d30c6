//! Faults on the real thing: the shipped program as processes, Redis, sockets, and a checker.
//!
//! `./dev.sh chaos --minutes 20 [--seed 7]` founds one bank after the other. While clients use it,
//! servers and Redis are killed, stopped, starved and torn, and the connections between them are cut,
//! reset, held, slowed down and left half open: several at once, and each is healed after a while.
//! Meanwhile a member comes, gets and loses its vote, moves, and is dismissed.
//! Then what every client was told is held against the chain in all stores. `./dev.sh chaos latency`
//! measures what a peer that is stopped or dead costs local transfers, and `./dev.sh chaos away` how
//! long a server that was away takes to catch up. `cargo test` plays two short episodes.
//!
//! A seed decides what an episode is like and which faults come in which order. Threads, processes
//! and disks have their own mind, so the same seed need not find the same again.
//!
//! Clocks are no fault here, since there is nothing that one could break: servers look at no time of
//! day, and the monotonic clock only decides when to try again or to give up, never what is true.
//! Servers that are stopped and go on show what a clock that jumps would.

mod away;
mod customer;
mod episode;
mod faults;
mod latency;
mod proxy;
mod segments;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod teller;
mod visitor;
mod weather;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use episode::{Plan, Story, logs_of, play};

const USAGE: &str =
    "./dev.sh chaos --minutes N [--seed S], ./dev.sh chaos latency, ./dev.sh chaos away";

/// How long faults come over one bank, in a long run, and for how long there is no point in it.
const EPISODE: Duration = Duration::from_secs(50);
const SHORTEST: Duration = Duration::from_secs(10);

/// The seeds that `cargo test` plays: servers with one Redis, and with a Redis each.
const QUICK: [u64; 2] = [0, 3];
const QUICK_EPISODE: Duration = Duration::from_secs(20);

/// What the program is asked for.
enum Task {
    Minutes {
        minutes: u64,
        seed: u64,
    },
    Latency,
    Away,
    /// For `cargo test`.
    Quick,
    Nothing,
}

/// `cargo test` gives all tests the same arguments, such as the name of another one; ours follow the
/// word `chaos`.
fn task(arguments: &[&str]) -> Result<Task, String> {
    match arguments {
        ["chaos", ours @ ..] if !ours.is_empty() => parse(ours),
        others => {
            let mut filters = others.iter().filter(|word| !word.starts_with('-')).peekable();
            let meant = filters.peek().is_none() || filters.any(|word| "chaos".contains(*word));
            Ok(if meant { Task::Quick } else { Task::Nothing })
        }
    }
}

fn parse(arguments: &[&str]) -> Result<Task, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
    match arguments {
        ["latency"] => Ok(Task::Latency),
        ["away"] => Ok(Task::Away),
        ["--minutes", minutes] => {
            Ok(Task::Minutes { minutes: number(minutes)?, seed: fastrand::u64(..1_000_000) })
        }
        ["--minutes", minutes, "--seed", seed] => {
            Ok(Task::Minutes { minutes: number(minutes)?, seed: number(seed)? })
        }
        other => Err(format!("{:?} is not understood", other.join(" "))),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match task(&arguments) {
        Ok(Task::Minutes { minutes, seed }) => {
            let until = Instant::now() + Duration::from_secs(60 * minutes);
            run((seed..).map_while(|seed| {
                let rest = until.saturating_duration_since(Instant::now());
                (rest > SHORTEST).then(|| Plan::of(seed, EPISODE.min(rest)))
            }))
        }
        Ok(Task::Quick) => run(QUICK.into_iter().map(|seed| Plan::of(seed, QUICK_EPISODE))),
        Ok(Task::Latency) => {
            latency::measure();
            true
        }
        Ok(Task::Away) => {
            away::measure();
            true
        }
        Ok(Task::Nothing) => true,
        Err(what) => {
            eprintln!("{what}; {USAGE}");
            return ExitCode::from(2);
        }
    };
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays one episode after the other, to the first in which something is wrong; true if in none.
fn run(plans: impl Iterator<Item = Plan>) -> bool {
    let mut all = Story::default();
    for plan in plans {
        match tell(&plan) {
            Some(story) => all.add(story),
            None => return false,
        }
    }
    let Story { faults, asked, visits, blocks, entries } = &all;
    let (kinds, count) = (faults.len(), faults.values().sum::<usize>());
    println!("{count} faults of {kinds} kinds: {faults:?}");
    println!("what clients were told: {asked:?}");
    println!("a member: {visits:?}");
    println!(
        "{blocks} blocks, {entries} entries: nothing is lost, doubled, below zero or different"
    );
    true
}

/// Plays an episode and says what came of it; none if something was wrong.
fn tell(plan: &Plan) -> Option<Story> {
    let Plan { seed, servers, redis_each, archive, flags, lasts, .. } = plan;
    let redis = if *redis_each { "a Redis each" } else { "one Redis" };
    let seconds = lasts.as_secs();
    let archives = if *archive { ", archives" } else { "" };
    println!("seed {seed}: {servers} servers, {redis}{archives}, {seconds} s of faults {flags}");
    let logs = logs_of(*seed);
    let _ = fs::remove_dir_all(&logs);
    let begun = Instant::now();
    match catch_unwind(AssertUnwindSafe(|| play(plan, &logs))) {
        Ok(Ok(story)) => {
            let Story { faults, asked, visits, blocks, entries } = &story;
            let (faults, took) = (faults.values().sum::<usize>(), begun.elapsed());
            println!(
                "  {faults} faults, {blocks} blocks, {entries} entries, {took:.0?}: {asked:?}; a member: {visits:?}"
            );
            let _ = fs::remove_dir_all(&logs);
            return Some(story);
        }
        Ok(Err(finding)) => println!("WRONG: {finding}"),
        // What it is has been printed.
        Err(_) => println!("WRONG"),
    }
    println!("seed {seed}; the servers' logs are in {}", logs.display());
    None
}
