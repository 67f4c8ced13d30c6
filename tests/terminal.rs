//! The client with a person at a terminal: a pseudo-terminal, which a small Python program holds.

mod support;

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::cluster::{Cluster, wait_until};

/// Types and looks as the steps say, and returns all that was shown.
fn sit_at(cluster: &Cluster, environment: &[(&str, &str)], steps: Value) -> String {
    let person = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terminal/person.py");
    let address = &cluster.configs.values().next().unwrap().listen;
    let client = ["client", "--id", "A", "--connect", address, "--timeout", "20s"];
    let patience = ["--give-up-after", "60s"];
    let output = Command::new("python3")
        .args([person, &steps.to_string(), env!("CARGO_BIN_EXE_paxos-banking")])
        .args(client)
        .args(patience)
        .env("TERM", "xterm")
        .env_remove("LINES")
        .env_remove("COLUMNS")
        .envs(environment.iter().copied())
        .output()
        .expect("python3 is there");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Three servers of which two are gone, and a transfer waits for them for longer than any test.
fn without_majority() -> Cluster {
    let (mut cluster, _) = Cluster::in_memory(&["A", "B", "C"]);
    cluster.wait_until_open();
    cluster.kill("A");
    for config in cluster.configs.values_mut() {
        config.timings.deadline = Duration::from_secs(600);
    }
    cluster.start("A");
    cluster.wait_until_connected("A");
    cluster.kill("B");
    cluster.kill("C");
    wait_until("A is alone", || {
        let status = cluster.ask("A", &json!({"status": {}})).unwrap();
        let peers = status["peers"].as_array().unwrap().clone();
        peers.iter().all(|peer| peer["connected"] == json!(false))
    });
    cluster
}

#[test]
fn ctrl_c_ends_the_wait_and_again_asks_under_the_same_name() {
    let cluster = without_majority();
    let unknown = "unknown: interrupted; it may or may not have happened";
    let shown = sit_at(
        &cluster,
        &[],
        json!([
            ["see", "A> "],
            ["type", "t B 500\n"],
            ["see", "block 1: asking B, C… A promised (Ctrl-C"],
            ["modes", "keys"],
            ["type", "\u{3}"],
            ["see", unknown],
            ["see", "A> "],
            ["modes", "lines"],
            ["type", "again\n"],
            ["see", "asking B, C… A promised"],
            // What is typed meanwhile is for the prompt.
            ["type", "balanc\u{7f}ce\nhelp ag"],
            ["type", "\u{3}"],
            ["see", unknown],
            ["see", "A> "],
            ["type", "balance\n"],
            ["see", "A: 100 (in the chain at height 0: 100)"],
            ["type", "\u{4}"],
        ]),
    );
    let names: Vec<&str> = shown
        .split("an entry with request ")
        .skip(1)
        .filter_map(|rest| rest.split(';').next())
        .collect();
    assert!(names.len() == 2 && names[0] == names[1], "{names:?}");
}

#[test]
fn what_is_typed_while_an_answer_is_waited_for_is_carried_out_after_it() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    // Waits for money as long as this: time enough to type.
    let shown = sit_at(
        &cluster,
        &[],
        json!([
            ["see", "A> "],
            ["type", "t A/x 500 --wait 3s\nopen A/x\nt A/x 500 --wait 3s\n"],
            ["see", "invalid: "],
            ["see", "accepted: "],
            ["see", "1 transfer waits"],
            ["modes", "keys"],
            ["type", "balanx\u{7f}ce A/x\n"],
            ["see", "refused: insufficient funds"],
            ["see", "A> balance A/x"],
            ["see", "A/x: 0 "],
            ["modes", "lines"],
            ["type", "quit\n"],
        ]),
    );
    assert!(!shown.contains("unknown command"), "{shown}");
}

#[test]
fn long_output_comes_page_by_page_and_watch_goes_on_until_a_key() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    let shown = sit_at(
        &cluster,
        &[("LINES", "12")],
        json!([
            ["see", "A> "],
            ["type", "help\n"],
            ["see", "transfer [FROM] TO AMOUNT"],
            ["see", "--More--"],
            ["modes", "keys"],
            ["type", "\n"],
            ["see", "--More--"],
            ["type", "q"],
            ["see", "A> "],
            ["modes", "lines"],
            ["type", "watch\n"],
            ["see", "A: open; started as a baby"],
            ["see", "A: open; started as a baby"],
            ["modes", "keys"],
            ["type", "\n"],
            ["see", "A> "],
            ["modes", "lines"],
            ["type", "watch 1\n"],
            ["see", "A: open"],
            ["see", "A> "],
            ["type", "status\n"],
            ["see", "no ballot yet"],
            ["type", "\u{4}"],
        ]),
    );
    assert!(!shown.contains("ends the client"), "the last page was not wanted: {shown}");
}

#[test]
fn a_server_that_does_not_answer_is_named_while_it_is_tried_again() {
    let (mut cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    cluster.kill("A");
    let shown = sit_at(
        &cluster,
        &[("TERM", "dumb")],
        json!([
            ["see", "A> "],
            ["type", "balance\n"],
            ["modes", "keys"],
            ["type", "\u{3}"],
            ["see", "error: interrupted"],
            ["see", "A> "],
            ["modes", "lines"],
            ["type", "\u{4}"],
        ]),
    );
    assert!(!shown.contains("\u{1b}["), "a dumb terminal gets no escapes: {shown:?}");
}
