//! Servers as processes of the shipped program, on Redis of the test's own.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use paxos_banking::bank::ids::ServerId;
use paxos_banking::client::Options;
use paxos_banking::client::session::Session;
use paxos_banking::play::guard::Guarded;
use serde_json::{Value, json};

use super::cluster::{Client, PATIENCE, free_address, hears, wait_until};
use super::redis::{Program, TestRedis};

const PROGRAM: &str = env!("CARGO_BIN_EXE_paxos-banking");

/// Servers that share a machine are quick to hear each other.
const FLAGS: [&str; 6] = ["--heartbeat", "100ms", "--gather", "3s", "--redial-most", "200ms"];

/// How the servers of a bank are set up.
pub struct Setup {
    /// A Redis for each server, rather than one for all.
    pub redis_each: bool,
    /// Flags for each server, beside those that say who and where it is.
    pub flags: Vec<String>,
    /// The folder for the servers' logs, one for each start, if anybody wants them.
    pub logs: Option<PathBuf>,
    /// What runs as Redis, and its flags.
    pub store: (Program, Vec<String>),
    /// The folder with the servers' archives, and flags that go with them, if they have any.
    pub archives: Option<(PathBuf, Vec<String>)>,
    /// What the shell's `ulimit` is to bound for each server, such as `-n 256`, if anything.
    pub bounds: Option<&'static str>,
}

impl Default for Setup {
    fn default() -> Setup {
        let flags = FLAGS.map(str::to_owned).into();
        let store = Default::default();
        Setup { redis_each: false, flags, logs: None, store, archives: None, bounds: None }
    }
}

/// A bank of processes. Whatever still runs is killed when this is dropped.
pub struct Bank {
    setup: Setup,
    /// One for each server, in the order of their ids, or one for all.
    pub stores: Vec<TestRedis>,
    addresses: BTreeMap<String, String>,
    /// Where those were that founded it.
    founded: BTreeMap<String, String>,
    /// Where a server finds another one, if not at its address: (who dials, whom).
    pub routes: BTreeMap<(String, String), String>,
    running: BTreeMap<String, Guarded>,
    /// How often each server was started.
    starts: BTreeMap<String, usize>,
}

impl Bank {
    /// A bank of servers with these ids that share a Redis, none of which is started yet.
    pub fn new(ids: &[&str]) -> Bank {
        Bank::set_up(ids, Setup::default())
    }

    /// The same, set up in another way.
    pub fn set_up(ids: &[&str], setup: Setup) -> Bank {
        let stores = if setup.redis_each { ids.len() } else { 1 };
        let (program, flags) = &setup.store;
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let addresses: BTreeMap<_, _> =
            ids.iter().map(|id| (id.to_string(), free_address())).collect();
        Bank {
            founded: addresses.clone(),
            stores: (0..stores).map(|_| TestRedis::run(program, &flags)).collect(),
            setup,
            addresses,
            routes: BTreeMap::new(),
            running: BTreeMap::new(),
            starts: BTreeMap::new(),
        }
    }

    /// A bank of servers that share a Redis, open and connected.
    pub fn start(ids: &[&str]) -> Bank {
        let mut bank = Bank::new(ids);
        bank.start_all();
        bank
    }

    /// Starts all servers and waits until they are connected.
    pub fn start_all(&mut self) {
        for id in self.ids() {
            self.start_server(&id);
        }
        self.wait_until_connected();
    }

    /// The ids of its servers.
    pub fn ids(&self) -> Vec<String> {
        self.addresses.keys().cloned().collect()
    }

    /// The ids of the servers that founded it.
    pub fn founders(&self) -> impl Iterator<Item = &String> {
        self.founded.keys()
    }

    /// Where a server is, or will be.
    pub fn address(&self, id: &str) -> &str {
        &self.addresses[id]
    }

    /// The Redis of a server.
    pub fn redis(&mut self, id: &str) -> &mut TestRedis {
        let place = self.place(id);
        &mut self.stores[place]
    }

    /// Which Redis is a server's.
    pub fn place(&self, id: &str) -> usize {
        let place =
            self.addresses.keys().position(|other| other == id).expect("one of its servers");
        if self.setup.redis_each { place } else { 0 }
    }

    /// Where everybody is, as a server sees it.
    fn cluster(&self, id: &str) -> String {
        self.listed(id, &self.founded)
    }

    fn listed(&self, id: &str, servers: &BTreeMap<String, String>) -> String {
        let found = |(other, address): (&String, &String)| {
            let route = self.routes.get(&(id.to_owned(), other.clone()));
            format!("{other}={}", route.unwrap_or(address))
        };
        servers.iter().map(found).collect::<Vec<_>>().join(",")
    }

    /// Makes room for a server that the bank was not founded with, on a Redis of its own if each has one.
    pub fn add(&mut self, id: &str) {
        let is_last = self.addresses.keys().all(|other| other.as_str() < id);
        assert!(is_last, "stores are in the order of ids");
        self.addresses.insert(id.to_owned(), free_address());
        if self.setup.redis_each && self.stores.len() < self.addresses.len() {
            self.stores.push(TestRedis::start());
        }
    }

    /// Forgets a server that was added and has gone; its Redis stays.
    pub fn forget(&mut self, id: &str) {
        self.addresses.remove(id);
    }

    /// Gives a server another address, at which it listens from its next start on. Returns the address.
    pub fn move_away(&mut self, id: &str) -> String {
        let address = free_address();
        self.addresses.insert(id.to_owned(), address.clone());
        address
    }

    /// Takes note that a server has ended by itself.
    pub fn has_ended(&mut self, id: &str) {
        let mut server = self.running.remove(id).expect("it was started");
        wait_until(&format!("{id} ends"), || server.ended().is_some());
    }

    /// The program, told to be a server.
    pub fn server_command(&self, id: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        let begin = if self.founded.contains_key(id) { "--cluster" } else { "--join" };
        command.args(["server", "--id", id, begin, &self.cluster(id)]);
        if self.founded.get(id) != self.addresses.get(id) {
            command.args(["--listen", self.address(id)]);
        }
        command.args(["--redis", &self.stores[self.place(id)].url()]);
        command
    }

    /// The program, told to be a client.
    pub fn client_command(&self, id: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["client", "--id", id, "--cluster", &self.listed(id, &self.addresses)]);
        command
    }

    /// Starts a server on the store that it had.
    pub fn start_server(&mut self, id: &str) {
        self.start_server_with(id, &[]);
    }

    /// The same, with further flags.
    pub fn start_server_with(&mut self, id: &str, flags: &[&str]) {
        let mut command = self.server_command(id);
        command.args(&self.setup.flags).args(flags);
        if let Some(folder) = self.archive(id).filter(|_| !flags.contains(&"--archive")) {
            let (_, flags) = self.setup.archives.as_ref().expect("it has archives");
            command.arg("--archive").arg(folder).args(flags);
        }
        if let Some(bounds) = self.setup.bounds {
            let mut bounded = Command::new("sh");
            let script = format!("ulimit {bounds} && exec \"$@\"");
            bounded.args(["-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
            command = bounded;
        }
        *self.starts.entry(id.to_owned()).or_default() += 1;
        let log = self.log_file(id).map(|path| File::create(path).expect("a log"));
        let errors = log.map_or_else(Stdio::null, Stdio::from);
        let server = Guarded::start(&command, errors).expect("a shell");
        let before = self.running.insert(id.to_string(), server);
        assert!(before.is_none(), "{id} was running");
    }

    /// The folder of a server's segments.
    pub fn archive(&self, id: &str) -> Option<PathBuf> {
        self.setup.archives.as_ref().map(|(folder, _)| folder.join(id))
    }

    /// Has the servers that start from now on archive nothing.
    pub fn without_archives(&mut self) {
        self.setup.archives = None;
    }

    /// Where a server's log since its last start is.
    pub fn log_file(&self, id: &str) -> Option<PathBuf> {
        Some(self.setup.logs.as_ref()?.join(format!("{id}.{}.log", self.starts[id])))
    }

    /// The process of a server that was started and not killed.
    pub fn process(&mut self, id: &str) -> Option<&mut Guarded> {
        self.running.get_mut(id)
    }

    /// Kills a server: SIGKILL.
    pub fn kill(&mut self, id: &str) {
        self.running.remove(id).expect("it is running").kill();
    }

    /// A session with a server, that tries for long.
    pub fn session(&self, id: &str) -> Session {
        Session::new(&Options {
            id: id.parse().unwrap(),
            address: self.address(id).to_string(),
            others: self.others_than(id),
            doors: None,
            timeout: Duration::from_secs(2),
            give_up_after: PATIENCE,
            json: false,
            session: None,
            commands: Vec::new(),
        })
    }

    /// The other servers, and where they are.
    fn others_than(&self, id: &str) -> BTreeMap<ServerId, String> {
        let others = self.addresses.iter().filter(|(other, _)| *other != id);
        others.map(|(id, at)| (id.parse().unwrap(), at.clone())).collect()
    }

    /// What a server says to a request on a new connection; None if it doesn't answer.
    pub fn ask(&self, id: &str, request: &Value) -> Option<Value> {
        Client::try_connect(self.address(id))?.try_ask(request)
    }

    /// All blocks or entries of a server, however many pages they come in.
    pub fn chain(&self, id: &str) -> Vec<Value> {
        let mut blocks = Vec::new();
        loop {
            let page = self.ask(id, &json!({"chain": {"from": blocks.len()}})).expect("an answer");
            blocks.extend(page["blocks"].as_array().expect("blocks").iter().cloned());
            if page["more"] != json!(true) {
                return blocks;
            }
        }
    }

    /// Whether the bank is open and all its servers hear each other.
    pub fn is_connected(&self) -> bool {
        self.addresses.keys().all(|id| {
            let Some(status) = self.ask(id, &json!({"status": {}})) else { return false };
            let mut others = self.addresses.keys().filter(|other| *other != id);
            status["active"] == json!(true) && others.all(|other| hears(&status, other))
        })
    }

    /// Waits until it is so.
    pub fn wait_until_connected(&self) {
        wait_until("all servers are connected", || self.is_connected());
    }

    /// Settles until no log holds anything and all chains are equal.
    pub fn settle(&self) {
        wait_until("all is settled", || {
            let first = self.addresses.keys().next().expect("a server");
            let settled = self.ask(first, &json!({"settle": {}}));
            if settled.is_none_or(|reply| reply["settled"] != json!(true)) {
                return false;
            }
            let standing = |id: &String| {
                let status = self.ask(id, &json!({"status": {}}))?;
                Some((status["head"].clone(), status["log_length"].clone()))
            };
            let all: Vec<_> = self.addresses.keys().map(standing).collect();
            all.iter().all(|one| one.is_some() && *one == all[0])
                && all[0].as_ref().is_some_and(|(_, length)| *length == json!(0))
        });
    }
}

/// Sends a process a signal, such as `STOP`. It may have ended meanwhile.
pub fn signal(process: Option<&mut Guarded>, name: &str) {
    let _ = process.expect("it was started").signal(name);
}
