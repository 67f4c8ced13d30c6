//! A bank of real servers, each a process of the shipped program, or one that runs already.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use paxos_banking::noise::SecretKey;
use serde_json::{Value, json};

use super::Fallible;
use super::place::Folder;
use super::process::{PATIENCE, Process, free_port, wait_for};
use super::redis::{OwnRedis, connect};
use super::talk::Talk;

/// What each server's account opens with: more than any scenario moves.
pub const OPENING: u64 = 1_000_000_000_000;
/// The servers of a bank that is started here.
pub const IDS: [&str; 3] = ["A", "B", "C"];

/// What a bank is started with.
#[derive(Clone)]
pub struct Setting {
    /// The program.
    pub program: PathBuf,
    /// Where the bank's folder is made.
    pub folder: PathBuf,
    /// A bank that runs already, in place of one's own.
    pub running: Option<Running>,
    /// Where its servers listen, in place of loopback.
    pub listen: Option<String>,
    /// How many files each server may open, in place of as many as this program.
    pub open_files: Option<u32>,
    /// Servers and clients prove keys.
    pub keys: bool,
    /// Each server has a Redis of its own, as with `./run.sh`; else they share one.
    pub redis_each: bool,
    /// The settings of each Redis, in place of those that are shipped.
    pub redis_conf: Option<PathBuf>,
    /// Servers reach Redis by its Unix socket.
    pub socket: bool,
    /// Each server moves old blocks to a folder of the bank's.
    pub archive: bool,
}

impl Setting {
    /// The usual one.
    pub fn new(program: PathBuf, folder: PathBuf) -> Setting {
        Setting {
            program,
            folder,
            running: None,
            listen: None,
            open_files: None,
            keys: false,
            redis_each: false,
            redis_conf: None,
            socket: false,
            archive: false,
        }
    }
}

/// A bank that runs already.
#[derive(Clone)]
pub struct Running {
    /// Where its servers are.
    pub addresses: BTreeMap<String, String>,
    /// The Redis of each, or the one of all; none if it may not be looked at.
    pub redis: Vec<String>,
    /// The folders of those that have an archive.
    pub archives: Vec<PathBuf>,
}

/// A bank.
pub struct Bank {
    /// Where each server listens.
    pub addresses: BTreeMap<String, String>,
    /// What it opened with.
    pub opening: u64,
    /// Its own Redis: one of all servers, or one of each in their order.
    redis: Vec<OwnRedis>,
    setting: Setting,
    flags: Vec<String>,
    views: BTreeMap<String, BTreeMap<String, String>>,
    running: BTreeMap<String, Process>,
    starts: usize,
    folder: Option<Folder>,
    /// The clients' key, an operator's, if the bank has keys.
    key: Option<SecretKey>,
}

impl Bank {
    /// The bank that runs already, or one of three servers with these flags that share a Redis.
    pub fn start(setting: &Setting, flags: &[&str]) -> Fallible<Bank> {
        match &setting.running {
            Some(running) => Bank::join(setting, running),
            None => Bank::start_with(setting, flags, |_| Ok(BTreeMap::new())),
        }
    }

    /// A bank of three servers; `views` says, given where they listen, at what other addresses one
    /// server finds another.
    pub fn start_with(
        setting: &Setting,
        flags: &[&str],
        views: impl FnOnce(&BTreeMap<String, String>) -> Fallible<BTreeMap<(String, String), String>>,
    ) -> Fallible<Bank> {
        let address = |id: &str| (id.to_owned(), format!("127.0.0.1:{}", free_port()));
        let addresses: BTreeMap<String, String> = IDS.map(address).into();
        let mut found = views(&addresses)?;
        let view = |id: &&str| {
            let mut view = addresses.clone();
            for (other, address) in &mut view {
                if let Some(another) = found.remove(&(id.to_string(), other.clone())) {
                    *address = another;
                }
            }
            (id.to_string(), view)
        };
        let views = IDS.iter().map(view).collect();
        let folder = Folder::new(&setting.folder)?;
        let names = if setting.redis_each { &IDS[..] } else { &[""] };
        let redis = OwnRedis::start_all(
            folder.path(),
            names,
            setting.redis_conf.as_deref(),
            setting.socket,
        )?;
        let mut bank = Bank {
            addresses,
            opening: OPENING,
            redis,
            setting: setting.clone(),
            flags: flags.iter().map(|flag| flag.to_string()).collect(),
            views,
            running: BTreeMap::new(),
            starts: 0,
            folder: Some(folder),
            key: None,
        };
        if setting.keys {
            bank.authorize()?;
        }
        for id in IDS {
            bank.start_server(id)?;
        }
        bank.wait_until_open()?;
        Ok(bank)
    }

    fn join(setting: &Setting, running: &Running) -> Fallible<Bank> {
        let mut bank = Bank {
            addresses: running.addresses.clone(),
            opening: 0,
            redis: Vec::new(),
            setting: setting.clone(),
            flags: Vec::new(),
            views: BTreeMap::new(),
            running: BTreeMap::new(),
            starts: 0,
            folder: None,
            key: None,
        };
        // One that isn't there is not waited for.
        for id in bank.ids() {
            bank.status(&id).map_err(|error| format!("server {id}: {error}"))?;
        }
        bank.wait_until_open()?;
        let block = bank.ask(&bank.ids()[0], &json!({"chain": {"from": 0, "to": 0}}))?;
        let opening = block["blocks"][0]["genesis"]["opening_balance"].as_u64();
        bank.opening = opening.ok_or_else(|| format!("the bank has no genesis: {block}"))?;
        Ok(bank)
    }

    /// Makes the clients' key, and the file that says what it may do.
    fn authorize(&mut self) -> Fallible<()> {
        let key = SecretKey::random().map_err(|error| error.to_string())?;
        let line = format!("operator {} bench\n", key.fingerprint());
        self.key = Some(key);
        std::fs::write(self.path("authorized"), line).map_err(|error| error.to_string())
    }

    /// A file of its folder.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.as_ref().map(|folder| folder.path().join(name)).unwrap_or_default()
    }

    /// The clients' key, if the bank has keys.
    pub fn key(&self) -> Option<&SecretKey> {
        self.key.as_ref()
    }

    /// Its servers' ids.
    pub fn ids(&self) -> Vec<String> {
        self.addresses.keys().cloned().collect()
    }

    /// Starts a server on the store that it had.
    pub fn start_server(&mut self, id: &str) -> Fallible<()> {
        let folder = self.folder.as_ref().ok_or("this bank was not started here")?;
        let redis = self.redis_of(id).ok_or("this bank has no Redis of its own")?;
        let view = self.views[id].iter().map(|(id, address)| format!("{id}={address}"));
        let cluster = view.collect::<Vec<_>>().join(",");
        let opening = self.opening.to_string();
        let words =
            ["server", "--id", id, "--cluster", &cluster, "--redis", &redis.url_of_server()];
        let mut arguments: Vec<String> = words.map(str::to_owned).into();
        arguments.extend(["--opening-balance".into(), opening]);
        arguments.extend(["--listen".into(), self.listens_at(id)]);
        arguments.extend(self.flags.iter().cloned());
        if self.setting.archive {
            let path = self.archive_path(id).to_string_lossy().into_owned();
            arguments.extend(["--archive".into(), path]);
        }
        if self.key.is_some() {
            let path = |name: &str| self.path(name).to_string_lossy().into_owned();
            arguments.extend(["--access".into(), "keys".into()]);
            arguments.extend(["--key".into(), path(&format!("{id}.key"))]);
            arguments.extend(["--authorized".into(), path("authorized")]);
        }
        self.starts += 1;
        let log = folder.path().join(format!("{id}-{}.log", self.starts));
        let limit = self.setting.open_files;
        let process = Process::start_limited(&self.setting.program, &arguments, log, limit)?;
        self.running.insert(id.to_owned(), process);
        Ok(())
    }

    fn listens_at(&self, id: &str) -> String {
        let address = &self.addresses[id];
        match (&self.setting.listen, address.rsplit_once(':')) {
            (Some(host), Some((_, port))) => format!("{host}:{port}"),
            _ => address.clone(),
        }
    }

    /// The end of what a server said, if it has ended.
    pub fn last_words_of(&mut self, id: &str) -> Option<String> {
        let process = self.running.get_mut(id)?;
        process
            .has_ended()
            .then(|| process.last_words().lines().last().unwrap_or_default().to_owned())
    }

    /// Kills a server as a power cut would.
    pub fn kill(&mut self, id: &str) -> Fallible<()> {
        self.running.remove(id).map(drop).ok_or_else(|| format!("{id} doesn't run"))
    }

    /// Kills all servers; their stores stay.
    pub fn stop_servers(&mut self) {
        self.running.clear();
    }

    /// Kills all servers and every Redis as a power cut would, and starts every Redis again. What it returns is
    /// for [`Bank::start_ready`].
    pub fn kill_all(&mut self) -> Fallible<Vec<&'static str>> {
        self.running.clear();
        self.redis.iter_mut().try_for_each(OwnRedis::start_again)?;
        Ok(IDS.to_vec())
    }

    /// Starts those servers whose Redis has read its file; those that are left wait for theirs.
    pub fn start_ready(&mut self, waiting: &mut Vec<&'static str>) -> Fallible<()> {
        let answers = |id: &&str| self.redis_of(id).is_some_and(OwnRedis::answers);
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.drain(..).partition(answers);
        *waiting = rest;
        ready.iter().try_for_each(|id| self.start_server(id))
    }

    /// The process of a server.
    pub fn process(&self, id: &str) -> Option<&Process> {
        self.running.get(id)
    }

    /// The resident memory of the server that has most of it, in bytes.
    pub fn largest_memory(&self) -> Fallible<u64> {
        let all = IDS.map(|id| self.process(id).ok_or("a server doesn't run")?.memory());
        all.into_iter().try_fold(0, |most, memory| Ok(memory?.max(most)))
    }

    /// The Redis of each server, where it may be looked at.
    pub fn redis_urls(&self) -> BTreeMap<String, String> {
        let of = |place: usize, id: &str| match &self.setting.running {
            Some(running) => running.redis.get(place).or(running.redis.first()).cloned(),
            None => self.redis_of(id).map(OwnRedis::url),
        };
        let ids = self.ids().into_iter().enumerate();
        ids.filter_map(|(place, id)| Some((id.clone(), of(place, &id)?))).collect()
    }

    /// Its own Redis, if all its servers share one.
    pub fn shared_redis(&self) -> Option<&OwnRedis> {
        self.redis.first().filter(|_| self.redis.len() == 1)
    }

    /// The Redis of a server, if the bank was started here.
    fn redis_of(&self, id: &str) -> Option<&OwnRedis> {
        let place = IDS.iter().position(|known| *known == id)?;
        self.redis.get(place).or(self.redis.first())
    }

    /// All memory that the stores take, by Redis's own account: `used_memory`.
    pub fn used_memory(&self) -> Fallible<u64> {
        self.redis.iter().map(OwnRedis::used_memory).sum()
    }

    /// True if all that its clients were ever told is known here.
    pub fn is_own(&self) -> bool {
        !self.redis.is_empty()
    }

    /// The folders to which its servers move old blocks.
    pub fn archives(&self) -> Vec<PathBuf> {
        match &self.setting.running {
            Some(running) => running.archives.clone(),
            None if self.setting.archive => IDS.map(|id| self.archive_path(id)).into(),
            None => Vec::new(),
        }
    }

    /// The folder to which a server moves old blocks, if this bank has an archive.
    pub fn archive_path(&self, id: &str) -> PathBuf {
        self.path(&format!("archive-{id}"))
    }

    /// Where its files are.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(Folder::path)
    }

    /// A connection to the Redis of a server; none if it may not be looked at.
    pub fn store_of(&self, id: &str) -> Fallible<Option<redis::Connection>> {
        self.redis_urls().get(id).map(|url| connect(url)).transpose()
    }

    /// What a server says to a request on a connection of its own.
    pub fn ask(&self, id: &str, request: &Value) -> Fallible<Value> {
        Talk::open_with(&self.addresses[id], self.key())?.ask(request)
    }

    /// What a server says of itself.
    pub fn status(&self, id: &str) -> Fallible<Value> {
        self.ask(id, &json!({"status": {}}))
    }

    /// Waits until the bank is open and all its servers hear each other.
    pub fn wait_until_open(&mut self) -> Fallible<()> {
        let ids = self.ids();
        let is_open = |bank: &Bank, id: &String| {
            let Ok(status) = bank.status(id) else { return false };
            let peers = status["peers"].as_array().map_or(&[][..], Vec::as_slice);
            status["active"] == json!(true)
                && peers.iter().filter(|peer| peer["connected"] == json!(true)).count() + 1
                    == ids.len()
        };
        let open = wait_for("the bank is open", || {
            for (id, process) in &mut self.running {
                if process.has_ended() {
                    return Some(Err(format!("server {id} has ended:\n{}", process.last_words())));
                }
            }
            ids.iter().all(|id| is_open(self, id)).then_some(Ok(()))
        });
        open?
    }

    /// Waits until no run is under way, all chains end alike, and, if the bank settles, no log holds
    /// anything.
    pub fn wait_until_quiet(&self, settled: bool) -> Fallible<()> {
        let mut seen = (Vec::new(), Instant::now());
        loop {
            let all: Fallible<Vec<Value>> = self.ids().iter().map(|id| self.status(id)).collect();
            let all = all?;
            let quiet = |status: &Value| {
                status["head"] == all[0]["head"]
                    && status["run"] == "idle"
                    && status["waiting"] == json!(0)
                    && (!settled || status["log_length"] == json!(0))
            };
            if all.iter().all(quiet) {
                return Ok(());
            }
            // It may take long to settle much: only when nothing moves it is given up.
            let now: Vec<Value> = all.iter().map(|status| status["height"].clone()).collect();
            if now != seen.0 {
                seen = (now, Instant::now());
            } else if seen.1.elapsed() > PATIENCE {
                return Err(format!("waited in vain until the bank is quiet: {all:?}"));
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Puts all that is in the local logs into the chain.
    pub fn settle(&self) -> Fallible<()> {
        let first = &self.ids()[0];
        wait_for("all is settled", || {
            let reply = self.ask(first, &json!({"settle": {}})).ok()?;
            (reply["settled"] == json!(true)).then_some(())
        })?;
        self.wait_until_quiet(true)
    }
}
