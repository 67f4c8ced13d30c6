//! What clients asked and were told.

use std::collections::BTreeMap;

use paxos_banking::bank::ids::{AccountId, RequestId};
use paxos_banking::bank::ledger::entry::Action;

/// What a client knows of what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was accepted, as an entry of its home's…
    Accepted {
        /// …in this epoch…
        epoch: u64,
        /// …with this seq…
        seq: u64,
        /// …after which the subject held so much, if the answer is one that says so.
        balance: Option<u64>,
    },
    /// It has not happened and will not; why, in a word.
    NotDone(&'static str),
    /// Nothing is known.
    Unknown,
}

/// A transfer or an opening that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub request: RequestId,
    pub action: Action,
    /// It is linked to the next one.
    pub linked: bool,
    pub fate: Fate,
}

/// What a client was told of an account at its home.
#[derive(Clone, Debug)]
pub struct Read {
    pub account: AccountId,
    pub balance: u64,
    pub committed: Option<u64>,
    pub height: u64,
    /// The last entry of that home's of which the client had been told before.
    pub after_seq: u64,
}

/// What a client, or all clients together, asked and were told.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub asked: Vec<Asked>,
    pub reads: Vec<Read>,
}

impl History {
    /// Adds another client's.
    pub fn add(&mut self, other: History) {
        self.asked.extend(other.asked);
        self.reads.extend(other.reads);
    }

    /// How often each fate was met.
    pub fn tally(&self) -> BTreeMap<&'static str, usize> {
        let mut tally = BTreeMap::from([("read", self.reads.len())]);
        for asked in &self.asked {
            let word = match &asked.fate {
                Fate::Accepted { .. } => "accepted",
                Fate::NotDone(why) => why,
                Fate::Unknown => "unknown",
            };
            *tally.entry(word).or_default() += 1;
        }
        tally
    }
}
