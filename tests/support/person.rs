//! A person at a terminal: a pseudo-terminal, which a small Python program holds.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs the program with these arguments where a person types and looks as the steps say; returns all that was shown.
pub fn run(
    arguments: &[&str],
    state: &Path,
    environment: &[(&str, &str)],
    steps: &Value,
) -> String {
    let person = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terminal/person.py");
    let output = Command::new("python3")
        .args([person, &steps.to_string(), env!("CARGO_BIN_EXE_paxos-banking")])
        .args(arguments)
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .env("XDG_STATE_HOME", state)
        .env_remove("LINES")
        .env_remove("COLUMNS")
        .envs(environment.iter().copied())
        .output()
        .expect("python3 is there");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}
