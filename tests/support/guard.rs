//! A program that doesn't outlive the test, not even one that is killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// Runs a program for as long as somebody holds the other end of standard input. The end of standard
/// input kills it like a power cut. The first argument bounds the files that it may write, in blocks
/// of 512 bytes, if it is not 0: a write beyond that fails, as on a full disk.
const GUARD: &str = r#"
    exec 3<&0
    if [ "$1" != 0 ]; then trap '' XFSZ; ulimit -f "$1"; fi
    shift
    "$@" </dev/null >/dev/null 3<&- &
    program=$!
    echo "$program"
    exec >/dev/null
    { read -r _; kill -KILL "$program"; } <&3 2>/dev/null &
    guard=$!
    wait "$program"
    status=$?
    kill "$guard" 2>/dev/null
    exit "$status"
"#;

/// A program that runs until it ends or this is dropped.
pub struct Guarded {
    shell: Child,
    pid: u32,
}

impl Guarded {
    /// Starts what the command says, with nothing for its input and output. Where its errors go is
    /// for `errors` to say.
    pub fn start(command: &Command, errors: Stdio, file_blocks: u64) -> Guarded {
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD, "sh", &file_blocks.to_string()]);
        shell.arg(command.get_program()).args(command.get_args());
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut shell = shell.spawn().expect("a shell to start it from");
        let pid = first_line(shell.stdout.take().expect("a pipe"));
        Guarded { shell, pid: pid.trim().parse().expect("the program's process id") }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.shell.try_wait().expect("the state of a process")
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.pid.to_string()]).status();
        assert!(status.expect("kill runs").success(), "{} takes no signal", self.pid);
    }

    /// Kills it: SIGKILL. Returns when it is gone.
    pub fn kill(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().expect("the end of a process");
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

fn first_line(output: ChildStdout) -> String {
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("a line from the shell");
    line
}
