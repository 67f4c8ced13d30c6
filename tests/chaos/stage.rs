//! A bank of processes, all of whose connections go through proxies.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::proxy::Proxy;
use crate::support::process::{Bank, Setup};

/// Servers forgive little, so that much happens in little time.
const FLAGS: &str = "--opening-balance 20000 --heartbeat 100ms --gather 300ms --repeat 150ms \
    --finish-round 500ms --reconcile-timeout 500ms --unavailable-after 2s --redial 20ms \
    --redial-most 300ms --handshake 1s --silence 3s --unread 3s --redis-timeout 1s";

/// Little stays in Redis, so that much leaves it.
const ARCHIVE: &str = "--keep 32KiB --segment 16KiB";

/// What each server's account holds at first.
pub const OPENING: i128 = 20_000;

/// All that can be broken.
pub struct Stage {
    pub bank: Bank,
    /// The servers that founded it.
    pub founders: Vec<String>,
    /// From each server to each other one.
    pub ways: BTreeMap<(String, String), Proxy>,
    /// From the clients to each server.
    pub doors: BTreeMap<String, Proxy>,
}

impl Stage {
    /// A bank that is open, and whose servers keep their logs in a folder.
    pub fn open(
        ids: &[&str],
        (redis_each, archive): (bool, bool),
        more_flags: &str,
        logs: &Path,
    ) -> Stage {
        let flags = FLAGS.split_whitespace().chain(more_flags.split_whitespace());
        let flags = flags.map(str::to_owned).collect();
        let archives = archive.then(|| {
            let folder = logs.join("archives");
            // What an earlier bank left there belongs to that bank.
            let _ = fs::remove_dir_all(&folder);
            (folder, ARCHIVE.split_whitespace().map(str::to_owned).collect())
        });
        let mut bank = Bank::set_up(
            ids,
            Setup { redis_each, flags, archives, logs: Some(logs.into()), ..Setup::default() },
        );
        let ids = bank.ids();
        let doors = ids.iter().map(|id| (id.clone(), Proxy::start(bank.address(id)))).collect();
        let mut ways = BTreeMap::new();
        for from in &ids {
            for to in ids.iter().filter(|to| *to != from) {
                let way = (from.clone(), to.clone());
                let proxy = Proxy::start(bank.address(to));
                bank.routes.insert(way.clone(), proxy.address().to_owned());
                ways.insert(way, proxy);
            }
        }
        bank.start_all();
        Stage { bank, founders: ids, ways, doors }
    }

    /// The ways to and from a server.
    pub fn ways_of(&self, id: &str) -> impl Iterator<Item = &Proxy> {
        self.ways.iter().filter(move |((from, to), _)| from == id || to == id).map(|(_, way)| way)
    }
}
