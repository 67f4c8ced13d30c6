//! What the program says of a backup.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::bank::Archived;

/// The program, told something.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    command.args(arguments).env_remove("PAXOS_BANKING_REDIS");
    command
}

/// What the program said, with its status.
#[derive(Debug)]
pub struct Told {
    pub status: i32,
    pub out: String,
    pub errors: String,
}

impl Told {
    pub fn of(output: Output) -> Told {
        Told {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The command that takes a backup of a server.
pub fn backup_command(archived: &mut Archived, id: &str, folder: &Path) -> Command {
    let mut command = program(&["backup", "--id", id, "--redis", &archived.bank.redis(id).url()]);
    command.arg("--archive").arg(archived.folder(id)).arg(folder);
    command
}

/// Takes a backup of a server.
pub fn back_up(archived: &mut Archived, id: &str, folder: &Path) -> Told {
    Told::of(backup_command(archived, id, folder).output().unwrap())
}

/// Verifies a backup.
pub fn verify(folder: &Path) -> Told {
    Told::of(program(&["backup", "--verify"]).arg(folder).output().unwrap())
}

/// The manifest of a backup.
pub fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("backup.json")).unwrap()).unwrap()
}

/// The names in a folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}
