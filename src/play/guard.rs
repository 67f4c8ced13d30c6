//! Programs that don't outlive their starter, even if it is killed.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Runs a program while somebody holds the other end of standard input. However the starter ends, this
/// end closes, and the program is killed as by a power cut.
const GUARD: &str = r#"
    exec 3<&0
    "$@" </dev/null >/dev/null 3<&- &
    program=$!
    # What ends the one ends the other by way of the input, whether the program heeds it or not.
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

/// A program that runs until it ends or this is dropped.
#[derive(Debug)]
pub struct Guarded {
    shell: Child,
    pid: u32,
}

impl Guarded {
    /// Starts a command, with nothing for its input and output. Its errors go to `errors`.
    ///
    /// # Errors
    /// If there is no shell to start it from.
    pub fn start(command: &Command, errors: Stdio) -> io::Result<Guarded> {
        let mut shell = Command::new("sh");
        shell.args(["-c", GUARD, "sh"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut shell = shell.spawn()?;
        let mut line = String::new();
        let output = shell.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        BufReader::new(output).read_line(&mut line)?;
        match line.trim().parse() {
            Ok(pid) => Ok(Guarded { shell, pid }),
            Err(_) => Err(io::Error::other("the shell that was to start it told no process id")),
        }
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns how it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.shell.try_wait().ok().flatten()
    }

    /// Sends it a signal, such as `STOP`.
    ///
    /// # Errors
    /// If the signal can't be sent.
    pub fn signal(&self, name: &str) -> Result<(), String> {
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), &self.pid.to_string()]).stderr(Stdio::null());
        match kill.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(format!("process {} can't be sent {name}", self.pid)),
            Err(error) => Err(format!("kill can't be run: {error}")),
        }
    }

    /// Kills it, and returns when it is gone.
    pub fn kill(&mut self) {
        drop(self.shell.stdin.take());
        // If it can't be waited for, it isn't there.
        let _ = self.shell.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_was_started_ends_with_its_guard() {
        let mut sleep = Command::new("sleep");
        sleep.arg("1000");
        let mut guarded = Guarded::start(&sleep, Stdio::null()).unwrap();
        let pid = guarded.pid();
        assert!(guarded.ended().is_none());
        guarded.signal("STOP").unwrap();
        drop(guarded);
        let mut alive = Command::new("kill");
        alive.args(["-0", &pid.to_string()]).stderr(Stdio::null());
        assert!(!alive.status().unwrap().success());
    }

    #[test]
    fn it_is_started_as_the_command_says_and_its_end_is_seen() {
        let mut said = tempfile::tempfile().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo $WORD $(pwd) >&2; exit 3"]).env("WORD", "one").current_dir("/");
        let mut guarded = Guarded::start(&command, said.try_clone().unwrap().into()).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = guarded.ended() {
                break status;
            }
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(status.code(), Some(3));
        let mut text = String::new();
        said.rewind().and_then(|()| said.read_to_string(&mut text)).unwrap();
        assert_eq!(text, "one /\n");
    }
}
