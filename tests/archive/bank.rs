//! A bank with tiny segments, so that it archives many times within a test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use paxos_banking::audit::{self, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cluster::{PATIENCE, wait_until};
use crate::support::process::{Bank, Setup};
use crate::support::redis::say;

const PROGRAM: &str = env!("CARGO_BIN_EXE_paxos-banking");

/// The servers.
pub const SERVERS: [&str; 3] = ["A", "B", "C"];
/// A segment of a few blocks, and as much that stays in Redis.
const FLAGS: [&str; 4] = ["--keep", "1KiB", "--segment", "1KiB"];

/// A bank, and the folders of its archives and logs.
pub struct Archived {
    /// The bank.
    pub bank: Bank,
    _folder: TempDir,
}

impl Archived {
    /// Opens a bank whose servers have a Redis each.
    pub fn open() -> Archived {
        Archived::open_with(&FLAGS, None)
    }

    /// The same with other flags of the archive, and with bounds by the shell's `ulimit` for each server.
    pub fn open_with(flags: &[&str], bounds: Option<&'static str>) -> Archived {
        let archive_flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let archives = Some((folder.path().join("archives"), archive_flags));
        let mut flags = Setup::default().flags;
        flags.extend(["--opening-balance".to_owned(), "1000".to_owned()]);
        let logs = Some(logs);
        let setup = Setup { redis_each: true, flags, archives, logs, bounds, ..Setup::default() };
        let mut bank = Bank::set_up(&SERVERS, setup);
        bank.start_all();
        Archived { bank, _folder: folder }
    }

    /// Opens a bank in which each server has segments, and a history: block h has one entry, by which A pays B 1
    /// (an uneven h) or C 1 (an even one).
    pub fn with_a_past() -> Archived {
        let mut archived = Archived::open();
        archived.pay(30);
        archived.wait_until_archived(18);
        archived
    }

    /// Has so many blocks made.
    pub fn pay(&mut self, blocks: u64) {
        for number in 0..blocks {
            let to = if number % 2 == 0 { "B" } else { "C" };
            let request = json!({"transfer": {"to": to, "amount": 1, "settled": true}});
            let reply = self.bank.ask("A", &request).expect("an answer");
            assert_eq!(
                (&reply["outcome"], &reply["settled"]),
                (&json!("accepted"), &json!(true)),
                "{reply}"
            );
        }
    }

    /// Has two blocks made whose payments add up to nothing, so that whoever waits meanwhile runs out of no money.
    pub fn pay_around(&mut self) {
        for (from, to) in [("A", "B"), ("B", "A")] {
            let request = json!({"transfer": {"to": to, "amount": 1, "settled": true}});
            let reply = self.bank.ask(from, &request).expect("an answer");
            assert_eq!(reply["settled"], json!(true), "{reply}");
        }
    }

    /// Waits until the blocks up to this height have left each Redis.
    pub fn wait_until_archived(&mut self, height: u64) {
        for id in SERVERS {
            wait_until("old blocks have left", || {
                // The next turn notes a segment; an idle server has none.
                self.bank.ask("B", &json!({"transfer": {"to": "C", "amount": 1, "settled": true}}));
                self.base(id) > height
            });
        }
        // Whoever has accepted the last block and not appended it yet, has it elsewhere in its store.
        wait_until("all hold the last block", || {
            let height =
                |id| self.bank.ask(id, &json!({"status": {}})).map(|s| s["height"].clone());
            let heights = SERVERS.map(height);
            heights[0].is_some() && heights.windows(2).all(|two| two[0] == two[1])
        });
    }

    /// Returns the height of the first block in a server's Redis.
    pub fn base(&mut self, id: &str) -> u64 {
        let state = format!("SERVER-STATE-{id}");
        let base: Option<u64> = say(&mut self.bank.redis(id).connect(), &["HGET", &state, "base"]);
        base.unwrap_or_default()
    }

    /// Returns the folder of a server's segments.
    pub fn folder(&self, id: &str) -> PathBuf {
        self.bank.archive(id).unwrap()
    }

    /// Returns a server's segments by name, each with its text.
    pub fn segments(&self, id: &str) -> BTreeMap<String, String> {
        segments_in(&self.folder(id))
    }

    /// Asks a server for an account's whole statement. Returns the number of lines, and why it broke off.
    pub fn history(&mut self, id: &str, account: &str) -> (usize, String) {
        let (mut lines, mut before) = (0, Value::Null);
        loop {
            let mut ask = json!({"account": account, "limit": 7});
            if !before.is_null() {
                ask["before"] = before;
            }
            let page = self.bank.ask(id, &json!({"history": ask})).expect("an answer");
            let Some(more) = page["lines"].as_array() else {
                return (lines, page["message"].as_str().expect("an error").to_owned());
            };
            lines += more.len();
            before = page["next"].clone();
            if before.is_null() {
                return (lines, String::new());
            }
        }
    }

    /// Returns a server's log since its last start.
    pub fn log(&self, id: &str) -> String {
        fs::read_to_string(self.bank.log_file(id).unwrap()).unwrap()
    }

    /// Waits until a server's log says something.
    pub fn wait_until_said(&self, id: &str, words: &str) {
        wait_until(&format!("{id} says {words:?}"), || self.log(id).contains(words));
    }

    /// Audits all stores, with their archives or without; returns the status and the report.
    pub fn audit(&mut self, archives: &[&str]) -> (u8, Value) {
        let redis = SERVERS.iter().map(|id| self.bank.redis(id).url()).collect();
        let archives = archives.iter().map(|id| self.folder(id)).collect();
        let (ids, servers, server_keys, files) = Default::default();
        let (doors, json, timeout) = (None, true, PATIENCE);
        let options =
            Options { redis, archives, ids, servers, doors, server_keys, files, json, timeout };
        let mut report = Vec::new();
        let status = audit::run(&options, &mut report);
        (status, serde_json::from_slice(&report).unwrap())
    }

    /// Exports a server's store, with or without its archive.
    pub fn export(&mut self, id: &str, with_archive: bool) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(["export", "--id", id, "--redis", &self.bank.redis(id).url()]);
        if with_archive {
            command.arg("--archive").arg(self.folder(id));
        }
        command.output().unwrap()
    }
}

/// Returns the segments in a folder by name, each with its text.
pub fn segments_in(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let segments = entries.filter(|path| path.extension().is_some_and(|is| is == "jsonl"));
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    segments.map(|path| (name(&path), fs::read_to_string(path).unwrap())).collect()
}
