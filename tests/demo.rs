//! `./run.sh demo`, as a new user runs it: real processes, a real Redis, the five-step scenario.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use support::cluster::wait_until;

mod support;

/// What the scenario checks. One more or less is a change of the scenario, to be made on purpose.
const CHECKS: usize = 64;

/// The demo with this test's binary, keeping its files below `folder`.
fn demo(folder: &Path) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("run.sh"));
    command
        .arg("demo")
        .env("PAXOS_BANKING_BIN", env!("CARGO_BIN_EXE_paxos-banking"))
        .env("TMPDIR", folder)
        .stdin(Stdio::null());
    command
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

/// The processes with this text on their command line.
fn processes_with(text: &str) -> Vec<String> {
    let all = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    let all = String::from_utf8_lossy(&all.stdout).into_owned();
    all.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// The processes with this text on their command line or in their environment, where servers are told
/// which Redis is theirs: a password may be in that.
fn processes_that_know(text: &str) -> Vec<String> {
    let all = Command::new("ps").args(["axeww", "-o", "args="]).output().unwrap();
    let all = String::from_utf8_lossy(&all.stdout).into_owned();
    all.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// Where Redis is, `127.0.0.1:PORT`: by what the shell was told that guards it. Redis has this on its
/// own command line, and the servers in their environment.
fn redis_of(folder: &str) -> String {
    let processes = processes_with(folder);
    let port = processes.iter().find_map(|line| line.split("--port ").nth(1));
    let port = port.unwrap_or_else(|| panic!("no Redis: {processes:?}"));
    format!("127.0.0.1:{}", port.split(' ').next().unwrap())
}

#[test]
fn the_scenario_plays_and_every_check_passes() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert_eq!(text.lines().filter(|line| line.ends_with(" ok")).count(), CHECKS, "{told}");
    assert!(!text.contains("FAILED"), "{told}");
    assert!(text.contains(&format!("{CHECKS} checks passed, 0 failed")), "{told}");
    assert!(is_empty(folder.path()), "the demo left files");
    assert_eq!(processes_with(folder.path().to_str().unwrap()), [""; 0]);
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with(" ok")), "no check");
    let name = folder.path().to_str().unwrap();
    let redis = redis_of(name);
    assert!(processes_that_know(&redis).len() >= 4, "one Redis and three servers");
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(status.unwrap().success());
    // Read to the end: a demo that can't print would end for that reason.
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    wait_until("the folder is gone", || is_empty(folder.path()));
    wait_until("the guards are gone", || processes_with(name).is_empty());
    wait_until("Redis and the servers are gone", || processes_that_know(&redis).is_empty());
}

#[test]
fn a_demo_whose_programs_do_not_work_fails_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path()).env("PAXOS_BANKING_BIN", "/no/file").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("is not a program"), "{told}");

    // A Redis that can't be started.
    let programs = tempfile::tempdir().unwrap();
    let broken = programs.path().join("redis-server");
    // Another process writes it: what a process forked meanwhile has open for writing can't be run.
    let script = "#!/bin/sh\necho no such luck >&2\nexit 1";
    let write = r#"echo "$1" > "$2" && chmod 755 "$2""#;
    let written = Command::new("sh").args(["-c", write, "sh", script]).arg(&broken).status();
    assert!(written.unwrap().success());
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let output = demo(folder.path()).env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("redis-server ends:\nno such luck"), "{told}");
    assert!(is_empty(folder.path()), "the demo left files");
}
