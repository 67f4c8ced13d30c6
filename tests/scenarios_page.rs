//! doc/SCENARIOS.md: its files are played as it says, and print what it shows, but for times and hashes.

#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The page's indented blocks, in their order. A block may hold an empty line.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut empty = 0;
    for line in page.lines() {
        let block = blocks.last_mut().unwrap();
        match line.strip_prefix("    ") {
            Some(line) => {
                block.push_str(&"\n".repeat(std::mem::take(&mut empty)));
                block.push_str(line);
                block.push('\n');
            }
            None if line.is_empty() && !block.is_empty() => empty += 1,
            None => {
                empty = 0;
                if !block.is_empty() {
                    blocks.push(String::new());
                }
            }
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// A line without what differs from play to play: times, rates and hashes.
fn steady(line: &str) -> String {
    let is_hash = |word: &str| word.len() == 8 && word.chars().all(|c| c.is_ascii_hexdigit());
    let is_time = |word: &str| {
        word.trim_matches(['(', ')', ',']).parse::<f64>().is_ok() && word.contains('.')
    };
    let is_time_of_day = |word: &str| {
        let digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
        word.chars().map(digit).eq("0000-00-00T00:00:00Z".chars())
    };
    let is_time = |word: &str| is_time(word) || is_time_of_day(word);
    let words: Vec<&str> = line.split_whitespace().collect();
    let word = |index: usize| {
        let word = words[index];
        let next = words.get(index + 1).copied().unwrap_or_default();
        let is_figure = next.starts_with("ms") || words[..index].contains(&"throughput:");
        match is_hash(word) || is_time(word) || (is_figure && word.parse::<f64>().is_ok()) {
            true => "#",
            false => word,
        }
    };
    (0..words.len()).map(word).collect::<Vec<_>>().join(" ")
}

fn play(folder: &Path, arguments: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    program.arg("play").args(arguments).current_dir(folder).stdin(Stdio::null());
    let output = program.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), told.lines().map(steady).collect(), errors)
}

/// Lines as the page has them, each of which the program printed, in this order.
fn are_in(said: &str, told: &[String]) {
    let mut rest = told.iter();
    for line in said.lines().map(steady) {
        assert!(
            rest.any(|found| *found == line),
            "{line:?} is not printed here:\n{}",
            told.join("\n")
        );
    }
}

#[test]
fn what_the_page_plays_prints_what_it_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("doc/SCENARIOS.md")).unwrap();
    let [rent, played, wrong, sets, waiting, tables] = &blocks(&page)[..] else {
        panic!("other blocks than this test knows: {:#?}", blocks(&page))
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("rent.txt", rent), ("sets.csv", sets)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let (status, told, errors) = play(folder.path(), &["rent.txt"]);
    assert_eq!((status, &*errors), (Some(0), ""));
    // All of it, to the letter.
    assert_eq!(told, played.lines().map(steady).collect::<Vec<_>>());

    let text = "A: balance\nA: transfr B 3\n\nexpect balance A\n";
    fs::write(folder.path().join("wrong.txt"), text).unwrap();
    let (status, told, errors) = play(folder.path(), &["wrong.txt"]);
    assert_eq!((status, told.len(), &errors), (Some(2), 0, wrong));

    let (status, told, errors) = play(folder.path(), &["sets.csv", "--short", "wait"]);
    assert_eq!((status, &*errors), (Some(0), ""));
    are_in(waiting, &told);

    let (status, told, errors) = play(folder.path(), &["sets.csv", "rent.txt"]);
    assert_eq!((status, &*errors), (Some(0), ""));
    let said: Vec<String> = tables.lines().map(steady).collect();
    assert_eq!(
        told.iter().filter(|line| !line.is_empty()).collect::<Vec<_>>(),
        said.iter().filter(|line| !line.is_empty()).collect::<Vec<_>>()
    );
}
