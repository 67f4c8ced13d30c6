//! doc/PAXOS.md: what it names is where it says, and the answers to its exercises are what their files play.

#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("doc/PAXOS.md")).unwrap()
}

/// The words in backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// True if a file defines something of this name.
fn defines(text: &str, name: &str) -> bool {
    let begins = ["fn ", "struct ", "enum "].map(|kind| format!("{kind}{name}"));
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let is_item = begins
        .iter()
        .any(|begin| text.match_indices(begin).any(|(at, _)| ends(&text[at + begin.len()..])));
    // A variant of an enum.
    let is_variant = |line: &str| {
        line.trim_start().strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '(', ',']))
    };
    is_item || text.lines().any(is_variant)
}

#[test]
fn each_role_is_where_the_table_says() {
    let page = page();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 10, "{rows:?}");
    let mut names = 0;
    for row in rows {
        let place = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let mut file: Option<(String, String)> = None;
        for word in code(place) {
            if word.starts_with("src/") {
                let text = fs::read_to_string(root().join(word))
                    .unwrap_or_else(|_| panic!("{word} is not there"));
                file = Some((word.to_owned(), text));
                continue;
            }
            let (path, text) = file.as_ref().expect("a file is named before what is in it");
            assert!(defines(text, word), "{path} has no {word}");
            names += 1;
        }
        assert!(file.is_some(), "{row}");
    }
    assert!(names > 12, "{names}");
}

/// The exercises: each a section with its number, its text, and the command that plays its answer.
fn exercises(page: &str) -> Vec<(usize, String, String)> {
    let sections = page.split("\n### ").skip(1);
    let exercise = |(section, number): (&str, usize)| {
        assert!(section.starts_with(&format!("{number}. ")), "{section}");
        let commands: Vec<&str> =
            section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
        let [command] = commands[..] else { panic!("{commands:?}") };
        (number, section.to_owned(), command.to_owned())
    };
    sections.zip(1..).map(exercise).collect()
}

#[test]
fn the_answers_are_what_the_shipped_files_play() {
    let page = page();
    let exercises = exercises(&page);
    assert_eq!(exercises.len(), 6);
    let shipped = fs::read_dir(root().join("tests/scenarios")).unwrap();
    let shipped = shipped.filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("exercise-")
    });
    assert_eq!(shipped.count(), exercises.len());
    let play = |(number, section, command): (usize, String, String)| {
        let file = root().join(command.split(' ').next_back().unwrap());
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with(&format!("# Exercise {number}: ")), "{}", file.display());
        assert!(
            section.contains("\n**Answer.** ") && section.matches('?').count() >= 2,
            "{section}"
        );
        // What the answer quotes of the play is in it.
        for quoted in code(&section).into_iter().filter(|word| word.starts_with("expect ")) {
            assert!(
                text.lines().any(|line| line.starts_with(quoted)),
                "{quoted}: {}",
                file.display()
            );
        }
        // As it stands, in the folder of a clone.
        let mut shell = Command::new("bash");
        shell.args(["-c", &command]).current_dir(root()).stdin(Stdio::null());
        shell.env("PAXOS_BANKING_BIN", env!("CARGO_BIN_EXE_paxos-banking"));
        let output = shell.output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && told.contains(" checks passed, 0 failed"),
            "{told}{errors}"
        );
        let checks = text.lines().filter(|line| line.starts_with("expect ")).count();
        assert!(checks >= 8 && told.contains(&format!("\n{checks} checks passed")), "{told}");
    };
    exercises.into_iter().for_each(play);
}
