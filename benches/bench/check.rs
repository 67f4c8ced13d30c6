//! The check after each scenario: what clients were told is what the bank holds, once; chains are
//! equal; the total is what it was. It reads the stores, and keeps books of its own.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use redis::Connection;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::json;

use super::Fallible;
use super::bank::Bank;
use super::chains::Chains;
use super::checkpoint::Checkpoints;
use super::talk::Talk;
use super::tally::{Ran, Tally};

/// Elements that are read at once.
const PIECE: isize = 100;

/// What clients were told of all servers, since the bank was founded.
#[derive(Clone, Default)]
pub struct Told {
    servers: BTreeMap<String, Vec<(u64, u64)>>,
    unknown: BTreeMap<String, u64>,
}

/// What a check has found in order.
pub struct Checked {
    /// Entries of which clients were told.
    pub entries: u64,
    /// Those of them that are in the chain.
    pub in_chain: u64,
    /// Blocks, genesis included.
    pub blocks: u64,
    /// What could be looked at.
    pub how: &'static str,
}

impl Told {
    /// Adds what came of a load.
    pub fn add(&mut self, ran: &Ran) {
        ran.tallies.iter().for_each(|(id, tally)| self.add_one(id, tally));
    }

    /// Adds what came of a load of one server.
    pub fn add_one(&mut self, id: &str, tally: &Tally) {
        let ranges = tally.acks.iter().map(|ack| (ack.first, ack.count));
        self.servers.entry(id.to_owned()).or_default().extend(ranges);
        *self.unknown.entry(id.to_owned()).or_default() += tally.unknown;
    }

    /// The first and the last seq of which a server's clients were told, and how many in all; an error
    /// if two clients were told of the same one.
    fn span(&self, id: &str) -> Fallible<Option<(u64, u64, u64)>> {
        let mut ranges = self.servers.get(id).cloned().unwrap_or_default();
        ranges.sort_unstable();
        let doubled = ranges.windows(2).find(|pair| pair[0].0 + pair[0].1 > pair[1].0);
        if let Some([_, (seq, _)]) = doubled {
            return Err(format!("two clients were told of the same entry of {id}, {seq}"));
        }
        let count = ranges.iter().map(|(_, count)| count).sum();
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(None) };
        Ok(Some((first.0, last.0 + last.1 - 1, count)))
    }

    /// Entries of a server of which clients were told.
    pub fn count(&self, id: &str) -> u64 {
        self.servers.get(id).map_or(0, |ranges| ranges.iter().map(|(_, count)| count).sum())
    }

    fn unknown(&self, id: &str) -> u64 {
        self.unknown.get(id).copied().unwrap_or_default()
    }
}

/// Checks a bank that is at rest. `told` is all that its clients were ever told, unless it was running
/// before the benchmark came.
pub fn check(bank: &Bank, told: &Told) -> Fallible<Checked> {
    let stores = bank.ids().into_iter().map(|id| Ok((id.clone(), bank.store_of(&id)?)));
    let stores: BTreeMap<String, Option<Connection>> = stores.collect::<Fallible<_>>()?;
    let whole: Option<BTreeMap<String, Connection>> =
        stores.into_iter().map(|(id, store)| Some((id, store?))).collect();
    match whole {
        Some(stores) => check_stores(bank, stores, told),
        None => check_from_outside(bank, told),
    }
}

fn check_stores(
    bank: &Bank,
    mut stores: BTreeMap<String, Connection>,
    told: &Told,
) -> Fallible<Checked> {
    let opening = i64::try_from(bank.opening).map_err(|error| error.to_string())?;
    let mut books = Books::new(stores.keys(), opening);
    let blocks = read_chains(bank, &mut stores, &mut books)?;
    let in_chain = books.last.clone();
    let total: i64 = books.balances.values().sum();
    if total != opening * stores.len() as i64 {
        return Err(format!("the chain has changed the total to {total}"));
    }
    for (id, store) in &mut stores {
        books.read_log(id, store)?;
    }
    let mut checked = Checked { entries: 0, in_chain: 0, blocks, how: "all chains and logs read" };
    for (id, last) in &books.last {
        let (_, last_told, count) = told.span(id)?.unwrap_or_default();
        let known = count + told.unknown(id);
        if last_told > *last {
            return Err(format!("{id} told of entry {last_told}, and its last one is {last}"));
        }
        if bank.is_own() && !(count..=known).contains(last) {
            return Err(format!(
                "{id} told of {count} entries and left {} without a reply, and holds {last}",
                told.unknown(id)
            ));
        }
        checked.entries += count;
        // What was sent and never answered may be anywhere, so of those this is an upper bound.
        checked.in_chain += in_chain[id].min(count);
    }
    Ok(checked)
}

/// Reads all chains side by side, and returns how many blocks they have. The balances that are stored
/// are compared on the way.
fn read_chains(
    bank: &Bank,
    stores: &mut BTreeMap<String, Connection>,
    books: &mut Books,
) -> Fallible<u64> {
    let mut checkpoints = Checkpoints::read(stores)?;
    let mut chains = Chains::of(bank)?;
    let mut height = 0;
    loop {
        let blocks = chains.next()?;
        for sealed in &blocks {
            let block: Block<'_> = serde_json::from_str(sealed.text())
                .map_err(|error| format!("block {height}: {error}"))?;
            if block.height != height {
                return Err(format!("block {} is in place {height}", block.height));
            }
            for (id, elements) in &block.logs {
                for element in elements {
                    books.take_in(id, element)?;
                }
            }
            checkpoints.follow(block.height, &books.balances)?;
            height += 1;
        }
        if blocks.is_empty() {
            checkpoints.end(&books.balances)?;
            return Ok(height);
        }
    }
}

fn ask<T: redis::FromRedisValue>(
    store: &mut Connection,
    words: &[&str],
    from: isize,
    to: isize,
) -> Fallible<T> {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]).arg(from).arg(to);
    command.query(store).map_err(|error| format!("{}: {error}", words.join(" ")))
}

/// What the entries amount to.
struct Books {
    balances: HashMap<String, i64>,
    last: BTreeMap<String, u64>,
}

impl Books {
    fn new<'a>(ids: impl Iterator<Item = &'a String> + Clone, opening: i64) -> Books {
        let balances = ids.clone().map(|id| (id.clone(), opening)).collect();
        Books { balances, last: ids.map(|id| (id.clone(), 0)).collect() }
    }

    /// Entries take effect in the order of their seqs, with no gap, and no balance is ever below zero.
    fn take_in(&mut self, id: &str, element: &Element<'_>) -> Fallible<()> {
        let last = self.last.get_mut(id).ok_or_else(|| format!("entries of an unknown {id}"))?;
        if (element.epoch, element.seq) != (1, *last + 1) {
            let Element { epoch, seq, .. } = element;
            return Err(format!("entry ({id}, {epoch}, {seq}) comes after ({id}, 1, {last})"));
        }
        *last += element.entries.len() as u64;
        for entry in &element.entries {
            match entry {
                Entry::Open(account) => {
                    if self.balances.insert((*account).to_owned(), 0).is_some() {
                        return Err(format!("{account} is opened twice"));
                    }
                }
                Entry::Transfer(from, to, amount) => {
                    let payer = self.balances.get_mut(*from).ok_or("an unknown account pays")?;
                    *payer -= amount;
                    if *payer < 0 {
                        return Err(format!("{from} is below zero in an entry of {id}"));
                    }
                    *self.balances.get_mut(*to).ok_or("an unknown account is paid")? += amount;
                }
            }
        }
        Ok(())
    }

    /// The local log goes on where the chain ends. What others pay in their logs is not counted on.
    fn read_log(&mut self, id: &str, store: &mut Connection) -> Fallible<()> {
        let committed = self.balances.clone();
        let mut from = 0;
        loop {
            let key = format!("SERVER-LOG-{id}");
            let piece: Vec<String> = ask(store, &["LRANGE", &key], from, from + PIECE - 1)?;
            for text in &piece {
                let element: Element<'_> =
                    serde_json::from_str(text).map_err(|error| format!("{key}: {error}"))?;
                self.take_in(id, &element)?;
            }
            from += PIECE;
            if (piece.len() as isize) < PIECE {
                self.balances = committed;
                return Ok(());
            }
        }
    }
}

#[derive(Deserialize)]
struct Block<'a> {
    height: u64,
    #[serde(borrow, default)]
    logs: BTreeMap<&'a str, Vec<Element<'a>>>,
}

#[derive(Deserialize)]
struct Element<'a> {
    epoch: u64,
    seq: u64,
    #[serde(borrow)]
    entries: Vec<Entry<'a>>,
}

enum Entry<'a> {
    Transfer(&'a str, &'a str, i64),
    Open(&'a str),
}

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Entry<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[from, to, amount] or {\"open\": account}")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Entry<'de>, A::Error> {
                let missing = || A::Error::custom("an entry is cut short");
                let from = fields.next_element()?.ok_or_else(missing)?;
                let to = fields.next_element()?.ok_or_else(missing)?;
                let amount = fields.next_element()?.ok_or_else(missing)?;
                while fields.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entry::Transfer(from, to, amount))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Entry<'de>, A::Error> {
                let mut opened = None;
                while let Some(key) = fields.next_key::<&str>()? {
                    if key == "open" {
                        opened = Some(fields.next_value()?);
                    } else {
                        fields.next_value::<IgnoredAny>()?;
                    }
                }
                opened.map(Entry::Open).ok_or_else(|| A::Error::custom("an entry of no known kind"))
            }
        }
        from.deserialize_any(Either)
    }
}

/// Of a bank whose stores may not be looked at: settles, and asks.
fn check_from_outside(bank: &Bank, told: &Told) -> Fallible<Checked> {
    bank.settle()?;
    let ids = bank.ids();
    let mut entries = 0;
    for id in &ids {
        let Some((first, last, count)) = told.span(id)? else { continue };
        if last - first + 1 > count + told.unknown(id) {
            return Err(format!(
                "{id} told of {count} entries from {first} to {last}: others use this bank at the same \
                 time, or it has lost some"
            ));
        }
        entries += count;
    }
    let expected = bank.opening as i64 * ids.len() as i64;
    for id in &ids {
        let total = total_at(&bank.addresses[id])?;
        if total != expected {
            return Err(format!("{id} knows of {total} in all, and {expected} was opened with"));
        }
    }
    let height = bank.status(&ids[0])?["height"].as_u64().unwrap_or_default();
    let how = "without the stores: replies, heads and total only";
    Ok(Checked { entries, in_chain: entries, blocks: height + 1, how })
}

fn total_at(address: &str) -> Fallible<i64> {
    let mut talk = Talk::open(address)?;
    let (mut total, mut after) = (0, None);
    loop {
        let mut asked = json!({"accounts": {"limit": 1000}});
        if let Some(after) = &after {
            asked["accounts"]["after"] = json!(after);
        }
        let page = talk.ask(&asked)?;
        let accounts = page["accounts"].as_array().ok_or_else(|| format!("no accounts: {page}"))?;
        total += accounts.iter().map(|one| one["committed"].as_i64().unwrap_or(0)).sum::<i64>();
        after = accounts.last().map(|last| last["account"].clone());
        if page["more"] != json!(true) {
            return Ok(total);
        }
    }
}
