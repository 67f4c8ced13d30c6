//! The checker: holds what clients were told against the chain, by arithmetic of its own.

pub mod accounts;
pub mod history;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use paxos_banking::bank::blockchain::block::{BlockHash, SealedBlock};
use paxos_banking::bank::ids::{AccountId, RequestId, ServerId};
use paxos_banking::bank::ledger::entry::{Action, Entry};

use accounts::Accounts;
use history::{Asked, Fate, History};

/// What is judged: all is settled, and everybody is connected.
pub struct Evidence {
    /// What each server's account held at first.
    pub opening: i128,
    /// The servers that come and go. Nobody's requests are told of them.
    pub visitors: BTreeSet<String>,
    /// Each server's chain, as the texts of its blocks.
    pub chains: BTreeMap<String, Vec<String>>,
    pub history: History,
}

/// What is wrong, in words.
pub type Finding = String;

/// An entry, the height of its block, and its place among all entries.
struct Placed {
    entry: Entry,
    height: u64,
}

macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+));
        }
    };
}

/// Returns how many blocks and entries there are, if nothing is wrong.
///
/// # Errors
/// What is wrong.
pub fn check(evidence: &Evidence) -> Result<(usize, usize), Finding> {
    let blocks = the_one_chain(&evidence.chains)?;
    let entries = all_entries(&blocks);
    in_sequence(&entries, &evidence.visitors)?;
    let accounts = replay(evidence, &blocks, &entries)?;
    as_told(&evidence.history, &entries, &evidence.visitors)?;
    linked_together(&evidence.history, &entries)?;
    balances_as_told(&evidence.history, &accounts)?;
    Ok((blocks.len(), entries.len()))
}

/// The chain, if all servers hold the same one, byte for byte, and its blocks are linked.
fn the_one_chain(chains: &BTreeMap<String, Vec<String>>) -> Result<Vec<SealedBlock>, Finding> {
    let (first, texts) = chains.first_key_value().expect("a server");
    for (server, others) in chains {
        let differs = texts.iter().zip(others).position(|(one, other)| one != other);
        ensure!(differs.is_none(), "{first} and {server} differ in block {}", differs.unwrap_or(0));
        let (here, there) = (texts.len(), others.len());
        ensure!(here == there, "{first} has {here} blocks, {server} has {there}");
    }
    let mut blocks = Vec::new();
    let mut previous = BlockHash::NONE;
    for (height, text) in (0..).zip(texts) {
        let block = SealedBlock::open(text).map_err(|error| format!("block {height}: {error}"))?;
        ensure!(block.height() == height, "block {height} says that it is {}", block.height());
        ensure!(block.block().previous == previous, "block {height} is not linked");
        previous = BlockHash::of(text);
        blocks.push(block);
    }
    Ok(blocks)
}

fn all_entries(blocks: &[SealedBlock]) -> Vec<Placed> {
    let entries = |block: &SealedBlock| {
        let height = block.height();
        block.block().entries().map(|entry| Placed { entry, height }).collect::<Vec<_>>()
    };
    blocks.iter().flat_map(entries).collect()
}

/// Each server's entries are numbered 1, 2, 3…, and those of a visitor so with each visit, in an epoch of its own.
fn in_sequence(entries: &[Placed], visitors: &BTreeSet<String>) -> Result<(), Finding> {
    let mut last: BTreeMap<&ServerId, (u64, u64)> = BTreeMap::new();
    for Placed { entry, height } in entries {
        let last = last.entry(&entry.server).or_insert((1, 0));
        let (server, epoch, seq) = (&entry.server, entry.epoch, entry.seq);
        if epoch > last.0 && visitors.contains(server.as_str()) {
            *last = (epoch, 0);
        }
        ensure!(epoch == last.0, "{server} is in epoch {epoch}: {entry:?}");
        let before = last.1;
        ensure!(
            seq == before + 1,
            "after {server}.{epoch}.{before} block {height} has {server}.{epoch}.{seq}"
        );
        last.1 = seq;
    }
    Ok(())
}

/// What all accounts held when; never below zero, and always the same in all.
fn replay(
    evidence: &Evidence,
    blocks: &[SealedBlock],
    entries: &[Placed],
) -> Result<Accounts, Finding> {
    let genesis = blocks.first().and_then(|block| block.block().genesis.as_ref());
    let genesis = genesis.ok_or("there is no block 0")?;
    let opening = i128::from(genesis.opening_balance.units());
    ensure!(opening == evidence.opening, "the bank opened with {opening} each");
    let mut accounts = Accounts::new(genesis.servers.keys(), opening);
    let total = accounts.total();
    for Placed { entry, height } in entries {
        accounts.apply(entry, *height)?;
    }
    let right = total + accounts.issued;
    ensure!(accounts.total() == right, "the total has to be {right} and is {}", accounts.total());
    Ok(accounts)
}

/// What was accepted is there once, as it was asked for and under the name that was told; what was
/// not done isn't there; nothing is there that nobody asked for.
fn as_told(
    history: &History,
    entries: &[Placed],
    visitors: &BTreeSet<String>,
) -> Result<(), Finding> {
    let mut by_request: HashMap<&RequestId, &Placed> = HashMap::new();
    for placed in entries {
        let Entry { server, record, .. } = &placed.entry;
        let is_visitors = visitors.contains(server.as_str());
        if is_visitors
            || matches!(&record.action, Action::Member(change) if visitors.contains(change.server().as_str()))
        {
            continue;
        }
        let request = record.request.as_ref();
        let request = request.ok_or_else(|| format!("nobody asked for {:?}", placed.entry))?;
        let before = by_request.insert(request, placed);
        ensure!(before.is_none(), "{request} happened twice: {:?}", placed.entry);
    }
    for Asked { request, action, linked, fate } in &history.asked {
        let found = by_request.remove(request);
        if let Some(Placed { entry, .. }) = found {
            let home = action.subject().map(AccountId::home);
            ensure!(home == Some(entry.server.as_str()), "{request} happened at {}", entry.server);
            let as_asked = entry.record.action == *action && entry.record.linked == *linked;
            ensure!(as_asked, "{request} asked for {action:?}, and {entry:?} happened");
        }
        match (fate, found) {
            (Fate::Accepted { epoch, seq, .. }, Some(Placed { entry, .. })) => {
                let same = (entry.epoch, entry.seq) == (*epoch, *seq);
                ensure!(same, "{request} was accepted as {epoch}.{seq}, and is {entry:?}");
            }
            (Fate::Accepted { .. }, None) => {
                return Err(format!("{request} is lost: {action:?} was {fate:?}"));
            }
            (Fate::NotDone(why), Some(Placed { entry, height })) => {
                return Err(format!("{request} was {why}, and block {height} has {entry:?}"));
            }
            (Fate::NotDone(_), None) | (Fate::Unknown, _) => {}
        }
    }
    match by_request.into_keys().min() {
        Some(request) => Err(format!("{request} happened, and nobody asked for it")),
        None => Ok(()),
    }
}

/// What is linked happened one after the other, or not at all. (A block that ends within a group is
/// none: it can't be opened.)
fn linked_together(history: &History, entries: &[Placed]) -> Result<(), Finding> {
    let place = |(place, placed): (usize, &Placed)| {
        placed.entry.record.request.clone().map(|request| (request, place))
    };
    let places: HashMap<RequestId, usize> = entries.iter().enumerate().filter_map(place).collect();
    for group in history.asked.split_inclusive(|asked| !asked.linked) {
        let first = places.get(&group[0].request).copied();
        for (offset, asked) in group.iter().enumerate() {
            let expected = first.map(|first| first + offset);
            let found = places.get(&asked.request).copied();
            ensure!(found == expected, "{} is not with what it is linked to", asked.request);
        }
    }
    Ok(())
}

/// What clients were told of balances fits one order of events at each home.
fn balances_as_told(history: &History, accounts: &Accounts) -> Result<(), Finding> {
    let mut told: BTreeMap<&str, BTreeMap<u64, (&AccountId, u64)>> = BTreeMap::new();
    for Asked { action, fate, .. } in &history.asked {
        if let Fate::Accepted { seq, balance: Some(balance), .. } = fate {
            let account = match action {
                Action::Transfer { from, .. } => from,
                Action::Mint { account, .. }
                | Action::Burn { account, .. }
                | Action::Open { account, .. }
                | Action::Rekey { account, .. } => account,
                Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => {
                    return Err(format!("no client asks for {action:?}"));
                }
            };
            told.entry(account.home()).or_default().insert(*seq, (account, *balance));
        }
    }
    for (home, told) in told {
        // The height that the home has reached, at the least.
        let mut reached = 0;
        for (seq, (account, balance)) in told {
            reached = accounts.explain(home, seq, account, i128::from(balance), reached)?;
        }
    }
    history.reads.iter().try_for_each(|read| accounts.explain_read(read))
}
