//! Backups of running and stopped servers; later ones write only what is new.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::bank::{Archived, SERVERS};
use crate::support::cluster::Client;
use crate::support::process::Bank;
use crate::told::{Told, back_up, manifest, names, program, verify};

fn is_sound(folder: &std::path::Path) -> String {
    let told = verify(folder);
    assert_eq!((told.status, &*told.errors), (0, ""), "{told:?}");
    told.out
}

#[test]
fn a_backup_of_a_running_server_is_one_moment_and_a_later_one_writes_what_is_new() {
    let mut archived = Archived::with_a_past();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new/of-a");
    let told = back_up(&mut archived, "A", &dir);
    assert_eq!(told.status, 0, "{told:?}");
    let first = manifest(&dir);
    let said = is_sound(&dir);
    for words in [first["bank"].as_str().unwrap(), first["head"].as_str().unwrap(), "server A"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let segments: Vec<Value> = first["segments"].as_array().unwrap().clone();
    assert!(segments.len() >= 3, "{first}");
    // The segments are the archive's own files.
    let name = |segment: &Value| {
        format!(
            "{:012}-{:012}.jsonl",
            segment["first"].as_u64().unwrap(),
            segment["last"].as_u64().unwrap()
        )
    };
    let inode = |path: std::path::PathBuf| fs::metadata(path).unwrap().ino();
    for segment in &segments {
        assert_eq!(inode(dir.join(name(segment))), inode(archived.folder("A").join(name(segment))));
    }
    // Clients pay while the next ones are taken.
    let address = archived.bank.address("A").to_owned();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let payer = scope.spawn(|| {
            let mut client = Client::try_connect(&address).unwrap();
            let mut paid = 0;
            while !over.load(Ordering::Relaxed) {
                let settled = paid % 3 == 0;
                let pays = json!({"transfer": {"to": "B", "amount": 1, "settled": settled}});
                client.try_ask(&pays).expect("an answer");
                paid += 1;
            }
            paid
        });
        for _ in 0..8 {
            assert_eq!(back_up(&mut archived, "A", &dir).status, 0);
            is_sound(&dir);
        }
        over.store(true, Ordering::Relaxed);
        assert!(payer.join().unwrap() > 0);
    });
    let later = manifest(&dir);
    assert!(later["height"].as_u64() > first["height"].as_u64());
    assert!(later["turn"].as_u64() > first["turn"].as_u64());
    assert_eq!(later["segments"].as_array().unwrap()[..segments.len()], segments);
    let told = back_up(&mut archived, "A", &dir);
    assert!(told.out.contains("copied: 0"), "{told:?}");
    // What was replaced is gone: the manifest, the lock, a log, and files that follow each other.
    let named = manifest(&dir)["segments"].as_array().unwrap().len();
    let blocks = names(&dir).iter().filter(|name| name.ends_with(".jsonl")).count();
    assert!(blocks == named || blocks == named + 1, "{:?}", names(&dir));
    assert_eq!(names(&dir).iter().filter(|name| name.ends_with(".log")).count(), 1);
}

#[test]
fn a_backup_of_a_stopped_server_is_its_last_moment_and_can_be_audited() {
    let mut archived = Archived::with_a_past();
    // These stay in the local log.
    for _ in 0..5 {
        let pays = json!({"transfer": {"to": "C", "amount": 2}});
        assert_eq!(archived.bank.ask("A", &pays).unwrap()["outcome"], json!("accepted"));
    }
    SERVERS.iter().for_each(|id| archived.bank.kill(id));
    let folder = tempfile::tempdir().unwrap();
    let mut folders = Vec::new();
    for id in SERVERS {
        let dir = folder.path().join(id);
        assert_eq!(back_up(&mut archived, id, &dir).status, 0);
        is_sound(&dir);
        folders.push(dir);
    }
    let of_a = manifest(&folders[0]);
    assert_eq!((&of_a["entries"], &of_a["epoch"]), (&json!(5), &json!(1)));
    // All three beside the stores; then the files of one with a shell's pattern.
    let urls = SERVERS.map(|id| archived.bank.redis(id).url());
    let mut audit = program(&["audit", "--json"]);
    for (id, url) in SERVERS.iter().zip(&urls) {
        audit.args(["--redis", url]).arg("--archive").arg(archived.folder(id));
    }
    let told = Told::of(audit.args(&folders).output().unwrap());
    let report: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told.status, &report["across"]["agree"]), (0, &json!(true)), "{report:#}");
    assert_eq!(report["stores"].as_array().unwrap().len(), 6);
    let files = names(&folders[0]).into_iter().filter(|name| name.ends_with(".jsonl"));
    let files = files.map(|name| folders[0].join(name));
    let told = Told::of(program(&["audit"]).args(files).output().unwrap());
    let head = &of_a["head"].as_str().unwrap()[..8];
    assert!(told.status == 0 && told.out.contains(head), "{told:?}");
    // Nothing has happened since.
    let told = back_up(&mut archived, "A", &folders[0]);
    assert!(told.out.contains("linked: 0, copied: 0; blocks written: 0"), "{told:?}");
}

#[test]
fn a_server_without_an_archive_is_backed_up_and_may_get_one_later() {
    let mut bank = Bank::start(&["A", "B"]);
    for _ in 0..3 {
        bank.ask("A", &json!({"transfer": {"to": "B", "amount": 1, "settled": true}})).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a");
    let url = bank.redis("A").url();
    // Without --id it is not clear which one is meant.
    let told = Told::of(program(&["backup", "--redis", &url]).arg(&dir).output().unwrap());
    assert!(told.status == 3 && told.errors.contains("--id"), "{told:?}");
    // The archive that a server has not made yet is none: its folder isn't there, or nobody has it yet.
    let archive = folder.path().join("archive");
    let take = || {
        let mut command = program(&["backup", "--id", "A", "--redis", &url, "--archive"]);
        Told::of(command.arg(&archive).arg(&dir).output().unwrap())
    };
    assert_eq!(take().status, 0);
    fs::create_dir(&archive).unwrap();
    fs::write(archive.join("lock"), "").unwrap();
    assert_eq!(take().status, 0);
    // What is something else is no archive.
    fs::write(archive.join("letter"), "").unwrap();
    let told = take();
    assert!(told.status == 3 && told.errors.contains("is no server's archive"), "{told:?}");
    fs::remove_file(archive.join("letter")).unwrap();
    let before = manifest(&dir);
    assert_eq!((&before["segments"], &before["tail"]["first"]), (&json!([]), &json!(0)));
    is_sound(&dir);
    bank.ask("A", &json!({"transfer": {"to": "B", "amount": 1, "settled": true}})).unwrap();
    assert_eq!(take().status, 0);
    is_sound(&dir);
    assert_eq!(manifest(&dir)["height"], json!(before["height"].as_u64().unwrap() + 1));
}

#[test]
fn segments_that_follow_from_elsewhere_are_gone_on_with() {
    let mut archived = Archived::with_a_past();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("c");
    assert_eq!(back_up(&mut archived, "C", &dir).status, 0);
    // As if it had been taken before there was an archive: one file with the first blocks.
    let mut old = manifest(&dir);
    let firsts: Vec<Value> = old["segments"].as_array().unwrap()[..2].to_vec();
    let path = |one: &Value| {
        dir.join(format!(
            "{:012}-{:012}.jsonl",
            one["first"].as_u64().unwrap(),
            one["last"].as_u64().unwrap()
        ))
    };
    let texts: Vec<String> =
        firsts.iter().map(|one| fs::read_to_string(path(one)).unwrap()).collect();
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    let lines = &lines[..lines.len() - 1];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let last = lines.len() - 1;
    let sha = sha256(&text);
    old["segments"] = json!([{"first": 0, "last": last, "bytes": text.len(), "sha256": sha}]);
    old["head"] = json!(sha256(lines[last]));
    (old["height"], old["tail"]) = (json!(last), json!(null));
    fs::write(dir.join(format!("{:012}-{last:012}.jsonl", 0)), text).unwrap();
    fs::write(dir.join("backup.json"), old.to_string()).unwrap();
    let told = back_up(&mut archived, "C", &dir);
    assert_eq!(told.status, 0, "{told:?}");
    is_sound(&dir);
    let now = manifest(&dir);
    assert_eq!(now["segments"][0]["last"], json!(last));
    // One file makes up for the difference; then the archive's own follow.
    assert_eq!(now["segments"][1]["last"], firsts[1]["last"]);
    assert!(told.out.contains("files that were there: "), "{told:?}");
}

/// As `sha256sum` says it.
pub fn sha256(text: &str) -> String {
    paxos_banking::bank::blockchain::block::BlockHash::of(text).to_string()
}
