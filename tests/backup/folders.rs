//! Folders that are no place for a backup: clear words, and nothing is lost.

use std::fs;
use std::path::Path;

use crate::bank::Archived;
use crate::support::process::Bank;
use crate::support::redis::say;
use crate::told::{Told, back_up, backup_command, manifest, names, program, verify};

/// All files of a folder with their content.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    names(folder)
        .into_iter()
        .map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()))
        .collect()
}

#[test]
fn a_folder_of_something_else_is_refused_and_stays_as_it_was() {
    let mut archived = Archived::with_a_past();
    let root = tempfile::tempdir().unwrap();
    let dir = |name: &str| root.path().join(name);
    assert_eq!(back_up(&mut archived, "B", &dir("of-b")).status, 0);
    fs::create_dir(dir("letters")).unwrap();
    fs::write(dir("letters").join("mother.txt"), "Dear").unwrap();
    fs::write(dir("file"), "a file").unwrap();
    let other = Bank::start(&["A"]);
    let url = other.stores[0].url();
    let of_another =
        Told::of(program(&["backup", "--redis", &url]).arg(dir("other")).output().unwrap());
    assert_eq!(of_another.status, 0, "{of_another:?}");
    for (name, words) in [
        ("of-b", &["server B", "server A", "each server has a backup of its own"][..]),
        ("other", &["of the bank whose block 0 is", "name another folder"]),
        ("letters", &["mother.txt is there", "name a new or an empty one"]),
    ] {
        let before = content(&dir(name));
        let told = back_up(&mut archived, "A", &dir(name));
        assert_eq!(told.status, 3, "{told:?}");
        assert!(words.iter().all(|words| told.errors.contains(words)), "{told:?}");
        assert!(told.errors.contains("Nothing was changed"), "{told:?}");
        assert_eq!(content(&dir(name)), before);
    }
    let archive = archived.folder("A");
    let told = back_up(&mut archived, "A", &archive);
    assert!(
        told.status == 3 && told.errors.contains("is the archive of a running server"),
        "{told:?}"
    );
    let told = back_up(&mut archived, "A", &dir("file/below"));
    assert!(told.status == 3 && told.errors.contains("not a folder"), "{told:?}");
    let told = verify(&dir("letters"));
    assert!(told.status == 3 && told.errors.contains("no backup.json"), "{told:?}");
    let told = verify(&dir("nowhere"));
    assert!(told.status == 3 && told.errors.contains("no such folder"), "{told:?}");
}

#[test]
fn a_store_that_was_put_back_or_parted_does_not_replace_a_later_backup() {
    let mut archived = Archived::with_a_past();
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a");
    assert_eq!(back_up(&mut archived, "A", &dir).status, 0);
    archived.bank.kill("A");
    let right = fs::read_to_string(dir.join("backup.json")).unwrap();
    let height = manifest(&dir)["height"].as_u64().unwrap();
    let turn = manifest(&dir)["turn"].as_u64().unwrap();
    let mut link = archived.bank.redis("A").connect();
    // The store is older by a turn.
    let _: String = say(&mut link, &["SET", "SERVER-TURN-A", &(turn - 1).to_string()]);
    let told = back_up(&mut archived, "A", &dir);
    assert!(told.status == 1 && told.errors.contains("put back to an older state"), "{told:?}");
    let now = archived_turn(&mut archived);
    let _: String = say(&mut link, &["SET", "SERVER-TURN-A", &(now + 2).to_string()]);
    // As if the backup had more blocks than the store, or another one.
    let tail_end = format!("\"last\": {height}");
    for (changed, words) in [
        (
            right
                .replace(&format!("\"height\": {height}"), &format!("\"height\": {}", height + 1))
                .replace(&tail_end, &format!("\"last\": {}", height + 1)),
            "the store ends with block",
        ),
        (right.replace(manifest(&dir)["head"].as_str().unwrap(), &"ab".repeat(32)), "a fork"),
    ] {
        fs::write(dir.join("backup.json"), &changed).unwrap();
        let told = back_up(&mut archived, "A", &dir);
        assert!(told.status == 1 && told.errors.contains(words), "{told:?}");
        assert!(told.errors.contains("earlier backup was not touched"), "{told:?}");
        assert_eq!(fs::read_to_string(dir.join("backup.json")).unwrap(), changed);
    }
    fs::write(dir.join("backup.json"), right).unwrap();
    assert_eq!(back_up(&mut archived, "A", &dir).status, 0);
}

fn archived_turn(archived: &mut Archived) -> u64 {
    say(&mut archived.bank.redis("A").connect(), &["GET", "SERVER-TURN-A"])
}

#[test]
fn a_full_disk_is_said_and_leaves_the_earlier_backup_whole() {
    let mut archived = Archived::with_a_past();
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a");
    assert_eq!(back_up(&mut archived, "A", &dir).status, 0);
    let before = manifest(&dir);
    archived.pay(4);
    // No file may become larger than a block of 512 bytes: writing fails, as on a full disk.
    let command = backup_command(&mut archived, "A", &dir);
    let mut bounded = std::process::Command::new("bash");
    bounded.args(["-c", "trap '' XFSZ; ulimit -f 1 && exec \"$@\"", "bash"]);
    bounded.arg(command.get_program()).args(command.get_args());
    let told = Told::of(bounded.output().unwrap());
    assert!(told.status == 3, "{told:?}");
    assert!(
        told.errors.contains("larger than allowed") && told.errors.contains("stays as it was"),
        "{told:?}"
    );
    assert_eq!(manifest(&dir), before);
    assert_eq!(verify(&dir).status, 0);
    assert_eq!(back_up(&mut archived, "A", &dir).status, 0);
    assert_eq!(verify(&dir).status, 0);
}
