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

/// The codes of reasons, as they are on the wire, by the names of their variants.
fn codes() -> Vec<String> {
    let text = fs::read_to_string("src/bank/reason.rs").expect("readable");
    let list = text.split("pub enum Code {").nth(1).and_then(|rest| rest.split('}').next());
    let variants = list.expect("the codes").lines().map(str::trim);
    let variants = variants.filter_map(|line| line.strip_suffix(','));
    let snake = |variant: &str| {
        let mut code = String::new();
        for character in variant.chars() {
            if character.is_uppercase() && !code.is_empty() {
                code.push('_');
            }
            code.extend(character.to_lowercase());
        }
        code
    };
    variants.filter(|variant| *variant != "Other").map(snake).collect()
}

#[test]
fn the_list_of_codes_is_complete_and_in_their_order() {
    let page = fs::read_to_string("doc/WIRE.md").expect("readable");
    let table = page.split("## Why it did not happen").nth(1).expect("its section");
    let rows =
        table.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('|').nth(1));
    let listed: Vec<&str> = rows
        .flatten()
        .flat_map(|cell| cell.split('`'))
        .filter(|word| word.contains(char::is_alphabetic))
        .collect();
    assert_eq!(listed, codes());
}
