//! A bank that ends, and one that is founded from its backups.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bank::{Archived, SERVERS};
use crate::support::cluster::{Client, wait_until};
use crate::support::process::{Bank, Setup};
use crate::told::{Told, back_up, program};

/// The servers of a new bank, told to go on from these backups; none is started.
pub struct New {
    pub bank: Bank,
    pub logs: TempDir,
}

impl New {
    pub fn bank(ids: &[&str]) -> New {
        let logs = tempfile::tempdir().unwrap();
        let setup =
            Setup { redis_each: true, logs: Some(logs.path().to_owned()), ..Setup::default() };
        New { bank: Bank::set_up(ids, setup), logs }
    }

    pub fn start(&mut self, id: &str, folders: &[&Path]) {
        let flags = folders.iter().flat_map(|dir| ["--found-from", dir.to_str().unwrap()]);
        self.bank.start_server_with(id, &flags.collect::<Vec<_>>());
    }

    /// Founded from these backups, and open.
    pub fn founded(folders: &[&Path]) -> New {
        let mut new = New::bank(&SERVERS);
        SERVERS.iter().for_each(|id| new.start(id, folders));
        new.bank.wait_until_connected();
        new
    }

    pub fn log(&self, id: &str) -> String {
        fs::read_to_string(self.bank.log_file(id).unwrap()).unwrap()
    }

    pub fn wait_until_said(&self, id: &str, words: &str) {
        wait_until(&format!("{id} says {words:?}"), || self.log(id).contains(words));
    }

    pub fn balance(&self, account: &str) -> Value {
        let request = json!({"balance": {"account": account}});
        self.bank.ask(&account[..1], &request).expect("an answer")["balance"].clone()
    }

    pub fn audit(&mut self, old: &[&Path]) -> (i32, Value) {
        let mut audit = program(&["audit", "--json"]);
        for id in SERVERS {
            audit.args(["--redis", &self.bank.redis(id).url()]);
        }
        let told = Told::of(audit.args(old).output().unwrap());
        (told.status, serde_json::from_str(&told.out).unwrap())
    }
}

pub fn asked(archived: &Archived, id: &str, request: &Value) -> Value {
    archived.bank.ask(id, request).expect("an answer")
}

pub fn accepted(reply: &Value) {
    assert_eq!(reply["outcome"], json!("accepted"), "{reply}");
}

/// An old bank, of which A's and B's backups are left. A's log has two entries, B's has one, C's has one.
pub struct Old {
    pub archived: Archived,
    pub root: TempDir,
    /// A request of A's that is in the chain, and one that is in A's log, and one that is in C's.
    pub requests: [(&'static str, Value); 3],
}

impl Old {
    pub fn bank() -> Old {
        let archived = Archived::with_a_past();
        accepted(&asked(&archived, "A", &json!({"open": {"account": "A/alice"}})));
        let named = |id: &'static str, to: &str, amount: u64, settled: bool| {
            let mut client = Client::try_connect(archived.bank.address(id)).unwrap();
            let session = client.ask(&json!({"session": {}}))["session"].clone();
            let mut request =
                json!({"transfer": {"to": to, "amount": amount, "session": session, "number": 1}});
            if settled {
                request["transfer"]["settled"] = json!(true);
            }
            accepted(&client.ask(&request));
            (id, request)
        };
        let requests =
            [named("A", "A/alice", 70, true), named("A", "B", 7, false), named("C", "A", 3, false)];
        accepted(&asked(
            &archived,
            "A",
            &json!({"transfer": {"from": "A/alice", "to": "C", "amount": 5}}),
        ));
        accepted(&asked(&archived, "B", &json!({"transfer": {"to": "C", "amount": 11}})));
        Old { archived, root: tempfile::tempdir().unwrap(), requests }
    }

    pub fn back_up(&mut self, id: &str) -> PathBuf {
        let dir = self.root.path().join(id);
        let told = back_up(&mut self.archived, id, &dir);
        assert_eq!(told.status, 0, "{told:?}");
        dir
    }
}
