//! A Redis of the benchmark's own, with the settings that are shipped.

use std::path::{Path, PathBuf};

use redis::{Client, Connection};

use super::Fallible;
use super::process::{PATIENCE, Process, free_port, wait_for};

/// A `redis-server` on a free loopback port that reads the shipped `redis.conf`.
pub struct OwnRedis {
    process: Process,
    port: u16,
    /// Where it listens beside its port, if it was asked to.
    socket: Option<PathBuf>,
    arguments: Vec<String>,
    log: PathBuf,
}

impl OwnRedis {
    /// Starts one that keeps its data in `folder`.
    pub fn start(folder: &Path) -> Fallible<OwnRedis> {
        let mut all = OwnRedis::start_all(folder, &[""], None, false)?;
        all.pop().ok_or_else(|| "one was started".into())
    }

    /// Starts one for each of these names, with the settings that are shipped or with others, and with a Unix socket or
    /// without one. Waits until all answer.
    pub fn start_all(
        folder: &Path,
        names: &[&str],
        conf: Option<&Path>,
        socket: bool,
    ) -> Fallible<Vec<OwnRedis>> {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("redis.conf");
        let conf = conf.unwrap_or(&shipped);
        let launched = names.iter().map(|name| OwnRedis::launch(folder, name, conf, socket));
        let mut all: Vec<OwnRedis> = launched.collect::<Fallible<_>>()?;
        all.iter_mut().try_for_each(OwnRedis::wait_until_ready)?;
        Ok(all)
    }

    fn launch(folder: &Path, name: &str, conf: &Path, socket: bool) -> Fallible<OwnRedis> {
        let data = folder.join(format!("redis{name}"));
        std::fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        let port = free_port();
        let text = |path: &Path| path.display().to_string();
        let socket = socket.then(|| data.join("socket"));
        let mut arguments: Vec<String> =
            [text(conf), "--port".into(), port.to_string(), "--dir".into(), text(&data)].into();
        if let Some(socket) = &socket {
            arguments.extend(["--unixsocket".into(), text(socket)]);
        }
        let log = folder.join(format!("redis{name}.log"));
        let process = Process::start(&program()?, &arguments, log.clone())?;
        Ok(OwnRedis { process, port, socket, arguments, log })
    }

    /// Kills it as a power cut would, and starts it again. It may take long to read its file.
    pub fn start_again(&mut self) -> Fallible<()> {
        self.process.end();
        self.process = Process::start(&program()?, &self.arguments, self.log.clone())?;
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Fallible<()> {
        wait_for("Redis answers", || {
            if self.process.has_ended() {
                return Some(Err(format!("Redis has ended:\n{}", self.process.last_words())));
            }
            self.answers().then_some(Ok(()))
        })?
    }

    /// True if it has read its file. Another Redis on its port doesn't count.
    pub fn answers(&self) -> bool {
        let Ok(mut connection) = self.connect() else { return false };
        let info: redis::RedisResult<redis::InfoDict> = redis::cmd("INFO").query(&mut connection);
        info.is_ok_and(|info| {
            info.get::<u32>("process_id") == Some(self.process.pid())
                && info.get::<u32>("loading") == Some(0)
        })
    }

    /// Where a server finds it: at its socket, if it has one.
    pub fn url_of_server(&self) -> String {
        match &self.socket {
            Some(socket) => format!("unix://{}", socket.display()),
            None => self.url(),
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it is.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A connection for looking at what is stored.
    pub fn connect(&self) -> Fallible<Connection> {
        connect(&self.url())
    }

    /// The memory that its data take, by its own account.
    pub fn used_memory(&self) -> Fallible<u64> {
        let info: redis::RedisResult<redis::InfoDict> =
            redis::cmd("INFO").arg("memory").query(&mut self.connect()?);
        let info = info.map_err(|error| format!("Redis at {}: {error}", self.url()))?;
        info.get("used_memory").ok_or_else(|| "Redis says nothing of its memory".into())
    }
}

/// A connection to the Redis at a URL.
pub fn connect(url: &str) -> Fallible<Connection> {
    let connection = Client::open(url).and_then(|to| to.get_connection_with_timeout(PATIENCE));
    connection.map_err(|error| format!("Redis at {url}: {error}"))
}

/// Valkey is what some systems now install in Redis's place; it is as good.
fn program() -> Fallible<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["redis-server", "valkey-server"];
    let mut places = std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name)));
    let found = places.find(|program| program.is_file());
    found.ok_or_else(|| "Redis is missing: .ci/install-redis installs it".into())
}

/// A command as Redis reads it.
pub fn pack(command: &mut Vec<u8>, words: &[&[u8]]) {
    command.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        command.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        command.extend_from_slice(word);
        command.extend_from_slice(b"\r\n");
    }
}
