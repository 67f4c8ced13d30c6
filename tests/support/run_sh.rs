//! `./run.sh` in a folder of a test's own, with everything that it starts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::cluster::free_address;

/// Ends what run.sh has started and removes the folder when nobody holds the other end of standard input
/// any more, however a test ends.
const KEEPER: &str = r#"
    trap '' HUP INT TERM
    read -r _
    "$0/run.sh" down >/dev/null 2>&1
    rm -rf -- "$0"
"#;

/// What run.sh said, and its exit status.
pub struct Said {
    /// The exit status.
    pub status: i32,
    /// What went to standard output, and then what went to standard error.
    pub text: String,
}

/// A copy of run.sh, with a folder `data` of its own.
pub struct RunSh {
    folder: PathBuf,
    base_port: u16,
    redis_port: u16,
    keeper: Child,
}

impl RunSh {
    /// One that has nothing yet.
    pub fn new() -> RunSh {
        let folder = TempDir::new().expect("a temporary folder").keep();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        program(&folder, "run.sh", &fs::read_to_string(root.join("run.sh")).expect("run.sh"));
        for name in [".ci", "redis.conf", "tests"] {
            symlink(root.join(name), folder.join(name)).expect("a link");
        }
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER]).arg(&folder).stdin(Stdio::piped()).stdout(Stdio::null());
        keeper.env("TMUX_TMPDIR", &folder);
        let keeper = keeper.spawn().expect("a shell");
        let base_port = ports_in_a_row(FIGURES_ABOVE + MOST_SERVERS);
        RunSh { folder, base_port, redis_port: ports_in_a_row(MOST_SERVERS), keeper }
    }

    /// One with a copy of what another, which doesn't run, has in its folder `data`.
    pub fn with_data_of(other: &RunSh) -> RunSh {
        let copy = RunSh::new();
        copy_folder(&other.folder.join("data"), &copy.folder.join("data"));
        copy
    }

    /// `data/bank`, where run.sh keeps the bank.
    pub fn bank(&self) -> PathBuf {
        self.folder.join("data/bank")
    }

    /// The folder of a server's Redis.
    pub fn redis(&self, id: &str) -> PathBuf {
        self.bank().join(format!("redis-{id}"))
    }

    /// The port of A's Redis.
    pub fn redis_port(&self) -> u16 {
        self.redis_port
    }

    /// Runs it, `up` by these words being none.
    pub fn run(&self, words: &[&str]) -> Said {
        self.run_with(words, &[])
    }

    /// The same, with more in its environment.
    pub fn run_with(&self, words: &[&str], environment: &[(&str, &str)]) -> Said {
        self.say(self.command(words).envs(environment.iter().copied()))
    }

    /// The same, by somebody who stands in another folder.
    pub fn run_from(&self, folder: &Path, words: &[&str]) -> Said {
        self.say(self.command(words).current_dir(folder))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.folder.join("run.sh"));
        command.args(words).stdin(Stdio::null());
        command.env("PAXOS_BANKING_BIN", env!("CARGO_BIN_EXE_paxos-banking"));
        command.env("TERMINALS", "none").env_remove("SERVER_FLAGS").env_remove("TMUX");
        command.env("TMUX_TMPDIR", &self.folder).env("XDG_STATE_HOME", &self.folder);
        command.env("BASE_PORT", self.base_port.to_string());
        command.env("REDIS_PORT", self.redis_port.to_string());
        command
    }

    fn say(&self, command: &mut Command) -> Said {
        let output = command.output().expect("bash");
        let text = [output.stdout, output.stderr].concat();
        Said {
            status: output.status.code().unwrap_or(-1),
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    /// Asks the tmux in which it has its panes; an error's text is none.
    pub fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(words).env("TMUX_TMPDIR", &self.folder).env_remove("TMUX");
        let output = command.output().expect("tmux");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs it, and fails if that fails.
    pub fn must(&self, words: &[&str]) -> String {
        let Said { status, text } = self.run(words);
        assert_eq!(status, 0, "./run.sh {}: {text}", words.join(" "));
        text
    }

    /// What a server's client says to a command.
    pub fn tell(&self, id: &str, command: &str) -> Said {
        self.run(&["client", id, "--timeout", "5s", "--give-up-after", "10s", "-c", command])
    }

    /// The processes that work in this folder or at these ports.
    pub fn processes(&self) -> Vec<String> {
        let all = Command::new("ps").args(["-eo", "args"]).output().expect("ps");
        let all = String::from_utf8_lossy(&all.stdout).into_owned();
        let redis = (0..3).map(|more| format!("redis-server 127.0.0.1:{}", self.redis_port + more));
        let here = self.folder.display();
        let shown = ["run.sh view", "run.sh window", "data/bank/logs"];
        let shown = shown.map(|what| format!("{here}/{what}"));
        let server = format!("A=127.0.0.1:{},", self.base_port);
        let marks: Vec<String> = redis.chain([server]).chain(shown).collect();
        let ours = |line: &&str| marks.iter().any(|mark| line.contains(mark));
        all.lines().filter(ours).map(str::to_owned).collect()
    }
}

impl Drop for RunSh {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// How many servers a bank may have here: three, and those that are added.
const MOST_SERVERS: u16 = 6;
/// How far above a server's port run.sh has the one for its figures.
const FIGURES_ABOVE: u16 = 100;

/// The first of so many ports in a row that nobody listens at now, and that no other test is given.
fn ports_in_a_row(count: u16) -> u16 {
    let port = || free_address().rsplit(':').next().unwrap().parse::<u16>().unwrap();
    loop {
        let first = port();
        if (1..count).all(|place| port() == first + place) {
            return first;
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy_folder(&path, &name),
            false => drop(fs::copy(&path, &name).expect("a copy")),
        }
    }
}

/// A program by that name, in a folder, that does what this script says.
///
/// Another process writes it. Children that a test beside this one is just starting have for a moment all that this
/// process has open, and no program can be run that somebody has open to write.
pub fn program(folder: &Path, name: &str, script: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(folder.join(name));
    let mut writer = shell.stdin(Stdio::piped()).spawn().expect("a shell");
    let mut text = writer.stdin.take().expect("it is piped");
    text.write_all(script.as_bytes()).expect("the script is taken");
    drop(text);
    assert!(writer.wait().expect("a shell").success(), "{name} is written");
}
