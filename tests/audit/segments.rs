//! Files of an archive, which hold a part of a chain each, can be audited: together, and without the beginning.

use std::fs;
use std::path::{Path, PathBuf};

use paxos_banking::audit::{Options, SOUND, UNREAD, WRONG};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::banks::{audit, audit_files, blocks, nothing, sound, told};

/// Writes lines to a file.
fn write(folder: &Path, name: &str, lines: &[String]) -> PathBuf {
    let path = folder.join(name);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, text).unwrap();
    path
}

/// The chain of five blocks in three files, as an archive has them.
fn archive(folder: &Path, chain: &[String]) -> [PathBuf; 3] {
    let name = |first, last| format!("{first:012}-{last:012}.jsonl");
    [(0, 1), (2, 3), (4, 4)]
        .map(|(first, last)| write(folder, &name(first, last), &chain[first..=last]))
}

fn first(report: &Value) -> String {
    let file = Path::new(report["first"]["key"].as_str().unwrap_or_default()).file_name();
    let file = file.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!(
        "{file}:{}: {}",
        report["first"]["line"],
        report["first"]["what"].as_str().unwrap_or("-")
    )
}

#[test]
fn files_of_an_archive_are_audited_together_and_without_the_beginning() {
    let mut sound = sound();
    let url = sound.bank.redis("A").url();
    let sealed = blocks(&mut sound.bank.redis("A").connect(), "A");
    let chain: Vec<String> = sealed.iter().map(|block| block.text().to_owned()).collect();
    let folder = tempfile::tempdir().unwrap();
    let [one, two, three] = archive(folder.path(), &chain);

    // All of them are a chain, in whatever order they are named.
    let whole = audit_files(&[three.clone(), one.clone(), two.clone()]);
    assert_eq!(whole.status, SOUND, "{}", whole.report);
    assert_eq!(whole.report["stores"][0]["height"], json!(4));
    assert_eq!(whole.report["stores"][0]["head"], json!(sealed[4].hash()));
    assert_eq!(whole.report["stores"].as_array().map(Vec::len), Some(1));

    // Without the beginning they are a stretch of one.
    let stretch = audit_files(&[two.clone(), three.clone()]);
    assert_eq!(stretch.status, SOUND, "{}", stretch.report);
    let said = &stretch.report["stretches"][0];
    assert_eq!([&said["first"], &said["last"]], [&json!(2), &json!(4)]);
    assert_eq!(said["previous"], json!(sealed[1].hash()));
    assert_eq!(said["head"], json!(sealed[4].hash()));
    assert_eq!(said["fits"], json!(null));
    let text = told(&Options { files: vec![two.clone()], ..nothing() });
    assert!(text.contains("  blocks   2 to 3, head "), "{text}");
    assert!(text.contains("each block is linked to the one before"), "{text}");
    assert!(
        text.ends_with("\nsound, as far as can be known without the blocks before\n"),
        "{text}"
    );

    // A whole chain says whether it is a part of it.
    let beside = audit(&Options { redis: vec![url], files: vec![two.clone()], ..nothing() });
    assert_eq!(beside.status, SOUND, "{}", beside.report);
    let fits = beside.report["stretches"][0]["fits"].as_str().unwrap();
    assert!(fits.starts_with("A in Redis at "), "{fits}");

    // With a gap there are two pieces.
    let gap = audit_files(&[one.clone(), three]);
    assert_eq!(gap.status, SOUND, "{}", gap.report);
    assert_eq!(gap.report["stores"][0]["height"], json!(1));
    assert_eq!(gap.report["stretches"][0]["first"], json!(4));
    assert_eq!(audit_files(&[one, folder.path().join("nowhere")]).status, UNREAD);
    damaged(&chain, &folder);
}

/// A change to a file's lines.
type Change<'a> = &'a dyn Fn(&mut Vec<String>);

/// Damages the second of the three files, and looks what is said: with the others, and of it alone.
fn damaged(chain: &[String], folder: &TempDir) {
    let other =
        "{\"height\":3,\"previous\":\"".to_owned() + &"0".repeat(64) + "\",\"proposer\":\"A\"}";
    let changes: [(Change, &str, &str); 6] = [
        (
            &|lines| lines.swap(0, 1),
            "2: it is block 2 where block 4 should",
            "2: it is block 2 where block 4 should",
        ),
        (&|lines| lines[1] = other.clone(), "2: block 3 does not link", "2: block 3 does not link"),
        (
            &|lines| lines[0] = lines[0].replacen(",25]", ",26]", 1),
            "2: block 3 does not link",
            "2: block 3 does not link",
        ),
        (&|lines| lines[1] = "{}".into(), "2: missing field", "2: missing field"),
        (
            &|lines| {
                lines.push("{\"log\":{\"epoch\":1,\"seq\":1,\"entries\":[[\"A\",\"B\",1]]}}".into())
            },
            "3: no block",
            "3: no block",
        ),
        (&|lines| lines.push(chain[0].clone()), "3: it is block 0 where", "3: it is block 0 where"),
    ];
    for (change, with_others, alone) in changes {
        let folder = tempfile::tempdir_in(folder.path()).unwrap();
        let files = archive(folder.path(), chain);
        let mut lines = chain[2..=3].to_vec();
        change(&mut lines);
        let name = files[1].file_name().unwrap().to_str().unwrap();
        let changed = write(folder.path(), name, &lines);
        for (files, said) in [(files.to_vec(), with_others), (vec![changed], alone)] {
            let audited = audit_files(&files);
            assert_eq!(audited.status, WRONG, "{said}: {}", audited.report);
            let first = first(&audited.report);
            assert!(first.contains(said), "{said}: {first}");
        }
    }
    // A file that is cut in a line, and one that is not of this chain.
    let cut = folder.path().join("cut.jsonl");
    fs::write(&cut, &chain[2][..chain[2].len() - 3]).unwrap();
    let audited = audit_files(&[cut]);
    assert_eq!(audited.status, WRONG, "{}", audited.report);
    let stranger = write(folder.path(), "stranger.jsonl", &[other]);
    let [one, two, _] = archive(folder.path(), chain);
    let audited = audit_files(&[one, two, stranger]);
    assert!(
        first(&audited.report).starts_with("stranger.jsonl:1: block 3 is "),
        "{}",
        audited.report
    );
}
