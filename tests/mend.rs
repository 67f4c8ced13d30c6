//! `paxos-banking mend`: what it says of files that a real Redis has written, and that were damaged since.

mod support;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use paxos_banking::mend::commands::scan;
use paxos_banking::mend::{DAMAGED, Options, TORN, WHOLE, run};
use redis::Connection;
use support::redis::{TestRedis, say};

/// What was said, and the exit status.
struct Said {
    status: u8,
    out: String,
    err: String,
}

fn mend_with(folder: &Path, cut: bool, zeros: bool) -> Said {
    let options = Options { folder: folder.to_owned(), cut, zeros };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = run(&options, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { status, out: text(out), err: text(err) }
}

fn mend(folder: &Path) -> Said {
    mend_with(folder, true, false)
}

/// A turn of a server, nearly.
fn turn(redis: &mut Connection, number: usize) {
    let text = format!("[{{\"seq\":{number},\"to\":\"B\",\"amount\":5}}]");
    redis::pipe()
        .atomic()
        .cmd("INCR")
        .arg("SERVER-TURN-A")
        .cmd("RPUSH")
        .arg(&["SERVER-LOG-A", &text])
        .cmd("HSET")
        .arg(&["SERVER-STATE-A", "included", "{\"A\":12}"])
        .exec(redis)
        .unwrap();
}

/// A Redis that has written so many turns, and ended.
fn written(turns: usize) -> TestRedis {
    let mut redis = TestRedis::start();
    let mut connection = redis.connect();
    (1..=turns).for_each(|number| turn(&mut connection, number));
    redis.kill();
    redis
}

/// Everything in a folder, with what it holds.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(contents(&path)),
            false => all.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    all.sort();
    all
}

/// It says so and leaves everything as it was.
fn assert_refused(folder: &Path, part: &str) -> Said {
    let before = contents(folder);
    let said = mend(folder);
    assert_eq!(said.status, DAMAGED, "{}{}", said.out, said.err);
    for part in [part, "Nothing was changed", "--rejoin", "put back a copy"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    assert!(contents(folder) == before, "it changed something: {}", said.err);
    said
}

fn append(path: &Path, bytes: &[u8]) {
    let mut all = fs::read(path).unwrap();
    all.extend_from_slice(bytes);
    fs::write(path, all).unwrap();
}

#[test]
fn what_is_whole_is_left_alone() {
    let redis = written(3);
    let before = contents(&redis.data());
    let said = mend(&redis.data());
    assert_eq!((said.status, said.err.as_str()), (WHOLE, ""));
    assert!(said.out.contains("incr.aof: ") && said.out.contains("3 transactions"), "{}", said.out);
    assert!(said.out.contains("a snapshot of "), "{}", said.out);
    assert!(contents(&redis.data()) == before);
}

/// What a power cut leaves: anything from nothing to all but the last byte of a transaction.
#[test]
fn a_torn_transaction_is_cut_off_wherever_it_was_torn() {
    let mut redis = written(2);
    let file = redis.append_only_file();
    let whole = fs::read(&file).unwrap();
    let torn =
        "*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$13\r\nSERVER-TURN-A\r\n*1\r\n$4\r\nEXEC\r\n";
    for length in 1..torn.len() {
        append(&file, &torn.as_bytes()[..length]);
        let before = fs::read(&file).unwrap();
        let asked = mend_with(&redis.data(), false, false);
        assert_eq!(asked.status, TORN, "{length}: {}", asked.err);
        assert!(asked.err.contains("mend --yes"), "{}", asked.err);
        assert_eq!(fs::read(&file).unwrap(), before);
        let said = mend(&redis.data());
        assert_eq!(said.status, WHOLE, "{length}: {}", said.err);
        let name = file.file_name().unwrap().to_str().unwrap();
        let told = format!("{name}: cut off the {length} bytes from offset {} on", whole.len());
        assert!(said.err.contains(&told), "{}", said.err);
        let copy = format!("{}.before-mending-{length}", file.display());
        assert!(said.err.contains(&copy), "{}", said.err);
        assert_eq!(fs::read(copy).unwrap(), before);
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
    redis.restart();
    assert_eq!(say::<u64>(&mut redis.connect(), &["GET", "SERVER-TURN-A"]), 2);
}

/// Whatever byte is damaged, and however: nothing that was confirmed is ever taken for a torn tail.
#[test]
fn no_damaged_byte_is_taken_for_a_torn_tail() {
    let redis = written(3);
    let whole = fs::read(redis.append_only_file()).unwrap();
    let (mut seen, mut unseen) = (0, 0);
    for place in 0..whole.len() {
        for other in 0..=u8::MAX {
            let mut damaged = whole.clone();
            damaged[place] = other;
            match scan(&mut Cursor::new(&damaged), 0..damaged.len() as u64).unwrap() {
                Ok(found) => {
                    let is = |what: u64| format!("{what} of {}, {other} at {place}", whole.len());
                    assert_eq!(found.end, damaged.len() as u64, "{}", is(found.end));
                    assert_eq!(found.transactions, 3, "{}", is(found.transactions));
                    unseen += 1;
                }
                Err(_) => seen += 1,
            }
        }
    }
    assert!(seen > unseen && unseen > 0, "{seen} seen, {unseen} within a word");
}

#[test]
fn wherever_the_file_ends_all_whole_transactions_stay() {
    let redis = written(3);
    let whole = fs::read(redis.append_only_file()).unwrap();
    let ends: Vec<usize> = (0..=whole.len())
        .filter(|end| *end == 0 || whole[..*end].ends_with(b"EXEC\r\n") || *end == SELECT)
        .collect();
    assert_eq!(ends.len(), 5);
    for length in 0..=whole.len() {
        let found = scan(&mut Cursor::new(&whole[..length]), 0..length as u64).unwrap().unwrap();
        let last = ends.iter().rfind(|end| **end <= length).unwrap();
        assert_eq!(found.end, *last as u64, "of {length}");
    }
}

/// `SELECT 0`, with which Redis begins.
const SELECT: usize = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n".len();

#[test]
fn a_flip_in_the_middle_is_refused_and_what_stands_behind_is_counted() {
    let redis = written(5);
    let file = redis.append_only_file();
    let mut bytes = fs::read(&file).unwrap();
    let place = bytes.windows(6).position(|part| part == b"EXEC\r\n").unwrap();
    bytes[place - 2] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let said = assert_refused(&redis.data(), "4 transactions end behind it");
    let told = format!("damaged at offset {}, or shortly before", place - 4);
    assert!(said.err.contains(&told), "{}", said.err);
}

#[test]
fn a_tail_of_zeros_is_cut_only_if_somebody_says_so() {
    for torn in ["", "*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$13\r\nSERV"] {
        let redis = written(2);
        let file = redis.append_only_file();
        let whole = fs::read(&file).unwrap();
        append(&file, torn.as_bytes());
        append(&file, &[0; 5000]);
        let place =
            format!("from offset {} on it holds nothing but zeros, 5000", whole.len() + torn.len());
        let said = assert_refused(&redis.data(), &place);
        assert!(said.err.contains("mend --yes --zeros"), "{}", said.err);
        assert_eq!(mend_with(&redis.data(), false, true).status, TORN);
        let said = mend_with(&redis.data(), true, true);
        assert_eq!(said.status, WHOLE, "{}", said.err);
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
    // Zeros that stand behind damage don't make it any better.
    let redis = written(2);
    let file = redis.append_only_file();
    append(&file, b"*1\r\n$5\r\nMULTA\r\n*1\r\n$4\r\nEXEC\r\n\0\0\0\0");
    assert_refused(&redis.data(), "an EXEC without its MULTI");
    assert_eq!(mend_with(&redis.data(), true, true).status, DAMAGED);
}

/// The files of a Redis that has rewritten its file, and appended since.
fn rewritten() -> TestRedis {
    let mut redis = TestRedis::start();
    let mut connection = redis.connect();
    (1..=3).for_each(|number| turn(&mut connection, number));
    say::<String>(&mut connection, &["BGREWRITEAOF"]);
    support::cluster::wait_until("the file is rewritten", || {
        let info: redis::InfoDict = say(&mut connection, &["INFO", "persistence"]);
        let is = |key: &str| info.get::<u32>(key).unwrap() != 0;
        !is("aof_rewrite_in_progress") && !is("aof_rewrite_scheduled")
    });
    (4..=5).for_each(|number| turn(&mut connection, number));
    redis.kill();
    redis
}

fn inner(redis: &TestRedis) -> PathBuf {
    redis.data().join("appendonlydir")
}

fn base(redis: &TestRedis) -> PathBuf {
    let mut files = fs::read_dir(inner(redis)).unwrap().map(|file| file.unwrap().path());
    files.find(|path| path.to_str().unwrap().ends_with(".base.rdb")).unwrap()
}

#[test]
fn a_damaged_base_is_refused_wherever_it_is_damaged() {
    // Of a base whose last byte is 0, all but this byte may look whole: the unit tests of snapshots have one.
    let ends_in_zero = |redis: &TestRedis| fs::read(base(redis)).unwrap().ends_with(&[0]);
    let redis = std::iter::repeat_with(rewritten).find(|redis| !ends_in_zero(redis)).unwrap();
    let said = mend(&redis.data());
    assert_eq!(said.status, WHOLE, "{}", said.err);
    assert!(said.out.contains("2 transactions"), "{}", said.out);
    let base = base(&redis);
    let whole = fs::read(&base).unwrap();
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 4;
        fs::write(&base, &damaged).unwrap();
        assert_eq!(mend(&redis.data()).status, DAMAGED, "{place}");
    }
    for length in 0..whole.len() {
        fs::write(&base, &whole[..length]).unwrap();
        assert_eq!(mend(&redis.data()).status, DAMAGED, "{length}");
    }
    fs::write(&base, [whole.as_slice(), b"x"].concat()).unwrap();
    assert_refused(&redis.data(), "base.rdb");
    fs::remove_file(&base).unwrap();
    assert_refused(&redis.data(), "it is missing, and appendonly.aof.manifest names it");
}

#[test]
fn a_file_that_is_missing_or_not_named_is_refused() {
    let redis = rewritten();
    let appended = redis.append_only_file();
    let kept = fs::read(&appended).unwrap();
    fs::remove_file(&appended).unwrap();
    assert_refused(&redis.data(), "it is missing");
    fs::write(&appended, &kept).unwrap();

    let extra = inner(&redis).join("appendonly.aof.3.incr.aof");
    fs::write(&extra, &kept).unwrap();
    assert_refused(&redis.data(), "does not name it");
    // A rewrite that a power cut stopped leaves these.
    fs::write(&extra, "").unwrap();
    fs::copy(base(&redis), inner(&redis).join("appendonly.aof.3.base.rdb")).unwrap();
    assert_eq!(mend(&redis.data()).status, WHOLE);
}

#[test]
fn a_missing_or_damaged_manifest_is_refused_and_rebuilt_in_words() {
    let redis = written(3);
    let manifest = inner(&redis).join("appendonly.aof.manifest");
    let kept = fs::read_to_string(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    let said = assert_refused(&redis.data(), "appendonly.aof.manifest is missing");
    for line in kept.lines() {
        assert!(said.err.contains(line), "{line}: {}", said.err);
    }
    for (damaged, part) in [
        ("", "names no file that counts"),
        ("file appendonly.aof.1.base.rdb seq 1\n", "line 1 is not one of a manifest"),
        ("what\n", "line 1 is not one of a manifest"),
        ("file appendonly.aof.1.base.rdb seq 1 type b\n", "does not name it"),
        ("file appendonly.aof.1.incr.aof seq 1 type i\n", "does not name it"),
    ] {
        fs::write(&manifest, damaged).unwrap();
        assert_refused(&redis.data(), part);
    }
    let two = kept.clone() + "file appendonly.aof.3.incr.aof seq 3 type i\n";
    fs::write(&manifest, two).unwrap();
    assert_refused(
        &redis.data(),
        "appendonly.aof.1.incr.aof is followed by appendonly.aof.3.incr.aof",
    );
    fs::write(&manifest, kept).unwrap();
    assert_eq!(mend(&redis.data()).status, WHOLE);
}

/// Only the end of what was written last can be torn.
#[test]
fn a_file_that_others_follow_is_not_cut() {
    let redis = written(3);
    let file = redis.append_only_file();
    append(&file, b"*1\r\n$5\r\nMULTI\r\n");
    let next = inner(&redis).join("appendonly.aof.2.incr.aof");
    fs::write(next, "").unwrap();
    let manifest = inner(&redis).join("appendonly.aof.manifest");
    append(&manifest, b"file appendonly.aof.2.incr.aof seq 2 type i\n");
    assert_refused(&redis.data(), "within a write, and others follow it");
}

/// Redis 6 keeps one file, which may begin with a snapshot.
#[test]
fn the_one_file_of_redis_6_is_mended_like_those_of_redis_7() {
    let redis = rewritten();
    let one =
        [fs::read(base(&redis)).unwrap(), fs::read(redis.append_only_file()).unwrap()].concat();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appendonly.aof");
    fs::write(&file, &one).unwrap();
    let said = mend(folder.path());
    assert_eq!(said.status, WHOLE, "{}", said.err);
    assert!(
        said.out.contains("a snapshot of ") && said.out.contains("2 transactions"),
        "{}",
        said.out
    );
    append(&file, b"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR");
    assert!(mend(folder.path()).err.starts_with("mended: "));
    assert_eq!(fs::read(&file).unwrap(), one);
    // It would be passed over by Redis 7 where there is a newer one, and that one by Redis 6.
    let both = redis.data().join("appendonly.aof");
    fs::write(&both, &one).unwrap();
    assert_refused(&redis.data(), "move away the one that is not the bank's");
    // An empty one means nothing.
    fs::write(&both, "").unwrap();
    assert_eq!(mend(&redis.data()).status, WHOLE);
}

#[test]
fn an_empty_folder_is_said_to_be_empty_and_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let said = mend(folder.path());
    assert_eq!((said.status, said.err.as_str()), (WHOLE, ""));
    assert!(said.out.contains("there is no append-only file"), "{}", said.out);
    let said = mend(&folder.path().join("none"));
    assert_eq!(said.status, DAMAGED);
    assert!(said.err.contains("it can't be read: No such file"), "{}", said.err);
}

/// What looks torn may be a write that is under way.
#[test]
fn a_file_that_a_redis_has_open_is_not_cut() {
    let mut redis = TestRedis::start();
    turn(&mut redis.connect(), 1);
    append(&redis.append_only_file(), b"*1\r\n$5\r\nMULTI\r\n");
    let pid = redis.process().unwrap().pid();
    let said = mend(&redis.data());
    assert_eq!(said.status, DAMAGED);
    assert!(said.err.contains(&format!("process {pid} has it open")), "{}", said.err);
}

#[test]
fn the_program_mends_as_the_command_line_says() {
    let redis = written(1);
    append(&redis.append_only_file(), b"*1\r\n$5\r\nMULTI\r\n");
    let mend = |flags: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
        program.arg("mend").args(flags).arg(redis.data()).output().unwrap().status.code()
    };
    assert_eq!(mend(&[]), Some(i32::from(TORN)));
    assert_eq!(mend(&["--yes"]), Some(0));
    assert_eq!(mend(&[]), Some(0));
    assert_eq!(mend(&["--no"]), Some(2));
}
