//! Notes down the commit that the program is built from, for `--version`.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PAXOS_BANKING_COMMIT");
    let commit = env::var("PAXOS_BANKING_COMMIT").ok().filter(|commit| !commit.is_empty());
    println!("cargo::rustc-env=PAXOS_BANKING_COMMIT={}", commit.unwrap_or_else(commit_here));
}

/// Returns the commit that is checked out, and whether files differ from it.
fn commit_here() -> String {
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    // A build for tests is not made anew after each commit, for a name that nobody asks for.
    let later = if is_release { "" } else { " or later, a development build" };
    // Any commit and any change of branch is noted there.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|_| is_release) {
        println!("cargo::rerun-if-changed={log}");
    }
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        Some(commit)
            if git(&["status", "--porcelain", "-uno"]).is_some_and(|it| !it.is_empty()) =>
        {
            format!("{commit} and changes{later}")
        }
        Some(commit) => format!("{commit}{later}"),
        None => "unknown".into(),
    }
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
