//! A page of doc/ whose commands are run, as a new user types them. Only ports differ, and nothing that is started
//! goes on in the background.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use paxos_banking::play::guard::Guarded;
use tempfile::TempDir;

use super::cluster::{free_address, wait_until};
use super::redis::say;

/// A command of the page, and the lines that follow it.
#[derive(Debug)]
pub struct Step {
    command: String,
    says: Vec<String>,
}

/// The steps of a page, in their order.
pub fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in page.lines() {
        // A block is indented by four blanks.
        let Some(line) = line.strip_prefix("    ") else { continue };
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.into(), says: Vec::new() }),
            (None, Some(step)) if step.command.ends_with('\\') => {
                step.command.pop();
                step.command.push_str(line.trim_start());
            }
            (None, Some(step)) => step.says.push(line.into()),
            (None, None) => panic!("a block without a command: {line}"),
        }
    }
    steps
}

/// Whether a line is as the page says, where … stands for anything.
pub fn is_line(said: &str, line: &str) -> bool {
    let mut parts = said.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        (rest, last) = (&rest[at + part.len()..], part);
    }
    // What ends with … has an empty last part.
    rest.is_empty() || (said.contains('…') && (last.is_empty() || line.ends_with(last)))
}

/// Whether lines are as the page says, where a line of … alone stands for any number of lines.
pub fn are_lines(said: &[String], lines: &[&str]) -> bool {
    match (said, lines) {
        ([], []) => true,
        ([any, said @ ..], _) if any.trim() == "…" => {
            (0..=lines.len()).any(|skipped| are_lines(said, &lines[skipped..]))
        }
        ([first, said @ ..], [line, lines @ ..]) => is_line(first, line) && are_lines(said, lines),
        _ => false,
    }
}

/// A user with a clone of the repository, at a shell.
pub struct Shell {
    pub root: TempDir,
    /// What was set so far, which each command finds.
    set: String,
    /// What was started with &, in its order.
    pub jobs: Vec<Option<Guarded>>,
    /// Each Redis that runs, by its port.
    pub stores: BTreeMap<String, Guarded>,
    /// The page's ports, and those that are free here.
    ports: Vec<(&'static str, String)>,
}

impl Shell {
    /// A page names these ports.
    pub fn new(ports: &[&'static str]) -> Shell {
        let (root, here) = (TempDir::new().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")));
        for name in ["doc", "redis.conf"] {
            symlink(here.join(name), root.path().join(name)).unwrap();
        }
        for name in ["home", "data"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let ports = ports.iter().map(|port| (*port, free_port())).collect();
        Shell { root, set: String::new(), jobs: Vec::new(), stores: BTreeMap::new(), ports }
    }

    /// Bash with this command.
    fn bash(&self, command: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_paxos-banking")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
        let mut bash = Command::new("bash");
        bash.args(["-c", &format!("exec 2>&1\n{}{command}", self.set)]);
        bash.current_dir(self.root.path()).env("PATH", path);
        bash.env("HOME", self.root.path().join("home")).env_remove("XDG_CONFIG_HOME");
        bash.env("PYTHONDONTWRITEBYTECODE", "1");
        bash
    }

    fn run(&self, command: &str) -> String {
        let output = self.bash(command).stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Does a step, with the ports that are free here.
    pub fn take(&mut self, step: &Step) {
        let here = |text: &String| {
            self.ports.iter().fold(text.clone(), |text, (page, port)| text.replace(page, port))
        };
        let (command, says) = (here(&step.command), step.says.iter().map(here).collect::<Vec<_>>());
        let first = command.split([' ', '=']).next().unwrap_or_default();
        match first {
            // It is built, and found.
            "cargo" | "export" => {}
            "redis-server" => self.start_redis(&command),
            "redis-cli" => self.tell_redis(&command),
            "cd" | "SERVERS" | "A" | "B" | "C" | "BANK" => {
                let set = format!("{command}\n");
                self.set.push_str(&set.replace("=$(paxos", "=$(2>/dev/null paxos"));
            }
            "kill" => {
                for job in command.split_whitespace().skip(1) {
                    let number: usize = job.trim_start_matches('%').parse().unwrap();
                    assert!(self.jobs[number - 1].take().is_some(), "job {number} ran");
                }
            }
            _ => match command.strip_suffix('&') {
                Some(job) => {
                    let job = self.bash(&format!("exec {job}"));
                    self.jobs.push(Some(Guarded::start(&job, Stdio::null()).unwrap()));
                }
                None => self.expect(&command, &says),
            },
        }
    }

    fn start_redis(&mut self, command: &str) {
        let command = command.strip_suffix(" --daemonize yes").expect("a Redis that is left alone");
        let redis = self.bash(&format!("exec {command}"));
        let port = command.split_whitespace().skip_while(|word| *word != "--port").nth(1).unwrap();
        self.stores.insert(port.into(), Guarded::start(&redis, Stdio::null()).unwrap());
        wait_until("Redis answers", || connection(port).is_some());
    }

    fn tell_redis(&mut self, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["redis-cli", "-p", port, "flushall"] => {
                let said: String = say(&mut connection(port).unwrap(), &["FLUSHALL"]);
                assert_eq!(said, "OK");
            }
            ["redis-cli", "-p", port, "shutdown"] => drop(self.stores.remove(port)),
            _ => panic!("what is that? {command}"),
        }
    }

    /// Runs a command that is to say this. One that only looks is run until it does.
    fn expect(&self, command: &str, says: &[String]) {
        let as_expected = |said: &str| are_lines(says, &said.lines().collect::<Vec<_>>());
        let looks = ["-c status", "-c rejoin", "-c members", "-c balance"]
            .iter()
            .any(|end| command.ends_with(end));
        let mut said = self.run(command);
        if looks && !as_expected(&said) {
            wait_until(&format!("{command} says {says:#?}"), || {
                said = self.run(command);
                as_expected(&said)
            });
        }
        assert!(as_expected(&said), "$ {command}\n{said}\nis not what the page says: {says:#?}");
    }
}

fn connection(port: &str) -> Option<redis::Connection> {
    redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap().get_connection().ok()
}

/// A port that is free at all addresses that pages use.
pub fn free_port() -> String {
    loop {
        let address = free_address();
        let port = address.rsplit(':').next().unwrap();
        let is_free = |host: &str| TcpListener::bind(format!("{host}:{port}")).is_ok();
        if ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"].into_iter().all(is_free) {
            return port.to_owned();
        }
    }
}
