//! doc/KEYS.md, gone through as a new user would: each command that the page names is run, and says what the
//! page says. Only ports differ, and nothing that is started goes on in the background.
#![cfg(all(feature = "noise", target_os = "linux"))]

mod support;

use std::fs;

use support::walkthrough::{Shell, are_lines, is_line, steps};

#[test]
fn the_page_is_true_from_the_first_command_to_the_last() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/KEYS.md")).unwrap();
    let steps = steps(&page);
    assert!(steps.len() > 40, "{} commands are found", steps.len());
    let mut shell = Shell::new(&["7391", "7392", "7393", "8001", "9001"]);
    for step in &steps {
        shell.take(step);
    }
    assert!(shell.jobs.iter().all(Option::is_none) && shell.stores.is_empty(), "all has ended");
    let known = shell.root.path().join("home/.config/paxos-banking/known_servers");
    let known = fs::read_to_string(known).unwrap();
    assert_eq!(known.lines().count(), 3, "{known}");
}

#[test]
fn what_the_page_says_is_compared_with_what_is_said() {
    for (said, line, right) in [
        ("a … c", "a b c", true),
        ("a … c", "a b c d", false),
        ("a …", "a b", true),
        ("a b", "a b c", false),
        ("…b", "a b", true),
        ("a … c … e", "a b c d", false),
    ] {
        assert_eq!(is_line(said, line), right, "{said} | {line}");
    }
    let lines = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    assert!(are_lines(&lines("a/  …/c"), &["a", "b", "b", "c"]));
    assert!(!are_lines(&lines("a/  …/c"), &["a", "b", "d"]));
    assert!(!are_lines(&lines("a"), &["a", "b"]) && !are_lines(&[], &["a"]));
}
