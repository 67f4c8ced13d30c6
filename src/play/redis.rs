//! A play's Redis: its own, or somebody else's that it may use.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::bank::ids::ServerId;
use crate::play::folder::{Folder, end_of, log_at};
use crate::play::guard::Guarded;
use crate::store::StoreError;
use crate::store::redis::leftovers;

/// How long a Redis may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The programs that it may be. Valkey will do as well.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// A Redis in which the servers of a play keep their state.
#[derive(Debug)]
pub(super) enum Redis {
    /// The play's own Redis, which goes with everything in it.
    Own { url: String, _process: Guarded },
    /// Somebody else's Redis, in which nothing may be left.
    Borrowed { url: String, servers: BTreeSet<ServerId> },
}

impl Redis {
    /// Returns the program to start.
    ///
    /// # Errors
    /// Says what to do if there is none.
    pub(super) fn program() -> Result<&'static str, String> {
        PROGRAMS.into_iter().find(|program| is_there(program)).ok_or_else(|| {
            format!(
                "there is no {} in the PATH: ./run.sh play installs Redis; --redis URL uses one \
                 that runs",
                PROGRAMS.join(" or ")
            )
        })
    }

    /// Starts a Redis in a folder, with the settings that servers insist on.
    pub(super) fn start(program: &str, folder: &Folder) -> Result<Redis, String> {
        let data = folder.path().join("redis");
        std::fs::create_dir(&data).map_err(|error| format!("no folder for Redis: {error}"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let port = free_port()?;
            // Between the search for a free port and its use, somebody else may take the port.
            if let Some(redis) = start_at(program, port, &data, folder.path(), deadline)? {
                return Ok(redis);
            }
        }
    }

    /// Uses a Redis that runs. It must hold nothing of servers with these names.
    pub(super) fn borrow(url: &str, servers: &BTreeSet<ServerId>) -> Result<Redis, String> {
        Redis::check(url, servers)?;
        Ok(Redis::Borrowed { url: url.to_owned(), servers: servers.clone() })
    }

    /// Checks that a Redis holds nothing of servers with these names.
    fn check(url: &str, servers: &BTreeSet<ServerId>) -> Result<(), String> {
        // Not its URL, which may hold a password.
        let wrong = |error: String| format!("the play's Redis can't be used: {error}");
        let held = leftovers::any(url, servers).map_err(|error| wrong(error.to_string()))?;
        if let Some(key) = held {
            return Err(wrong(format!(
                "it holds {key}, so a server of that name has its state there; a play needs names \
                 that are not in use"
            )));
        }
        Ok(())
    }

    /// Makes room for a server with an empty store: the store of an earlier one of this play goes.
    pub(super) fn make_room(&mut self, id: &ServerId) -> Result<(), String> {
        let wrong = |error: StoreError| format!("the play's Redis can't be used: {error}");
        let one = BTreeSet::from([id.clone()]);
        if let Redis::Borrowed { url, servers } = self
            && !servers.contains(id)
        {
            Redis::check(url, &one)?;
            servers.insert(id.clone());
        }
        leftovers::forget(self.url(), &one).map_err(wrong)
    }

    /// Returns its URL.
    pub(super) fn url(&self) -> &str {
        match self {
            Redis::Own { url, .. } | Redis::Borrowed { url, .. } => url,
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Redis::Borrowed { url, servers } = self
            && let Err(error) = leftovers::forget(url, &*servers)
        {
            log::warn!("the play's keys are left in its Redis: {error}");
        }
    }
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Starts a Redis at a port; none if the port was taken.
fn start_at(
    program: &str,
    port: u16,
    data: &Path,
    logs: &Path,
    deadline: Instant,
) -> Result<Option<Redis>, String> {
    let log = logs.join("redis.log");
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no"]);
    command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
    command.args(["--no-appendfsync-on-rewrite", "no", "--maxmemory-policy", "noeviction"]);
    command.args(["--aof-load-truncated", "no"]).arg("--dir").arg(data).arg("--logfile").arg(&log);
    let process = log_at(&log).and_then(|log| Guarded::start(&command, log));
    let mut process = process.map_err(|error| format!("{program}: {error}"))?;
    let url = format!("redis://127.0.0.1:{port}/");
    loop {
        if process.ended().is_some() {
            let said = end_of(&log, 15);
            let port_is_taken = said.contains("Address already in use");
            return if port_is_taken { Ok(None) } else { Err(format!("{program} ends:\n{said}")) };
        }
        if process_at(&url) == Some(process.pid()) {
            return Ok(Some(Redis::Own { url, _process: process }));
        }
        if Instant::now() > deadline {
            return Err(format!("{program} does not answer:\n{}", end_of(&log, 15)));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the process id of the Redis that answers there: it may be somebody else's.
fn process_at(url: &str) -> Option<u32> {
    let client = redis::Client::open(url).ok()?;
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(1)).ok()?;
    let info: String = redis::cmd("INFO").arg("server").query(&mut connection).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("process_id:"))?;
    line.trim().parse().ok()
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let port = listener.and_then(|listener| Ok(listener.local_addr()?.port()));
    port.map_err(|error| format!("no free port: {error}"))
}
