//! What is exported can be audited, and counted in a table; what was tampered with is found by its line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use paxos_banking::audit::{Options, SOUND, UNREAD, WRONG};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::banks::{Sound, audit, audit_files, blocks, nothing, sound};
use crate::corruption::tell;
use crate::support::damage::dump;
use crate::support::redis::{TestRedis, say};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paxos-banking")).args(arguments).output().unwrap()
}

/// Exports a server's store to a file.
fn export(sound: &mut Sound, id: &str, folder: &TempDir) -> PathBuf {
    let path = folder.path().join(format!("{id}.jsonl"));
    let url = sound.bank.redis(id).url();
    let output = path.to_str().unwrap();
    let done = program(&["export", "--redis", &url, "--id", id, "--output", output]);
    assert!(done.status.success() && done.stdout.is_empty(), "{done:?}");
    path
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// A copy with other lines.
fn copy(folder: &TempDir, lines: &[String]) -> PathBuf {
    let path = folder.path().join("changed.jsonl");
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

#[test]
fn an_export_holds_the_stored_texts_and_is_sound() {
    let mut sound = sound();
    let folder = tempfile::tempdir().unwrap();
    let files = ["A", "B", "C"].map(|id| export(&mut sound, id, &folder));
    let written = lines(&files[0]);
    let c = &mut sound.bank.redis("A").connect();
    let chain = blocks(c, "A");
    let texts: Vec<&str> = chain.iter().map(|block| block.text()).collect();
    assert_eq!(written[1..=chain.len()], texts);
    assert_eq!(written.last().unwrap(), r#"{"end":{"blocks":5,"elements":3}}"#);
    let audited = audit_files(&files);
    assert_eq!(audited.status, SOUND, "{}", audited.report);
    assert_eq!(audited.report["stores"][0]["log"], json!(3));
    // Beside the store that it was taken from, too.
    let options =
        Options { redis: vec![sound.bank.redis("A").url()], files: files.into(), ..nothing() };
    let audited = audit(&options);
    assert_eq!((audited.status, &audited.report["across"]["agree"]), (SOUND, &json!(true)));
    assert_eq!(audited.report["stores"].as_array().unwrap().len(), 6);
}

#[test]
fn a_file_that_was_changed_or_cut_short_is_found_by_its_line() {
    let mut sound = sound();
    let folder = tempfile::tempdir().unwrap();
    let file = export(&mut sound, "A", &folder);
    let whole = lines(&file);
    let replaced = |line: usize, from: &str, to: &str| {
        let mut lines = whole.clone();
        assert!(lines[line - 1].contains(from), "{}", lines[line - 1]);
        lines[line - 1] = lines[line - 1].replacen(from, to, 1);
        lines
    };
    let without = |line: usize| {
        let mut lines = whole.clone();
        lines.remove(line - 1);
        lines
    };
    for (lines, line, says) in [
        (replaced(4, ",5,", ",6,"), 5, "does not link"),
        (replaced(7, ",7]", ",7000]"), 7, "A holds only"),
        (replaced(8, "\"seq\":6", "\"seq\":8"), 8, "A.1.6 is missing"),
        (replaced(3, "\"height\"", "\"hight\""), 3, "unknown field"),
        (replaced(1, "\"format\":7", "\"format\":9"), 1, "only 4 to 7"),
        (replaced(10, "\"elements\":3", "\"elements\":4"), 10, "5 blocks and 4 elements should"),
        (without(10), 10, "missing: the export was cut short"),
        (without(4), 4, "it is block 3 where block 2 should be"),
        (without(8), 9, "5 blocks and 3 elements"),
        ([whole.clone(), vec!["{}".into()]].concat(), 11, "after the line that ends"),
        (vec!["hello".to_owned()], 1, "expected value"),
    ] {
        let audited = audit_files(&[copy(&folder, &lines)]);
        let first = &audited.report["first"];
        assert_eq!(audited.status, WRONG, "{says}: {}", audited.report);
        assert_eq!(first["line"], json!(line), "{says}: {first}");
        assert!(first["what"].as_str().unwrap().contains(says), "{says}: {first}");
    }
    let text = fs::read_to_string(&file).unwrap();
    fs::write(folder.path().join("cut"), &text[..text.len() - 7]).unwrap();
    let audited = audit_files(&[folder.path().join("cut")]);
    assert!(audited.report["first"]["what"].as_str().unwrap().contains("cut short"));
    // Another server's file tells which of the two was changed.
    let other = export(&mut sound, "B", &folder);
    let audited = audit_files(&[other, copy(&folder, &replaced(4, ",5,", ",6,"))]);
    assert_eq!(audited.report["across"]["wrong"][0]["line"], json!(4), "{}", audited.report);
    assert_eq!(audit_files(&[folder.path().join("nowhere")]).status, UNREAD);
}

/// Whatever is one byte different in a block, beside another server's file it is found; elsewhere in the
/// file anything may be said, in words.
#[test]
fn no_byte_of_a_block_can_be_changed() {
    let mut sound = sound();
    let folder = tempfile::tempdir().unwrap();
    let [file, other] = ["A", "B"].map(|id| export(&mut sound, id, &folder));
    let whole = fs::read(&file).unwrap();
    let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
    let of_blocks = ends[0]..ends[5];
    let changed = folder.path().join("changed.jsonl");
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..600 {
        let at = random.usize(..whole.len());
        let mut bytes = whole.clone();
        // The byte itself is none of these.
        bytes[at] = bytes[at].wrapping_add(random.u8(1..));
        fs::write(&changed, &bytes).unwrap();
        let audited = audit_files(&[other.clone(), changed.clone()]);
        if of_blocks.contains(&at) {
            assert_eq!(audited.status, WRONG, "byte {at} is {:#x}: {}", bytes[at], audited.report);
        }
    }
}

#[test]
fn blocks_as_redis_prints_them_are_enough() {
    let mut sound = sound();
    let folder = tempfile::tempdir().unwrap();
    let chain = blocks(&mut sound.bank.redis("A").connect(), "A");
    let texts: Vec<String> = chain.iter().map(|block| block.text().to_owned()).collect();
    let audited = audit_files(&[copy(&folder, &texts)]);
    assert_eq!(audited.status, SOUND, "{}", audited.report);
    assert_eq!(audited.report["stores"][0]["height"], json!(4));
    // Without block 0 it is known to be no more than a stretch of a chain.
    let audited = audit_files(&[copy(&folder, &texts[1..])]);
    assert_eq!(audited.report["stores"], json!([]));
    assert_eq!(audited.report["stretches"][0]["first"], json!(1));
}

/// A spreadsheet comes to the same balances.
#[test]
fn a_table_adds_up_to_the_balances() {
    let mut sound = sound();
    let url = sound.bank.redis("A").url();
    let done = program(&["export", "--csv", "--redis", &url, "--id", "A"]);
    assert!(done.status.success(), "{done:?}");
    let table = String::from_utf8(done.stdout).unwrap();
    let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = rows.next().unwrap();
    let column = |name: &str| names.iter().position(|other| *other == name).unwrap();
    let [height, kind, amount] = ["height", "kind", "amount"].map(column);
    let [from, to, account] = ["from", "to", "account"].map(column);
    let mut balances: BTreeMap<String, i64> = BTreeMap::new();
    let mut in_log = 0;
    for row in rows {
        assert_eq!(row.len(), names.len(), "{row:?}");
        if row[height].is_empty() {
            in_log += 1;
            continue;
        }
        let units = || row[amount].parse::<i64>().unwrap();
        match row[kind] {
            "opening" => drop(balances.insert(row[account].into(), units())),
            "open" => drop(balances.insert(row[account].into(), 0)),
            "transfer" => {
                *balances.get_mut(row[from]).unwrap() -= units();
                *balances.get_mut(row[to]).unwrap() += units();
            }
            other => panic!("{other}"),
        }
    }
    let page: String =
        say(&mut sound.bank.redis("A").connect(), &["HGET", "SERVER-BALANCES-A", "0"]);
    let page: Value = serde_json::from_str(&page).unwrap();
    let stored: Vec<(String, i64)> = serde_json::from_value(page["balances"].clone()).unwrap();
    let stored = BTreeMap::from_iter(stored);
    assert_eq!((balances, in_log), (stored, 3));
}

/// As `export | head` and `audit | true` go.
#[test]
fn a_reader_who_has_gone_is_no_error() {
    let mut sound = sound();
    let url = sound.bank.redis("A").url();
    let unread = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
        let done = command.args(arguments).stdout(writer).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let backup = folder.path().join("backup");
    for arguments in [
        &["export", "--redis", &url, "--id", "A"][..],
        &["audit", "--redis", &url],
        &["backup", "--redis", &url, "--id", "A", backup.to_str().unwrap()],
        &["--help"],
        &["--version"],
    ] {
        assert_eq!(unread(arguments), (Some(0), String::new()), "{arguments:?}");
    }
    let made = ["key", key.to_str().unwrap()];
    assert!(unread(&made).0 == Some(0) && key.exists());
    // What went wrong is told all the same.
    let (status, text) = unread(&["export", "--redis", &url, "--id", "D"]);
    assert!(status == Some(3) && text.contains("no store of server D"), "{text}");
}

#[test]
fn an_export_says_which_store_it_needs_and_what_is_wrong_with_it() {
    let mut sound = sound();
    let url = sound.bank.redis("A").url();
    let c = &mut sound.bank.redis("A").connect();
    let said = |arguments: &[&str]| {
        let done = program(&[&["export", "--redis", &url], arguments].concat());
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let (status, text) = said(&[]);
    assert!(status == Some(3) && text.contains("the stores of A, B, C: say which"), "{text}");
    let (status, text) = said(&["--id", "D"]);
    assert!(status == Some(3) && text.contains("no store of server D; it holds those of A, B, C"));
    tell(c, &["LSET", "SERVER-BLOCKCHAIN-B", "2", "{}"]);
    let (status, text) = said(&["--id", "B"]);
    assert!(status == Some(1) && text.contains("wrong: SERVER-BLOCKCHAIN-B, index 2: "), "{text}");
    let (status, text) = said(&["--id", "C", "--output", "/nowhere/at/all"]);
    assert!(status == Some(3) && text.contains("/nowhere/at/all can't be written"), "{text}");
    tell(c, &["FLUSHALL"]);
    let (status, text) = said(&[]);
    assert!(status == Some(3) && text.contains("holds no server's store"), "{text}");
}

/// A server would refuse such a Redis.
#[test]
fn a_redis_that_may_lose_what_it_wrote_is_good_enough_to_be_read() {
    let mut sound = sound();
    let whole = dump(&mut sound.bank.redis("A").connect());
    let weak = TestRedis::start_with(&["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"]);
    let c = &mut weak.connect();
    for (key, content) in &whole {
        redis::cmd("RESTORE").arg(key).arg(0).arg(content).exec(c).unwrap();
    }
    // What is not a server's is left alone.
    for (key, value) in [("SERVER-LOG-", "x"), ("SERVER-OTHER-A", "x"), ("other", "x")] {
        tell(c, &["SET", key, value]);
    }
    let url = weak.url();
    let done = program(&["audit", "--redis", &url, "--json"]);
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((done.status.code(), &report["sound"]), (Some(0), &json!(true)), "{report}");
    assert!(program(&["export", "--redis", &url, "--id", "B"]).status.success());
    let done = program(&["audit", "--redis", &url, "--id", "B", "--id", "Z"]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(3), "{text}");
    assert!(text.contains("server Z has no store there; there are stores of: A, B, C"), "{text}");
    assert!(text.contains("not looked at: A, C of this bank"), "{text}");
}
