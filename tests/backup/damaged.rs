//! Each kind of damage to a backup is found and named, by `backup --verify` and by `audit`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bank::Archived;
use crate::taking::sha256;
use crate::told::{Told, back_up, manifest, program, verify};

/// A copy of a backup, to be damaged.
struct Copy {
    dir: PathBuf,
    manifest: Value,
}

impl Copy {
    fn of(whole: &Path, dir: PathBuf) -> Copy {
        fs::create_dir(&dir).unwrap();
        for entry in fs::read_dir(whole).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
        }
        let manifest = manifest(&dir);
        Copy { dir, manifest }
    }

    /// The file of blocks with this number.
    fn segment(&self, number: usize) -> PathBuf {
        self.named(&self.manifest["segments"][number])
    }

    fn tail(&self) -> PathBuf {
        self.named(&self.manifest["tail"])
    }

    fn named(&self, blocks: &Value) -> PathBuf {
        let [first, last] = ["first", "last"].map(|key| blocks[key].as_u64().unwrap());
        self.dir.join(format!("{first:012}-{last:012}.jsonl"))
    }

    fn log(&self) -> PathBuf {
        self.dir.join(self.manifest["log"]["file"].as_str().unwrap())
    }

    fn edit(&self, path: &Path, edit: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(path).unwrap();
        let edited = edit(text.clone());
        assert_ne!(text, edited, "{}", path.display());
        fs::write(path, edited).unwrap();
    }

    fn write_manifest(&self) {
        fs::write(self.dir.join("backup.json"), self.manifest.to_string()).unwrap();
    }

    /// Makes the manifest agree with what was done to the tail or the log.
    fn agree(&mut self, which: &str) {
        let path = if which == "log" { self.log() } else { self.tail() };
        let text = fs::read_to_string(path).unwrap();
        self.manifest[which]["bytes"] = json!(text.len());
        self.manifest[which]["sha256"] = json!(sha256(&text));
        if which == "log" {
            self.manifest[which]["lines"] = json!(text.lines().count());
        } else {
            self.manifest["head"] = json!(sha256(text.lines().next_back().unwrap()));
        }
        self.write_manifest();
    }
}

type Damage = (&'static str, fn(&mut Copy), &'static [&'static str]);

/// What may be wrong with the files themselves.
const OF_FILES: [Damage; 10] = [
    ("a segment is gone", |copy| fs::remove_file(copy.segment(1)).unwrap(), &["it is missing"]),
    (
        "a segment is cut",
        |copy| copy.edit(&copy.segment(1), |text| text[..text.len() - 7].to_owned()),
        &["it is cut short"],
    ),
    (
        "something was added to a segment",
        |copy| copy.edit(&copy.segment(0), |text| text + "\n"),
        &["something was added to it"],
    ),
    (
        "a segment was changed",
        |copy| copy.edit(&copy.segment(2), |text| text.replacen("\",1]", "\",2]", 1)),
        &["it was changed: its SHA-256"],
    ),
    ("a segment is empty", |copy| fs::write(copy.segment(0), "").unwrap(), &["it is empty"]),
    ("the tail is gone", |copy| fs::remove_file(copy.tail()).unwrap(), &["it is missing"]),
    (
        "the tail was changed",
        |copy| copy.edit(&copy.tail(), |text| text.replacen("\",1]", "\",2]", 1)),
        &["it was changed"],
    ),
    ("the log is gone", |copy| fs::remove_file(copy.log()).unwrap(), &[".log: it is missing"]),
    (
        "the log was changed",
        |copy| copy.edit(&copy.log(), |text| text.replacen("2]", "3]", 1)),
        &[".log: it was changed"],
    ),
    (
        "two segments changed places",
        |copy| {
            let (one, other) = (copy.segment(0), copy.segment(1));
            let between = copy.dir.join("between");
            fs::rename(&one, &between).unwrap();
            fs::rename(&other, &one).unwrap();
            fs::rename(&between, &other).unwrap();
        },
        &[".jsonl: "],
    ),
];

/// What may be wrong though each file is as the manifest says.
const OF_THE_WHOLE: [Damage; 12] = [
    (
        "no manifest",
        |copy| fs::remove_file(copy.dir.join("backup.json")).unwrap(),
        &["no backup.json"],
    ),
    (
        "a manifest that is cut",
        |copy| copy.edit(&copy.dir.join("backup.json"), |text| text[..text.len() / 2].to_owned()),
        &["backup.json: the text ends"],
    ),
    (
        "a field that no manifest has",
        |copy| {
            copy.manifest["more"] = json!(1);
            copy.write_manifest();
        },
        &["backup.json: unknown field `more`"],
    ),
    (
        "a backup of a later format",
        |copy| {
            copy.manifest["backup"] = json!(2);
            copy.write_manifest();
        },
        &["the backup is of format 2"],
    ),
    (
        "a segment that the manifest leaves out",
        |copy| {
            copy.manifest["segments"].as_array_mut().unwrap().remove(1);
            copy.write_manifest();
        },
        &["backup.json: it names a file with the blocks"],
    ),
    (
        "a head that isn't the last block",
        |copy| {
            copy.manifest["head"] = json!("ab".repeat(32));
            copy.write_manifest();
        },
        &["backup.json: the last block is"],
    ),
    (
        "another bank's name",
        |copy| {
            copy.manifest["bank"] = json!("ab".repeat(32));
            copy.write_manifest();
        },
        &["backup.json: block 0 is"],
    ),
    (
        "a server that is not of this bank",
        |copy| {
            copy.manifest["server"] = json!("X");
            copy.write_manifest();
        },
        &["X is no member by the chain"],
    ),
    (
        "another epoch",
        |copy| {
            copy.manifest["epoch"] = json!(7);
            copy.write_manifest();
        },
        &["backup.json: the epoch is 7 by it"],
    ),
    (
        "a tail that doesn't go on from the segments",
        |copy| {
            copy.edit(&copy.tail(), |text| {
                let at = text.find("\"previous\":\"").unwrap() + 12;
                format!("{}{}{}", &text[..at], "00", &text[at + 2..])
            });
            copy.agree("tail");
        },
        &["does not link to the block before"],
    ),
    (
        "a log that leaves out its first entries",
        |copy| {
            copy.edit(&copy.log(), |text| text.split_once('\n').unwrap().1.to_owned());
            copy.manifest["entries"] = json!(copy.manifest["entries"].as_u64().unwrap() - 1);
            copy.agree("log");
        },
        &[".log, line 1", "is missing"],
    ),
    (
        "a log that pays more than there is",
        |copy| {
            copy.edit(&copy.log(), |text| text.replacen("2]", "99999]", 1));
            copy.agree("log");
        },
        &[".log, line 1", "A"],
    ),
];

#[test]
fn each_kind_of_damage_is_named() {
    let mut archived = Archived::with_a_past();
    for _ in 0..3 {
        let pays = json!({"transfer": {"to": "C", "amount": 2}});
        assert_eq!(archived.bank.ask("A", &pays).unwrap()["outcome"], json!("accepted"));
    }
    let root = tempfile::tempdir().unwrap();
    let whole = root.path().join("whole");
    assert_eq!(back_up(&mut archived, "A", &whole).status, 0);
    let found = manifest(&whole);
    assert!(found["tail"]["first"].as_u64() > Some(0) && found["entries"] == json!(3), "{found:#}");
    for (number, (name, damage, words)) in OF_FILES.iter().chain(&OF_THE_WHOLE).enumerate() {
        let mut copy = Copy::of(&whole, root.path().join(number.to_string()));
        damage(&mut copy);
        let told = verify(&copy.dir);
        let status = if *name == "no manifest" { 3 } else { 1 };
        assert_eq!(told.status, status, "{name}: {told:?}");
        assert!(words.iter().all(|words| told.errors.contains(words)), "{name}: {told:?}");
        assert_eq!(told.out, "", "{name}");
        // An audit says it as well, except for what only the manifest says.
        let audit = Told::of(program(&["audit"]).arg(&copy.dir).output().unwrap());
        if *name != "another epoch" {
            assert_ne!(audit.status, 0, "{name}: {audit:?}");
        }
    }
}

#[test]
fn all_that_is_damaged_is_named_at_once() {
    let mut archived = Archived::with_a_past();
    let root = tempfile::tempdir().unwrap();
    let whole = root.path().join("whole");
    assert_eq!(back_up(&mut archived, "A", &whole).status, 0);
    let copy = Copy::of(&whole, root.path().join("copy"));
    fs::remove_file(copy.segment(0)).unwrap();
    fs::remove_file(copy.segment(2)).unwrap();
    fs::remove_file(copy.log()).unwrap();
    let told = verify(&copy.dir);
    assert!(told.status == 1 && told.errors.lines().count() == 3, "{told:?}");
}
