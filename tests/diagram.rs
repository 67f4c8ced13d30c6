//! `./run.sh diagram`, by which the pictures in doc/PROTOCOL.md are made, and `paxos-banking diagram`.

#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use assert_cmd::Command as Program;

/// The picture of a run.
fn draw(run: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.svg");
    let below = folder.path().join("below");
    fs::create_dir(&below).unwrap();
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("run.sh"))
        .args(["diagram", run])
        .arg(&file)
        .env("PAXOS_BANKING_BIN", env!("CARGO_BIN_EXE_paxos-banking"))
        .env("TMPDIR", &below)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(fs::read_dir(&below).unwrap().next().is_none(), "it left files: {told}");
    fs::read_to_string(file).unwrap()
}

#[test]
fn competing_proposers_are_drawn() {
    let svg = draw("competing");
    for part in ["prepare 1 [1.A]", "prepare 1 [1.B]", ">nack 1 [1.A] (promised [", ">commit 1<"] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    assert_eq!(svg.matches(">block 1<").count(), 3, "each appends it: {svg}");
    assert_eq!(svg.matches(">answer: accepted<").count(), 2, "{svg}");
}

#[test]
fn a_leader_that_dies_after_accept_is_drawn() {
    let svg = draw("leader-dies");
    for part in ["accept 1 [1.A]", ">crash<", " lost\"", "(accepted in [1.A])", ">restart<"] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    assert_eq!(svg.matches(">block 1<").count(), 3, "each appends it: {svg}");
}

#[test]
fn what_can_t_be_drawn_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, other) = (folder.path().join("empty"), folder.path().join("other"));
    fs::write(&empty, "").unwrap();
    fs::write(&other, "block 7\n").unwrap();
    let file = |path: &Path| path.to_str().unwrap().to_owned();
    for (arguments, status, part) in [
        (vec![], 2, "<TRACE>"),
        (vec!["/no/such/file".into()], 1, "/no/such/file: "),
        (vec![file(&empty)], 1, "is empty"),
        (vec![file(&other)], 1, "other, line 1 is not a line of a trace"),
        (
            vec![file(&empty), "--from".into(), "2s".into(), "--to".into(), "1s".into()],
            2,
            "shorter",
        ),
        (vec![file(&empty), "--height".into(), "x".into()], 2, "--height"),
    ] {
        let mut program = Program::new(env!("CARGO_BIN_EXE_paxos-banking"));
        let assert = program.arg("diagram").args(&arguments).assert().code(status);
        let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(told.contains(part), "{arguments:?}: {told}");
    }
}
