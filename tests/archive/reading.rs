//! Everything reads through segments.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use paxos_banking::audit::{SOUND, UNREAD};
use serde_json::{Value, json};

use crate::bank::{Archived, SERVERS};
use crate::support::cluster::wait_until;
use crate::support::redis::{TestRedis, say};

fn lines_of(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

#[test]
fn the_oldest_blocks_leave_redis_and_are_read_in_segments() {
    let mut archived = Archived::with_a_past();
    archived.bank.settle();
    let (mut base, mut chain) = (0, Vec::<String>::new());
    wait_until("base and list are of one moment", || {
        base = archived.base("A");
        let list = ["LRANGE", "SERVER-BLOCKCHAIN-A", "0", "-1"];
        chain = say(&mut archived.bank.redis("A").connect(), &list);
        base == archived.base("A")
    });
    let segments = archived.segments("A");
    // All of them follow each other from block 0 on, and go on where Redis begins (there may be a segment more,
    // which Redis doesn't know yet).
    let texts: Vec<&str> = segments.values().flat_map(|text| text.lines()).collect();
    for (height, text) in texts.iter().enumerate() {
        assert!(text.starts_with(&format!("{{\"height\":{height},")), "{text}");
    }
    assert_eq!(texts.get(base as usize).unwrap_or(&chain[0].as_str()), &chain[0]);
    // A client sees no difference.
    let blocks = archived.bank.chain("A");
    assert_eq!(blocks.len() as u64, base + chain.len() as u64);
    let heights = blocks.iter().map(|block| block["height"].as_u64().unwrap());
    assert!(heights.eq(0..blocks.len() as u64));
    let history = archived.bank.ask("A", &json!({"history": {"account": "A", "limit": 1000}}));
    let lines = history.unwrap()["lines"].as_array().unwrap().len();
    assert!(lines >= 30, "{lines}");
    // An export is what the files and Redis hold together.
    let exported = lines_of(&archived.export("A", true).stdout);
    let both = texts[..base as usize].iter().copied().chain(chain.iter().map(String::as_str));
    assert!(exported[1..].iter().map(String::as_str).zip(both).all(|(one, other)| one == other));
    assert_eq!(exported.len(), blocks.len() + 2);
}

#[test]
fn an_audit_reads_segments_and_says_where_they_are_to_be_named() {
    let mut archived = Archived::with_a_past();
    let (status, report) = archived.audit(&SERVERS);
    assert_eq!(status, SOUND, "{report:#}");
    let (status, report) = archived.audit(&["A", "B"]);
    assert_eq!(status, UNREAD, "{report:#}");
    assert!(report.to_string().contains("--archive"), "{report:#}");
    let export = archived.export("A", false);
    assert_eq!(export.status.code(), Some(i32::from(UNREAD)));
    assert!(String::from_utf8_lossy(&export.stderr).contains("--archive"), "{export:?}");
}

/// All pages of an account's statement, the newest line first.
fn statement(archived: &Archived, account: &str) -> Vec<Value> {
    let (mut lines, mut before) = (Vec::new(), Value::Null);
    loop {
        let mut ask = json!({"history": {"account": account, "limit": 7}});
        if !before.is_null() {
            ask["history"]["before"] = before;
        }
        let page = archived.bank.ask("A", &ask).expect("an answer");
        lines.extend(page["lines"].as_array().unwrap_or_else(|| panic!("{page}")).iter().cloned());
        before = page["next"].clone();
        if before.is_null() {
            return lines;
        }
    }
}

/// The index files of A's segments, with the times at which they were made.
fn indexes(archived: &Archived) -> BTreeMap<PathBuf, SystemTime> {
    let entries = std::fs::read_dir(archived.folder("A")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let indexes = paths.filter(|path| path.extension().is_some_and(|is| is == "accounts"));
    indexes.map(|path| (path.clone(), path.metadata().unwrap().modified().unwrap())).collect()
}

/// A has no place for any block in its index, and searches those in its Redis.
#[test]
fn a_statement_is_the_same_with_no_memory_for_an_index() {
    let mut archived = Archived::with_a_past();
    archived.bank.kill("A");
    archived.bank.start_server_with("A", &["--index-memory", "0"]);
    wait_until("A's index is where its chain is", || {
        let status = archived.bank.ask("A", &json!({"status": {}})).unwrap_or_default();
        let index = &status["measured"]["index"];
        let height = status["height"].as_u64();
        index["blocks"].as_u64() == height.map(|height| height + 1) && index["bytes"] == json!(0)
    });
    archived.bank.settle();
    for account in SERVERS {
        let (lines, why) = archived.history("A", account);
        assert_eq!(why, "", "{account}");
        assert_eq!(lines, archived.history("B", account).0, "{account}");
        assert!(lines > 10, "{account}: {lines}");
    }
    let searched = || {
        let status = archived.bank.ask("A", &json!({"status": {}})).unwrap();
        status["measured"]["index"]["searched"].as_u64()
    };
    wait_until("status says how many blocks are searched", || searched() > Some(0));
}

#[test]
fn a_statement_is_the_same_from_files_as_it_was_from_memory() {
    let mut archived = Archived::with_a_past();
    archived.bank.settle();
    let before = statement(&archived, "B");
    assert!(before.len() >= 15, "{before:?}");
    // The index of what is in segments is in files now; a start makes none of it again.
    wait_until("some are made", || indexes(&archived).len() >= 2);
    archived.bank.kill("A");
    let made = indexes(&archived);
    archived.bank.start_server("A");
    archived.bank.wait_until_connected();
    assert_eq!(statement(&archived, "B"), before);
    let now = indexes(&archived);
    assert!(made.iter().all(|(name, at)| now.get(name) == Some(at)), "{made:?}, {now:?}");
    // Without the files the index is made again.
    archived.bank.kill("A");
    for entry in std::fs::read_dir(archived.folder("A")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|is| is == "accounts" || is == "offsets") {
            std::fs::remove_file(path).unwrap();
        }
    }
    archived.bank.start_server("A");
    archived.bank.wait_until_connected();
    assert_eq!(statement(&archived, "B"), before);
}

#[test]
fn a_server_catches_up_from_the_others_segments() {
    let mut archived = Archived::open();
    archived.pay(2);
    archived.bank.kill("C");
    archived.pay(30);
    wait_until("the blocks that C lacks have left", || {
        archived.pay(1);
        archived.base("A") > 12 && archived.base("B") > 12
    });
    archived.bank.start_server("C");
    archived.bank.wait_until_connected();
    archived.bank.settle();
    archived.wait_until_archived(18);
    assert_eq!(archived.audit(&SERVERS).0, SOUND);
}

#[test]
fn a_server_whose_store_and_archive_are_lost_rejoins_from_segments() {
    let mut archived = Archived::with_a_past();
    archived.bank.kill("C");
    let place = archived.bank.place("C");
    archived.bank.stores[place] = TestRedis::start();
    std::fs::remove_dir_all(archived.folder("C")).unwrap();
    archived.bank.start_server_with("C", &["--rejoin"]);
    archived.wait_until_said("C", "done: C has rejoined");
    archived.bank.wait_until_connected();
    archived.bank.settle();
    archived.wait_until_archived(18);
    assert_eq!(archived.audit(&SERVERS).0, SOUND);
}

/// The folder of the lost store holds the very segments that the new store will have.
#[test]
fn a_rejoined_server_may_have_its_old_folder() {
    let mut archived = Archived::with_a_past();
    archived.bank.kill("C");
    let place = archived.bank.place("C");
    archived.bank.stores[place] = TestRedis::start();
    archived.bank.start_server_with("C", &["--rejoin"]);
    archived.wait_until_said("C", "done: C has rejoined");
    archived.bank.settle();
    archived.wait_until_archived(18);
    assert_eq!(archived.audit(&SERVERS).0, SOUND);
}
