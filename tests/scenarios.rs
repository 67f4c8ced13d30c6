//! Every file in `tests/scenarios`, played green by the shipped program with servers and a Redis of its
//! own; and what `play` says and does where a file is wrong, or expects what is not so.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use redis::Commands;
use serde_json::Value;
use support::redis::TestRedis;

mod support;

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// The program, told to play a file, with its temporary files below `folder`.
fn play(file: &Path, flags: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    command.arg("play").arg(file).args(flags).env("TMPDIR", folder).stdin(Stdio::null());
    command.output().unwrap()
}

/// The same for a text, in a file of this name.
fn play_text(text: &str, flags: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("play.txt");
    fs::write(&file, text).unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let Output { status, stdout, stderr } = play(&file, flags, &temporary);
    // A play that failed leaves its servers' logs, and nothing else.
    let mut left = fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().file_name());
    let is_of_failed = |name: &std::ffi::OsString| name.to_string_lossy().contains("-failed-play-");
    assert!(left.all(|name| !status.success() && is_of_failed(&name)), "the play left files");
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(file.to_str().unwrap(), "FILE");
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn plays_green(name: &str, flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stdout, stderr } = play(&scenarios().join(name), flags, folder.path());
    let text = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{text}\n{}", String::from_utf8_lossy(&stderr));
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "the play left files");
    text
}

/// A test for each file, and one that there are no others. (The demo's is `tests/demo.rs`.)
macro_rules! files {
    ($($test:ident: $name:literal,)*) => {
        const FILES: &[&str] = &["demo.txt", $($name),*];
        $(
            #[test]
            fn $test() {
                let text = plays_green($name, &[]);
                assert!(text.contains(" checks passed, 0 failed"), "{text}");
            }
        )*
    };
}

files! {
    a_leader_dies_after_accept_and_another_finishes_its_block: "leader-dies-after-accept.txt",
    a_leader_dies_halfway_through_its_commits: "leader-dies-during-commit.txt",
    an_entry_between_promise_and_commit_survives: "entry-between-promise-and-commit.txt",
    two_proposers_compete: "two-proposers.txt",
    three_proposers_compete: "three-proposers.txt",
    a_minority_pays_locally_and_catches_up: "minority.txt",
    a_zombie_comes_back_with_a_peer_down: "zombie-with-a-peer-down.txt",
    a_server_stands_still_and_goes_on: "paused.txt",
    a_member_comes_moves_goes_and_comes_back: "members.txt",
    a_course_s_sets_are_played: "course.csv",
}

#[test]
fn every_file_is_played() {
    let mut found: Vec<String> = fs::read_dir(scenarios())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    // Those that are held against a model are played in `tests/courses`, exercises in `tests/paxos_page.rs`.
    found.retain(|name| !name.starts_with("course-") && !name.starts_with("exercise-"));
    let mut played = FILES.to_vec();
    found.sort();
    played.sort_unstable();
    assert_eq!(found, played);
}

/// However soon that was, and whatever was answered after it.
#[test]
fn what_is_expected_after_await_is_how_that_transfer_ended() {
    let text = "servers A B C\n\
        A: transfer B 5 &\n\
        expect balance A 95\n\
        B: transfer C 7\n\
        expect accepted local balance 93\n\
        await A\n\
        expect accepted local balance 95\n";
    let (code, told, errors) = play_text(text, &[]);
    assert_eq!(code, 0, "{told}{errors}");
}

/// The lines of `--json`.
fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn what_the_bank_can_t_cover_may_wait_for_money() {
    let lines = json(&plays_green("course.csv", &["--short", "wait", "--json"]));
    let outcomes = |step: &str| -> Vec<String> {
        let of = lines.iter().filter(|line| line["step"] == step);
        of.map(|line| line["response"]["outcome"].as_str().unwrap().to_owned()).collect()
    };
    // S3 was down when it was asked; S5's 260 never come together.
    assert_eq!(outcomes("(S3, S1, 30)"), ["unavailable", "accepted"]);
    assert_eq!(outcomes("(S3, S2, 150)"), ["refused", "accepted"]);
    assert_eq!(outcomes("(S5, S1, 260)"), ["refused"]);
    let end = lines.last().unwrap();
    assert_eq!(
        end["waiting"],
        serde_json::json!(["line 9: (S5, S1, 260)", "line 13: (S2, S1, 300)"])
    );
    assert_eq!((&end["figures"]["refused"], &end["wrong"]), (&0.into(), &serde_json::json!([])));
    let total: u64 = end["balances"]
        .as_object()
        .unwrap()
        .values()
        .map(|a| a["committed"].as_u64().unwrap())
        .sum();
    assert_eq!(total, 500);
}

#[test]
fn clients_may_be_concurrent() {
    let text = plays_green("course.csv", &["--concurrent", "--opening-balance", "1000"]);
    assert!(text.contains("S1, S2, S3, S4, S5 open with 1000 each"), "{text}");
    // So much is covered at home, but S3 and two others are down when they are asked.
    assert!(text.contains("(14 locally"), "{text}");
}

#[test]
fn what_is_not_as_expected_is_told_with_what_is_there() {
    let text = "opening 10\n\
                A: transfer B 3\n\
                expect accepted local balance 8\n\
                expect accepted paxos\n\
                expect refused\n\
                expect balance A 8\n\
                expect committed A 10\n\
                expect log A empty\n\
                expect total 31\n\
                expect chains equal\n\
                expect lost accept A -> B\n\
                kill B\n\
                expect height B 0\n\
                B: transfer A 1\n\
                expect unavailable\n\
                A: transfer A 1\n\
                expect invalid\n";
    let (status, told, logs) = play_text(text, &["--patience", "300ms"]);
    assert_eq!(status, 1, "{told}\n{logs}");
    for line in [
        "   3  expect accepted local balance 8      FAILED: it was accepted, with balance 7",
        "   4  expect accepted paxos                FAILED: it was accepted locally",
        "   5  expect refused                       FAILED: it was accepted: balance 7",
        "   6  expect balance A 8                   FAILED: it is 7",
        "   7  expect committed A 10                ok",
        "   8  expect log A empty                   FAILED: it is 1",
        "   9  expect total 31                      FAILED: by the chain of A it is 30",
        "  10  expect chains equal                  ok",
        "  11  expect lost accept A -> B            FAILED: no accept from A to B was lost",
        "  12  kill B                               killed",
        "  13  expect height B 0                    FAILED: B doesn't run",
        "  15  expect unavailable                   ok",
        "  17  expect invalid                       ok",
        "4 checks passed, 8 failed",
    ] {
        assert!(told.lines().any(|found| found.starts_with(line)), "{line}\n\n{told}");
    }
    assert!(logs.contains("  line 13: expect height B 0: B doesn't run\n"), "{logs}");
}

#[test]
fn a_wrong_line_is_told_before_anything_is_started() {
    // With no Redis to be found, nothing could be.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.txt");
    fs::write(&file, "A: transfer B 3\nA: transfr B 3\n\nexpect balance A\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    let Output { status, stdout, stderr } =
        command.arg("play").arg(&file).env("PATH", folder.path()).output().unwrap();
    let told = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), stdout.len()), (Some(2), 0), "{told}");
    let name = file.display();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert_eq!(
        lines[0],
        format!("{name}:2:4: unknown command \"transfr\"; did you mean transfer?")
    );
    let right = "the line ends here; expected: expect balance ACCOUNT UNITS [at SERVER]";
    assert!(lines[1].starts_with(&format!("{name}:4:17: {right}")), "{told}");

    fs::write(&file, b"A: balance\nA: \xff").unwrap();
    let told = command.output().unwrap();
    let told = String::from_utf8(told.stderr).unwrap();
    let what = "this is not UTF-8, in which files are written (UTF-16 begins with a mark)";
    assert_eq!(told, format!("{name}:2:4: {what}\n"));
    fs::write(&file, "A: balance").unwrap();
    let told = command.output().unwrap();
    assert_eq!(told.status.code(), Some(3));
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("there is no redis-server or valkey-server in the PATH"), "{told}");
}

#[test]
fn what_servers_told_each_other_can_be_kept_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let traces = folder.path().join("traces");
    let flags = ["--traces", traces.to_str().unwrap()];
    let text = "B: transfer A 40\nA: transfer C 120\nexpect accepted paxos\n";
    let (status, told, logs) = play_text(text, &flags);
    assert_eq!(status, 0, "{told}\n{logs}");
    assert!(told.contains("a Paxos run of A with B, C: block 1 by A, 1 entry: 1 of B"), "{told}");
    let files = ["A", "B", "C"].map(|id| traces.join(format!("{id}.jsonl")));
    let mut diagram = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    let drawn = diagram.arg("diagram").args(&files).output().unwrap();
    let drawing = String::from_utf8(drawn.stdout).unwrap();
    assert!(drawn.status.success() && drawing.contains("promise 1"), "{drawing}");

    let (status, _, told) = play_text(text, &flags);
    assert_eq!(status, 3, "{told}");
    assert!(told.contains("it is not empty"), "{told}");
}

#[test]
fn a_redis_that_may_be_used_is_left_as_it_was() {
    let redis = TestRedis::start();
    let mut connection = redis.connect();
    // Of another server, whose name begins and ends like those of the play.
    let () = connection.set("SERVER-LOG-x-A", "kept").unwrap();
    let url = redis.url();
    let text = "A: transfer B 3\nsettle A\nexpect chains equal\nexpect total 300\n";
    let (status, told, logs) = play_text(text, &["--redis", &url]);
    assert_eq!(status, 0, "{told}\n{logs}");
    let keys: Vec<String> = connection.keys("*").unwrap();
    assert_eq!(keys, ["SERVER-LOG-x-A"]);

    let () = connection.set("SERVER-STATE-B", "a bank's").unwrap();
    let (status, _, told) = play_text(text, &["--redis", &url]);
    assert_eq!(status, 3, "{told}");
    assert!(told.contains("it holds SERVER-STATE-B, so a server of that name"), "{told}");
    let kept: String = connection.get("SERVER-STATE-B").unwrap();
    assert_eq!(kept, "a bank's");
}
