//! The state machine is pure.

use super::sources;

/// What the pure part may not name: threads, sockets, clocks, files, randomness, log output, and maps
/// whose order differs from run to run.
const IMPURE: [&str; 18] = [
    "std::net",
    "std::thread",
    "std::time",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "std::sync::Mutex",
    "std::sync::atomic",
    "crossbeam",
    "redis::",
    "fastrand",
    "HashMap",
    "HashSet",
    " log::",
    "println!",
    "env_logger",
    "clap",
];

#[test]
fn the_state_machine_is_pure() {
    for source in sources("src/bank") {
        for (number, line) in source.text.lines().enumerate() {
            let code = !line.trim().starts_with("//");
            for impure in IMPURE.iter().filter(|_| code) {
                let place = format!("{}:{}", source.path, number + 1);
                assert!(!line.contains(impure), "{place}: the pure part names {impure}");
            }
        }
    }
}

/// Mistakes with a branch of several lines. What half a group leaves for the next turn has to be kept somewhere,
/// and without the mistake nothing is kept.
const LONG_MISTAKES: [&str; 1] = ["GroupHalfLate"];

#[test]
fn a_planted_mistake_is_one_line() {
    // A `planted!` whose branch is a block would be a second program inside the first.
    for source in sources("src") {
        for (number, line) in source.text.lines().enumerate() {
            let Some(rest) = line.trim_start().strip_prefix("if planted!(") else { continue };
            let Some(mistake) = rest.strip_suffix(") {") else { continue };
            let body = source.text.lines().skip(number + 1).take_while(|line| line.trim() != "}");
            let is_short = body.count() <= 1 || LONG_MISTAKES.contains(&mistake);
            let place = format!("{}:{}", source.path, number + 1);
            assert!(is_short, "{place}: the planted mistake {mistake} has more than a line");
        }
    }
}
