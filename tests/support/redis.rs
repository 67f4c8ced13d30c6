//! A Redis of a test's own.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use paxos_banking::mend;
use paxos_banking::play::guard::Guarded;
use paxos_banking::store::redis::IDLE;
use redis::{Client, Connection, FromRedisValue};
use tempfile::TempDir;

use super::cluster::wait_until;

/// How long a Redis may take to start. Generous: it is only waited for in full by a failing test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that is a Redis, or a relative.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// A folder with libraries that the system lacks.
    pub libraries: PathBuf,
}

impl Default for Program {
    fn default() -> Program {
        Program { path: "redis-server".into(), libraries: PathBuf::new() }
    }
}

/// A `redis-server` on a free loopback port, with its data in a temporary directory. It is killed,
/// and its data removed, when this is dropped.
pub struct TestRedis {
    program: Program,
    directory: TempDir,
    arguments: Vec<String>,
    port: u16,
    running: Option<Guarded>,
}

impl TestRedis {
    /// One with the settings that a server insists on.
    pub fn start() -> TestRedis {
        TestRedis::start_with(&[])
    }

    /// One with further settings, such as `["--appendonly", "no"]`; the last one counts.
    pub fn start_with(arguments: &[&str]) -> TestRedis {
        TestRedis::run(&Program::default(), arguments)
    }

    /// The same by another program.
    pub fn run(program: &Program, arguments: &[&str]) -> TestRedis {
        let mut redis = TestRedis {
            program: program.clone(),
            directory: tempfile::tempdir().expect("a temporary directory"),
            arguments: arguments.iter().map(|argument| argument.to_string()).collect(),
            port: 0,
            running: None,
        };
        let deadline = Instant::now() + PATIENCE;
        // Between looking for a free port and using it, somebody else may take it.
        while !redis.try_run(free_port(), deadline) {}
        redis
    }

    /// Starts a replica of another one, and waits until it has its data.
    pub fn follow(program: &Program, master: &TestRedis, arguments: &[&str]) -> TestRedis {
        let whom = format!("127.0.0.1 {}", master.port);
        let replica = TestRedis::run(program, &[&["--replicaof", &whom], arguments].concat());
        let known = format!("port={},state=online", replica.port);
        wait_until("the replica has it all, and the other one knows it", || {
            let info = |of: &TestRedis| say::<String>(&mut of.connect(), &["INFO", "replication"]);
            info(&replica).contains("master_link_status:up") && info(master).contains(&known)
        });
        replica
    }

    /// Makes a replica a Redis of its own, which follows nobody.
    pub fn promote(&mut self) {
        say::<()>(&mut self.connect(), &["REPLICAOF", "NO", "ONE"]);
        self.arguments.retain(|argument| argument != "--replicaof" && !argument.contains(' '));
    }

    /// Listens at another port from now on.
    pub fn move_to(&mut self, port: u16) {
        say::<()>(&mut self.connect(), &["CONFIG", "SET", "port", &port.to_string()]);
        self.port = port;
    }

    /// Where it is, as a URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Kills it while a transaction of these commands is on its way to the disk: it has arrived there
    /// but for its end, `EXEC`, and for so many bytes before that.
    pub fn kill_while_writing(&mut self, commands: &[&[&str]], missing: usize) {
        self.kill();
        let mut text = "*1\r\n$5\r\nMULTI\r\n".to_owned();
        for words in commands {
            text += &format!("*{}\r\n", words.len());
            text.extend(words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())));
        }
        let arrived = text.len().saturating_sub(missing);
        let file = OpenOptions::new().append(true).open(self.append_only_file());
        file.expect("a file").write_all(&text.as_bytes()[..arrived]).expect("room on the disk");
    }

    /// Its process, if it was not killed.
    pub fn process(&mut self) -> Option<&mut Guarded> {
        self.running.as_mut()
    }

    /// Starts it again, with the same data, on the same port.
    pub fn restart(&mut self) {
        self.kill();
        let deadline = Instant::now() + PATIENCE;
        while !self.try_run(self.port, deadline) {
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts it again with further settings for this time, and with a bound on what a file may hold,
    /// in blocks of 512 bytes, if that is not 0. Doesn't wait until it answers.
    pub fn restart_with(&mut self, arguments: &[&str], file_blocks: u64) {
        self.kill();
        let mut redis = self.command();
        redis.args(arguments);
        if file_blocks > 0 {
            // A write beyond the bound fails, as on a full disk.
            let mut bounded = Command::new("sh");
            bounded.args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\""]);
            bounded.arg(file_blocks.to_string()).arg(redis.get_program()).args(redis.get_args());
            redis = bounded;
        }
        self.running = Some(Guarded::start(&redis, Stdio::null()).expect("a shell"));
    }

    /// The file to which it appends what it writes.
    pub fn append_only_file(&self) -> PathBuf {
        append_only_file_in(&self.data())
    }

    /// A connection for looking at what is stored.
    pub fn connect(&self) -> Connection {
        let client = Client::open(self.url()).expect("a URL");
        client.get_connection_with_timeout(PATIENCE).expect("a connection to Redis")
    }

    /// Closes all connections to it. Waits until it has, and until who had one has rested, and so looks at its
    /// connection before it writes to it.
    pub fn hang_up_on_all(&self) {
        let mut own = self.connect();
        let others = connected(&mut own);
        say::<u64>(&mut own, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        wait_until("Redis has hung up", || connected(&mut own).is_disjoint(&others));
        rest();
    }

    /// Starts it, and waits until it answers. False if it ended instead, for want of the port.
    fn try_run(&mut self, port: u16, deadline: Instant) -> bool {
        self.port = port;
        self.running = Some(Guarded::start(&self.command(), Stdio::null()).expect("a shell"));
        loop {
            assert!(Instant::now() < deadline, "Redis does not start: {}", self.log());
            let process = self.running.as_mut().expect("it was just started");
            if process.ended().is_some() {
                self.kill();
                let log = self.log();
                let torn = log.contains("redis-check-aof --fix");
                let other = !torn && !log.contains("Address already in use");
                assert!(!other, "Redis can't be started: {log}");
                let _ = fs::remove_file(self.log_file());
                if torn {
                    self.repair();
                }
                return false;
            }
            if self.answers() {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Cuts off what was not wholly written when it was killed, and nothing else.
    fn repair(&self) {
        let options = mend::Options { folder: self.data(), cut: true, zeros: false };
        let mut said = Vec::new();
        let status = mend::run(&options, &mut std::io::sink(), &mut said);
        let said = String::from_utf8_lossy(&said);
        assert_eq!(status, mend::WHOLE, "the append-only file can't be mended: {said}");
    }

    fn command(&self) -> Command {
        let path = |path: PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
        let mut command = Command::new(&self.program.path);
        if !self.program.libraries.as_os_str().is_empty() {
            command.env("LD_LIBRARY_PATH", &self.program.libraries);
        }
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--daemonize", "no", "--save", "", "--dir", &path(self.data())]);
        command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        command.args(["--no-appendfsync-on-rewrite", "no", "--maxmemory-policy", "noeviction"]);
        command.args(["--aof-load-truncated", "no", "--logfile", &path(self.log_file())]);
        command.args(&self.arguments);
        command
    }

    /// Whether what answers at the port is this very Redis, and is ready.
    fn answers(&self) -> bool {
        let ask = || {
            let mine = self.running.as_ref()?.pid();
            let client = Client::open(self.url()).ok()?;
            let mut connection = client.get_connection_with_timeout(PATIENCE).ok()?;
            redis::cmd("PING").exec(&mut connection).ok()?;
            let info: redis::InfoDict =
                redis::cmd("INFO").arg("server").query(&mut connection).ok()?;
            Some(info.get::<u32>("process_id")? == mine)
        };
        ask() == Some(true)
    }

    /// The folder with its data.
    pub fn data(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("redis.log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_else(|error| format!("no log: {error}"))
    }
}

/// The file to which a Redis with its data in this folder appends: `appendonly.aof.N.incr.aof`, the newest one.
pub fn append_only_file_in(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder.join("appendonlydir")).expect("a folder");
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".incr.aof")?;
        name.rsplit('.').next()?.parse::<u64>().ok()
    };
    let paths = files.map(|file| file.expect("a file").path());
    paths.max_by_key(number).expect("a file that is appended to")
}

/// Says something to Redis, one word per argument.
pub fn say<T: FromRedisValue>(connection: &mut Connection, words: &[&str]) -> T {
    redis::cmd(words[0]).arg(&words[1..]).query(connection).unwrap()
}

/// Waits until a store that nobody uses meanwhile takes itself for rested.
pub fn rest() {
    let begun = Instant::now();
    wait_until("it has rested", || begun.elapsed() >= IDLE);
}

/// The names of all connections but this one.
fn connected(own: &mut Connection) -> BTreeSet<String> {
    let me = format!("id={}", say::<u64>(own, &["CLIENT", "ID"]));
    let list: String = say(own, &["CLIENT", "LIST", "TYPE", "normal"]);
    let names = list.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| *name != me).map(str::to_owned).collect()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
