//! Elements: the entries of one turn, in one text.
//!
//! A server's local log is a list of elements, and so is its part of a block. An element's text is
//! written once, when its turn ends. Exactly this text is stored, promised and put into a block:
//!
//! ```json
//! {"epoch":1,"seq":17,"time":1796009637123,"entries":[["A","B",30],{"open":"A/alice"},["A","A/alice",5,"A.1.0.…#4"],["A","B",1,5,"paxos","rent"]]}
//! ```
//!
//! `seq` is the first entry's. `time` is the turn's, for people; elements of formats before 6 have none. A
//! transfer is `[from, to, amount]`, then its request, if it has one, then its marks, if it has any: `paxos`,
//! `linked`, or `paxos linked`; then what it is for, if that was said. A request that is only a number belongs to
//! the session of the request before it in the same element.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::{Action, Entry, Position, Record};
use crate::bank::wall_time::WallTime;

mod draft;
mod reading;

pub(super) use draft::Draft;

/// The entries of one turn. It is cheap to clone. Two are equal if their texts are.
#[derive(Clone)]
pub struct Element(Arc<Parts>);

struct Parts {
    first: Position,
    time: Option<WallTime>,
    entries: usize,
    text: Box<str>,
    /// The accounts that it opens; mostly none.
    opened: Box<[AccountId]>,
    concerns_servers: bool,
    /// By how much it makes the sum of all balances grow, in units; none if it issues nothing and takes nothing back.
    issues: Option<i64>,
    /// The records, which are parsed from the text when they are asked for. A server's own log is long, and
    /// most of it is only stored and sent.
    records: OnceLock<Box<[Record]>>,
}

impl Element {
    /// Writes records as an element; the first record has the position `first`. It has no time.
    ///
    /// # Panics
    /// If there are no records, or the last is linked to one that isn't there.
    pub fn seal(first: Position, records: Vec<Record>) -> Element {
        Element::seal_at(None, first, records)
    }

    /// Does the same for a turn at this time.
    ///
    /// # Panics
    /// If there are no records, or the last is linked to one that isn't there.
    pub fn seal_at(time: Option<WallTime>, first: Position, records: Vec<Record>) -> Element {
        let mut draft = Draft::default();
        records.iter().for_each(|record| draft.push(record));
        draft.seal(first, time)
    }

    /// Parses the text of an element.
    ///
    /// # Errors
    /// Says where and why if the text is not an element.
    pub fn open(text: &str) -> Result<Element, serde_json::Error> {
        let (Head { first, time }, records) = reading::read(text)?;
        let opened = records.iter().filter_map(|record| match &record.action {
            Action::Open { account, .. } => Some(account.clone()),
            _ => None,
        });
        Ok(Element(Arc::new(Parts {
            first,
            time,
            entries: records.len(),
            text: text.into(),
            opened: opened.collect(),
            concerns_servers: records.iter().any(|record| record.action.is_of_servers()),
            issues: records.iter().fold(None, |issues, record| add_issued(issues, &record.action)),
            records: OnceLock::from(records.into_boxed_slice()),
        })))
    }

    /// Returns a separate copy: what is parsed of it isn't kept in memory by those who share this one.
    pub fn apart(&self) -> Element {
        Element::open(&self.0.text).expect("what was written can be read")
    }

    /// Returns the position of the first entry.
    pub fn first(&self) -> Position {
        self.0.first
    }

    /// Returns the position of the last entry.
    pub fn last(&self) -> Position {
        self.0.first.plus(self.0.entries - 1)
    }

    /// Returns the time of its turn, if it tells one.
    pub fn time(&self) -> Option<WallTime> {
        self.0.time
    }

    /// Returns by how much it makes the sum of all balances grow, in units, if it holds an entry that issues money or
    /// takes some back.
    pub fn issues(&self) -> Option<i64> {
        self.0.issues
    }

    /// Returns the number of entries, which is never 0.
    pub fn entries_held(&self) -> usize {
        self.0.entries
    }

    /// Returns its records, in order.
    pub fn records(&self) -> &[Record] {
        self.0.records.get_or_init(|| {
            let read = reading::read(&self.0.text);
            read.expect("what was written can be read").1.into_boxed_slice()
        })
    }

    /// Returns its records with their names, as entries of `server`.
    pub fn entries<'a>(&'a self, server: &'a ServerId) -> impl Iterator<Item = Entry> + 'a {
        let records = self.records().iter().enumerate();
        records.map(|(place, record)| self.entry(server, place, record))
    }

    /// Returns those of its records that are wanted, the last one first, each with its place and its name.
    pub fn newest_where<'a>(
        &'a self,
        server: &'a ServerId,
        is_wanted: impl Fn(&Record) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, Entry)> + 'a {
        let records = self.records().iter().enumerate().rev();
        let wanted = records.filter(move |(_, record)| is_wanted(record));
        wanted.map(|(place, record)| (place, self.entry(server, place, record)))
    }

    fn entry(&self, server: &ServerId, place: usize, record: &Record) -> Entry {
        let Position { epoch, seq } = self.0.first.plus(place);
        let (server, time) = (server.clone(), self.0.time);
        Entry { server, epoch, seq, time, record: record.clone() }
    }

    /// Returns the accounts that it opens.
    pub fn opened(&self) -> &[AccountId] {
        &self.0.opened
    }

    /// True if it holds an entry that concerns the servers: a rejoin, or a server's key.
    pub fn concerns_servers(&self) -> bool {
        self.0.concerns_servers
    }

    /// Returns the text that is stored, sent and hashed.
    pub fn text(&self) -> &str {
        &self.0.text
    }
}

/// What an element says before its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The position of the first entry.
    first: Position,
    /// The time of the turn.
    time: Option<WallTime>,
}

/// Adds what an action issues, if it issues money or takes some back.
fn add_issued(issues: Option<i64>, action: &Action) -> Option<i64> {
    match action {
        // An element holds so many entries at most that no sum is too large.
        Action::Mint { .. } | Action::Burn { .. } => {
            Some(issues.unwrap_or_default().saturating_add(action.issues()))
        }
        _ => issues,
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.text == other.0.text
    }
}

impl Eq for Element {}

impl Hash for Element {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl Serialize for Element {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue =
            serde_json::from_str(self.text()).map_err(serde::ser::Error::custom)?;
        raw.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(from)?;
        Element::open(raw.get()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
