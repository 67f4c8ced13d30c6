//! A backup that is cut off leaves the earlier one or the later one, whole.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::bank::Archived;
use crate::told::{back_up, backup_command, manifest, names, verify};

#[test]
fn a_backup_that_is_killed_at_any_moment_leaves_a_whole_one() {
    let mut archived = Archived::with_a_past();
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a");
    assert_eq!(back_up(&mut archived, "A", &dir).status, 0);
    let (mut earlier, mut later) = (0, 0);
    let mut pause = Duration::ZERO;
    for round in 0..60 {
        archived.pay(1);
        let before = manifest(&dir);
        let mut child = backup_command(&mut archived, "A", &dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(pause);
        child.kill().unwrap();
        child.wait().unwrap();
        let told = verify(&dir);
        assert_eq!(told.status, 0, "round {round}: {told:?}");
        let now = manifest(&dir);
        if now == before {
            earlier += 1
        } else {
            later += 1
        }
        // Each kill comes later than the one before, until the backup is over by then.
        pause = if now == before { pause + Duration::from_micros(300) } else { pause / 2 };
    }
    println!("{earlier} times the earlier one, {later} times the later one");
    assert_eq!(back_up(&mut archived, "A", &dir).status, 0);
    assert!(!names(&dir).iter().any(|name| name.ends_with(".part")), "{:?}", names(&dir));
}

/// What a kill leaves before each step: nothing of it is taken for the backup, and the next one clears it up.
#[test]
fn what_a_cut_off_backup_leaves_is_cleared_up() {
    let mut archived = Archived::with_a_past();
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a");
    fs::create_dir(&dir).unwrap();
    let segment = archived.segments("A").into_iter().next().unwrap();
    // The first backup was cut off before there was a manifest: a whole segment, one that isn't, a log.
    fs::write(dir.join(&segment.0), &segment.1).unwrap();
    fs::write(dir.join("000000000400-000000000500.jsonl"), "of another bank\n").unwrap();
    fs::write(dir.join("000000000600-000000000700.jsonl.3.part"), "{\"hei").unwrap();
    fs::write(dir.join("67bbd708fbe2d296-000000000003.log"), "{}").unwrap();
    fs::write(dir.join("backup.json.0.part"), "{").unwrap();
    let told = back_up(&mut archived, "A", &dir);
    assert!(told.status == 0 && told.out.contains("files that were there: 1"), "{told:?}");
    assert_eq!(verify(&dir).status, 0);
    let left = names(&dir);
    let strays = ["000000000400", "000000000600", "67bbd708fbe2d296", ".part"];
    assert!(!left.iter().any(|name| strays.iter().any(|stray| name.contains(stray))), "{left:?}");
    // A segment that was damaged meanwhile is put right.
    let path = dir.join(&segment.0);
    let damaged = segment.1.replace("\"height\":1,", "\"height\":7,");
    assert_ne!(damaged, segment.1);
    fs::remove_file(&path).unwrap();
    fs::write(&path, damaged).unwrap();
    assert_eq!(verify(&dir).status, 1);
    assert_eq!(back_up(&mut archived, "A", &dir).status, 0);
    assert_eq!(fs::read_to_string(&path).unwrap(), segment.1);
    assert_eq!(verify(&dir).status, 0);
}
