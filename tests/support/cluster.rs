//! Servers in this process, on loopback ports, and a client that speaks lines.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ids::ServerId;
use paxos_banking::node::{Doors, Node, NodeConfig, Timings};
use paxos_banking::store::Store;
use paxos_banking::store::memory::MemoryStore;
use serde_json::{Value, json};

/// How long anything is waited for. Only a test that fails waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Gives a server its store each time that it starts.
pub type Stores = Box<dyn FnMut(&ServerId) -> Box<dyn Store>>;

/// A cluster of which each server can be killed and started again.
pub struct Cluster {
    /// What each server is told when it starts; change it while the server is down.
    pub configs: BTreeMap<ServerId, NodeConfig>,
    /// The servers that run.
    pub nodes: BTreeMap<ServerId, Node>,
    stores: Stores,
}

impl Cluster {
    /// Servers with these ids and stores, 100 units each; none is started yet.
    pub fn new(ids: &[&str], timings: Timings, stores: Stores) -> Cluster {
        let addresses: BTreeMap<ServerId, String> =
            ids.iter().map(|id| (server(id), free_address())).collect();
        let config = |(id, listen): (&ServerId, &String)| {
            let config = NodeConfig {
                id: id.clone(),
                cluster: addresses.clone(),
                listen: listen.clone(),
                opening_balance: Amount::new(100).unwrap(),
                rejoin: false,
                join: false,
                bank: None,
                opening: None,
                settle_at: None,
                always_paxos: false,
                index_memory: NodeConfig::INDEX_MEMORY,
                allow_fault_injection: false,
                trace: None,
                http: None,
                doors: Doors::default(),
                timings: timings.clone(),
                issuing: false,
            };
            (id.clone(), config)
        };
        let configs = addresses.iter().map(config).collect();
        Cluster { configs, nodes: BTreeMap::new(), stores }
    }

    /// The same with stores in memory, which outlive their servers; all started.
    pub fn in_memory(ids: &[&str]) -> (Cluster, BTreeMap<ServerId, MemoryStore>) {
        let disks: BTreeMap<ServerId, MemoryStore> =
            ids.iter().map(|id| (server(id), MemoryStore::new())).collect();
        let disks_of_cluster = disks.clone();
        let stores: Stores = Box::new(move |id| Box::new(disks_of_cluster[id].clone()));
        let mut cluster = Cluster::new(ids, quick(), stores);
        cluster.start_all();
        (cluster, disks)
    }

    /// Starts a server on the store that it had.
    pub fn start(&mut self, id: &str) {
        let id = server(id);
        let store = (self.stores)(&id);
        let node = Node::start(self.configs[&id].clone(), store).unwrap();
        assert!(self.nodes.insert(id, node).is_none(), "it was running");
    }

    /// Starts all servers.
    pub fn start_all(&mut self) {
        for id in self.configs.keys().cloned().collect::<Vec<_>>() {
            self.start(id.as_str());
        }
    }

    /// Kills a server, as a crash would.
    pub fn kill(&mut self, id: &str) {
        self.nodes.remove(&server(id)).expect("it is running").kill();
    }

    /// A new connection to a server.
    pub fn client(&self, id: &str) -> Client {
        Client::connect(&self.configs[&server(id)].listen)
    }

    /// What a server says to a request on a new connection; None if it doesn't answer.
    pub fn ask(&self, id: &str, request: &Value) -> Option<Value> {
        Client::try_connect(&self.configs[&server(id)].listen)?.try_ask(request)
    }

    /// Waits until a server and all others that run hear each other.
    pub fn wait_until_connected(&self, id: &str) {
        wait_until(&format!("{id} is connected"), || {
            let heard = |by: &str, other: &str| {
                self.ask(by, &json!({"status": {}})).is_some_and(|status| hears(&status, other))
            };
            let mut others = self.nodes.keys().map(ServerId::as_str).filter(|other| *other != id);
            others.all(|other| heard(id, other) && heard(other, id))
        });
    }

    /// Waits until the bank is open as all the servers that run know it, and they hear each other: until
    /// then a run may leave some of them out.
    pub fn wait_until_open(&self) {
        for id in self.nodes.keys() {
            wait_until(&format!("{id} is active"), || {
                let status = self.ask(id.as_str(), &json!({"status": {}}));
                status.is_some_and(|status| status["active"] == json!(true))
            });
        }
        self.nodes.keys().for_each(|id| self.wait_until_connected(id.as_str()));
    }
}

/// Whether a server, by its status, hears another, and knows where that stands: a run doesn't wait for one of
/// which it knows no height, as there may be when a bank has just been founded.
pub fn hears(status: &Value, other: &str) -> bool {
    let peers = status["peers"].as_array();
    peers.is_some_and(|peers| {
        peers.iter().any(|p| p["id"] == other && p["connected"] == true && p["height"].is_u64())
    })
}

/// Defaults with a short breath, for servers on one machine.
pub fn quick() -> Timings {
    Timings {
        heartbeat: Duration::from_millis(100),
        gather: Duration::from_secs(2),
        gather_covered: Duration::from_millis(50),
        redial: Duration::from_millis(10),
        redial_most: Duration::from_millis(200),
        ..Timings::default()
    }
}

/// The id that a text is.
pub fn server(id: &str) -> ServerId {
    id.parse().unwrap()
}

/// A loopback address that nobody listens on now. It is below the ports that systems give to
/// connections, or else one of those could take it while its server is down.
pub fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests of several processes run at once: each begins somewhere else.
    let start = (std::process::id() as u16).wrapping_mul(61);
    loop {
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = format!("127.0.0.1:{}", 20_000 + start.wrapping_add(count) % 12_000);
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// Polls until it is so; fails if it never is.
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_so_long(PATIENCE, what, condition);
}

/// Polls until it is so; fails if it is not within this time. A machine or a process that stood still in
/// between has not been waited for: one poll takes a tenth of the time at the most.
pub fn wait_so_long(most: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let mut waited = Duration::ZERO;
    loop {
        let begun = Instant::now();
        if condition() {
            return;
        }
        assert!(waited < most, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
        waited += begun.elapsed().min(most / 10);
    }
}

/// A client that sends lines and reads lines.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// A connection, as soon as there is one to be had.
    pub fn connect(address: &str) -> Client {
        let mut client = None;
        wait_until(&format!("{address} can be connected to"), || {
            client = Client::try_connect(address);
            client.is_some()
        });
        client.unwrap()
    }

    /// A connection, if it can be had at once.
    pub fn try_connect(address: &str) -> Option<Client> {
        TcpStream::connect(address).ok().map(Client::over)
    }

    /// The same over a connection that is there already.
    pub fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Sends these very bytes.
    pub fn send(&self, bytes: &[u8]) {
        self.socket().write_all(bytes).unwrap();
    }

    /// What the next line says; None if the connection has ended.
    pub fn read(&mut self) -> Option<Value> {
        self.read_line().map(|line| serde_json::from_str(&line).expect("servers speak JSON"))
    }

    /// The next line that comes, as it is; None if the connection has ended.
    pub fn read_line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("nothing comes: {error}"),
        }
    }

    /// The answer to a request.
    pub fn ask(&mut self, request: &Value) -> Value {
        self.try_ask(request).expect("the server hung up")
    }

    /// The answer to a request, unless the server hangs up.
    pub fn try_ask(&mut self, request: &Value) -> Option<Value> {
        self.socket().write_all(format!("{request}\n").as_bytes()).ok()?;
        self.read()
    }

    /// The answer to a line that need not be a request.
    pub fn ask_line(&mut self, line: &str) -> Value {
        self.send(format!("{line}\n").as_bytes());
        self.read().expect("the server hung up")
    }
}
