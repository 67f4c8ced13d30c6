//! doc/BACKUP.md, gone through as a new user would: each command that the page names is run, and says what the
//! page says.
#![cfg(target_os = "linux")]

mod support;

use std::fs;

use support::walkthrough::{Shell, steps};

#[test]
fn the_page_is_true_from_the_first_command_to_the_last() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/BACKUP.md")).unwrap();
    let steps = steps(&page);
    assert!(steps.len() > 35, "{} commands are found", steps.len());
    let ports = ["7391", "7392", "7393", "7394", "7395", "7396", "8001", "8002", "8003"];
    let mut shell = Shell::new(&ports);
    for step in &steps {
        shell.take(step);
    }
    assert!(shell.jobs.iter().all(Option::is_none) && shell.stores.is_empty(), "all has ended");
}
