//! Programs that don't outlive the play, not even one that is killed.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Runs a program for as long as somebody holds the other end of standard input: whatever ends the
/// play closes that, and the program is killed like by a power cut.
const GUARD: &str = r#"
    exec 3<&0
    "$@" </dev/null >/dev/null 3<&- &
    program=$!
    # What ends the play ends the program by way of the input, whether the program heeds it or not.
    trap '' HUP INT TERM
    echo "$program"
    exec >/dev/null
    { read -r _; kill -KILL "$program"; } <&3 2>/dev/null &
    guard=$!
    wait "$program"
    status=$?
    kill "$guard" 2>/dev/null
    exit "$status"
"#;

/// Removes a folder when nobody holds the other end of standard input any more. Those who write there
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

/// A program that runs until it ends or this is dropped.
#[derive(Debug)]
pub(super) struct Guarded {
    shell: Child,
    pid: u32,
}

impl Guarded {
    /// Starts what the command says, with nothing for its input and output, and its errors in `log`.
    pub(super) fn start(command: &Command, log: &Path) -> io::Result<Guarded> {
        let log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD, "sh"]).arg(command.get_program()).args(command.get_args());
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut shell = shell.spawn()?;
        let mut line = String::new();
        let output = shell.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        BufReader::new(output).read_line(&mut line)?;
        match line.trim().parse() {
            Ok(pid) => Ok(Guarded { shell, pid }),
            Err(_) => Err(io::Error::other("the shell that was to start it told no process id")),
        }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.shell.try_wait().ok().flatten()
    }

    /// Sends it a signal, such as `STOP`.
    ///
    /// # Errors
    /// If it can't be sent.
    pub(super) fn signal(&self, name: &str) -> Result<(), String> {
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), &self.pid.to_string()]).stderr(Stdio::null());
        match kill.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(format!("process {} can't be sent {name}", self.pid)),
            Err(error) => Err(format!("kill can't be run: {error}")),
        }
    }
}

impl Drop for Guarded {
    /// Kills it, and returns when it is gone.
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // If it can't be waited for, it isn't there.
        let _ = self.shell.wait();
    }
}

/// A temporary folder that is gone when the play is over, however that ends.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    keeper: Child,
}

impl Folder {
    /// A new one.
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

    /// Where it is.
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

/// The last lines of a file, for whoever wonders why a program does not work.
pub(super) fn end_of(path: &Path, lines: usize) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_was_started_ends_with_its_guard_and_leaves_no_folder() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        let mut sleep = Command::new("sleep");
        sleep.arg("1000");
        let mut guarded = Guarded::start(&sleep, &path.join("log")).unwrap();
        let pid = guarded.pid();
        assert!(guarded.ended().is_none());
        guarded.signal("STOP").unwrap();
        drop(guarded);
        let mut alive = Command::new("kill");
        alive.args(["-0", &pid.to_string()]).stderr(Stdio::null());
        assert!(!alive.status().unwrap().success());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_program_that_ends_by_itself_is_seen_and_its_words_are_kept() {
        let folder = Folder::new().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo one >&2; echo two >&2; exit 3"]);
        let mut guarded = Guarded::start(&command, &log).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = guarded.ended() {
                break status;
            }
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(status.code(), Some(3));
        assert_eq!(end_of(&log, 1), "two");
        assert_eq!(end_of(&log, 9), "one\ntwo");
    }
}
