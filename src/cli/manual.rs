//! Completions for shells, and man pages: made of the command line's own definition.

use std::path::{Path, PathBuf};

use clap::{Args, Command};

/// For which shell completions are to be printed.
#[derive(Args)]
#[command(after_help = "For bash: paxos-banking completions bash > \
                        ~/.local/share/bash-completion/completions/paxos-banking")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Where man pages are to be written.
#[derive(Args)]
pub struct Man {
    /// The folder, which is made if it isn't there: one page for the program, and one for each command
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// Returns the completions for a shell.
pub fn completions(shell: clap_complete::Shell, program: &mut Command) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, program, "paxos-banking", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Writes the man pages.
///
/// # Errors
/// If the folder can't be made or written.
pub fn write_pages(folder: &Path, program: Command) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(program, folder).map_err(failed)
}
