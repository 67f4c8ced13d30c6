//! `config check`: what the environment and a file set, and whether each command can be started with that.

use std::ffi::OsString;
use std::fmt::Write;

use clap::Command;
use clap::error::ErrorKind;

use super::super::environment::Environment;
use super::{Added, Settings, complete, explain, strange_variables};

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Checked {
    /// For people.
    pub text: String,
    /// True if every command can be started with what is set.
    pub good: bool,
}

/// Checks each command of which something is set. `start` reads a command line, as if the program were started with it.
pub fn check(
    program: &mut Command,
    environment: &Environment,
    file: Option<&Settings>,
    start: impl Fn(Vec<OsString>) -> Result<(), clap::Error>,
) -> Checked {
    let mut checked = Checked { text: String::new(), good: true };
    let mut say = |line: String| writeln!(checked.text, "{line}").expect("a string takes all");
    match file {
        Some(file) => say(format!("file: {}", file.path.display())),
        None => say("file: none (--config, or PAXOS_BANKING_CONFIG, names one)".to_owned()),
    }
    for name in strange_variables(&environment.variables, program) {
        say(format!("{name} sets no flag, and changes nothing"));
    }
    let names: Vec<String> =
        program.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        let words = vec!["paxos-banking".into(), name.clone().into()];
        let done = match complete(words, program, &environment.variables, file) {
            Ok(done) => done,
            Err(why) => {
                say(format!("{name}: {why}"));
                checked.good = false;
                break;
            }
        };
        if done.added.is_empty() {
            continue;
        }
        say(format!("{name}:"));
        done.added.iter().for_each(|added| say(format!("  {}", shown(added))));
        if let Err(error) = start(done.words) {
            let error = explain(error, &done.added, program);
            if error.kind() == ErrorKind::MissingRequiredArgument {
                let text = error.to_string();
                let missing = text.lines().filter_map(|line| line.trim().strip_prefix("--"));
                let missing: Vec<String> = missing.map(|flag| format!("--{flag}")).collect();
                say(format!("  and on the command line: {}", missing.join(", ")));
            } else {
                let text = error.to_string();
                say(format!("  {}", text.lines().next().unwrap_or_default()));
                checked.good = false;
            }
        }
    }
    checked
}

/// A flag with its value, and who says so. A Redis's URL may hold its password, and is not shown.
fn shown(Added { flag, words, origin }: &Added) -> String {
    match &flag[..] {
        "redis" => format!("--redis (by {origin})"),
        _ => format!("{} (by {origin})", words.join(" ")),
    }
}
