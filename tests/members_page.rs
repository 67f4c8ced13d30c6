//! doc/MEMBERS.md, gone through as a new user would: each command that the page names is run, and says what the
//! page says.
#![cfg(all(feature = "noise", target_os = "linux"))]

mod support;

use std::fs;

use support::walkthrough::{Shell, steps};

#[test]
fn the_page_is_true_from_the_first_command_to_the_last() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/MEMBERS.md")).unwrap();
    let steps = steps(&page);
    assert!(steps.len() > 60, "{} commands are found", steps.len());
    let redis = ["7391", "7392", "7393", "7394", "7395", "7396"];
    let servers = ["8001", "8002", "8003", "8004", "8005", "8011", "8012", "8013", "8021", "8026"];
    let mut shell = Shell::new(&[&redis[..], &servers].concat());
    for step in &steps {
        shell.take(step);
    }
    // A and B have ended by themselves.
    let jobs = shell.jobs.iter_mut().flatten();
    let running = jobs.map(|job| job.ended().is_none()).filter(|runs| *runs).count();
    assert!(running == 0 && shell.stores.is_empty(), "all has ended: {running} still run");
}
