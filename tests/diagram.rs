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
    assert_eq!(svg.matches(">client: transfer C 120<").count(), 2, "{svg}");
    assert_eq!(svg.matches(">answer: accepted after a run: balance 20<").count(), 2, "{svg}");
}

#[test]
fn a_scenario_file_is_played_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.txt");
    fs::write(&file, "A B 120\nfailLink A B\nfixLink A B\nC B 5\n").unwrap();
    let svg = draw(file.to_str().unwrap());
    for part in [">client: transfer B 120<", ">failLink A B<", ">fixLink A B<"] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
}

#[test]
fn a_leader_that_dies_after_accept_is_drawn() {
    let svg = draw("leader-dies");
    for part in ["accept 1 [1.A]", ">crash<", " lost\"", "(accepted in [1.A])", ">restart<"] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    assert_eq!(svg.matches(">block 1<").count(), 3, "each appends it: {svg}");
}

/// The texts of a picture.
fn words(svg: &str) -> Vec<&str> {
    let texts = svg.split("</text>").filter_map(|part| part.rsplit('>').next());
    texts.filter(|text| !text.trim().is_empty()).collect()
}

#[test]
fn a_scenario_file_is_played_and_drawn_with_what_it_says_and_does() {
    let folder = tempfile::tempdir().unwrap();
    let text = "say <one> run, and one that brings nothing\nB: transfer A 40\nA: transfer C 120\ncut A C\n\
        A: transfer B 90\nkill C\n";
    let (file, traces) = (folder.path().join("play.txt"), folder.path().join("traces"));
    fs::write(&file, text).unwrap();
    let program = || Program::new(env!("CARGO_BIN_EXE_paxos-banking"));
    let drawn = program().arg("diagram").arg(&file).assert().success();
    let of_file = String::from_utf8(drawn.get_output().stdout.clone()).unwrap();
    program().arg("play").arg(&file).arg("--traces").arg(&traces).assert().success();
    let drawn = program().arg("diagram").arg(&traces).assert().success();
    let of_folder = String::from_utf8(drawn.get_output().stdout.clone()).unwrap();
    for svg in [of_file, of_folder] {
        let words = words(&svg);
        for part in [
            "&lt;one&gt; run, and one that brings nothing",
            "client: transfer A 40",
            "client: transfer C 120",
            "phase 1: who promises? [1.A]",
            "majority reached: 2 of 3 promise",
            "phase 2: who accepts? [1.A]",
            "majority reached: 2 of 3 accepted",
            "phase 3: block 1 is chosen",
            "answer: accepted after a run: balance 20",
            "cut A C",
            "client: transfer B 90",
            "answer: refused: A has 20, 90 asked",
            "kill C",
        ] {
            assert!(words.contains(&part), "{part}: {words:?}");
        }
    }
}

#[test]
fn an_expectation_that_fails_is_drawn_and_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.txt");
    fs::write(&file, "A: transfer B 30\nexpect refused\nA: transfer B 5\nexpect accepted\n")
        .unwrap();
    let (svg, page) = (folder.path().join("wrong.svg"), folder.path().join("wrong.html"));
    let program = || Program::new(env!("CARGO_BIN_EXE_paxos-banking"));
    program().arg("diagram").arg(&file).arg("--output").arg(&svg).assert().success();
    program()
        .arg("play")
        .arg(&file)
        .arg("--page")
        .arg(&page)
        .arg("--logs")
        .arg(folder.path())
        .assert()
        .code(1);
    let failed =
        "FAILED: expect refused: it was accepted: balance 70, from the local log, as A.1.1";
    let [svg, page] = [svg, page].map(|file| fs::read_to_string(file).unwrap());
    let told: Vec<&str> =
        words(&svg).into_iter().filter(|words| words.contains("expect")).collect();
    assert!(matches!(told[..], [only] if only.starts_with(failed)), "{told:?}");
    assert!(page.contains(failed) && !page.contains("expect accepted"), "{page}");
}

#[test]
fn sets_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sets.csv");
    fs::write(&file, "1,\"(S1, S2, 3)\",\"[S1, S2, S3]\"\n2,LF; F(S3),\"[S1, S3]\"\n").unwrap();
    let output = folder.path().join("sets.svg");
    let mut program = Program::new(env!("CARGO_BIN_EXE_paxos-banking"));
    program.arg("diagram").arg(&file).arg("--output").arg(&output).assert().success();
    let svg = fs::read_to_string(output).unwrap();
    let words = words(&svg);
    for part in ["set 1", "set 2", "LF", "F(S3)", "client: transfer S2 3"] {
        assert!(words.contains(&part), "{part}: {words:?}");
    }
}

#[test]
fn what_can_t_be_drawn_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, other) = (folder.path().join("empty"), folder.path().join("other"));
    fs::write(&empty, "").unwrap();
    fs::write(&other, "block 7\n").unwrap();
    let file = |path: &Path| path.to_str().unwrap().to_owned();
    for (arguments, status, part) in [
        (vec![], 2, "<TRACE|FOLDER|FILE.txt>"),
        (vec![file(folder.path())], 1, "holds no trace: play --traces FOLDER writes files"),
        (
            vec!["a.txt".into(), "b.txt".into()],
            1,
            "a.txt is a scenario file, whose play is a story",
        ),
        (vec!["/no/such.csv".into()], 1, "/no/such.csv: "),
        (
            vec![file(&other), "--output".into(), "x.png".into()],
            2,
            "only SVG is drawn here, not PNG",
        ),
        (
            vec![file(&other), "--output".into(), "x.PDF".into()],
            2,
            "only SVG is drawn here, not PDF",
        ),
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
