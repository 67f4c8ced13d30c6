//! A tunnel as a process of the shipped program.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use paxos_banking::play::guard::Guarded;
use tempfile::TempDir;

use super::cluster::{Client, free_address, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_paxos-banking");

/// A user with a home of their own, and a key in it.
pub struct User {
    home: TempDir,
}

impl User {
    pub fn new() -> User {
        let user = User { home: tempfile::tempdir().unwrap() };
        assert!(user.program(&["key"]).output().unwrap().status.success(), "a key was made");
        user
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder of the user's keys.
    pub fn keys(&self) -> PathBuf {
        self.home().join(".config/paxos-banking")
    }

    /// The program, with this home.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env("HOME", self.home()).env_remove("XDG_CONFIG_HOME");
        command
    }

    /// A tunnel to this address, and its user, who has to stay.
    pub fn tunnel_kept(self, connect: &str) -> (User, Tunnel) {
        let tunnel = self.tunnel(connect, &[]);
        (self, tunnel)
    }

    /// A tunnel to this address, which listens.
    pub fn tunnel(&self, connect: &str, flags: &[&str]) -> Tunnel {
        let address = free_address();
        let arguments = ["tunnel", "--listen", &address, "--connect", connect];
        let command = self.program(&[&arguments[..], flags].concat());
        let log = self.home().join("tunnel.log");
        let errors = Stdio::from(File::create(&log).unwrap());
        let guarded = Guarded::start(&command, errors).unwrap();
        let tunnel = Tunnel { address, log, _guarded: guarded };
        wait_until("the tunnel listens", || tunnel.log().contains("listening on"));
        tunnel
    }
}

/// A tunnel; it ends when this is dropped.
pub struct Tunnel {
    pub address: String,
    log: PathBuf,
    _guarded: Guarded,
}

impl Tunnel {
    pub fn client(&self) -> Client {
        Client::connect(&self.address)
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}
