//! Disks that are full, folders that become read-only, or vanish, while servers run: Redis keeps the blocks, nothing
//! stops, and archiving goes on by itself when it can.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use paxos_banking::audit::SOUND;
use serde_json::{Value, json};

use crate::bank::{Archived, SERVERS, segments_in};
use crate::support::cluster::wait_until;

/// How a server's log says that no blocks are archived.
const SAID: &str = "no blocks are archived in";

/// Checks that A says once why it archives nothing, and goes on with all else; `mends` ends the reason.
fn goes_on(archived: &mut Archived, words: &str, mends: impl FnOnce(&mut Archived)) {
    wait_until("A says why it archives nothing", || {
        archived.pay(5);
        archived.log("A").contains(SAID)
    });
    let base = archived.base("A");
    let status = archived.bank.ask("A", &json!({"status": {}})).unwrap();
    let trouble = status["measured"]["archive"]["trouble"].as_str().expect("trouble");
    assert!(trouble.contains(words), "{trouble}");
    archived.pay(20);
    assert_eq!(archived.base("A"), base, "Redis keeps the blocks");
    let log = archived.log("A");
    let said: Vec<&str> = log.lines().filter(|line| line.contains(SAID)).collect();
    assert!(said.len() == 1 && said[0].contains(words), "it is said once: {said:?}");
    assert!(said[0].contains("nothing is lost"), "{said:?}");
    mends(archived);
    wait_until("A archives again", || {
        archived.pay(5);
        let status = archived.bank.ask("A", &json!({"status": {}})).unwrap();
        archived.base("A") > base + 20 && status["measured"]["archive"]["trouble"] == Value::Null
    });
    archived.bank.settle();
    let (status, report) = archived.audit(&SERVERS);
    assert_eq!(status, SOUND, "{report:#}");
}

/// No file may be larger than 16 KiB, and a segment would be of 24 KiB: the first 16 are written.
#[test]
fn a_disk_that_is_full_in_the_middle_of_a_segment_stops_nothing() {
    let flags = ["--keep", "1KiB", "--segment", "24KiB"];
    let mut archived = Archived::open_with(&flags, Some("-S -f 32 && trap '' XFSZ"));
    goes_on(&mut archived, "larger than allowed", |archived| {
        let part = fs::metadata(archived.folder("A").join("part")).unwrap().len();
        assert!(part <= 16 << 10, "{part}");
        assert!(segments_in(&archived.folder("A")).is_empty(), "no segment is cut");
        for id in SERVERS {
            let pid = archived.bank.process(id).expect("it runs").pid().to_string();
            let freed = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
            assert!(freed.expect("prlimit, of util-linux").success());
        }
    });
}

#[test]
fn a_disk_that_is_full_at_the_start_stops_nothing() {
    let mut archived = Archived::with_a_past();
    archived.bank.kill("A");
    let part = archived.folder("A").join("part");
    let _ = fs::remove_file(&part);
    symlink("/dev/full", &part).unwrap();
    archived.bank.start_server("A");
    archived.bank.wait_until_connected();
    goes_on(&mut archived, "the disk is full", |_| fs::remove_file(&part).unwrap());
}

/// Puts another folder in the place of a server's, and returns where its own is now.
fn replace(folder: &Path, by: &str) -> std::path::PathBuf {
    let moved = folder.with_extension("moved");
    fs::rename(folder, &moved).unwrap();
    symlink(by, folder).unwrap();
    moved
}

/// Even who may do everything can make no file in /proc.
#[test]
fn a_folder_in_which_nothing_can_be_written_stops_nothing() {
    let mut archived = Archived::with_a_past();
    let folder = archived.folder("A");
    let moved = replace(&folder, "/proc/self");
    goes_on(&mut archived, "can't", |_| {
        fs::remove_file(&folder).unwrap();
        fs::rename(&moved, &folder).unwrap();
    });
}

#[test]
fn a_folder_that_vanishes_under_load_comes_back_from_the_peers() {
    let mut archived = Archived::with_a_past();
    let folder = archived.folder("A");
    for round in 0..3 {
        let noted = archived.segments("A");
        archived.pay(round);
        // Whatever is under way in it.
        while fs::remove_dir_all(&folder).is_err() {}
        let base = archived.base("A");
        wait_until("newer blocks leave", || {
            archived.pay_around();
            archived.base("A") > base + 10
        });
        wait_until("all segments are back", || {
            archived.pay_around();
            // Reading finds what is missing.
            archived.bank.ask("A", &json!({"chain": {"from": 1, "to": 1}}));
            let there = fs::exists(&folder).unwrap().then(|| segments_in(&folder));
            there.is_some_and(|there| {
                noted.iter().all(|(name, text)| {
                    // The last ones may not have been noted yet.
                    there.get(name).is_none_or(|found| found == text)
                }) && noted.iter().take(2).all(|(name, _)| there.contains_key(name))
            })
        });
    }
    archived.bank.settle();
    wait_until("the audit finds nothing wrong", || archived.audit(&SERVERS).0 == SOUND);
}
