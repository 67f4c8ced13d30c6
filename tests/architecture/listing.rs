//! `tests/README.md` names each file and folder of `tests/`, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn the_list_of_tests_is_complete() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let there = fs::read_dir(&folder).expect("a folder").map(|entry| {
        let entry = entry.expect("an entry");
        let slash = if entry.path().is_dir() { "/" } else { "" };
        format!("{}{slash}", entry.file_name().to_str().expect("text"))
    });
    let there: BTreeSet<String> = there.collect();
    let list = fs::read_to_string(folder.join("README.md")).expect("the list");
    let lines = list.lines().filter_map(|line| line.strip_prefix("- `"));
    let lines: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once("`: ")).collect();
    let named: BTreeSet<String> = lines.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(named.len(), lines.len(), "one of them is named twice");
    let missing: Vec<_> = there.difference(&named).collect();
    assert!(missing.is_empty(), "tests/README.md lacks {missing:?}");
    let gone: Vec<_> = named.difference(&there).collect();
    assert!(gone.is_empty(), "tests/README.md names {gone:?}, which is not there");
}
