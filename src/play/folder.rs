//! A folder that doesn't outlive the play, even if the play is killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Removes a folder when nobody holds the other end of standard input any more. Programs that write there
/// end at the same time, so it may take several goes.
const KEEPER: &str = r#"
    trap '' HUP INT TERM
    read -r _
    tries=0
    until rm -rf -- "$1" 2>/dev/null || [ "$tries" -ge 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
"#;

/// A temporary folder that is gone when the play is over, however it ends.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    keeper: Child,
}

impl Folder {
    /// Creates a folder.
    pub(super) fn new() -> io::Result<Folder> {
        let name = format!("paxos-banking-play-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(&path);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        match keeper.spawn() {
            Ok(keeper) => Ok(Folder { path, keeper }),
            Err(error) => {
                let _ = fs::remove_dir(&path);
                Err(error)
            }
        }
    }

    /// Returns its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Opens a file to which a program's output is added.
pub(super) fn log_at(path: &Path) -> io::Result<Stdio> {
    fs::OpenOptions::new().create(true).append(true).open(path).map(Stdio::from)
}

/// Returns the last lines of a file, for a person who wonders why a program does not work.
pub(super) fn end_of(path: &Path, lines: usize) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_all_that_is_in_it() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        let log = path.join("log");
        for word in ["one", "two"] {
            let mut echo = Command::new("echo");
            assert!(echo.arg(word).stdout(log_at(&log).unwrap()).status().unwrap().success());
        }
        assert_eq!(end_of(&log, 1), "two");
        assert_eq!(end_of(&log, 9), "one\ntwo");
        drop(folder);
        assert!(!path.exists());
    }
}
