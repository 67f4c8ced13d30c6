//! `./run.sh demo`, as a new user runs it: real processes, a real Redis, the five-step scenario.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the scenario checks. One more or less is a change of the scenario, to be made on purpose.
const CHECKS: usize = 50;

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

/// The ports of the Redis and the servers, from what the demo says of them.
fn ports(output: &str) -> Vec<u16> {
    let after = output.split("127.0.0.1:").skip(1);
    after
        .filter_map(|text| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .collect()
}

fn assert_nothing_is_left(folder: &Path, output: &str) {
    assert!(is_empty(folder), "the demo left files");
    let ports = ports(output);
    assert!(ports.len() >= 4, "one Redis and three servers: {output}");
    for port in ports {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "port {port} is still in use");
    }
}

#[test]
fn the_scenario_plays_and_every_check_passes() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert_eq!(text.lines().filter(|line| line.starts_with("  ok ")).count(), CHECKS, "{told}");
    assert!(!text.contains("FAILED"), "{told}");
    assert!(text.contains(&format!("{CHECKS} checks passed, 0 failed")), "{told}");
    assert_nothing_is_left(folder.path(), &text);
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut output = String::new();
    for line in lines.by_ref() {
        output += &format!("{line}\n");
        if line.starts_with("  ok ") {
            break;
        }
    }
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(status.unwrap().success());
    // Read to the end: a demo that can't print would end for that reason.
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(143), "{output}");
    assert_nothing_is_left(folder.path(), &output);
}

#[test]
fn a_demo_whose_servers_do_not_work_fails_and_leaves_nothing_behind() {
    for (binary, reason) in [("/bin/false", "A does not work"), ("/no/file", "is not a program")] {
        let folder = tempfile::tempdir().unwrap();
        let output = demo(folder.path()).env("PAXOS_BANKING_BIN", binary).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(reason), "{told}");
        assert!(is_empty(folder.path()), "the demo left files");
    }
}
