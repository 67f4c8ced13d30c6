use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::*;
use crate::bank::blockchain::block::BlockHash;
use crate::store::archive::testing::{Archive, owner};

/// Claims a folder that nobody uses. A process that another test starts has this process's files, and so the lock
/// that was just given up, until it runs its own program.
fn claim_free(folder: &Folder, owner: &Owner) -> Result<Claim, ArchiveError> {
    const MOST: u32 = 10_000;
    for _ in 0..MOST {
        match folder.claim(owner) {
            Err(ArchiveError::Locked { .. }) => std::thread::sleep(Duration::from_millis(1)),
            claimed => return claimed,
        }
    }
    folder.claim(owner)
}

#[test]
fn a_folder_is_made_with_those_above_it_and_says_whose_it_is() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::new(temporary.path().join("a/b/c"));
    assert_eq!(folder.owner().unwrap(), None);
    let claim = folder.claim(&owner("A")).unwrap();
    assert_eq!(folder.owner().unwrap(), Some(owner("A")));
    let text = fs::read_to_string(folder.path().join("archive.json")).unwrap();
    assert_eq!(text, format!("{{\"server\":\"A\",\"bank\":\"{}\"}}\n", BlockHash::of("bank")));
    drop(claim);
    claim_free(&folder, &owner("A")).expect("it is free again");
}

#[test]
fn a_folder_is_used_by_one_server_at_a_time() {
    let archive = Archive::of(&[1]);
    let error = archive.folder.claim(&owner("A")).unwrap_err().to_string();
    let path = archive.folder.path().display();
    let said =
        format!("{path} is used by another process; each server needs an archive of its own");
    assert_eq!(error, said);
    drop(archive.claim);
    claim_free(&archive.folder, &owner("A")).expect("it is free again");
}

#[test]
fn a_folder_that_another_process_has_locked_is_refused() {
    let archive = Archive::of(&[1]);
    drop(archive.claim);
    let lock = archive.folder.path().join("lock");
    let script = "exec 9>\"$0\"; flock -n 9 || exit 1; echo locked; read line";
    let mut command = Command::new("bash");
    command.args(["-c", script]).arg(&lock);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("bash");
    let mut line = [0; 7];
    let told = std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line);
    told.expect("the lock is taken");
    assert!(matches!(archive.folder.claim(&owner("A")), Err(ArchiveError::Locked { .. })));
    drop(child.stdin.take());
    child.wait().unwrap();
    claim_free(&archive.folder, &owner("A")).expect("it is free again");
}

#[test]
fn a_folder_of_another_server_or_bank_is_refused() {
    let archive = Archive::of(&[1]);
    drop(archive.claim);
    let path = archive.folder.path().display();
    let error = claim_free(&archive.folder, &owner("B")).unwrap_err().to_string();
    let bank = BlockHash::of("bank").short();
    let said = format!(
        "{path} is the archive of server A of the bank whose block 0 is {bank}, and can't be that of server B \
         of the bank whose block 0 is {bank}; name another folder"
    );
    assert_eq!(error, said);
    let other = Owner { bank: BlockHash::of("other"), ..owner("A") };
    let error = claim_free(&archive.folder, &other).unwrap_err().to_string();
    assert!(
        error.contains(&format!("server A of the bank whose block 0 is {}", other.bank.short()))
    );
    // A refusal leaves the folder as it was, and free.
    claim_free(&archive.folder, &owner("A")).expect("it is free");
}

#[test]
fn a_file_that_does_not_say_whose_the_folder_is_is_refused() {
    for text in ["", "{}", "{\"server\":\"A\"}", "A\n", "{\"server\":\"A\",\"bank\":\"1234\"}"] {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("archive.json");
        fs::write(&file, text).unwrap();
        let folder = Folder::new(temporary.path().to_owned());
        for error in [folder.claim(&owner("A")).unwrap_err(), folder.owner().unwrap_err()] {
            let said = format!("{} should say whose archive this is", file.display());
            assert!(error.to_string().starts_with(&said), "{error}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn a_folder_that_cant_be_made_or_written_to_is_named() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Folder::new(file.join("archive")).claim(&owner("A")).unwrap_err().to_string();
    assert!(error.starts_with(&format!("can't make {}: ", file.display())), "{error}");
    let error = Folder::new(file.clone()).claim(&owner("A")).unwrap_err().to_string();
    assert!(error.starts_with(&format!("can't make {}: ", file.display())), "{error}");
    let folder = temporary.path().join("read-only");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    if fs::write(folder.join("try"), "").is_ok() {
        return; // Root may.
    }
    let error = Folder::new(folder.clone()).claim(&owner("A")).unwrap_err().to_string();
    assert!(error.starts_with(&format!("can't create {}/lock: ", folder.display())), "{error}");
}

#[test]
fn strays_go_and_everything_else_stays() {
    let archive = Archive::of(&[10, 20]);
    let folder = archive.folder.path();
    archive.seal(30, 32);
    archive.seal(33, 34);
    archive.seal(20, 31);
    let kept = [
        "000000000033-000000000099.jsonl",
        "000000000040-000000000050.jsonl",
        "30-32.jsonl",
        "notes.txt",
        "000000000010-000000000029.jsonl.gz",
        "sums.part",
    ];
    kept.iter().for_each(|name| fs::write(folder.join(name), "x").unwrap());
    let gone = ["part", "000000000030-000000000030.accounts", "archive.json.3.part"];
    gone.iter().for_each(|name| fs::write(folder.join(name), "x").unwrap());
    fs::create_dir(folder.join("000000000031-000000000032.jsonl")).unwrap();
    symlink("nowhere", folder.join("000000000031-000000000031.jsonl")).unwrap();
    // The store has blocks up to 34.
    let removed = archive.claim.remove_strays(&archive.segments, 35).unwrap();
    let removed: Vec<&str> =
        removed.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    let strays = [
        "000000000020-000000000031.jsonl",
        "000000000020-000000000031.offsets",
        "000000000030-000000000030.accounts",
        "000000000030-000000000032.jsonl",
        "000000000030-000000000032.offsets",
        "000000000033-000000000034.jsonl",
        "000000000033-000000000034.offsets",
        "archive.json.3.part",
        "part",
    ];
    assert_eq!(removed, strays);
    let left = archive.names();
    assert!(kept.iter().all(|name| left.contains(&(*name).to_owned())), "{left:?}");
    for segment in &archive.segments {
        assert_eq!(archive.folder.verify(segment, &mut |_| true), Ok(true));
        assert!(left.contains(&format!("{}.offsets", segment.stem())));
    }
    assert_eq!(
        archive.claim.remove_strays(&archive.segments, 35).unwrap(),
        [""; 0].map(PathBuf::from)
    );
}

#[test]
fn what_may_be_the_only_copy_stays() {
    // The store was lost: it has no blocks, and knows of no segments.
    let archive = Archive::of(&[10, 20]);
    assert!(archive.claim.remove_strays(&[], 0).unwrap().is_empty());
    assert!(archive.claim.remove_strays(&[], 10).unwrap().len() == 2);
    assert!(archive.path(1).exists() && !archive.path(0).exists());
}

#[test]
fn a_crash_at_any_step_of_sealing_leaves_a_whole_segment_or_none() {
    let whole = Archive::of(&[10, 20]);
    let names = |archive: &Archive| archive.names();
    let (before, segment) = (names(&Archive::of(&[10])), &whole.segments[1]);
    let text = fs::read(whole.path(1)).unwrap();
    let offsets = fs::read(whole.offsets(1)).unwrap();
    let stem = segment.stem();
    let (cut, jsonl) = (&text[..text.len() / 2], format!("{stem}.jsonl"));
    let places = format!("{stem}.offsets");
    let unfinished = format!("{places}.0.part");
    // What each step leaves.
    let steps: [&[(&str, &[u8])]; 6] = [
        &[("part", b"")],
        &[("part", cut)],
        &[("part", &text)],
        &[("part", &text), (&unfinished, &offsets[..50])],
        &[("part", &text), (&unfinished, &offsets)],
        &[("part", &text), (&places, &offsets)],
    ];
    for left in steps {
        let archive = Archive::of(&[10]);
        left.iter()
            .for_each(|(name, bytes)| fs::write(archive.folder.path().join(name), bytes).unwrap());
        archive.claim.remove_strays(&archive.segments, 40).unwrap();
        assert_eq!(names(&archive), before);
    }
    // Once it has its name it is whole, with or without the places of its lines, and whether or not the store
    // has heard of it.
    for with_places in [false, true] {
        let archive = Archive::of(&[10]);
        fs::write(archive.folder.path().join(&jsonl), &text).unwrap();
        if with_places {
            fs::write(archive.folder.path().join(&places), &offsets).unwrap();
        }
        let known = [archive.segments[0].clone(), segment.clone()];
        archive.claim.remove_strays(&known, 40).unwrap();
        assert_eq!(archive.folder.verify(segment, &mut |_| true), Ok(true));
        assert_eq!(archive.folder.reader().blocks(segment, 10, 29, usize::MAX).unwrap().len(), 20);
        archive.claim.remove_strays(&archive.segments, 40).unwrap();
        assert_eq!(names(&archive), before);
    }
}

#[test]
fn the_next_writer_begins_anew() {
    let archive = Archive::of(&[10]);
    let mut one = archive.claim.begin(10).unwrap();
    let long = "x".repeat(1 << 20);
    one.append(&long).unwrap();
    let mut two = archive.claim.begin(10).unwrap();
    drop(one);
    two.append(archive.chain[10].text()).unwrap();
    let segment = two.seal().unwrap();
    assert_eq!(archive.folder.verify(&segment, &mut |_| true), Ok(true));
    assert!(!archive.names().contains(&"part".to_owned()));
}

#[test]
fn a_text_that_is_no_line_is_refused() {
    let archive = Archive::of(&[10]);
    let mut writer = archive.claim.begin(10).unwrap();
    for (text, said) in [("", "it is empty"), ("{\n}", "its text has a line break")] {
        let error = writer.append(text).unwrap_err().to_string();
        let part = archive.folder.path().join("part");
        assert_eq!(error, format!("block 10 can't be written to {}: {said}", part.display()));
    }
    let error = writer.seal().unwrap_err().to_string();
    assert!(error.ends_with("there are no blocks before it"), "{error}");
}

#[test]
fn a_segment_is_written_again_only_as_it_was() {
    let archive = Archive::of(&[10, 20]);
    let segment = &archive.segments[1];
    fs::write(archive.path(1), "damaged").unwrap();
    let write = |texts: &[String]| {
        let mut writer = archive.claim.begin_again(segment)?;
        texts.iter().try_for_each(|text| writer.append(text))?;
        writer.seal()
    };
    let right: Vec<String> = archive.chain[10..30].iter().map(|b| b.text().to_owned()).collect();
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut texts = right.clone();
        change(&mut texts);
        texts
    };
    let path = archive.path(1);
    let wrong = [
        (with(&|texts| drop(texts.pop())), "the blocks end at 28 and should end at 29"),
        (with(&|texts| texts.push("{}".into())), "it is beyond the segment's end"),
        (with(&|texts| texts[3] = "{}".into()), "the blocks have "),
        (with(&|texts| texts[3].push(' ')), "with it, the segment would be longer than it was"),
        (with(&|texts| texts.swap(3, 4)), "the blocks' SHA-256 is "),
    ];
    for (texts, said) in wrong {
        let error = write(&texts).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "damaged");
    }
    assert!(!archive.names().iter().any(|name| name.ends_with(".part")));
    // While another segment is being written.
    let mut next = archive.claim.begin(30).unwrap();
    next.append(archive.chain[30].text()).unwrap();
    assert_eq!(write(&right).unwrap(), *segment);
    assert_eq!(archive.folder.verify(segment, &mut |_| true), Ok(true));
    assert_eq!(next.seal().unwrap().first, 30);
}

/// Runs a test of this file in a process of its own, with a limit to the size of files or on a small disk.
/// None if this is that process.
fn alone(test: &str, shell: &str) -> Option<std::process::Output> {
    if std::env::var_os("ARCHIVE_TEST_ALONE").is_some() {
        return None;
    }
    let name = format!("{}::{test}", module_path!().split_once("::").expect("a crate").1);
    let mut command = Command::new("bash");
    command.args(["-c", shell]).arg(std::env::current_exe().unwrap()).arg(name);
    Some(command.env("ARCHIVE_TEST_ALONE", "1").output().expect("bash"))
}

/// Writes until the system refuses; checks that nothing was sealed, and that it goes on when there is room.
fn write_until_refused(folder: &Path, said: &str, make_room: impl FnOnce()) {
    let folder = Folder::new(folder.to_owned());
    let claim = folder.claim(&owner("A")).unwrap();
    let line = "x".repeat(10_000);
    let mut writer = claim.begin(0).unwrap();
    let error = (0..1000).find_map(|_| writer.append(&line).err());
    let error = error.expect("the system refuses").to_string();
    let part = folder.path().join("part");
    assert!(error.starts_with(&format!("can't write {}: {said}", part.display())), "{error}");
    // Nobody knows how much of it was written, so room alone doesn't help.
    make_room();
    assert!(writer.append("{}").is_err(), "it goes on after a failure");
    assert!(writer.seal().is_err(), "it was sealed after a failure");
    assert!(claim.remove_strays(&[], 0).unwrap().ends_with(&[part]));
    let mut writer = claim.begin(0).unwrap();
    writer.append("{}").unwrap();
    let segment = writer.seal().unwrap();
    assert_eq!(folder.verify(&segment, &mut |_| true), Ok(true));
}

#[test]
fn a_file_that_may_not_grow_is_named() {
    let shell = "ulimit -f 1024; trap '' XFSZ; exec \"$0\" --exact \"$1\" --nocapture";
    let Some(output) = alone("a_file_that_may_not_grow_is_named", shell) else {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("archive");
        return write_until_refused(&folder, "the file would be larger than allowed", || {});
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}{output:?}");
}

#[test]
fn a_full_disk_is_named_and_nothing_is_lost() {
    // A disk of 1 MiB that only this process sees.
    let shell = "unshare -rm true 2>/dev/null || exit 77; \
                 exec unshare -rm bash -c 'mount -t tmpfs -o size=1m none /mnt || exit 77; \
                 exec \"$0\" --exact \"$1\" --nocapture' \"$0\" \"$1\"";
    let Some(output) = alone("a_full_disk_is_named_and_nothing_is_lost", shell) else {
        fs::write("/mnt/something", vec![0; 600_000]).unwrap();
        let make_room = || fs::remove_file("/mnt/something").unwrap();
        return write_until_refused(Path::new("/mnt/archive"), "the disk is full", make_room);
    };
    if output.status.code() == Some(77) {
        return; // No disk can be made here.
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}{output:?}");
}
