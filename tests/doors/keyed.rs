//! A bank with keys, as processes of the shipped program.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use paxos_banking::bank::fingerprint::Fingerprint;
use paxos_banking::noise::{SecretKey, create_key_file};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cluster::{hears, wait_until};
use crate::support::doors::Sealed;
use crate::support::process::{Bank, Setup};

/// Servers A, B and C with keys, an operator, an auditor, and people with accounts at A.
pub struct Keyed {
    pub bank: Bank,
    /// The keys of servers and people, by their names.
    keys: BTreeMap<String, SecretKey>,
    folder: TempDir,
}

/// Those who have an account of their own, `A/NAME`, with 20 units in it.
pub const OWNERS: [&str; 2] = ["alice", "mallory"];

impl Keyed {
    /// Servers that have keys, and are not started.
    pub fn not_started() -> Keyed {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = Some(folder.path().to_owned());
        let setup = Setup { logs, redis_each: true, ..Setup::default() };
        let keys = ["A", "B", "C", "operator", "auditor", "alice", "mallory"];
        let made = |name: &&str| create_key_file(&folder.path().join(name)).expect("a key");
        let keys = keys.iter().map(|name| (name.to_string(), made(name))).collect();
        let keyed = Keyed { bank: Bank::set_up(&["A", "B", "C"], setup), keys, folder };
        keyed.authorize("");
        keyed
    }

    /// A bank that is open, in which the owners have money.
    pub fn start() -> Keyed {
        Keyed::not_started().started()
    }

    /// The same of servers that are not started yet.
    pub fn started(mut self) -> Keyed {
        for id in ["A", "B", "C"] {
            self.start_server(id);
        }
        self.wait_until_connected();
        for name in OWNERS {
            let key = self.key(name).fingerprint();
            let open = json!({"open": {"account": format!("A/{name}"), "key": key}});
            assert_eq!(self.ask("operator", &open)["outcome"], json!("accepted"));
            let pay = json!({"transfer": {"to": format!("A/{name}"), "amount": 20}});
            assert_eq!(self.ask("operator", &pay)["outcome"], json!("accepted"));
        }
        self
    }

    /// Says who has a role, beside the operator and the auditor. Servers read it when they start.
    pub fn authorize(&self, more: &str) {
        let of = |name: &str| self.keys[name].fingerprint();
        let text = format!(
            "# Who may do what\noperator {} Olga\nauditor {} Ada\n{more}",
            of("operator"),
            of("auditor")
        );
        fs::write(self.path("roles"), text).expect("it can be written");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The key of a server or of somebody.
    pub fn key(&self, name: &str) -> &SecretKey {
        &self.keys[name]
    }

    /// Starts a server with its key, and what is said here beside it.
    pub fn start_server(&mut self, id: &str) {
        self.start_server_by(id, id, &[]);
    }

    /// Starts a server with the key of this name.
    pub fn start_server_by(&mut self, id: &str, key: &str, flags: &[&str]) {
        let (key, roles) = (self.path(key), self.path("roles"));
        let [key, roles] = [&key, &roles].map(|path| path.to_str().expect("a plain path"));
        let doors = ["--key", key, "--authorized", roles, "--allow-fault-injection"];
        self.bank.start_server_with(id, &[&doors, flags].concat());
    }

    /// A connection to a server that proves somebody's key.
    pub fn client(&self, name: &str, server: &str) -> Sealed {
        Sealed::connect(self.bank.address(server), self.key(name))
    }

    /// What A says to somebody.
    pub fn ask(&self, name: &str, request: &Value) -> Value {
        self.client(name, "A").ask(request)
    }

    pub fn status(&self, server: &str) -> Value {
        self.client("operator", server).ask(&json!({"status": {}}))
    }

    pub fn wait_until_connected(&self) {
        let ids = ["A", "B", "C"];
        wait_until("all servers are connected", || {
            ids.iter().all(|id| {
                let status = self.status(id);
                let mut others = ids.iter().filter(|other| *other != id);
                status["active"] == json!(true) && others.all(|other| hears(&status, other))
            })
        });
    }

    /// All that must not change by an attack: who has what, and what is in the chain and in the log.
    pub fn books(&self) -> Value {
        let mut operator = self.client("operator", "A");
        let status = operator.ask(&json!({"status": {}}));
        let accounts = operator.ask(&json!({"accounts": {}}));
        let log = operator.ask(&json!({"log": {}}));
        let instances = operator.ask(&json!({"chain": {"from": 0, "to": 0}}));
        let balances: Vec<Value> = ["A", "A/alice", "A/mallory"]
            .iter()
            .map(|account| operator.ask(&json!({"balance": {"account": account}})))
            .collect();
        json!([
            status["height"],
            status["head"],
            status["keys"],
            accounts,
            log,
            instances,
            balances
        ])
    }

    /// What a server has logged since its last start.
    pub fn log_of(&self, id: &str) -> String {
        let file = self.bank.log_file(id).expect("servers log here");
        fs::read_to_string(file).unwrap_or_default()
    }

    /// Waits until a server has ended by itself, and returns what it logged.
    pub fn ends(&mut self, id: &str) -> String {
        wait_until(&format!("{id} ends"), || {
            self.bank.process(id).is_some_and(|process| process.ended().is_some())
        });
        self.bank.kill(id);
        self.log_of(id)
    }

    /// The fingerprint of somebody's key.
    pub fn fingerprint(&self, name: &str) -> Fingerprint {
        self.key(name).fingerprint()
    }
}

/// Shows what the servers logged beside a failed test.
impl Drop for Keyed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for id in ["A", "B", "C"] {
                println!("what {id} logged:\n{}", self.log_of(id));
            }
        }
    }
}
