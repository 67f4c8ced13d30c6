//! The assignment, one step after the other: what each transfer of a course's file has to come to.
//!
//! Each server holds a chain and a log. A transfer that the home's chain and log cover is local. Otherwise a majority
//! of the servers has to be live; then a run puts the logs of all live servers into a block, and the home looks
//! again. Nothing here is shared with the program.

use std::collections::{BTreeMap, BTreeSet};

/// A payer, a payee, and how much.
type Entry = (String, String, i64);

/// What a transfer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Local,
    Paxos,
    Refused,
    Unavailable,
}

/// The bank.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The home of each account.
    homes: BTreeMap<String, String>,
    servers: BTreeSet<String>,
    live: BTreeSet<String>,
    opening: i64,
    /// The blocks, with who proposed them.
    blocks: Vec<(String, Vec<Entry>)>,
    /// How many blocks each server has.
    heights: BTreeMap<String, usize>,
    logs: BTreeMap<String, Vec<Entry>>,
}

impl Model {
    /// Founds a bank. An account whose home is not named is the server of its name.
    pub fn new(servers: &str, opening: i64, homes: &[(&str, &str)]) -> Model {
        let servers: BTreeSet<String> = servers.split_whitespace().map(str::to_owned).collect();
        let own = servers.iter().map(|id| (id.clone(), id.clone())).filter(|_| homes.is_empty());
        let others = homes.iter().map(|(name, home)| (name.to_string(), home.to_string()));
        let homes = own.chain(others).collect();
        Model { homes, live: servers.clone(), servers, opening, ..Model::default() }
    }

    /// From here on exactly these servers are live; they bring each other up to date.
    pub fn live(&mut self, live: BTreeSet<String>) {
        self.live = live;
        let most = self.live.iter().map(|id| self.height(id)).max().unwrap_or(0);
        for id in self.live.clone() {
            self.heights.insert(id, most);
        }
    }

    /// The server whose run made the last block that a live server has.
    pub fn leader(&self) -> Option<String> {
        let most = self.live.iter().map(|id| self.height(id)).max()?;
        self.blocks.get(most.checked_sub(1)?).map(|(proposer, _)| proposer.clone())
    }

    pub fn without(&self, id: &str) -> BTreeSet<String> {
        self.live.iter().filter(|live| *live != id).cloned().collect()
    }

    pub fn with(&self, id: &str) -> BTreeSet<String> {
        self.live.iter().cloned().chain([id.to_owned()]).collect()
    }

    fn height(&self, id: &str) -> usize {
        self.heights.get(id).copied().unwrap_or(0)
    }

    /// What an account holds as its home knows it; nothing if the home is not live.
    pub fn balance(&self, account: &str) -> Option<i64> {
        let home = &self.homes[account];
        let committed = self.blocks[..self.height(home)].iter().flat_map(|(_, entries)| entries);
        let known = committed.chain(self.logs.get(home).into_iter().flatten());
        let change = known.map(|(from, to, amount)| {
            amount * (i64::from(to == account) - i64::from(from == account))
        });
        self.live.contains(home).then(|| self.opening + change.sum::<i64>())
    }

    /// The accounts.
    pub fn accounts(&self) -> impl Iterator<Item = &String> {
        self.homes.keys()
    }

    pub fn home(&self, account: &str) -> &str {
        &self.homes[account]
    }

    /// Pays.
    pub fn pay(&mut self, from: &str, to: &str, amount: i64) -> End {
        let home = self.homes[from].clone();
        if !self.live.contains(&home) {
            return End::Unavailable;
        }
        let mut end = End::Local;
        if self.balance(from) < Some(amount) {
            if self.live.len() * 2 <= self.servers.len() {
                return End::Unavailable;
            }
            self.run(&home);
            end = End::Paxos;
        }
        if self.balance(from) < Some(amount) {
            return End::Refused;
        }
        self.logs.entry(home).or_default().push((from.into(), to.into(), amount));
        end
    }

    fn run(&mut self, proposer: &str) {
        let logs = self.live.iter().filter_map(|id| self.logs.remove(id));
        let entries: Vec<Entry> = logs.flatten().collect();
        if entries.is_empty() {
            return;
        }
        self.blocks.push((proposer.to_owned(), entries));
        for id in &self.live {
            self.heights.insert(id.clone(), self.blocks.len());
        }
    }
}
