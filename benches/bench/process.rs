//! Processes that don't outlive this one, even if it is killed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Fallible;

/// How long anything is waited for. Only a failure waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Says the process's number, and runs it for as long as somebody holds the other end of standard
/// input; the end of standard input kills it like a power cut.
const GUARD: &str = r#"
    exec 3<&0
    "$@" </dev/null 3<&- >"$LOG" 2>&1 &
    child=$!
    echo "$child"
    { read -r _; kill -KILL "$child"; } <&3 2>/dev/null &
    guard=$!
    wait "$child"
    kill "$guard" 2>/dev/null
"#;

/// A process; dropping it kills it.
pub struct Guarded {
    shell: Child,
    /// Its number.
    pub pid: u32,
    log: PathBuf,
}

impl Guarded {
    /// Starts a program, in the folder of the sources; what it says is added to the file `log`.
    pub fn start(program: &Path, arguments: &[String], log: PathBuf) -> Fallible<Guarded> {
        let wrong =
            |error: std::io::Error| format!("{} can't be started: {error}", program.display());
        File::create(&log).map_err(wrong)?;
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "sh"]).arg(program).args(arguments).env("LOG", &log);
        // Runs are counted in what servers tell by default.
        command.env_remove("RUST_LOG");
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = command.spawn().map_err(wrong)?;
        let mut said = String::new();
        let stdout = shell.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut said).map_err(wrong)?;
        let pid =
            said.trim().parse().map_err(|_| format!("{} has no number", program.display()))?;
        Ok(Guarded { shell, pid, log })
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.shell.try_wait(), Ok(None))
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        fs::read(&self.log)
            .map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said).into())
    }

    /// The end of what it said, for an error message.
    pub fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Its resident memory, in bytes.
    pub fn memory(&self) -> Fallible<u64> {
        let mut ps = Command::new("ps");
        let output = ps.args(["-o", "rss=", "-p", &self.pid.to_string()]).output();
        let output = output.map_err(|error| format!("ps: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let kilobytes: u64 = text.trim().parse().map_err(|_| format!("ps says {text:?}"))?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
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
pub fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> Fallible<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = poll() {
            return Ok(found);
        }
        if Instant::now() > until {
            return Err(format!("in vain waited until {what}"));
        }
        thread::sleep(Duration::from_millis(5));
    }
}
