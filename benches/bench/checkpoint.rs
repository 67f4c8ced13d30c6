//! The balances that the servers have stored, a page here and a page there, held against books that
//! somebody else keeps of the chain.

use std::collections::{BTreeMap, HashMap, HashSet};

use redis::Connection;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Fallible;

/// All servers' pages, in the order in which they can be compared.
pub struct Checkpoints {
    servers: BTreeMap<String, Checkpoint>,
    /// Those that are due last come first.
    pages: Vec<Due>,
}

/// What a server's pages have all of.
struct Checkpoint {
    height: u64,
    /// How many accounts there were then.
    accounts: usize,
    /// How many accounts are on the pages that were compared.
    found: usize,
}

/// A page that has to be right after the block at a height: its own, or the checkpoint if that is later,
/// since what came between must not have changed anything on it. The blocks after that are not in it.
struct Due {
    height: u64,
    server: String,
    number: u32,
    text: String,
}

#[derive(Deserialize)]
struct Height {
    height: u64,
    #[serde(rename = "balances")]
    _balances: IgnoredAny,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    balances: Vec<(&'a str, i64)>,
}

impl Checkpoints {
    /// Those of the servers in these stores.
    pub fn read(stores: &mut BTreeMap<String, Connection>) -> Fallible<Checkpoints> {
        let (mut servers, mut pages) = (BTreeMap::new(), Vec::new());
        for (id, store) in stores {
            let state = format!("SERVER-STATE-{id}");
            let mut ask = redis::cmd("HGET");
            ask.arg(&state).arg("checkpoint");
            let checkpoint: u64 = ask.query(store).map_err(|error| format!("{state}: {error}"))?;
            servers.insert(id.clone(), Checkpoint { height: checkpoint, accounts: 0, found: 0 });
            for (number, text) in texts(id, store)? {
                let Height { height, .. } = parse(id, number, &text)?;
                let height = height.max(checkpoint);
                pages.push(Due { height, server: id.clone(), number, text });
            }
        }
        pages.sort_by_key(|due| std::cmp::Reverse(due.height));
        Ok(Checkpoints { servers, pages })
    }

    /// The blocks up to this height make the balances these: compares what is due.
    pub fn follow(&mut self, height: u64, balances: &HashMap<String, i64>) -> Fallible<()> {
        while let Some(due) = self.pages.pop_if(|due| due.height <= height) {
            let Due { server, number, text, .. } = &due;
            let Page { balances: stored } = parse(server, *number, text)?;
            for (account, balance) in &stored {
                if balances.get(*account) != Some(balance) {
                    return Err(format!(
                        "{server} holds {balance} for {account} on page {number}, which is not what its \
                         chain says of block {}",
                        due.height
                    ));
                }
            }
            let names: HashSet<&str> = stored.iter().map(|(account, _)| *account).collect();
            if names.len() < stored.len() {
                return Err(format!("an account is twice on page {number} of {server}"));
            }
            let checkpoint = self.servers.get_mut(server).expect("it has pages");
            checkpoint.found += stored.len();
        }
        for checkpoint in self.servers.values_mut().filter(|one| one.height == height) {
            checkpoint.accounts = balances.len();
        }
        Ok(())
    }

    /// The chain has ended.
    pub fn end(&self, balances: &HashMap<String, i64>) -> Fallible<()> {
        if let Some(Due { height, server, number, .. }) = self.pages.first() {
            return Err(format!(
                "page {number} of {server} needs block {height}, which isn't there"
            ));
        }
        for (server, checkpoint) in &self.servers {
            let Checkpoint { height, accounts, found } = checkpoint;
            // Later blocks may have opened some that are stored, and some that are not.
            if !(*accounts..=balances.len()).contains(found) || *accounts == 0 {
                return Err(format!(
                    "{server} lacks accounts, or has some twice: it has {found} of those {accounts} that \
                     there were at block {height}"
                ));
            }
        }
        Ok(())
    }
}

/// The texts of all pages, by their numbers.
fn texts(id: &str, store: &mut Connection) -> Fallible<BTreeMap<u32, String>> {
    let key = format!("SERVER-BALANCES-{id}");
    let mut scan = redis::cmd("HSCAN");
    scan.arg(&key).cursor_arg(0).arg("COUNT").arg(100);
    let pages = scan.iter::<(u32, String)>(store).map_err(|error| format!("{key}: {error}"))?;
    pages.map(|page| page.map_err(|error| format!("{key}: {error}"))).collect()
}

fn parse<'a, T: Deserialize<'a>>(id: &str, number: u32, text: &'a str) -> Fallible<T> {
    serde_json::from_str(text).map_err(|error| format!("page {number} of {id}: {error}"))
}
