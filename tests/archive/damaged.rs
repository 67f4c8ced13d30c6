//! Each damage of segments, and of what Redis notes of them, is found and named; segments are mended from peers.

use std::fs;
use std::path::Path;

use paxos_banking::audit::{SOUND, WRONG};

use crate::bank::{Archived, SERVERS};
use crate::support::cluster::wait_until;
use crate::support::damage::{dump, restore};
use crate::support::redis::say;

/// What is done to a segment's file, and what is said of it.
type Damage = (&'static str, fn(&Path), &'static str);

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn lines(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let mut lines: Vec<String> =
        fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    change(&mut lines);
    fs::write(path, lines.join("\n") + "\n").unwrap();
}

const DAMAGES: [Damage; 12] = [
    ("it is missing", |path| fs::remove_file(path).unwrap(), "missing"),
    ("it is empty", |path| fs::write(path, "").unwrap(), "it is empty"),
    (
        "it is cut in a line",
        |path| change(path, |bytes| bytes.truncate(bytes.len() / 2)),
        "cut short",
    ),
    ("it is cut behind a line", |path| lines(path, |lines| drop(lines.pop())), "cut short"),
    (
        "its last line break is missing",
        |path| change(path, |bytes| bytes.truncate(bytes.len() - 1)),
        "cut short",
    ),
    ("something stands behind it", |path| change(path, |bytes| bytes.extend(b"{}\n")), "added"),
    ("a byte is changed", |path| change(path, |bytes| bytes[40] ^= 1), "changed"),
    (
        "its last byte is changed",
        |path| change(path, |bytes| *bytes.last_mut().unwrap() = b' '),
        "changed",
    ),
    (
        "an amount is changed",
        |path| {
            change(path, |bytes| {
                let place = bytes.windows(3).position(|three| three == b"\",1").unwrap();
                bytes[place + 2] = b'7';
            })
        },
        "changed",
    ),
    (
        "two lines are in each other's place",
        |path| lines(path, |lines| lines.swap(1, 2)),
        "changed",
    ),
    ("zeros are in the middle", |path| change(path, |bytes| bytes[100..200].fill(0)), "changed"),
    (
        "a folder is there",
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        "",
    ),
];

#[test]
fn each_damage_of_a_segment_is_found_named_and_mended() {
    let mut archived = Archived::with_a_past();
    archived.bank.settle();
    let whole = archived.segments("A");
    let (name, text) = whole.iter().nth(1).unwrap();
    let path = archived.folder("A").join(name);
    for (what, damage, said) in DAMAGES {
        archived.bank.kill("A");
        damage(&path);
        let (status, report) = archived.audit(&SERVERS);
        assert_eq!(status, WRONG, "{what}: {report:#}");
        let first = &report["first"];
        assert_eq!(first["key"], path.display().to_string(), "{what}: {report:#}");
        assert!(first["what"].as_str().unwrap().contains(said), "{what}: {first}");
        if path.is_dir() {
            // Nothing puts a file in a folder's place.
            fs::remove_dir(&path).unwrap();
        }
        archived.bank.start_server("A");
        wait_until(what, || fs::read_to_string(&path).is_ok_and(|found| found == *text));
        archived.wait_until_said("A", "whole again");
        assert!(archived.log("A").contains(name.as_str()), "{what}");
    }
    archived.bank.wait_until_connected();
    assert_eq!(archived.audit(&SERVERS).0, SOUND);
}

#[test]
fn a_segment_that_is_damaged_under_a_running_server_is_noticed_when_it_is_read() {
    let archived = Archived::with_a_past();
    let (name, text) = archived.segments("A").into_iter().nth(1).unwrap();
    let path = archived.folder("A").join(&name);
    // Another file, and another segment in between: the server may have this one open.
    fs::remove_file(&path).unwrap();
    fs::write(&path, text.replace("\"A\"", "\"B\"")).unwrap();
    wait_until("it is whole again", || {
        for height in [1, 8] {
            let ask = serde_json::json!({"chain": {"from": height, "to": height + 1}});
            let _ = archived.bank.ask("A", &ask);
        }
        fs::read_to_string(&path).is_ok_and(|found| found == text)
    });
    archived.wait_until_said("A", "whole again");
}

#[test]
fn each_damage_of_what_redis_notes_of_segments_is_named() {
    let mut archived = Archived::with_a_past();
    SERVERS.iter().for_each(|id| archived.bank.kill(id));
    let base = archived.base("A").to_string();
    let c = &mut archived.bank.redis("A").connect();
    let whole = dump(c);
    let first: String = say(c, &["HGET", "SERVER-STATE-A", "segment:0"]);
    let block: String = say(c, &["LINDEX", "SERVER-BLOCKCHAIN-A", "0"]);
    let longer = first.replacen("\"last\":", "\"last\":1", 1);
    let place = first.len() - 4;
    let digit = if first[place..].starts_with('0') { '1' } else { '0' };
    let other = format!("{}{digit}{}", &first[..place], &first[place + 1..]);
    assert_ne!(other, first);
    let damages: [(&[&str], &str); 11] = [
        (&["HSET", "SERVER-STATE-A", "base", "1"], "SERVER-"),
        (&["HDEL", "SERVER-STATE-A", "base"], "SERVER-"),
        (&["HSET", "SERVER-STATE-A", "base", "-1"], "SERVER-STATE-A"),
        (&["HDEL", "SERVER-STATE-A", "segment:0"], "SERVER-STATE-A"),
        (&["HSET", "SERVER-STATE-A", "segment:0", &longer], "SERVER-STATE-A"),
        (&["HSET", "SERVER-STATE-A", "segment:0", "{}"], "SERVER-STATE-A"),
        (&["HSET", "SERVER-STATE-A", "segment:00", &first], "SERVER-STATE-A"),
        (&["DEL", "SERVER-GENESIS-A"], "SERVER-GENESIS-A"),
        (&["SET", "SERVER-GENESIS-A", &block], "SERVER-GENESIS-A"),
        (&["LPUSH", "SERVER-BLOCKCHAIN-A", &block], "SERVER-BLOCKCHAIN-A"),
        (&["LPOP", "SERVER-BLOCKCHAIN-A"], "SERVER-"),
    ];
    for (damage, place) in damages {
        let c = &mut archived.bank.redis("A").connect();
        let _: redis::Value = say(c, damage);
        let (status, report) = archived.audit(&SERVERS);
        assert_eq!(status, WRONG, "{damage:?}: {report:#}");
        let first = report["first"].to_string();
        assert!(first.contains(place), "{damage:?}: {first}");
        archived.bank.start_server("A");
        wait_until("A ends", || {
            let process = archived.bank.process("A").unwrap();
            process.ended().is_some()
        });
        let log = archived.log("A");
        assert!(log.contains("corrupt") && log.contains(place), "{damage:?}: {log}");
        archived.bank.kill("A");
        restore(&mut archived.bank.redis("A").connect(), &whole);
    }
    // A SHA-256 that the file hasn't makes the file a damaged one.
    let c = &mut archived.bank.redis("A").connect();
    let _: redis::Value = say(c, &["HSET", "SERVER-STATE-A", "segment:0", &other]);
    let (status, report) = archived.audit(&SERVERS);
    assert_eq!(status, WRONG, "{report:#}");
    assert!(report["first"]["what"].as_str().unwrap().contains("changed"), "{report:#}");
    assert_eq!(archived.base("A").to_string(), base);
}
