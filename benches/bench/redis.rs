//! A Redis of the benchmark's own, with the settings that are shipped.

use std::path::Path;

use redis::{Client, Connection};

use super::Fallible;
use super::process::{PATIENCE, Process, free_port, wait_for};

/// A `redis-server` on a free loopback port that reads the shipped `redis.conf`.
pub struct OwnRedis {
    process: Process,
    port: u16,
}

impl OwnRedis {
    /// Starts one that keeps its data in `folder`.
    pub fn start(folder: &Path) -> Fallible<OwnRedis> {
        let data = folder.join("redis");
        std::fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        let port = free_port();
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("redis.conf");
        let text = |path: &Path| path.display().to_string();
        let arguments =
            [text(&conf), "--port".into(), port.to_string(), "--dir".into(), text(&data)];
        let process = Process::start(&program()?, &arguments, folder.join("redis.log"))?;
        let mut redis = OwnRedis { process, port };
        let ready = wait_for("Redis answers", || {
            if redis.process.has_ended() {
                return Some(Err(format!("Redis has ended:\n{}", redis.process.last_words())));
            }
            let mut connection = redis.connect().ok()?;
            let info: redis::InfoDict =
                redis::cmd("INFO").arg("server").query(&mut connection).ok()?;
            let ours = info.get::<u32>("process_id") == Some(redis.process.pid());
            ours.then_some(Ok(()))
        });
        ready??;
        Ok(redis)
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

    /// Its resident memory, in bytes.
    pub fn memory(&self) -> Fallible<u64> {
        self.process.memory()
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
