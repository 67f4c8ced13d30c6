//! The boundary that everything hangs on, checked by machine: the state machine in `src/bank` is
//! pure, and files stay small enough to read.

use std::fs;
use std::path::{Path, PathBuf};

/// What the pure part may not name: threads, sockets, clocks, files, randomness, the other worlds,
/// and maps whose order differs from run to run.
const IMPURE: [&str; 19] = [
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
    "crate::node",
    "crate::store::",
    "crate::client",
];

/// Lines of a source file. A longer one wants to be two.
const MAX_LINES: usize = 420;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} holds no source");
    found
}

#[test]
fn the_state_machine_is_pure() {
    for path in all_sources("src/bank") {
        let text = fs::read_to_string(&path).expect("readable");
        let code = text.lines().enumerate().filter(|(_, line)| !line.trim().starts_with("//"));
        for (number, line) in code {
            for impure in IMPURE {
                assert!(
                    !line.contains(impure),
                    "{}:{}: the pure part names {impure}",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn files_are_small() {
    for path in ["src", "tests", "benches"].into_iter().flat_map(all_sources) {
        let lines = fs::read_to_string(&path).expect("readable").lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
}
