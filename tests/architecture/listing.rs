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

/// The variants of an enum, as they are on the wire.
fn variants(file: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(file).expect("readable");
    let list = text.split(&format!("pub enum {name} {{")).nth(1);
    let list = list.and_then(|rest| rest.split('}').next());
    let variants = list.expect("the enum").lines().map(str::trim);
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

/// The names in the first column of the tables of a section.
fn first_column(page: &str, section: &str, row: &str) -> Vec<String> {
    let page = fs::read_to_string(page).expect("readable");
    let table = page.split(section).nth(1).expect("its section");
    let rows = table.lines().filter_map(|line| line.strip_prefix(row));
    let cells = rows.filter_map(|line| line.split('|').next());
    let words = cells.flat_map(|cell| cell.split('`').map(str::to_owned).collect::<Vec<_>>());
    words.filter(|word| word.contains(char::is_alphabetic)).collect()
}

#[test]
fn the_list_of_codes_is_complete_and_in_their_order() {
    let listed = first_column("doc/WIRE.md", "## Why it did not happen", "| `");
    assert_eq!(listed, variants("src/bank/reason.rs", "Code"));
}

#[test]
fn the_list_of_what_to_send_again_has_each_error_and_each_code() {
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let errors = variants("src/bank/request.rs", "ErrorCode");
    let listed = first_column("doc/CLIENTS.md", "## Which to send again", "| `error`: ");
    assert_eq!(sorted(listed), sorted(errors));
    let listed = first_column("doc/CLIENTS.md", "The codes of outcomes", "| `");
    let listed: Vec<String> = listed.into_iter().filter(|word| word != "code").collect();
    assert_eq!(sorted(listed), sorted(variants("src/bank/reason.rs", "Code")));
}
