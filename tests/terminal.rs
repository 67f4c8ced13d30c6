//! The client with a person at a terminal: a pseudo-terminal, which a small Python program holds.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::cluster::{Cluster, wait_until};
use support::person::run;

/// Types and looks as the steps say, and returns all that was shown.
fn sit_at(cluster: &Cluster, environment: &[(&str, &str)], steps: Value) -> String {
    let state = tempfile::tempdir().unwrap();
    sit_again_at(cluster, state.path(), environment, steps)
}

/// Does the same where what was typed before is in a folder.
fn sit_again_at(
    cluster: &Cluster,
    state: &Path,
    environment: &[(&str, &str)],
    steps: Value,
) -> String {
    let address = &cluster.configs.values().next().unwrap().listen;
    let client = ["client", "--id", "A", "--connect", address, "--timeout", "20s"];
    run(&[&client[..], &["--give-up-after", "60s"]].concat(), state, environment, &steps)
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
            ["type", "t B 500\r"],
            ["see", "block 1: asking B, C… A promised (Ctrl-C"],
            ["modes", "unseen"],
            ["type", "\u{3}"],
            ["see", unknown],
            ["see", "A> "],
            ["modes", "prompt"],
            // What comes in one piece with it was about it, too.
            ["type", "again\rt C 1\r"],
            ["see", "asking B, C… A promised"],
            ["type", "help ag"],
            ["type", "\u{3}"],
            ["see", unknown],
            ["see", "A> "],
            ["modes", "prompt"],
            ["type", "balance\r"],
            ["see", "A: 100 (in the chain at height 0: 100)"],
            ["see", "A> "],
            ["type", "\u{4}"],
            ["modes", "usual"],
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
fn ctrl_c_at_the_prompt_drops_the_line_and_tells_how_to_leave() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    sit_at(
        &cluster,
        &[],
        json!([
            ["see", "A> "],
            ["type", "t B 50"],
            ["see", " 50"],
            ["type", "\u{3}"],
            ["see", "quit or Ctrl-D ends the client"],
            ["see", "A> "],
            // A mistyped line is no failure of a person's client.
            ["type", "blance\r"],
            ["see", "did you mean balance?"],
            ["type", "balance\r"],
            ["see", "A: 100"],
            ["type", "quit\r"],
            ["modes", "usual"],
        ]),
    );
}

#[test]
fn lines_are_edited_remembered_for_the_next_time_and_completed() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    let state = tempfile::tempdir().unwrap();
    sit_again_at(
        &cluster,
        state.path(),
        &[],
        json!([
            ["see", "A> "],
            // To the beginning, and what was left out there.
            ["type", "en A/alice\u{1}op\r"],
            ["see", "accepted: "],
            ["type", "op\t"],
            ["see", "open "],
            ["type", "A/bob\r"],
            ["see", "accepted: "],
            // The hint is what follows.
            ["type", "transfer "],
            ["see", "[FROM] TO AMOUNT"],
            ["type", "A/a\t"],
            ["see", "A/alice "],
            ["type", "5\r"],
            ["see", "accepted: balance 95"],
            ["type", " balance A/bob\r"],
            ["see", "A/bob: 0"],
            ["type", "quit\r"],
        ]),
    );
    let folder = state.path().join("paxos-banking");
    let kept = fs::read_to_string(folder.join("history-A")).unwrap();
    assert!(kept.ends_with("open A/alice\nopen A/bob\ntransfer A/alice 5\nquit\n"), "{kept}");
    let secret = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0;
    assert!(secret(&folder) && secret(&folder.join("history-A")));
    sit_again_at(
        &cluster,
        state.path(),
        &[],
        json!([
            ["see", "A> "],
            ["type", "\u{1b}[A\u{1b}[A"],
            ["see", "transfer A/alice 5"],
            ["type", "\r"],
            ["see", "accepted: balance 90"],
            // Found by its letters.
            ["type", "\u{12}bob"],
            ["see", "open A/bob"],
            ["type", "\r"],
            ["see", "A/bob"],
            ["see", "A> "],
            ["type", "\u{4}"],
        ]),
    );
}

#[test]
fn where_no_history_can_be_kept_all_else_works() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("paxos-banking");
    fs::write(&file, "no folder").unwrap();
    let steps = json!([
        ["see", "lines are not kept for the next time"],
        ["see", "A> "],
        ["type", "balance\r"],
        ["see", "A: 100"],
        ["type", "\u{1b}[A\r"],
        ["see", "A: 100"],
        ["type", "\u{4}"],
    ]);
    sit_again_at(&cluster, state.path(), &[], steps);
    assert_eq!(fs::read_to_string(&file).unwrap(), "no folder");
}

#[test]
fn what_is_pasted_is_carried_out_line_by_line() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    sit_at(
        &cluster,
        &[],
        json!([
            ["see", "A> "],
            // As terminals mark it. A tab comes from a spreadsheet.
            ["type", "\u{1b}[200~open A/x\nt\tA/x\t5\nbalance A/x\n\u{1b}[201~"],
            ["see", "balance A/x"],
            ["type", "\r"],
            ["see", "accepted: "],
            ["see", "A> t\tA/x\t5"],
            ["see", "accepted: balance 95"],
            ["see", "A> balance A/x"],
            ["see", "A/x: 5"],
            ["see", "A> "],
            ["type", "\u{4}"],
        ]),
    );
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
            ["type", "t A/x 500 --wait 3s\ropen A/x\rt A/x 500 --wait 3s\r"],
            ["see", "invalid: "],
            ["see", "accepted: "],
            ["see", "1 transfer waits"],
            ["modes", "unseen"],
            ["type", "balanx\u{7f}ce A/x\r"],
            ["see", "refused: insufficient funds"],
            ["see", "A> "],
            ["see", "A/x: 0 "],
            ["modes", "prompt"],
            ["type", "quit\r"],
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
        &[],
        json!([
            ["size", [12, 80]],
            ["see", "A> "],
            ["type", "help all\r"],
            ["see", "transfer [FROM] TO AMOUNT"],
            ["see", "--More--"],
            ["modes", "unseen"],
            ["type", "\r"],
            ["see", "--More--"],
            ["type", "q"],
            ["see", "A> "],
            ["modes", "prompt"],
            ["type", "watch\r"],
            ["see", "A: open; started as a baby"],
            ["see", "A: open; started as a baby"],
            ["modes", "unseen"],
            ["type", "\r"],
            ["see", "A> "],
            ["modes", "prompt"],
            ["type", "watch 1\r"],
            ["see", "A: open"],
            ["see", "A> "],
            ["type", "status\r"],
            ["see", "no ballot yet"],
            ["type", "\u{4}"],
        ]),
    );
    assert!(!shown.contains("Ctrl-D ends"), "the last page was not wanted: {shown}");
}

#[test]
fn what_is_followed_comes_until_ctrl_c_and_the_prompt_goes_on() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    let opened = cluster.ask("A", &json!({"open": {"account": "A/x", "settled": true}})).unwrap();
    assert_eq!(opened["settled"], true, "{opened}");
    sit_at(
        &cluster,
        &[],
        json!([
            ["see", "A> "],
            ["type", "follow --from 0\r"],
            ["see", "A.1.1: A/x is opened"],
            ["modes", "unseen"],
            ["type", "\u{3}"],
            ["see", "A> "],
            ["modes", "prompt"],
            ["type", "follow --to 1 --from 1\r"],
            ["see", "A.1.1: A/x is opened"],
            ["see", "A> "],
            ["type", "balance\r"],
            ["see", "A: 100"],
            ["type", "\u{4}"],
            ["modes", "usual"],
        ]),
    );
}

#[test]
fn whoever_types_on_at_a_page_or_a_watch_loses_no_letter() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    sit_at(
        &cluster,
        &[],
        json!([
            ["size", [12, 80]],
            ["see", "A> "],
            ["type", "help all\r"],
            ["see", "--More--"],
            ["type", "bal"],
            ["see", "A> "],
            ["type", "ance\r"],
            ["see", "A: 100"],
            ["type", "help all\r"],
            ["see", "--More--"],
            ["type", "open A/x\rt A/x 5\r"],
            ["see", "accepted: balance 95"],
            ["type", "watch\r"],
            ["see", "A: open; started as a baby"],
            ["type", "balance A/x\r"],
            ["see", "A/x: 5"],
            ["type", "watch\r"],
            ["see", "A: open; started as a baby"],
            ["type", "\u{3}"],
            ["see", "A> "],
            ["modes", "prompt"],
            ["type", "quit\r"],
        ]),
    );
}

#[test]
fn a_server_that_does_not_answer_is_named_while_it_is_tried_again() {
    let (mut cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    cluster.kill("A");
    sit_at(
        &cluster,
        &[],
        json!([
            ["see", "A> "],
            ["type", "balance\r"],
            ["see", "A doesn't answer; trying again (Ctrl-C: back"],
            ["type", "\u{3}"],
            ["see", "error: interrupted"],
            ["see", "A> "],
            ["type", "\u{4}"],
        ]),
    );
}

#[test]
fn a_terminal_that_cannot_redraw_a_line_gives_plain_lines() {
    let (mut cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    let shown = sit_at(
        &cluster,
        &[("TERM", "dumb")],
        json!([
            ["see", "A> "],
            ["modes", "usual"],
            ["type", "help all\n"],
            ["see", "help COMMAND shows examples"],
            ["type", "watch\n"],
            ["see", "A: open"],
            ["see", "A: open"],
            ["type", "\u{3}"],
            ["see", "A> "],
            ["type", "\u{4}"],
        ]),
    );
    assert!(!shown.contains("\u{1b}["), "a dumb terminal gets no escapes: {shown:?}");
    cluster.kill("A");
    let steps = json!([
        ["see", "A> "],
        ["type", "balance\n"],
        ["see", "A doesn't answer; trying again (Ctrl-C: back"],
        ["type", "\u{3}"],
        ["see", "error: interrupted"],
        ["see", "A> "],
        ["type", "\u{4}"],
    ]);
    sit_at(&cluster, &[("TERM", "dumb")], steps);
}

#[test]
fn how_a_command_ended_is_coloured_unless_no_color_says_no() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    let red = "\u{1b}[31minvalid:\u{1b}[0m";
    for (no_color, seen) in [("", red), ("1", "\ninvalid:")] {
        let steps =
            json!([["see", "A> "], ["type", "t B 1\r"], ["see", seen], ["type", "quit\r"],]);
        sit_at(&cluster, &[("NO_COLOR", no_color)], steps);
    }
}
