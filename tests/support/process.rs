//! Servers as processes of the shipped program, on a Redis of the test's own.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use paxos_banking::client::Options;
use paxos_banking::client::session::Session;
use serde_json::{Value, json};

use super::cluster::{Client, PATIENCE, free_address, hears, wait_until};
use super::redis::TestRedis;

const PROGRAM: &str = env!("CARGO_BIN_EXE_paxos-banking");

/// A bank of processes that share a Redis. Whatever still runs is killed when this is dropped.
pub struct Bank {
    pub redis: TestRedis,
    addresses: BTreeMap<String, String>,
    running: BTreeMap<String, Child>,
}

impl Bank {
    /// A bank of servers with these ids, none of which is started yet.
    pub fn new(ids: &[&str]) -> Bank {
        Bank {
            redis: TestRedis::start(),
            addresses: ids.iter().map(|id| (id.to_string(), free_address())).collect(),
            running: BTreeMap::new(),
        }
    }

    /// The same, open and connected.
    pub fn start(ids: &[&str]) -> Bank {
        let mut bank = Bank::new(ids);
        for id in ids {
            bank.start_server(id);
        }
        bank.wait_until_connected();
        bank
    }

    /// The ids of its servers.
    pub fn ids(&self) -> Vec<String> {
        self.addresses.keys().cloned().collect()
    }

    /// Where a server is, or will be.
    pub fn address(&self, id: &str) -> &str {
        &self.addresses[id]
    }

    fn cluster(&self) -> String {
        let entries = self.addresses.iter().map(|(id, address)| format!("{id}={address}"));
        entries.collect::<Vec<_>>().join(",")
    }

    /// The program, told to be a server.
    pub fn server_command(&self, id: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["server", "--id", id, "--cluster", &self.cluster()]);
        command.args(["--redis", &self.redis.url()]);
        command
    }

    /// The program, told to be a client.
    pub fn client_command(&self, id: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["client", "--id", id, "--cluster", &self.cluster()]);
        command
    }

    /// Starts a server on the store that it had.
    pub fn start_server(&mut self, id: &str) {
        let mut command = self.server_command(id);
        command.args(["--heartbeat", "100ms", "--gather", "3s", "--redial-most", "200ms"]);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let before = self.running.insert(id.to_string(), child.expect("the program starts"));
        assert!(before.is_none(), "{id} was running");
    }

    /// Kills a server: SIGKILL.
    pub fn kill(&mut self, id: &str) {
        let mut child = self.running.remove(id).expect("it is running");
        child.kill().expect("it can be killed");
        child.wait().expect("it can be reaped");
    }

    /// A session with a server, that tries for long.
    pub fn session(&self, id: &str) -> Session {
        Session::new(&Options {
            id: id.parse().unwrap(),
            address: self.address(id).to_string(),
            timeout: Duration::from_secs(2),
            give_up_after: PATIENCE,
            json: false,
            commands: Vec::new(),
        })
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

    /// Waits until the bank is open and all its servers hear each other.
    pub fn wait_until_connected(&self) {
        wait_until("all servers are connected", || {
            self.addresses.keys().all(|id| {
                let Some(status) = self.ask(id, &json!({"status": {}})) else { return false };
                let mut others = self.addresses.keys().filter(|other| *other != id);
                status["active"] == json!(true) && others.all(|other| hears(&status, other))
            })
        });
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

impl Drop for Bank {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
