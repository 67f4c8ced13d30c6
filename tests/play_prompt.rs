//! The prompt at which a play stops, with a person at a terminal.

mod support;

use std::fs;

use serde_json::json;
use support::person::run;

/// What is typed at a stop of a play is edited as at a client's prompt; and a link that is broken there is told in the
/// play's own trace, which the diagrams draw.
#[test]
fn a_play_that_stops_has_a_prompt_whose_lines_are_edited() {
    const STOP: &str = " (Enter plays on, help)> ";
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("three.txt"), "A: transfer B 10\nA: transfer C 20\nB: transfer C 25\n").unwrap();
    let prompt = |id: &str| format!("{id}{STOP}");
    let arguments = ["play", &at("three.txt"), "--step", "--traces", &at("traces")];
    let shown = run(
        &arguments,
        folder.path(),
        &[],
        &json!([
            ["see", "accepted: balance 90"],
            ["see", prompt("A")],
            ["type", "balance B\r"],
            ["see", "B: 110"],
            ["see", prompt("A")],
            // The line before, changed: the arrow up, and one character less.
            ["type", "\u{1b}[A\u{7f}A\r"],
            ["see", "A: 90"],
            ["see", prompt("A")],
            ["type", "C\r"],
            ["see", prompt("C")],
            ["type", "link cut A\r"],
            ["see", prompt("C")],
            ["type", "blance\r"],
            ["see", "did you mean balance?"],
            // The arrow left goes back into the line.
            ["type", "cut B\u{1b}[DA \r"],
            ["see", prompt("C")],
            ["type", "link heal\r"],
            ["see", prompt("C")],
            ["type", "\r"],
            ["see", "accepted: balance 70"],
            ["see", prompt("C")],
            ["type", "run\r"],
            ["see", "accepted: balance 75"],
            ["see", "transfers: 3 accepted"],
        ]),
    );
    assert!(shown.contains("cut A B"), "{shown}");
    let told = fs::read_to_string(folder.path().join("traces/the.play.jsonl")).unwrap();
    assert!(told.contains("\"C: link cut A\"") && told.contains("\"C: link heal\""), "{told}");
}
