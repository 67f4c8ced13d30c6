//! Processes that don't outlive this one, even if it is killed.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use paxos_banking::play::guard::Guarded;

use super::Fallible;

/// How long anything is waited for. Only a failure waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process of which it is kept what it says; dropping it kills it.
pub struct Process {
    guarded: Guarded,
    log: PathBuf,
}

impl Process {
    /// Starts a program, in the folder of the sources; what it says comes into the file `log`.
    pub fn start(program: &Path, arguments: &[String], log: PathBuf) -> Fallible<Process> {
        Process::start_limited(program, arguments, log, None)
    }

    /// The same of a program that may open so many files.
    pub fn start_limited(
        program: &Path,
        arguments: &[String],
        log: PathBuf,
        open_files: Option<u32>,
    ) -> Fallible<Process> {
        let limit = open_files.map_or(String::new(), |files| format!("ulimit -n {files}; "));
        // Redis says what it says to its output.
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit}exec \"$@\" >&2"), "sh"]).arg(program).args(arguments);
        // Runs are counted in what servers tell by default.
        command.env_remove("RUST_LOG");
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        let guarded = File::create(&log).and_then(|log| Guarded::start(&command, log.into()));
        let guarded =
            guarded.map_err(|error| format!("{} can't be started: {error}", program.display()))?;
        Ok(Process { guarded, log })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.guarded.pid()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.guarded.ended().is_some()
    }

    /// Kills it as a power cut would; returns when it is gone.
    pub fn end(&mut self) {
        self.guarded.kill();
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        fs::read(&self.log)
            .map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said).into())
    }

    /// The end of what it said, for an error message.
    pub fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Its resident memory, in bytes.
    pub fn memory(&self) -> Fallible<u64> {
        let mut ps = Command::new("ps");
        let output = ps.args(["-o", "rss=", "-p", &self.pid().to_string()]).output();
        let output = output.map_err(|error| format!("ps: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let kilobytes: u64 = text.trim().parse().map_err(|_| format!("ps says {text:?}"))?;
        Ok(kilobytes * 1024)
    }
}

/// A loopback address that nobody listens on now. It is below the ports that systems give to
/// connections, or else one of those could take it while its server is down.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Several benchmarks and tests may run at once: each begins somewhere else.
    let start = (std::process::id() as u16).wrapping_mul(67);
    loop {
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + start.wrapping_add(count) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Polls until it gives something; says what was waited for if it never does.
pub fn wait_for<T>(what: &str, poll: impl FnMut() -> Option<T>) -> Fallible<T> {
    wait_as_long(PATIENCE, what, poll)
}

/// The same, with a patience of its own.
pub fn wait_as_long<T>(
    patience: Duration,
    what: &str,
    mut poll: impl FnMut() -> Option<T>,
) -> Fallible<T> {
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = poll() {
            return Ok(found);
        }
        if Instant::now() > until {
            return Err(format!("waited in vain until {what}"));
        }
        thread::sleep(Duration::from_millis(5));
    }
}
