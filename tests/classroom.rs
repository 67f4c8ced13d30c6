//! `paxos-banking play` in a lecture: stops between sets, slow plays, several files in one call, and what a play
//! that failed leaves for whoever has to find out why.

#![cfg(unix)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A folder with files in it, and room for temporary files.
struct Room(tempfile::TempDir);

impl Room {
    fn new(files: &[(&str, &str)]) -> Room {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::create_dir(folder.path().join("tmp")).unwrap();
        Room(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Plays with these arguments, while this is typed.
    fn play(&self, arguments: &[&str], typed: &str) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
        command.arg("play").args(arguments).current_dir(self.path());
        command.env("TMPDIR", self.path().join("tmp")).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    /// What is left among the temporary files.
    fn left(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().join("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

const SETS: &str = "Set Number,Transactions,Live Servers\n\
    1,\"(S1, S2, 40)\",\"[S1, S2, S3]\"\n\
    ,\"(S2, S3, 120)\",\n\
    2,\"(S3, S1, 500)\",\"[S2, S3]\"\n\
    ,\"(S1, S3, 1)\",\n";

fn place(text: &str, part: &str) -> usize {
    text.find(part).unwrap_or_else(|| panic!("{part:?} is missing in:\n{text}"))
}

#[test]
fn it_stops_after_each_set_for_any_client_s_word() {
    let room = Room::new(&[("sets.csv", SETS)]);
    let typed = "balance\nS3\nlog\nS2: chain\ntransfer S3 S1 7\nS9: balance\nkill S4\nnonsense\nS2: balence\n\
                 expect balance S3 93\n\nbalance S1\n";
    let (status, told, errors) = room.play(&["sets.csv", "--step"], typed);
    assert_eq!(status, 0, "{told}{errors}");
    let second = place(&told, "set 2");
    // What is typed is done between the sets, by the client that was named last.
    for part in [
        "balance                              S1: 60",
        "log                                  local log of S3",
        "S2: chain",
        "transfer S3 S1 7                     accepted: balance 93, from the local log, as S3.1.1",
        "S9 is no server of this bank, which has S1, S2, S3",
        "S4 is no server of this bank",
        "unknown command \"nonsense\"",
        "unknown command \"balence\"; did you mean balance?",
        "expect balance S3 93                 ok",
    ] {
        assert!(place(&told, part) < second, "{part}: {told}");
    }
    // After the last set there is a stop, too; and it is a client of S3 that asks about S1.
    assert!(place(&told, "balance S1") > place(&told, "(S1, S3, 1)"), "{told}");
    assert!(room.left().is_empty());
}

#[test]
fn a_file_without_sets_stops_after_each_line_until_it_is_told_to_run() {
    let room = Room::new(&[("lines.txt", "A B 5\nB C 7\nC A 9\nA B 1\n")]);
    let (status, told, errors) =
        room.play(&["lines.txt", "--step"], "A: log\n\nA: log\nrun\nA: log\n");
    assert_eq!(status, 0, "{told}{errors}");
    assert_eq!(told.matches("A: log").count(), 2, "{told}");
    assert!(place(&told, "A: log") < place(&told, "B C 7"), "{told}");
    assert!(place(&told, "A B 1") < place(&told, "At the end"), "{told}");
    // Where nobody types any more it runs to the end; quit ends it there.
    let (status, told, _) = room.play(&["lines.txt", "--step"], "\nquit\n");
    assert_eq!(status, 0, "{told}");
    assert!(
        told.contains("B C 7") && !told.contains("C A 9") && told.contains("At the end"),
        "{told}"
    );
}

#[test]
fn a_slow_play_waits_after_each_step() {
    let room = Room::new(&[("lines.txt", "say one\nsay two\nsay three\nsay four\n")]);
    let begin = Instant::now();
    let (status, told, _) = room.play(&["lines.txt", "--slow", "700ms"], "");
    assert_eq!(status, 0, "{told}");
    assert!(begin.elapsed() >= Duration::from_millis(2100), "{:?}", begin.elapsed());
}

#[test]
fn several_files_are_a_line_and_a_table_each() {
    let files = [
        ("sets.csv", SETS),
        ("wrong.csv", "1,\"(S1, S9, 3)\",[S1]\n"),
        ("one.txt", "A B 5\nA B 500\n"),
    ];
    let room = Room::new(&files);
    let arguments = ["sets.csv", "wrong.csv", "one.txt", "--traces", "kept"];
    let (status, told, errors) = room.play(&arguments, "");
    // The wrong one keeps no other from being played, and its status is that of the call.
    assert_eq!(status, 2, "{told}{errors}");
    assert_eq!(
        told,
        "sets.csv: transfers: 2 accepted (1 locally, 1 after a Paxos run), 1 refused, 1 unavailable\n      \
         set  local  Paxos  refused  unavailable  waiting  S1  S2   S3\n        \
         1      1      1        0            0        0  60  20  100\n        \
         2      0      0        1            1        0   ?  20  220\n\
         \n\
         wrong.csv: it is wrong, and not played\n\
         one.txt: transfers: 1 accepted (1 locally, 0 after a Paxos run), 1 refused, 0 unavailable\n      \
         set  local  Paxos  refused  unavailable  waiting   A    B    C\n      \
         all      1      0        1            0        0  95  105  100\n\n"
    );
    assert_eq!(errors, "wrong.csv:1:9: \"S9\": in no set of live servers, which are S1\n");
    for trace in ["kept/sets.csv/S1.jsonl", "kept/one.txt/A.jsonl"] {
        assert!(room.path().join(trace).is_file(), "{trace}");
    }
    // By machines, each file's end says whose it is.
    let (_, told, _) = room.play(&["sets.csv", "one.txt", "--json"], "");
    let lines = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ends: Vec<Value> = lines.filter(|line| line["figures"].is_object()).collect();
    let names: Vec<&Value> = ends.iter().map(|end| &end["file"]).collect();
    assert_eq!(names, ["sets.csv", "one.txt"]);
    assert_eq!(ends[0]["sets"][1]["refused"], 1);
    assert_eq!(ends[0]["sets"][0]["balances"]["S1"], 60);
}

#[test]
fn a_play_that_failed_ends_with_what_failed_and_keeps_the_logs() {
    let text =
        "A: transfer B 3\nexpect refused\nexpect accepted\nexpect balance A 5\nexpect total 300\n";
    let room = Room::new(&[("play.txt", text)]);
    let (status, told, errors) = room.play(&["play.txt", "--patience", "200ms"], "");
    assert_eq!(status, 1, "{told}{errors}");
    let lines: Vec<&str> = errors.trim().lines().collect();
    let [title, refused, balance, logs] = lines[..] else { panic!("{errors}") };
    assert_eq!(title, "play.txt FAILED:");
    assert!(
        refused.starts_with("  line 2: expect refused: it was accepted: balance 97"),
        "{refused}"
    );
    assert_eq!(balance, "  line 4: expect balance A 5: it is 97");
    let folder = Path::new(logs.strip_prefix("The servers' logs are in ").expect("a folder"));
    assert_eq!(room.left(), [folder]);
    for id in ["A", "B", "C"] {
        let log = fs::read_to_string(folder.join(format!("{id}.log"))).unwrap();
        assert!(log.contains("listening on"), "{log}");
    }
    // A folder of one's own choice is filled in any case.
    let (status, _, _) = room.play(&["play.txt", "--patience", "200ms", "--logs", "mine"], "");
    assert!(status == 1 && room.path().join("mine/B.log").is_file());
    assert_eq!(room.left().len(), 1);
}

#[test]
fn stops_are_for_one_file() {
    let room = Room::new(&[("one.txt", "A B 5\n")]);
    let (status, _, errors) = room.play(&["one.txt", "one.txt", "--step"], "");
    assert_eq!(status, 2);
    assert!(errors.contains("--step stops in one file; name one"), "{errors}");
}
