//! What all accounts held when, by the chain: for the checker, and by its own arithmetic.

use std::collections::{BTreeMap, HashMap};

use paxos_banking::bank::ids::{AccountId, ServerId};
use paxos_banking::bank::ledger::entry::{Action, Entry};

use super::Finding;
use super::history::Read;

/// What happened to one account.
#[derive(Default)]
struct Account {
    opening: i128,
    now: i128,
    /// (height, what it held by the chain up to there), for heights at which it changed.
    by_chain: Vec<(u64, i128)>,
    /// (seq of its home, sum of what the home's own entries did to it up to there).
    by_home: Vec<(u64, i128)>,
    /// (height, sum of what others' entries did to it up to there).
    by_others: Vec<(u64, i128)>,
}

/// The value that held at a time, by a list of changes.
fn at(changes: &[(u64, i128)], time: u64, first: i128) -> i128 {
    let later = changes.partition_point(|(changed, _)| *changed <= time);
    later.checked_sub(1).map_or(first, |index| changes[index].1)
}

fn add(changes: &mut Vec<(u64, i128)>, time: u64, units: i128) {
    let sum = changes.last().map_or(0, |(_, sum)| *sum) + units;
    changes.push((time, sum));
}

/// All accounts.
pub struct Accounts {
    accounts: BTreeMap<AccountId, Account>,
    /// The height of the block that holds each home's entries: (height, last seq in it).
    ends: HashMap<ServerId, Vec<(u64, i128)>>,
    /// What was issued beyond what was taken back.
    pub issued: i128,
}

impl Accounts {
    /// As a bank is founded.
    pub fn new<'a>(servers: impl Iterator<Item = &'a ServerId>, opening: i128) -> Accounts {
        let account = Account { opening, now: opening, ..Account::default() };
        let one = |id| {
            let Account { opening, now, .. } = account;
            (AccountId::of(id), Account { opening, now, ..Account::default() })
        };
        Accounts { accounts: servers.map(one).collect(), ends: HashMap::new(), issued: 0 }
    }

    /// What all hold together.
    pub fn total(&self) -> i128 {
        self.accounts.values().map(|account| account.now).sum()
    }

    /// The next entry of the chain takes effect.
    pub fn apply(&mut self, entry: &Entry, height: u64) -> Result<(), Finding> {
        if let Action::Member(_) = &entry.record.action {
            let ends = self.ends.entry(entry.server.clone()).or_default();
            ends.push((height, i128::from(entry.seq)));
            return Ok(());
        }
        let Some(subject) = entry.record.action.subject() else {
            return Err(format!("no store was lost here: {entry:?}"));
        };
        if subject.home() != entry.server.as_str() {
            return Err(format!("only {} may do that: {entry:?}", subject.home()));
        }
        let ends = self.ends.entry(entry.server.clone()).or_default();
        ends.push((height, i128::from(entry.seq)));
        match &entry.record.action {
            Action::Open { account, .. } => {
                let mut new = Account::default();
                new.by_chain.push((height, 0));
                match self.accounts.insert(account.clone(), new) {
                    None => Ok(()),
                    Some(_) => Err(format!("{account} is opened twice: {entry:?}")),
                }
            }
            Action::Transfer { from, to, amount } => {
                let units = i128::from(amount.units());
                if units == 0 || from == to {
                    return Err(format!("that makes no sense: {entry:?}"));
                }
                self.change(from, -units, entry, height)?;
                self.change(to, units, entry, height)
            }
            Action::Mint { account, .. } | Action::Burn { account, .. } => {
                let units = i128::from(entry.record.action.issues());
                self.issued += units;
                self.change(account, units, entry, height)
            }
            Action::Rekey { .. } => Ok(()),
            Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => {
                Err(format!("it is nobody's: {entry:?}"))
            }
        }
    }

    fn change(
        &mut self,
        name: &AccountId,
        units: i128,
        entry: &Entry,
        height: u64,
    ) -> Result<(), Finding> {
        let unknown = || format!("there is no {name} for {entry:?}");
        let account = self.accounts.get_mut(name).ok_or_else(unknown)?;
        account.now += units;
        if account.now < 0 {
            return Err(format!("{name} is below zero after {entry:?} in block {height}"));
        }
        account.by_chain.push((height, account.now));
        if name.home() == entry.server.as_str() {
            add(&mut account.by_home, entry.seq, units);
        } else {
            add(&mut account.by_others, height, units);
        }
        Ok(())
    }

    /// A home said what an account held after its entry of that seq; when it said so it held the
    /// chain to some height, at least `reached`, and the entry was in no block yet. Returns the least
    /// height that it can have been.
    pub fn explain(
        &self,
        home: &str,
        seq: u64,
        name: &AccountId,
        balance: i128,
        reached: u64,
    ) -> Result<u64, Finding> {
        let account = &self.accounts[name];
        let from_others = balance - account.opening - at(&account.by_home, seq, 0);
        let ends = &self.ends[&home.parse::<ServerId>().expect("a server")];
        let included = ends[ends.partition_point(|(_, last)| *last < i128::from(seq))].0;
        // Others only pay in, so the sums grow.
        let enough = account.by_others.partition_point(|(_, sum)| *sum < from_others);
        let least = match from_others {
            0 => 0,
            _ => account.by_others.get(enough).map_or(u64::MAX, |(height, _)| *height),
        };
        let least = least.max(reached);
        if least < included && at(&account.by_others, least, 0) == from_others {
            return Ok(least);
        }
        Err(format!(
            "{home}.1.{seq}, in block {included}, left {balance} in {name}, it was said, of which \
             {from_others} came from others; that fits no height from {reached} on"
        ))
    }

    /// What was read is what the chain and the home's own entries come to, with all those that the
    /// reader had been told of.
    pub fn explain_read(&self, read: &Read) -> Result<(), Finding> {
        let Read { account: name, balance, committed, height, after_seq } = read;
        let Some(account) = self.accounts.get(name) else {
            return Err(format!("{name} was read, and is not in the chain: {read:?}"));
        };
        let is_in_chain = |by: u64| account.by_chain.first().is_some_and(|(first, _)| *first <= by);
        let founded = !name.as_str().contains('/');
        let by_chain = (founded || is_in_chain(*height))
            .then(|| at(&account.by_chain, *height, account.opening));
        if committed.map(i128::from) != by_chain {
            return Err(format!("the chain says that {name} holds {by_chain:?}: {read:?}"));
        }
        let others = at(&account.by_others, *height, 0);
        let home = i128::from(*balance) - account.opening - others;
        let first = account.by_home.partition_point(|(seq, _)| seq <= after_seq);
        let fits = at(&account.by_home, *after_seq, 0) == home
            || account.by_home[first..].iter().any(|(_, sum)| *sum == home);
        if fits {
            return Ok(());
        }
        Err(format!("{name} never held that after entry {after_seq} of its home: {read:?}"))
    }
}
